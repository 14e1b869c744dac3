"""
Posting: many messages in one transaction.

A unit of posting loads the conversations of its drafts, lets the domain decide, and stores the outcome. It commits when
its block ends, and the messages are announced after that. Storage may load conversations as it remembers them; whether they
are still so is then found out in the transaction that stores the outcome. Its errors tell what is certain:

- `Indigestible`: nothing is stored, and one of the drafts is the cause; halving the batch finds it
- `Interrupted`: nothing is stored, through no fault of the drafts; one more try is worthwhile
- `Outdated`: nothing is stored, and the decisions must be made again, in another unit
- any other `Unavailable`: nothing is stored, and trying again at once is of no use
- `OutcomeUnknown`: the connection was lost during the commit; everything is stored, or nothing
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
    """Nothing is stored: storage refuses a value in one of the drafts."""

    code = "indigestible"


class Interrupted(Unavailable):
    """Nothing is stored: storage cancelled the transaction, for example to resolve a deadlock."""

    code = "interrupted"


class Outdated(Interrupted):
    """
    Nothing is stored: storage had remembered the conversations, and they have changed since. The next unit over them reads them.
    """

    code = "outdated"


@frozen(kw_only=True)
class Draft:
    """A message that is not yet part of a chat. If it is posted, its ``id`` becomes the id of the message."""

    chat_id: ChatId
    author_id: ProfileId
    id: MessageId
    body: Body
    nonce: Nonce | None
    at: datetime
    """When the command to send it arrived."""


EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)
"""The unit of slot arithmetic. Floating-point seconds would be too coarse to tell neighbouring times apart."""


@frozen
class Slots:
    """
    Time divided into slots of one interval, by which storage finds repeats of a text that was sent without a nonce.

    A message sent less than an interval ago lies in the present slot or in the one before. Both are looked up by equality,
    so that repeats are found on any number of nodes without comparing times.
    """

    interval: timedelta
    """Must be greater than zero."""

    def of(self, at: datetime) -> int:
        return (at - EPOCH) // MICROSECOND // (self.interval // MICROSECOND)

    def said_at(self, slot: int, sent_at: datetime) -> datetime:
        """
        The time at which a message in this slot counts as sent, by the clock.

        Times of messages never decrease within a chat. After the clock was set back, ``sent_at`` is therefore ahead of the
        clock, perhaps by hours, while the slot follows the clock.
        """
        return min(sent_at, EPOCH + (slot + 1) * self.interval)


@frozen
class Conversations:
    """Everything that is needed to decide about drafts."""

    chats: Mapping[ChatId, Chat]
    """Locked until the unit ends. A chat that is neither here nor in ``busy`` does not exist."""
    busy: frozenset[ChatId]
    """Chats that another transaction holds. Their drafts must wait for a later unit."""
    authors: Mapping[tuple[ChatId, ProfileId], Member]
    """Members and former members."""
    said: dict[tuple[ChatId, ProfileId, Nonce], MessageSent]
    """Messages that were posted with these nonces before."""
    just_said: dict[tuple[ChatId, ProfileId, Body], datetime]
    """When authors of drafts without a nonce sent the same text in the present slot or the one before."""


class Posting(Protocol):
    @property
    def pending_updates(self) -> Sequence[Update]:
        """The announcements about everything kept so far. They are made if this unit commits."""
        ...

    async def open(self, drafts: Sequence[Draft], slots: Slots | None) -> Conversations:
        """
        Lock the chats of these drafts, always in the same order, and read everything that is needed to decide about them.

        Without ``slots``, authors may repeat a text at once, and `Conversations.just_said` is empty.
        """
        ...

    async def keep(self, chats: Sequence[Chat], posted: Sequence[MessageSent]) -> None:
        """
        Store the messages in ``posted``, in this order, and ``chats`` as they are after posting.

        The messages are announced with the present names of their authors.
        """
        ...

    def remind(self, repeated: Sequence[MessageSent]) -> None:
        """
        Announce that the chats have at least reached these messages, which were stored before.

        A client often sends again because the answer to its first attempt was lost. The announcement of that attempt may
        then be lost as well.
        """
        ...


BeginPosting = Callable[[], AbstractAsyncContextManager[Posting]]
