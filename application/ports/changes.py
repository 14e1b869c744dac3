"""
Reading the news of all logs at once.

Updates can get lost (`application.ports.updates`). A node that must not miss anything keeps a cursor and regularly reads
what was committed after it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from attrs import frozen

from domain.events import MessagesRead, PersonalEvent
from domain.ids import ChatId, Position, ProfileId, Seq


@frozen(kw_only=True)
class Cursor:
    """A place in all logs at once. Only the storage that made it can read it."""

    epoch: str
    place: str
    lineage: str = ""
    """Identifies the stored tables themselves: it changes when they are restored, even from a copy of the same epoch."""


@frozen(kw_only=True)
class ReadRange:
    """An act of reading, without the ids of the messages."""

    chat_id: ChatId
    reader_id: ProfileId
    from_seq: Seq
    to_seq: Seq
    at: datetime


@frozen(kw_only=True)
class News:
    cursor: Cursor
    """The cursor for the next call."""
    moved: Mapping[ChatId, Position]
    """The greatest new position of each chat whose log grew."""
    personal: Sequence[PersonalEvent]
    read: Sequence[ReadRange]


class Changes(Protocol):
    async def now(self) -> Cursor:
        """The place after everything that is committed at this moment."""
        ...

    async def since(self, cursor: Cursor) -> News:
        """
        Reads everything that was committed after ``cursor``. A chain of cursors yields each thing once.

        For a cursor of another epoch the answer is empty, and its cursor belongs to the present epoch. If storage was
        restored since the cursor was made, a new epoch begins first: positions that clients know may be used again.
        """
        ...

    async def recall(self, read: ReadRange) -> MessagesRead:
        """
        Rebuilds the event of an act of reading whose announcement was lost. Messages in the range that were read singly
        before are counted again. A message that was read singly counts as a range of one if the mark has passed it since.
        """
        ...
