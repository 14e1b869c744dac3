"""The changes that an application is told, in order. ``kind`` is the name of a change in docs/clients.md."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from messenger_client.model import Chat, Message
from messenger_client.states import State


@dataclass(frozen=True, slots=True)
class StateChanged:
    """The client is in another state. ``why`` explains `State.ENDED` and `State.WAITING`."""

    kind: ClassVar[str] = "state"
    state: State
    why: str = ""


@dataclass(frozen=True, slots=True)
class ChatAdded:
    """A chat that was not known. What was said in it before is in its history."""

    kind: ClassVar[str] = "chat_added"
    chat: Chat


@dataclass(frozen=True, slots=True)
class ChatChanged:
    """
    Something about a chat changed: its name, its members, a role, or something that this version does not know. ``by`` is the
    type of the frame that told it.
    """

    kind: ClassVar[str] = "chat_changed"
    chat: Chat
    by: str


@dataclass(frozen=True, slots=True)
class ChatRemoved:
    """The person is no longer in a chat. ``reason`` is ``removed``, ``left``, ``chat_deleted`` or ``unknown``."""

    kind: ClassVar[str] = "chat_removed"
    chat_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message was posted in a chat. ``is_own`` tells whether the person posted it, on this device or another one."""

    kind: ClassVar[str] = "message"
    chat: Chat
    message: Message
    is_own: bool


@dataclass(frozen=True, slots=True)
class MarksMoved:
    """The person has read more of a chat on some device, or others have."""

    kind: ClassVar[str] = "read"
    chat: Chat


@dataclass(frozen=True, slots=True)
class Typing:
    kind: ClassVar[str] = "typing"
    chat_id: str
    profile_id: str
    is_typing: bool


@dataclass(frozen=True, slots=True)
class Presence:
    """
    A watched person came online or went offline. ``last_seen_at`` is None while the person is online, or if it is unknown.
    """

    kind: ClassVar[str] = "presence"
    profile_id: str
    is_online: bool
    last_seen_at: datetime | None


@dataclass(frozen=True, slots=True)
class PresenceEnded:
    """A person can no longer be watched, because the two no longer share a chat."""

    kind: ClassVar[str] = "presence_ended"
    profile_id: str


@dataclass(frozen=True, slots=True)
class MessageSent:
    """A message of the outbox is stored. ``is_duplicate``: an earlier attempt had stored it already."""

    kind: ClassVar[str] = "sent"
    chat_id: str
    nonce: str
    id: str
    seq: int
    position: int
    is_duplicate: bool


@dataclass(frozen=True, slots=True)
class MessageRefused:
    """A message of the outbox was refused and has left it. Nothing was stored under its nonce by this attempt."""

    kind: ClassVar[str] = "refused"
    chat_id: str
    nonce: str
    text: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Gap:
    """
    Events of a chat between two positions were missed. The client reads them now, unless there are more than its limit;
    then they are only in the history.
    """

    kind: ClassVar[str] = "gap"
    chat_id: str
    after: int
    before: int
    is_read: bool


@dataclass(frozen=True, slots=True)
class Reset:
    """
    The server cannot tell what was missed in one chat, or in all of them (``chat_id`` is None). ``is_forgotten``: what was
    known is no longer true and was forgotten; otherwise the client reads what it missed.
    """

    kind: ClassVar[str] = "reset"
    chat_id: str | None
    reason: str
    is_forgotten: bool


Change = (
    StateChanged
    | ChatAdded
    | ChatChanged
    | ChatRemoved
    | NewMessage
    | MarksMoved
    | Typing
    | Presence
    | PresenceEnded
    | MessageSent
    | MessageRefused
    | Gap
    | Reset
)
