"""Counts the statements with which the reads of the messenger ask the database."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from attrs import define

from infrastructure.postgres.driver.reads import ReadPool, ReadTransaction


@define
class Count:
    statements: int = 0


@contextmanager
def counted() -> Iterator[Count]:
    """Counts what is read from now on until the end of the block."""
    count = Count()
    rows: dict[Any, Any] = {kind: vars(kind)["rows"] for kind in (ReadPool, ReadTransaction)}
    exchange: Any = ReadPool.exchange

    def counting(rows: Any) -> Any:
        async def read(self: Any, *given: Any, **named: Any) -> Any:
            count.statements += 1
            return await rows(self, *given, **named)

        return read

    def exchanging(self: Any, *statements: Any, **named: Any) -> Any:
        count.statements += len(statements)
        return exchange(self, *statements, **named)

    for kind, original in rows.items():
        kind.rows = counting(original)
    pool: Any = ReadPool
    pool.exchange = exchanging
    try:
        yield count
    finally:
        for kind, original in rows.items():
            kind.rows = original
        pool.exchange = exchange
