"""Devices that hold passkeys (WebAuthn): what they are asked, and whether what they answer is to be believed."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from attrs import field, frozen

from domain.ids import AccountId
from domain.passkey import Passkey

Json = Mapping[str, Any]
"""An object for a browser or from one, as WebAuthn writes it in JSON."""


@frozen(kw_only=True)
class MadeCredential:
    credential_id: str
    public_key: bytes = field(repr=False)
    uses: int
    is_backed_up: bool


@frozen(kw_only=True)
class Presented:
    """Which passkey a device says that it has used. Nothing of it is proven yet."""

    account_id: AccountId | None
    """None if the device does not say whose it is."""
    credential_id: str


@frozen(kw_only=True)
class UsedCredential:
    uses: int
    is_backed_up: bool


class Authenticators(Protocol):
    """Each answer is of our address only, for the challenge that was asked, and by a device that has verified the person."""

    def options_to_make(
        self, challenge: str, account_id: AccountId, email: str, known: Sequence[str]
    ) -> Json:
        """Asks for a new passkey, on a device that has none of the ``known`` ones."""
        ...

    def options_to_use(self, challenge: str, known: Sequence[str] = ()) -> Json:
        """Asks to use a passkey: one of the ``known`` ones, or any that the device finds itself."""
        ...

    def made(self, credential: Json, challenge: str) -> MadeCredential:
        """
        Raises:
            PasskeyRefused: The answer is not to be believed.
        """
        ...

    def presented(self, credential: Json) -> Presented:
        """
        Raises:
            PasskeyRefused: It is no answer of a device.
        """
        ...

    def used(self, credential: Json, challenge: str, passkey: Passkey) -> UsedCredential:
        """
        Verifies that ``passkey`` has signed the challenge. The counted uses are not compared; `Passkey.use` does that.

        Raises:
            PasskeyRefused: The answer is not to be believed.
        """
        ...
