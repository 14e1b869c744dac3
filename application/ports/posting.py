"""
Where many messages are posted in one transaction.

A unit of posting opens the conversations that its drafts need, lets the domain decide, and keeps what was decided. It
commits when its block ends, and the messages are announced after that. What it raises says what is certain:

- `Indigestible`: not stored, and one of these drafts is the cause; halving finds it
- `Interrupted`: not stored, through no fault of the drafts; worth one more try
- any other `Unavailable`: not stored, and trying again at once is of no use
- `OutcomeUnknown`: the end of the transaction was not heard; stored whole or not at all
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from attrs import frozen

from application.errors import Unavailable
from application.ports.updates import Update
from domain.chat import Chat
from domain.events import MessageSent
from domain.ids import ChatId, MessageId, ProfileId
from domain.member import Member
from domain.message import Body, Nonce


class Indigestible(Unavailable):
    """Certainly not stored: storage refuses a value among these."""

    code = "indigestible"


class Interrupted(Unavailable):
    """Certainly not stored: storage gave up on its own account, and may do better at once."""

    code = "interrupted"


@frozen(kw_only=True)
class Draft:
    """A message as its author hands it in: not yet part of a chat. ``id`` becomes the message's, if it is posted."""

    chat_id: ChatId
    author_id: ProfileId
    id: MessageId
    body: Body
    nonce: Nonce | None
    at: datetime
    """When it was handed in."""


EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)
"""Times are counted in whole ones: as floats two of them would fall into one slot."""


@frozen
class Slots:
    """
    Time, cut into pieces of one interval, by which storage finds what an author has just said without a nonce.

    Whatever was said less than an interval ago lies in the present slot or in the one before. Both are looked up by
    equality, so that repeats are found on any number of nodes without comparing times.
    """

    interval: timedelta
    """Not zero."""

    def of(self, at: datetime) -> int:
        return (at - EPOCH) // MICROSECOND // (self.interval // MICROSECOND)

    def said_at(self, slot: int, sent_at: datetime) -> datetime:
        """
        When something in this slot counts as said.

        Messages of a chat have rising times. If the clock stepped back, ``sent_at`` is therefore ahead of it, perhaps by
        hours; the slot is the clock's.
        """
        return min(sent_at, EPOCH + (slot + 1) * self.interval)


@frozen
class Conversations:
    """What it takes to decide about drafts."""

    chats: Mapping[ChatId, Chat]
    """Locked until the unit ends. A chat that is neither here nor among ``busy`` does not exist."""
    busy: frozenset[ChatId]
    """Chats that exist but are locked by somebody else: their drafts must wait for another unit."""
    authors: Mapping[tuple[ChatId, ProfileId], Member]
    """Members and former members."""
    said: dict[tuple[ChatId, ProfileId, Nonce], MessageSent]
    """What was posted under these nonces before."""
    just_said: dict[tuple[ChatId, ProfileId, Body], datetime]
    """When the authors of drafts without a nonce said the same in the present slot or the one before, if they did."""


class Posting(Protocol):
    @property
    def pending_updates(self) -> Sequence[Update]:
        """What is announced about everything kept so far, if this unit commits."""
        ...

    async def open(self, drafts: Sequence[Draft], slots: Slots | None) -> Conversations:
        """
        Lock the chats of these drafts, in one order for everybody, and read what it takes to decide about them.

        Without ``slots`` authors may repeat themselves, and nothing counts as just said.
        """
        ...

    async def keep(self, chats: Sequence[Chat], posted: Sequence[MessageSent]) -> None:
        """
        Keep what was decided: ``posted`` in the order of deciding, ``chats`` as they are after it.

        The messages are announced under the names that their authors have now.
        """
        ...

    def remind(self, repeated: Sequence[MessageSent]) -> None:
        """
        Have it announced that the chats have come as far as these messages, which were stored before.

        A client that sends again has often not heard its first attempt, and then others may not have either.
        """
        ...


BeginPosting = Callable[[], AbstractAsyncContextManager[Posting]]
