"""
Marking as read: the marks of many readers in one transaction.

Only readings are locked, always in the same order, so that marking does not wait for chats that somebody sends to. The
errors are those of `application.ports.posting`.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from attrs import frozen

from application.ports.updates import Update
from domain.events import MessagesRead
from domain.ids import ChatId, MessageId, ProfileId, Seq
from domain.reading import NewlyRead, Reading


@frozen(kw_only=True)
class MarkRequest:
    """A reader has read a chat up to a message, given by its id or by a number, which may lie beyond the last message."""

    chat_id: ChatId
    reader_id: ProfileId
    up_to: MessageId | Seq


@frozen
class OpenedReadings:
    """Everything that is needed to decide about mark requests."""

    readings: Mapping[tuple[ChatId, ProfileId], Reading]
    """Locked until the unit ends. Contains only readings of present members."""
    targets: Sequence[Seq | None]
    """The message that each request names, in the order of the requests; None if its chat has no such message."""


class Marking(Protocol):
    @property
    def pending_updates(self) -> Sequence[Update]:
        """The announcements about everything kept so far. They are made if this unit commits."""
        ...

    async def open(self, requests: Sequence[MarkRequest]) -> OpenedReadings:
        """Lock the readings of these requests, and find the messages that they mean."""
        ...

    async def newly_read(self, moves: Sequence[tuple[Reading, Seq]]) -> Sequence[NewlyRead]:
        """Find what is unread between the mark of each locked reading and the message that it moves to, included."""
        ...

    async def keep(self, moved: Sequence[tuple[Reading, MessagesRead | None]]) -> None:
        """Store the readings as they are now, and the receipts of what was read."""
        ...


BeginMarking = Callable[[], AbstractAsyncContextManager[Marking]]
