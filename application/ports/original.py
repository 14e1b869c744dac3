"""Reading a database of the original messenger."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from attrs import field, frozen

from domain.ids import AccountId, ChatId, MessageId, ProfileId


@frozen(kw_only=True)
class OriginalPerson:
    """An account and its profile as the original stored them. The values may break the rules of this messenger."""

    account_id: AccountId
    email: str
    password_hash: str = field(repr=False)
    is_confirmed: bool
    created_at: datetime
    profile_id: ProfileId | None
    """None if the original has no profile for this account."""
    first_name: str | None = None
    last_name: str | None = None
    middle_name: str | None = None
    username: str | None = None
    phone: str | None = None


@frozen(kw_only=True)
class OriginalChat:
    id: ChatId
    name: str
    description: str | None
    owner_id: ProfileId
    created_at: datetime
    joined_at: Mapping[ProfileId, datetime]
    """The members and when they joined. The owner need not be among them."""


@frozen(kw_only=True)
class OriginalMessage:
    id: MessageId
    author_id: ProfileId | None
    """None if the account of the author was deleted."""
    text: str
    sent_at: datetime


@frozen(kw_only=True)
class Totals:
    people: int
    chats: int
    messages: int

    @property
    def all(self) -> int:
        return self.people + self.chats + self.messages


class Original(Protocol):
    """Reads a snapshot of the database, which does not change while it is read."""

    async def totals(self) -> Totals: ...

    def people(self) -> AsyncIterator[OriginalPerson]:
        """All accounts, the oldest first."""
        ...

    def chats(self) -> AsyncIterator[OriginalChat]:
        """All chats, the oldest first."""
        ...

    def messages(self, chat_id: ChatId, at_once: int) -> AsyncIterator[Sequence[OriginalMessage]]:
        """All messages of a chat in the order of sending, in batches of up to ``at_once``."""
        ...

    async def read_by(self, chat_id: ChatId, reader_id: ProfileId) -> Mapping[MessageId, datetime]:
        """Which messages of a chat somebody has read, and when."""
        ...
