"""
Chats, messages and people as a client knows them. All of them are immutable: a change makes a new one.

A chat keeps the entry that the server sent, so that fields which this version does not know are not lost.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from messenger_client.errors import StorageDamaged
from messenger_client.frames import Fields


@dataclass(frozen=True, slots=True)
class Person:
    """``id`` is that of the profile. A person may have no names."""

    id: str
    first_name: str | None = None
    last_name: str | None = None
    middle_name: str | None = None
    username: str | None = None

    @classmethod
    def read(cls, fields: Fields) -> "Person":
        return cls(
            id=fields["id"],
            first_name=fields.get("first_name"),
            last_name=fields.get("last_name"),
            middle_name=fields.get("middle_name"),
            username=fields.get("username"),
        )

    @property
    def name(self) -> str:
        """The first and last name, else the username, else nothing."""
        return " ".join(part for part in (self.first_name, self.last_name) if part) or self.username or ""


@dataclass(frozen=True, slots=True)
class Message:
    """``seq`` numbers the messages of a chat without holes; ``position`` is the place in the log of the chat."""

    id: str
    chat_id: str
    seq: int
    position: int
    sender: Person
    text: str
    sent_at: datetime
    nonce: str | None = None

    @classmethod
    def read(cls, fields: Fields) -> "Message":
        return cls(
            id=fields["id"],
            chat_id=fields["chat_id"],
            seq=fields["seq"],
            position=fields["position"],
            sender=Person.read(fields["sender"]),
            text=fields["text"],
            sent_at=moment(fields["sent_at"]),
            nonce=fields.get("nonce"),
        )

    @property
    def sender_id(self) -> str:
        return self.sender.id


@dataclass(frozen=True, slots=True)
class Reader:
    """Somebody who has read a message."""

    profile: Person
    read_at: datetime

    @classmethod
    def read(cls, fields: Fields) -> "Reader":
        return cls(Person.read(fields["profile"]), moment(fields["read_at"]))


@dataclass(frozen=True, slots=True)
class Member:
    """``role`` is ``owner``, ``admin`` or ``member``; ``read_up_to`` is the ``seq`` up to which the member has read."""

    profile: Person
    role: str
    joined_at: datetime
    read_up_to: int

    @classmethod
    def read(cls, fields: Fields) -> "Member":
        return cls(
            Person.read(fields["profile"]), fields["role"], moment(fields["joined_at"]), fields["read_up_to"]
        )


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Messages in the order of their ``seq``. ``total_count`` counts all messages of the chat."""

    messages: tuple[Message, ...]
    total_count: int
    has_before: bool
    has_after: bool

    @classmethod
    def read(cls, fields: Fields) -> "HistoryPage":
        return cls(
            tuple(map(Message.read, fields["messages"])),
            fields["total_count"],
            fields["has_before"],
            fields["has_after"],
        )


@dataclass(frozen=True, slots=True)
class Chat:
    """One chat of the person. ``entry`` is what the server says of it, kept up to date."""

    entry: Mapping[str, Any]
    position: int
    """The last durable event that was handled."""
    told: int
    """The last durable event that is known to exist; above `position` while something is read that was missed."""
    counted: int
    """The message up to which the server counted the unread ones the last time."""
    others_read_up_to: int = 0
    """The ``seq`` up to which somebody else has read, as far as is known."""

    @classmethod
    def read(cls, entry: Fields) -> "Chat":
        return cls(entry=entry, position=entry["position"], told=entry["position"], counted=entry["seq"])

    @property
    def id(self) -> str:
        return str(self.entry["chat"]["id"])

    @property
    def kind(self) -> str:
        """``group`` or ``direct``."""
        return str(self.entry["chat"]["kind"])

    @property
    def name(self) -> str:
        """The name; of a direct chat that of the other person."""
        return str(self.entry["chat"]["name"])

    @property
    def description(self) -> str | None:
        return self.entry["chat"]["description"]  # type: ignore[no-any-return]

    @property
    def owner_id(self) -> str:
        return str(self.entry["chat"]["owner"]["id"])

    @property
    def member_count(self) -> int:
        return int(self.entry["chat"]["member_count"])

    @property
    def role(self) -> str:
        """The person's own role: ``owner``, ``admin`` or ``member``."""
        return str(self.entry["role"])

    @property
    def last_message(self) -> Message | None:
        fields = self.entry["last_message"]
        return Message.read(fields) if fields else None

    @property
    def seq(self) -> int:
        """The ``seq`` of the last message; 0 in a chat without messages."""
        return int(self.entry["seq"])

    @property
    def unread_count(self) -> int:
        return int(self.entry["unread_count"])

    @property
    def read_up_to(self) -> int:
        """The ``seq`` up to which the person has read."""
        return int(self.entry["read_up_to"])

    @property
    def is_behind(self) -> bool:
        """True while the client still has to read events of this chat that it missed."""
        return self.position < self.told

    def with_entry(self, **fields: Any) -> "Chat":
        return replace(self, entry={**self.entry, **fields})

    def with_about(self, **fields: Any) -> "Chat":
        return self.with_entry(chat={**self.entry["chat"], **fields})

    def to_text(self) -> str:
        fields = {
            "entry": self.entry,
            "position": self.position,
            "told": self.told,
            "counted": self.counted,
            "others_read_up_to": self.others_read_up_to,
        }
        return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_text(cls, text: str) -> "Chat":
        """
        Raises:
            StorageDamaged: The text is not one that `to_text` made.
        """
        try:
            fields = json.loads(text)
            return cls(
                entry=fields["entry"],
                position=fields["position"],
                told=fields["told"],
                counted=fields["counted"],
                others_read_up_to=fields["others_read_up_to"],
            )
        except (ValueError, KeyError, TypeError) as error:
            raise StorageDamaged("the state of a chat cannot be read") from error


def moment(text: str) -> datetime:
    """The protocol gives times in UTC without an offset."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
