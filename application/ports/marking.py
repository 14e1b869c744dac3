"""
Where many readers mark what they have read, in one transaction.

It locks readings alone, in one order for everybody: reading and sending do not wait for each other's chats. What a unit
raises says what is certain, as in `application.ports.posting`.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from attrs import frozen

from application.ports.updates import Update
from domain.events import MessagesRead
from domain.ids import ChatId, MessageId, ProfileId, Seq
from domain.reading import Passed, Reading


@frozen(kw_only=True)
class Wish:
    """Somebody wants to have read a chat up to a message: by its id, or by its number, or by one beyond the last."""

    chat_id: ChatId
    reader_id: ProfileId
    up_to: MessageId | Seq


@frozen
class Standings:
    readings: Mapping[tuple[ChatId, ProfileId], Reading]
    """Of current members alone; held until the unit ends."""
    targets: Sequence[Seq | None]
    """For each wish; None: it names no message of its chat."""


class Marking(Protocol):
    @property
    def pending_updates(self) -> Sequence[Update]:
        """What is announced about everything kept so far, if this unit commits."""
        ...

    async def open(self, wishes: Sequence[Wish]) -> Standings: ...

    async def passed(self, moves: Sequence[tuple[Reading, Seq]]) -> Sequence[Passed]:
        """What each held reading has unread after its mark up to and including where it is to move."""
        ...

    async def keep(self, moved: Sequence[tuple[Reading, MessagesRead | None]]) -> None:
        """Keep the readings as they are now, and the receipts of what was read."""
        ...


BeginMarking = Callable[[], AbstractAsyncContextManager[Marking]]
