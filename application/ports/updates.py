"""
What happened, told to whoever listens on this node: after the commit, never before.

An update is a hint. Whoever misses one finds out from the log: positions that do not follow each other, and one read of
all logs each second.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from attrs import frozen

from application.views import MessageView, ProfileView
from domain.events import ChatChanged, MemberRemoved, MessagesRead, PersonalEvent, RoleChanged
from domain.ids import ChatId, Position, ProfileId


@frozen(kw_only=True)
class NewMessage:
    chat_id: ChatId
    position: Position
    view: MessageView


@frozen(kw_only=True)
class NewMember:
    chat_id: ChatId
    position: Position
    member: ProfileView
    by: ProfileId
    at: datetime


@frozen(kw_only=True)
class Typing:
    """Kept nowhere: who does not hear it has missed nothing."""

    chat_id: ChatId
    profile_id: ProfileId
    is_typing: bool
    at: datetime


@frozen(kw_only=True)
class Moved:
    """The chat's log may be longer than anybody was told: up to ``position``, where that is known."""

    chat_id: ChatId
    position: Position | None = None


ChatUpdate = NewMessage | ChatChanged | NewMember | MemberRemoved | RoleChanged
"""The events of a chat's log with the names of the people in them: what a client can be told as it is."""

Update = ChatUpdate | PersonalEvent | MessagesRead | Typing | Moved


class Updates(Protocol):
    def publish(self, updates: Sequence[Update]) -> None:
        """Tell. Takes no time, waits for nobody and never raises: what was committed stays committed."""
        ...

    def subscribe(self, listener: Callable[[Sequence[Update]], None]) -> None:
        """Have ``listener`` called, in the order of publishing, from the event loop's thread."""
        ...
