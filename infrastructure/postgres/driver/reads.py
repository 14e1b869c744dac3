"""
PreparedReads that cost little: statements compiled once, on driver connections that are kept.

SQLAlchemy says what is asked, once, at import; asking goes to the driver with a prepared statement. Through the engine
the same reads take two to three times the CPU, and reads are most of what a reconnecting crowd asks for.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, LiteralString

import psycopg
from attrs import define, field, frozen
from psycopg.rows import DictRow, dict_row
from sqlalchemy import RowMapping, Select
from sqlalchemy.dialects.postgresql import psycopg as dialects

from application.errors import Unavailable
from infrastructure.postgres.driver.connection import READ_SNAPSHOT, cut, dial, limits, within
from infrastructure.postgres.driver.errors import in_our_terms

Row = RowMapping | Mapping[str, Any]
"""By names of columns, however it was read."""

Reader = psycopg.AsyncConnection[DictRow]
Cursor = psycopg.AsyncCursor[DictRow]

END: Final = "END"
"""Not ROLLBACK: at that the driver forgets all that was prepared, and each read would be planned anew."""

PLANS: Final = """
SET plan_cache_mode = force_generic_plan;
SET enable_seqscan = off;
SET max_parallel_workers_per_gather = 0;
SET jit = off
"""
"""
A page takes a third of a millisecond, and planning it four times as long: one plan a statement, for whatever chat. For an
average one it may look like much work, but parallel workers and a compiler would cost more than all of it.
"""


@frozen
class Prepared:
    text: LiteralString
    constants: Mapping[str, Any]
    """What the statement itself brings as parameters."""

    def given(self, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        return {**self.constants, **parameters}


def prepared(statement: Select[Any]) -> Prepared:
    """A statement with named parameters, `bindparam`, for `ReadTransaction`."""
    compiled = statement.compile(dialect=dialects.dialect())  # type: ignore[no-untyped-call]  # SQLAlchemy's own
    constants = {name: value for name, value in compiled.params.items() if value is not None}
    return Prepared(str(compiled), constants)


class PreparedReads(ABC):
    """Something that prepared statements are asked of."""

    @abstractmethod
    async def rows(self, statement: Prepared, **parameters: Any) -> Sequence[Row]: ...

    async def row(self, statement: Prepared, **parameters: Any) -> Row | None:
        """Of a statement that finds one at most."""
        rows = await self.rows(statement, **parameters)
        return rows[0] if rows else None


@define(eq=False)
class ReadTransaction(PreparedReads):
    """Everything read through it is of one moment."""

    _reader: Reader

    async def rows(self, statement: Prepared, **parameters: Any) -> Sequence[Row]:
        cursor = await self._reader.execute(
            statement.text, statement.given(parameters), prepare=True, binary=True
        )
        return await cursor.fetchall()


@define(eq=False)
class ReadPool(PreparedReads):
    """
    Each statement asked of it is of one moment by itself, and needs no transaction; what is read in a picture, `open`, is
    of one moment together.

    At most ``size`` connections, for one of which a read waits up to ``wait`` seconds.

    A read that takes longer than ``deadline`` seconds is given up, with its connection.
    """

    _conninfo: str
    _size: int = 6
    _wait: float = 2.0
    _deadline: float = 5.0
    _idle: list[Reader] = field(init=False, factory=list)
    _room: asyncio.Semaphore = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._room = asyncio.Semaphore(self._size)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[ReadTransaction]:
        """
        Raises:
            Unavailable: Storage did not answer, or everybody is asking.
        """
        async with self._reading(READ_SNAPSHOT) as (reader, _):
            try:
                yield ReadTransaction(reader)
            finally:
                await reader.execute(END)

    async def rows(self, statement: Prepared, **parameters: Any) -> Sequence[Row]:
        """
        Raises:
            Unavailable: Storage did not answer, or everybody is asking.
        """
        async with self._reading(statement.text, statement.given(parameters)) as (_, found):
            return await found.fetchall()

    @asynccontextmanager
    async def _reading(
        self, first: LiteralString, given: Mapping[str, Any] | None = None
    ) -> AsyncIterator[tuple[Reader, Cursor]]:
        """A connection of one's own, and what was asked ``first`` on it."""
        try:
            async with asyncio.timeout(self._wait):
                await self._room.acquire()
        except TimeoutError:
            raise Unavailable("everybody is reading") from None
        try:
            with in_our_terms():
                reader, found = await self._asked(first, given)
            try:
                with in_our_terms(), within(self._deadline, reader):
                    yield reader, found
            except BaseException:
                if reader.closed or reader.info.transaction_status is not psycopg.pq.TransactionStatus.IDLE:
                    cut(reader)
                    await reader.close()
                raise
            finally:
                if not reader.closed:
                    self._idle.append(reader)
        finally:
            self._room.release()

    async def close(self) -> None:
        while self._idle:
            await self._idle.pop().close()

    async def _asked(self, first: LiteralString, given: Mapping[str, Any] | None) -> tuple[Reader, Cursor]:
        """On a connection that was idle; on a new one if the server has gone away since, which ended all the others too."""
        if self._idle:
            try:
                reader = self._idle.pop()
                return reader, await _asked(reader, 1.0, first, given)
            except psycopg.OperationalError:
                await self.close()
        bounds = limits(deadline=self._deadline)
        fresh = await dial(self._conninfo, bounds, PLANS, deadline=self._deadline, rows=dict_row)
        return fresh, await _asked(fresh, self._deadline, first, given)


async def _asked(
    reader: Reader, seconds: float, first: LiteralString, given: Mapping[str, Any] | None
) -> Cursor:
    try:
        with within(seconds, reader):
            return await reader.execute(first, given, prepare=given is not None, binary=given is not None)
    except BaseException:
        cut(reader)
        await reader.close()
        raise
