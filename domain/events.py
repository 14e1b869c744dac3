"""
Domain events: immutable facts, each complete enough to be sent to a client without another lookup.

They differ in where they are kept. The log of a chat numbers the events that all of its members get in one order
(``ChatEvent``). The log of a profile keeps events that concern one person (``PersonalEvent``). Acts of reading are kept as
receipts, which have no number (``MessagesRead``).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum

from attrs import frozen

from domain.ids import ChatId, MessageId, Position, ProfileId, Seq, SessionId
from domain.message import Message
from domain.role import Role


@frozen(kw_only=True)
class MessageSent:
    chat_id: ChatId
    position: Position
    message: Message


@frozen(kw_only=True)
class ChatChanged:
    """The chat was renamed or described anew. Holds the new values, not a difference."""

    chat_id: ChatId
    position: Position
    name: str
    description: str | None
    by: ProfileId
    at: datetime


@frozen(kw_only=True)
class MemberAdded:
    chat_id: ChatId
    position: Position
    profile_id: ProfileId
    by: ProfileId
    at: datetime


@frozen(kw_only=True)
class MemberRemoved:
    """A member was removed by ``by``, or left, in which case ``by`` is the member."""

    chat_id: ChatId
    position: Position
    profile_id: ProfileId
    by: ProfileId
    at: datetime


@frozen(kw_only=True)
class RoleChanged:
    chat_id: ChatId
    position: Position
    profile_id: ProfileId
    role: Role
    by: ProfileId
    at: datetime


@frozen(kw_only=True)
class ChatAdded:
    """The profile is now in the chat: the chat was opened with it, or it was added later."""

    profile_id: ProfileId
    chat_id: ChatId
    at: datetime


class Removal(StrEnum):
    CHAT_DELETED = "chat_deleted"
    REMOVED = "removed"
    LEFT = "left"


@frozen(kw_only=True)
class ChatRemoved:
    profile_id: ProfileId
    chat_id: ChatId
    reason: Removal
    at: datetime


class SessionEnd(StrEnum):
    SIGNED_OUT = "signed_out"
    REPLACED = "replaced"
    """The same device, by its fingerprint, signed in again, or another one, and the account had as many as it may have."""
    MISMATCHED = "fingerprint_mismatch"
    """A refresh token was used with another fingerprint than the session's."""
    REUSED = "token_reused"
    """A refresh token was used a second time, so somebody other than its owner may have a copy."""
    REVOKED = "revoked"
    """The owner ended the session from another device."""
    PASSWORD_CHANGED = "password_changed"  # noqa: S105  # no password
    ACCOUNT_CLOSED = "account_closed"
    EXPIRED = "expired"
    DISABLED = "account_disabled"
    """An operator disabled the account."""


@frozen(kw_only=True)
class SessionEnded:
    profile_id: ProfileId
    session_id: SessionId
    reason: SessionEnd
    at: datetime


@frozen(kw_only=True)
class MessagesRead:
    """One act of reading: the messages of others from ``from_seq`` to ``to_seq``, both included."""

    chat_id: ChatId
    reader_id: ProfileId
    from_seq: Seq
    to_seq: Seq
    at: datetime
    message_ids: Sequence[MessageId]
    """The newest of the newly read messages, ascending. Their number is bounded; `count` includes all."""
    count: int
    by_author: Mapping[ProfileId, int]
    """How many of each author's messages were newly read."""
    is_single: bool = False
    """Whether one message was read out of order, without everything before it."""


ChatEvent = MessageSent | ChatChanged | MemberAdded | MemberRemoved | RoleChanged
PersonalEvent = ChatAdded | ChatRemoved | SessionEnded
