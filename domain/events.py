"""
Facts. Past tense, immutable, complete enough to be told to a client without another question.

Three logs tell them apart. A chat's log numbers what everybody in the chat must hear in one order (``ChatEvent``). A
profile's log keeps what concerns one person (``PersonalEvent``). What was read is told and kept as a receipt, without a
number of its own (``MessagesRead``).
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
    """The new state, not a difference."""

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
    """Put out, or gone by themselves: then ``by`` is the same."""

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
    """Somebody is in a chat now: it was made with them, or they were added."""

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
    """Signed in again under the same fingerprint."""
    MISMATCHED = "fingerprint_mismatch"
    """A refresh token came with another fingerprint than it was given to."""
    DISABLED = "account_disabled"
    """An operator keeps the account's owner out."""


@frozen(kw_only=True)
class SessionEnded:
    profile_id: ProfileId
    session_id: SessionId
    reason: SessionEnd
    at: datetime


@frozen(kw_only=True)
class MessagesRead:
    """One act of reading: everything from ``from_seq`` to ``to_seq`` that was not the reader's own."""

    chat_id: ChatId
    reader_id: ProfileId
    from_seq: Seq
    to_seq: Seq
    at: datetime
    message_ids: Sequence[MessageId]
    """The newest of the newly read, ascending; a bounded number, `count` tells how many there were."""
    count: int
    by_author: Mapping[ProfileId, int]
    """How many of each author's messages were newly read."""
    is_single: bool = False
    """One message out of order, not everything up to it."""


ChatEvent = MessageSent | ChatChanged | MemberAdded | MemberRemoved | RoleChanged
PersonalEvent = ChatAdded | ChatRemoved | SessionEnded
