"""
Places: positions over all logs at once, each a PostgreSQL snapshot that stays valid after a restart.

Transaction numbers follow the order in which transactions begin, not the order in which they commit, so "greater than the
last one seen" would miss late commits. A snapshot also lists the transactions that were still running. A place is therefore
``xmax`` and the running transactions below it; a row is new if its ``tx`` is at least ``xmax`` or one of the running ones.
docs/storage.md, "The cursor", explains the details.
"""

from itertools import accumulate, pairwise
from typing import Any, Final

from attrs import frozen
from sqlalchemy import Column, ColumnElement, func, literal_column, or_, select

from infrastructure.postgres.driver.reads import Row
from infrastructure.postgres.schema.chat_tables import chat_log, origin, profile_log, receipt

LOGS: Final = (chat_log, profile_log, receipt)


@frozen
class Place:
    """Rows of transactions from ``next_tx`` on, and of the ``running`` ones below it, are new. ``base`` is already added."""

    next_tx: int
    running: frozenset[int]

    @classmethod
    def of(cls, row: Row) -> "Place":
        """
        Returns the place after everything that a transaction sees, from a row of `place_columns`.

        ``next_tx`` is capped at one above the greatest visible ``tx``: after a crash PostgreSQL may reuse the numbers of
        transactions that left no trace, and rows stored under reused numbers would lie below an uncapped place.
        """
        base = row["base"]
        greatest_tx = base if row["greatest"] is None else row["greatest"]
        next_tx = min(base + row["xmax"], 1 + greatest_tx)
        return cls(next_tx, frozenset(base + number for number in row["xip"] if base + number < next_tx))

    def written(self) -> str:
        """
        Returns ``next_tx`` and the distances down from it to the running transactions, each from the one above. Whole
        numbers would be ten digits and more for each, in cursors that clients send in the line of a request.
        """
        descending = [self.next_tx, *sorted(self.running, reverse=True)]
        steps = [above - number for above, number in pairwise(descending)]
        return "-".join(str(number) for number in (self.next_tx, *steps))

    @classmethod
    def read(cls, text: str) -> "Place":
        """
        Raises:
            ValueError: The text was not made by `written`.
        """
        next_tx, *steps = (int(number) for number in text.split("-"))
        return cls(next_tx, frozenset(next_tx - below for below in accumulate(steps)))

    def behind(self, tx: Column[Any]) -> ColumnElement[bool]:
        return or_(tx >= self.next_tx, tx.in_(sorted(self.running)))


def place_columns() -> tuple[Any, ...]:
    """Returns the columns that `Place.of` needs, to be selected from the only row of `origin`."""
    greatest = [select(func.max(log.c.tx)).scalar_subquery() for log in LOGS]
    return (
        origin.c.base,
        literal_column("pg_snapshot_xmax(pg_current_snapshot())::text::bigint").label("xmax"),
        literal_column(
            "ARRAY(SELECT x::text::bigint FROM pg_snapshot_xip(pg_current_snapshot()) AS x)"
        ).label("xip"),
        func.greatest(*greatest).label("greatest"),
    )
