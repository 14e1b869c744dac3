"""
Where many readers mark what they have read, in one transaction.

Only readings are locked, in one order for everybody, so that marking does not wait for chats that somebody sends to. What
a unit raises says what is certain, as in `application.ports.posting`.
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
    """What it takes to decide about mark requests."""

    readings: Mapping[tuple[ChatId, ProfileId], Reading]
    """Locked until the unit ends. Only those of current members are here."""
    targets: Sequence[Seq | None]
    """The message that each request means, in their order; None if it names no message of its chat."""


class Marking(Protocol):
    @property
    def pending_updates(self) -> Sequence[Update]:
        """What is announced about everything kept so far, if this unit commits."""
        ...

    async def open(self, requests: Sequence[MarkRequest]) -> OpenedReadings:
        """Lock the readings of these requests, and find the messages that they mean."""
        ...

    async def newly_read(self, moves: Sequence[tuple[Reading, Seq]]) -> Sequence[NewlyRead]:
        """Find what is unread between the mark of each locked reading and the message that it moves to, included."""
        ...

    async def keep(self, moved: Sequence[tuple[Reading, MessagesRead | None]]) -> None:
        """Keep the readings as they are now, and the receipts of what was read."""
        ...


BeginMarking = Callable[[], AbstractAsyncContextManager[Marking]]
