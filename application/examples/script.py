"""The parts of a script of examples: who takes part, and who says what, and when."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID, uuid5

from attrs import frozen

from domain.ids import AccountId, ChatId, MessageId, ProfileId

NAMESPACE: Final = UUID("b9b1a1f4-6a5e-5d0c-8c55-2f6f8a1c7e30")
"""The namespace from which the ids of examples are derived. Changing it would add all examples a second time."""


def _named(what: str) -> UUID:
    return uuid5(NAMESPACE, what)


@frozen(kw_only=True)
class Person:
    """An example person. Account and profile have ids derived from ``email``, the same on every installation."""

    email: str
    username: str
    first_name: str
    last_name: str
    middle_name: str | None = None
    phone: str

    @property
    def account_id(self) -> AccountId:
        return AccountId(_named(f"account {self.email}"))

    @property
    def profile_id(self) -> ProfileId:
        return ProfileId(_named(f"profile {self.email}"))


Line = tuple[Person, int, str]
"""The author, the minutes since the line before, and the text."""


@frozen(kw_only=True)
class Said:
    """A line of a conversation as the message that it becomes."""

    author: Person
    id: MessageId
    nonce: str
    at: datetime
    text: str


@frozen(kw_only=True)
class Conversation:
    """A group chat of example people and everything that is said in it."""

    key: str
    """Must never change, because the ids and nonces of the conversation are derived from it."""
    name: str
    description: str | None = None
    owner: Person
    others: tuple[Person, ...]
    opened_at: datetime
    lines: tuple[Line, ...]
    read: Mapping[Person, int]
    """How many lines each person has read. People who are not listed have read nothing."""

    @property
    def chat_id(self) -> ChatId:
        return ChatId(_named(f"chat {self.key}"))

    def messages(self) -> Iterator[Said]:
        at = self.opened_at
        for number, (author, minutes, text) in enumerate(self.lines, start=1):
            at += timedelta(minutes=minutes)
            yield Said(
                author=author,
                id=MessageId(_named(f"message {self.key} {number}")),
                nonce=f"example {self.key} {number}",
                at=at,
                text=text,
            )


@frozen(kw_only=True)
class Script:
    """All examples. Everybody in ``conversations`` is one of ``people``, who share one password."""

    people: Sequence[Person]
    password: str
    conversations: Sequence[Conversation]
