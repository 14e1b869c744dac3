"""
Reading the news of one profile: what its clients missed since a cursor, over all of its chats.

A client that listens to all chats of its profile keeps a cursor (`application.ports.changes`), which is small however many
chats there are. These reads run a constant number of statements, and search by the keys of the profile and of its chats.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final, Protocol

from attrs import frozen

from application.ports.changes import Cursor
from domain.events import PersonalEvent
from domain.ids import ChatId, Position, ProfileId, Seq

PERSONAL_MOST: Final = 10_000
"""The most entries of a profile's log that are read at once. A client that missed more starts anew."""


class Lost(StrEnum):
    """Why nobody can tell what lies after a cursor."""

    EPOCH = "epoch"
    """The cursor belongs to another line of history."""
    MALFORMED = "malformed"
    """This storage did not make the cursor."""
    TOO_FAR = "too_far"
    """The profile's own log has more than `PERSONAL_MOST` entries after it."""


@frozen(kw_only=True)
class Standing:
    """A chat of the profile at the moment of the read, and how far it moved since the cursor."""

    chat_id: ChatId
    last_seq: Seq
    last_position: Position
    member_count: int
    read_up_to: Seq
    unread_count: int
    others_read_up_to: Seq
    first_missed: Position | None = None
    """The first position after the cursor; None if the chat's log has not grown."""
    is_read: bool = False
    """Whether the read mark of the profile, or the furthest one of the others, may have changed since the cursor."""


@frozen(kw_only=True)
class Missed:
    cursor: Cursor
    """The cursor after everything in this answer."""
    standings: Sequence[Standing]
    """All chats that the profile is in now."""
    personal: Sequence[PersonalEvent]
    """The entries of the profile's own log after the cursor, in order."""


class OwnChanges(Protocol):
    async def here(self) -> Cursor:
        """The place after everything that is committed at this moment."""
        ...

    async def chats_of(self, reader: ProfileId) -> Sequence[ChatId]:
        """The chats that a profile is in, in no order."""
        ...

    async def since(self, reader: ProfileId, cursor: Cursor, chats: int | None = None) -> Missed | Lost:
        """
        Reads from one snapshot what a profile missed since ``cursor``. ``chats`` is about how many chats it is in, if that is
        known: it helps to divide the reading, and changes no answer.
        """
        ...
