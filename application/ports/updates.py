"""
Updates: news for the listeners of all nodes, announced after the commit.

Updates come from units of work, which announce what they stored. Only what is never stored, such as typing, is published
by its use case.

The listeners of this node hear an update at once; those of others hear the updates of one publisher about one chat in their
order, some of them perhaps twice. An update may get lost. A listener notices and catches up from the log: positions have no
gaps, and all logs are read once a second.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from attrs import frozen

from application.views import NOBODY, MessageView, ProfileView
from domain.decision import Decision
from domain.events import (
    ChatChanged,
    ChatEvent,
    MemberAdded,
    MemberRemoved,
    MessageSent,
    MessagesRead,
    PersonalEvent,
    RoleChanged,
    SessionEnded,
)
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
    """A member types, or no longer does. It is not stored, and losing it does no harm."""

    chat_id: ChatId
    profile_id: ProfileId
    is_typing: bool
    at: datetime


@frozen(kw_only=True)
class Moved:
    """A hint that the chat's log may be longer than was announced: up to ``position``, if that is known."""

    chat_id: ChatId
    position: Position | None = None


@frozen(kw_only=True)
class OnlineThere:
    """
    Profiles that have a client on ``node``, or no longer have one there. It is not stored. A node says again and again who is
    there, so that losing it does no harm for long.
    """

    node: str
    profile_ids: Sequence[ProfileId]
    is_online: bool
    at: datetime


class Attendance(StrEnum):
    JOINED = "user_joined"
    LEFT = "user_left"
    DISCONNECTED = "user_disconnected"


@frozen(kw_only=True)
class AttendingThere:
    """Profiles that have opened or left a chat on a socket of ``node``. It is not stored either."""

    node: str
    chat_id: ChatId
    profile_ids: Sequence[ProfileId]
    change: Attendance
    at: datetime
    again: bool = False
    """True if the node repeats a list of people who may have opened the chat long ago; False if they have opened or left it just now."""


@frozen(kw_only=True)
class WhoIsThere:
    """The question of a node that has started."""

    node: str


@frozen(kw_only=True)
class LimitUsed:
    """A use of a rate limit that ``process`` has permitted. Others count it too. It is not stored."""

    process: str
    allowance: str
    key: str
    """A digest of what the use is counted for."""
    share: timedelta
    """The part of the limit's period that the use takes up."""
    at: datetime


PresenceUpdate = OnlineThere | AttendingThere | WhoIsThere
"""The updates by which nodes tell each other about their clients."""

ChatUpdate = NewMessage | ChatChanged | NewMember | MemberRemoved | RoleChanged
"""The events of a chat's log, with the names of the people in them."""

UpdateBesideLogs = PersonalEvent | MessagesRead | Typing | Moved | PresenceUpdate | LimitUsed
"""Published updates that are no entries of a chat's log."""

Update = ChatUpdate | UpdateBesideLogs


class Updates(Protocol):
    def publish(self, updates: Sequence[Update]) -> None:
        """Announce. Does not wait for listeners and never raises, because the commit cannot be undone."""
        ...

    def subscribe(self, listener: Callable[[Sequence[Update]], None]) -> None:
        """Call ``listener`` with each announcement, in the order of publishing, on the event loop's thread."""
        ...


def about_decision(decision: Decision, people: Mapping[ProfileId, ProfileView]) -> list[Update]:
    """The updates about a decision: entries of the chat's log, then those of its members. ``people`` are the new members."""
    return [*(about_event(event, people) for event in decision.events), *decision.personal]


def about_event(event: ChatEvent, people: Mapping[ProfileId, ProfileView]) -> ChatUpdate:
    """The update about an entry of a chat's log, with the name of the author or new member from ``people``."""
    match event:
        case MessageSent():
            # not taken apart by the pattern, which would take as long as the rest
            message, position = event.message, event.position
            sender = people.get(message.author_id, NOBODY)
            view = MessageView(message=message, position=position, sender=sender)
            return NewMessage(chat_id=event.chat_id, position=position, view=view)
        case MemberAdded():
            return NewMember(
                chat_id=event.chat_id,
                position=event.position,
                member=people.get(event.profile_id, NOBODY),
                by=event.by,
                at=event.at,
            )
        case _:
            return event


def hints_about(updates: Sequence[Update]) -> list[Moved]:
    """The hints to announce instead of ``updates`` when the outcome of a commit is unknown: one for each chat."""
    without = SessionEnded | MessagesRead | Typing | PresenceUpdate | LimitUsed
    chat_ids = dict.fromkeys(update.chat_id for update in updates if not isinstance(update, without))
    return [Moved(chat_id=chat_id) for chat_id in chat_ids]
