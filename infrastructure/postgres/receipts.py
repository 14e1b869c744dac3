"""
Selects the receipts that cover messages, and decides whether a page of history needs a receipt.

A page shows when anyone but its author first read a message. A receipt is not needed for that if, for each message that it
covers, somebody else who is not the author had read the message no later. Such a receipt is not ``early``. It is known by
two others whose marks are at its end or beyond it: a message has one author, so that at least one of the two has read it, and as
``reading.read_at`` is the latest time of all that they read, neither did so later. A receipt of one message that was read
singly needs only one other, because the author is known.

What counts is what was committed before. Two who read at the same time are therefore both early, and in doubt a receipt is early. A page
of a chat of a thousand members looks at two receipts for each message, and at some more where many read at once.
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
from infrastructure.postgres.schema.chat_tables import LENGTHS, beyond, length, receipt

ENOUGH: Final = 2
"""Two others who have read all that a receipt covers, and no later, make it one that no page needs."""

CHAT: Final = bindparam("chat", type_=Uuid)

EARLY: Final = receipt.c.early
ANY: Final = receipt.c.early == any_(literal_column("'{t,f}'::boolean[]"))
"""Which receipts are selected. Both are conditions on the second column of the indexes, after the chat."""


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
"""Whether anybody but ``reader`` and ``author`` had read message ``seq`` at the time ``at``."""

Latest = Mapping[tuple[ChatId, ProfileId], datetime | None]
"""When each reader last read something in the chat, before the present batch."""


def read_before_in_batch(reads: Sequence[MessagesRead], latest: Latest) -> Sequence[int]:
    """
    Counts for each act of reading of a batch how many before it, of other readers, went at least as far and were no later. Of many
    it counts only some, at least `ENOUGH` if there are so many among the last few.

    The statement that stores them cannot see these, because it sees what was stored before. It counts those whose marks were
    already at the end of the receipt; here are those who come there with this batch.
    """
    last_few: dict[ChatId, list[MessagesRead]] = {}
    counts = []
    for read in reads:
        others = last_few.setdefault(read.chat_id, [])
        counts.append(
            sum(
                other.from_seq <= read.to_seq <= other.to_seq and latest_with(other, latest) <= read.at
                for other in others
            )
        )
        others.append(read)
        if len(others) > 2 * ENOUGH:
            others.remove(min(others, key=lambda other: other.to_seq))
    return counts


def latest_with(read: MessagesRead, latest: Latest) -> datetime:
    """Returns when the reader last read something, if this is the last act of reading that was committed."""
    before = latest.get((read.chat_id, read.reader_id))
    return read.at if before is None else max(before, read.at)
