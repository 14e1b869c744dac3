from typing import Protocol

from domain.ids import (
    AccountId,
    ChatId,
    ConfirmationId,
    EventId,
    IdentityId,
    LetterId,
    MessageId,
    PasskeyId,
    ProfileId,
    SessionId,
)


class MessageIds(Protocol):
    def message(self) -> MessageId: ...


class Ids(MessageIds, Protocol):
    """Fresh identities, unique without asking anybody; later ones sort after earlier ones."""

    def account(self) -> AccountId: ...

    def profile(self) -> ProfileId: ...

    def session(self) -> SessionId: ...

    def confirmation(self) -> ConfirmationId: ...

    def letter(self) -> LetterId: ...

    def event(self) -> EventId: ...

    def identity(self) -> IdentityId: ...

    def passkey(self) -> PasskeyId: ...

    def chat(self) -> ChatId: ...

    def token_id(self) -> str:
        """An unguessable name for one token, 128 random bits as text."""
        ...
