"""
One place in all logs: a snapshot of PostgreSQL, made to survive restarts.

A transaction's number says when it began, not when it committed, so "greater than the last" misses what committed late.
A snapshot knows which transactions were still running: the place is (xmax, those running below it), and what lies
behind it is what carries ``tx >= xmax`` or one of the running ones. docs/storage.md, "The cursor", tells what each part is
good for and how it was tried.
"""

from typing import Any, Final

from attrs import frozen
from sqlalchemy import Column, ColumnElement, func, literal_column, or_, select

from infrastructure.postgres.driver.reads import Row
from infrastructure.postgres.schema.chat_tables import chat_log, origin, profile_log, receipt

LOGS: Final = (chat_log, profile_log, receipt)


@frozen
class Place:
    """``next_tx`` and everything above it, and ``running`` below it, are not yet covered. Numbers have base added."""

    next_tx: int
    running: frozenset[int]

    @classmethod
    def of(cls, row: Row) -> "Place":
        """
        The place after everything that a transaction sees, from the values of `place_columns`.

        Capped by the greatest ``tx`` that is visible: after a crash PostgreSQL hands the numbers of transactions that
        left nothing out again, and a place beyond them would hide what is stored under them then.
        """
        base = row["base"]
        greatest_tx = base if row["greatest"] is None else row["greatest"]
        next_tx = min(base + row["xmax"], 1 + greatest_tx)
        return cls(next_tx, frozenset(base + number for number in row["xip"] if base + number < next_tx))

    def written(self) -> str:
        return ".".join(str(number) for number in (self.next_tx, *sorted(self.running)))

    @classmethod
    def read(cls, text: str) -> "Place":
        """
        Raises:
            ValueError: The text is not a place that this storage wrote.
        """
        next_tx, *running = (int(number) for number in text.split("."))
        return cls(next_tx, frozenset(running))

    def behind(self, tx: Column[Any]) -> ColumnElement[bool]:
        return or_(tx >= self.next_tx, tx.in_(sorted(self.running)))


def place_columns() -> tuple[Any, ...]:
    """The columns that `Place.of` reads, from the only row of `origin`."""
    greatest = [select(func.max(log.c.tx)).scalar_subquery() for log in LOGS]
    return (
        origin.c.base,
        literal_column("pg_snapshot_xmax(pg_current_snapshot())::text::bigint").label("xmax"),
        literal_column(
            "ARRAY(SELECT x::text::bigint FROM pg_snapshot_xip(pg_current_snapshot()) AS x)"
        ).label("xip"),
        func.greatest(*greatest).label("greatest"),
    )
