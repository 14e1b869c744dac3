from collections.abc import Sequence
from typing import Never

from attrs import frozen

from application.ports.authenticators import Json
from domain.ids import AccountId
from domain.passkey import Passkey, PasskeysUnavailable


@frozen
class NoDevices:
    """Stands in where the operator has not switched passkeys on, so that nothing is imported for them. No use case comes so far."""

    def options_to_make(
        self, challenge: str, account_id: AccountId, email: str, known: Sequence[str]
    ) -> Never:
        raise PasskeysUnavailable

    def options_to_use(self, challenge: str, known: Sequence[str] = ()) -> Never:
        raise PasskeysUnavailable

    def made(self, credential: Json, challenge: str) -> Never:
        raise PasskeysUnavailable

    def presented(self, credential: Json) -> Never:
        raise PasskeysUnavailable

    def used(self, credential: Json, challenge: str, passkey: Passkey) -> Never:
        raise PasskeysUnavailable
