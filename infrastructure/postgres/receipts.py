"""
Selects the receipts that cover messages, and decides whether a page of history needs a receipt.

A page shows the time at which anyone but its author first read a message. It does not need a receipt if somebody else, who is not
the author, had read each message of the receipt by the same time. The column ``early`` is then false.

Two other readers are enough to decide that. Their marks must be at the end of the receipt or beyond it, and their latest time
(``reading.read_at``) must not be after the time of the receipt. A message has one author, so at least one of the two readers is not
the author and has read it. For a receipt of a message that was read singly one other reader is enough, because the author is known.

Only committed readings count. Two people who read at the same moment do not see each other, and both receipts are early. An early receipt
that is not needed makes a page slower, never wrong. In a chat of a thousand members a page reads about two receipts for each
message, and more where many people read at once.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    CompoundSelect,
    DateTime,
    Integer,
    Uuid,
    and_,
    any_,
    bindparam,
    column,
    exists,
    literal_column,
    select,
    union_all,
    values,
)

from application.ports.views import LAST
from domain.events import MessagesRead
from domain.ids import ChatId, ProfileId
from infrastructure.postgres.pages import CHAT
from infrastructure.postgres.schema.chat_tables import LENGTHS, beyond, length, receipt

ENOUGH: Final = 2
"""The number of other readers that makes a receipt unnecessary. `infrastructure.postgres.marking.KEEP` has it as a number."""

EARLY: Final = receipt.c.early
"""Selects the receipts that pages need."""

ANY: Final = receipt.c.early == any_(literal_column("'{t,f}'::boolean[]"))
"""Selects all receipts. As a condition on ``early`` it lets PostgreSQL use the indexes, of which that is the second column."""


def covering(
    which: ColumnElement[bool], start: ColumnElement[int], stop: ColumnElement[int], *more: ColumnElement[Any]
) -> CompoundSelect[Any]:
    """
    Selects receipts in `CHAT` that cover messages from ``start`` up to but excluding ``stop``. They may end at any later message.

    Args:
        which: `EARLY` or `ANY`.
        more: Columns to select besides profile, range and time.
    """
    selected = (receipt.c.profile_id, receipt.c.from_seq, receipt.c.to_seq, receipt.c.read_at, *more)
    covers = and_(receipt.c.chat_id == CHAT, which, receipt.c.to_seq >= start, receipt.c.from_seq < stop)
    bound: ColumnElement[int] = literal_column(f"{LENGTHS[0]}")
    short = select(*selected).where(covers, receipt.c.to_seq < stop + LENGTHS[0], beyond < bound)
    longest = [*LENGTHS[1:], LAST]
    lengths = values(
        column("reached", Integer), column("longest", BigInteger), name="lengths", literal_binds=True
    ).data(list(enumerate(longest, start=1)))
    long = (
        select(*selected)
        .select_from(lengths.join(receipt, length == lengths.c.reached))
        .where(covers, receipt.c.to_seq < stop + lengths.c.longest, beyond >= bound)
    )
    return union_all(short, long)


_seq = bindparam("seq", type_=BigInteger)
_earlier = covering(EARLY, _seq, _seq + 1).subquery("covering")

READ_BEFORE: Final = select(
    exists().where(
        _earlier.c.profile_id != bindparam("reader", type_=Uuid),
        _earlier.c.profile_id != bindparam("author", type_=Uuid),
        _earlier.c.read_at <= bindparam("at", type_=DateTime(timezone=True)),
    )
)
"""Selects true if anybody but ``reader`` and ``author`` had read message ``seq`` by the time ``at``, else false."""

Latest = Mapping[tuple[ChatId, ProfileId], datetime | None]
"""The latest time of each reader's receipts in a chat, before the present batch. None stands for a reader without any."""


def read_before_in_batch(reads: Sequence[MessagesRead], latest: Latest) -> Sequence[int]:
    """
    Counts for each act of reading the other readers whose marks the same batch moves to its end or beyond before it, and whose
    latest times are not after it.

    `infrastructure.postgres.marking.KEEP` counts the readers whose marks were there before the batch, and cannot see those that it
    stores itself. No reader is counted by both. Only the few acts of reading that went farthest are compared, so that a count may
    be too small, which leaves a receipt early.
    """
    farthest: dict[ChatId, list[tuple[MessagesRead, datetime]]] = {}
    counts = []
    for read in reads:
        others = farthest.setdefault(read.chat_id, [])
        counts.append(
            sum(other.from_seq <= read.to_seq <= other.to_seq and last <= read.at for other, last in others)
        )
        others.append((read, latest_with(read, latest)))
        if len(others) > 2 * ENOUGH:
            others.remove(min(others, key=lambda each: each[0].to_seq))
    return counts


def latest_with(read: MessagesRead, latest: Latest) -> datetime:
    """Returns the latest time of the reader's receipts in the chat, with this one among them."""
    before = latest.get((read.chat_id, read.reader_id))
    return read.at if before is None else max(before, read.at)
