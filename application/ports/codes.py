"""Codes of second factors: the secrets that they are made from, kept encrypted, and recovery codes."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from attrs import field, frozen

from domain.factor import RecoveryDigest, SealedSecret
from domain.ids import AccountId


@frozen
class NewSecret:
    """A secret that was just made, to be shown to its owner once."""

    shown: str = field(repr=False)
    """In Base32, for those who type it."""
    uri: str = field(repr=False)
    """The same for a QR code, with the name under which applications show the account."""
    sealed: SealedSecret


class Codes(Protocol):
    """
    Makes and checks codes. A sealed secret belongs to one account: that of another cannot be opened in its place.
    """

    @property
    def is_available(self) -> bool:
        """Tells whether the operator has set the key that seals secrets. Without it nobody can set up a second factor."""
        ...

    def new_secret(self, account_id: AccountId, email: str) -> NewSecret:
        """
        Raises:
            FactorsUnavailable: There is no key to seal it with.
        """
        ...

    def step_of(self, code: str, secret: SealedSecret, account_id: AccountId, *, at: datetime) -> int | None:
        """
        Returns the step of a code of six digits, which may be the present one or one of its neighbours, because clocks of
        phones differ. None if it is no code of the secret now, or if the secret cannot be opened.
        """
        ...

    def mark(self, text: str) -> str:
        """A digest of a text that nobody can guess. It is the same for the same text."""
        ...

    def new_recovery_codes(self) -> Sequence[str]: ...

    def digest(self, recovery_code: str) -> RecoveryDigest:
        """Returns what is stored in place of a recovery code, however it was typed: case and separators do not count."""
        ...
