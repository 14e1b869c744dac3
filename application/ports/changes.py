"""
Everything that is new, in all logs at once.

Hints get lost. Whoever must not miss anything keeps a cursor and asks from time to time what lies behind it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from attrs import frozen

from domain.events import MessagesRead, PersonalEvent
from domain.ids import ChatId, Position, ProfileId, Seq


@frozen(kw_only=True)
class Cursor:
    """A place in all logs. Opaque: only the storage that made it can read it."""

    epoch: str
    place: str


@frozen(kw_only=True)
class ReadRange:
    """That somebody read, without what they read."""

    chat_id: ChatId
    reader_id: ProfileId
    from_seq: Seq
    to_seq: Seq
    at: datetime


@frozen(kw_only=True)
class News:
    cursor: Cursor
    """Where to ask from next time."""
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
        Everything committed that ``cursor`` does not cover, each thing once over a chain of cursors.

        With a cursor of another epoch the answer is empty and its cursor is of the present epoch.
        """
        ...

    async def recall(self, read: ReadRange) -> MessagesRead:
        """
        What was read, for somebody who was not told. A message read singly before may be counted once more; one that was
        read singly is told as a range of one when the mark has passed it since.
        """
        ...
