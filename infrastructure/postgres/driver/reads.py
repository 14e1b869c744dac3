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
from infrastructure.postgres.driver.connection import (
    ANSWERS_WITHIN,
    READ_SNAPSHOT,
    Connection,
    Connector,
    begin,
    cut,
    within,
)
from infrastructure.postgres.driver.errors import complaints, in_our_terms

Row = RowMapping | Mapping[str, Any]
"""By names of columns, however it was read."""

Reader = Connection[DictRow]
Cursor = psycopg.AsyncCursor[DictRow]

END: Final = "END"
"""Not ROLLBACK: at that the driver forgets all that was prepared, and each read would be planned anew."""

PLANS: Final = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_sort": "off",
    "enable_incremental_sort": "off",
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
}
"""
A page takes a third of a millisecond, and planning it four times as long: one plan a statement, for whatever chat. For an
average one it may look like much work, but parallel workers and a compiler would cost more than all of it. Where an order
is asked for, it is that of the index which should be used, whatever the statistics say; other orders are sorted all the
same.
"""


@frozen
class Prepared:
    text: LiteralString
    constants: Mapping[str, Any]
    """The parameters that are fixed in the statement itself."""

    def given(self, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        return {**self.constants, **parameters}


def prepared(statement: Select[Any]) -> Prepared:
    """A statement with named parameters, `bindparam`, for `ReadTransaction`."""
    compiled = statement.compile(dialect=dialects.dialect())  # type: ignore[no-untyped-call]  # SQLAlchemy's own
    constants = {name: value for name, value in compiled.params.items() if value is not None}
    return Prepared(str(compiled), constants)


class PreparedReads(ABC):
    """Runs prepared statements that read."""

    @abstractmethod
    async def rows(self, statement: Prepared, **parameters: Any) -> Sequence[Row]: ...

    async def row(self, statement: Prepared, **parameters: Any) -> Row | None:
        """The row of a statement that finds at most one; None if it finds none."""
        rows = await self.rows(statement, **parameters)
        return rows[0] if rows else None


@define(eq=False)
class ReadTransaction(PreparedReads):
    """All reads through it see one snapshot."""

    _reader: Reader

    async def rows(self, statement: Prepared, **parameters: Any) -> Sequence[Row]:
        cursor = await self._reader.execute(
            statement.text, statement.given(parameters), prepare=True, binary=True
        )
        return await cursor.fetchall()


@define(eq=False)
class ReadPool(PreparedReads):
    """
    Connections for reading. Each statement run by the pool itself sees one moment and needs no transaction; all that is
    read in one transaction, `open`, is of one moment together.

    There are at most ``size`` connections, for one of which a read waits up to ``wait`` seconds. A read that takes longer
    than ``deadline`` seconds is given up, with its connection.
    """

    _url: str
    _size: int = 6
    _wait: float = 2.0
    _deadline: float = 5.0
    _connector: Connector = field(init=False)
    _idle: list[Reader] = field(init=False, factory=list)
    _room: asyncio.Semaphore = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._connector = Connector(target=self._url, deadline=self._deadline, plans=PLANS)
        self._room = asyncio.Semaphore(self._size)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[ReadTransaction]:
        """
        Raises:
            Unavailable: Storage did not answer, or all connections were busy for too long.
        """
        async with self._reading(None, {}) as (reader, _):
            try:
                yield ReadTransaction(reader)
            finally:
                await reader.execute(END)

    async def rows(self, statement: Prepared, **parameters: Any) -> Sequence[Row]:
        """
        Raises:
            Unavailable: Storage did not answer, or all connections were busy for too long.
        """
        async with self._reading(statement, parameters) as (reader, found):
            assert found is not None
            rows = await found.fetchall()
            if reader.is_pooled:
                await reader.execute(END)
            return rows

    @asynccontextmanager
    async def _reading(
        self, first: Prepared | None, parameters: Mapping[str, Any]
    ) -> AsyncIterator[tuple[Reader, Cursor | None]]:
        """A connection for the block alone, and the result of the ``first`` statement; without one, a transaction."""
        try:
            async with asyncio.timeout(self._wait):
                await self._room.acquire()
        except TimeoutError:
            complaints.tell(Unavailable.code, "all connections for reading are busy")
            raise Unavailable("everybody is reading") from None
        try:
            with in_our_terms():
                reader, found = await self._asked(first, parameters)
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
        """Closes the connections that are idle."""
        while self._idle:
            await self._idle.pop().close()

    async def _asked(
        self, first: Prepared | None, parameters: Mapping[str, Any]
    ) -> tuple[Reader, Cursor | None]:
        """On an idle connection; on a new one if the server has ended that since, which ended all the others too."""
        if self._idle:
            try:
                reader = self._idle.pop()
                return reader, await _ask(reader, ANSWERS_WITHIN, first, parameters)
            except psycopg.OperationalError as error:
                complaints.tell("connected again", str(error), error.sqlstate)
                await self.close()
        fresh = await self._connector.connect(dict_row)
        return fresh, await _ask(fresh, self._deadline, first, parameters)


async def _ask(
    reader: Reader, seconds: float, first: Prepared | None, parameters: Mapping[str, Any]
) -> Cursor | None:
    try:
        with within(seconds, reader):
            if first is None or reader.is_pooled:
                await begin(reader, READ_SNAPSHOT)
            if first is None:
                return None
            return await reader.execute(first.text, first.given(parameters), prepare=True, binary=True)
    except BaseException:
        cut(reader)
        await reader.close()
        raise
