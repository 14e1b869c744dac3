"""
Cheap reads: prepared statements on driver connections that are kept open.

SQLAlchemy compiles each statement once, at import; after that it goes directly to the driver as a prepared statement. The
same reads through the engine take two to three times the CPU, and most requests of many clients that reconnect are reads.
"""

import asyncio
import re
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, ClassVar, Final, LiteralString, TypeVar

import psycopg
from attrs import define, field, frozen
from psycopg.pq import Format, TransactionStatus
from psycopg.rows import AsyncRowFactory, DictRow, dict_row
from sqlalchemy import RowMapping, Select
from sqlalchemy.dialects.postgresql import psycopg as dialects

from application.errors import Unavailable
from infrastructure.postgres.driver.arrays import Bigint, Packed, Text
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
from infrastructure.postgres.driver.pipeline import Found, Refused, Rows, Statement, find
from infrastructure.postgres.driver.room import FairRoom
from infrastructure.postgres.driver.waits import Waits

T = TypeVar("T")

Row = RowMapping | Mapping[str, Any]
"""A row by column name, from SQLAlchemy or from the driver."""

ReadConnection = Connection[DictRow]
Cursor = psycopg.AsyncRawCursor[Any]

_PLACEHOLDER: Final = re.compile(r"%(?:%|\((\w+)\)s)")

SHARED: Final = "shared reads"
"""
The owner of all reads that answer many people. Like any owner they have a share of the connections, so that some are left for
what a single request needs, such as its session.
"""

SLICE: Final = 250
"""Rows that are decoded before other tasks have a turn, which takes less than a millisecond."""

END: Final = "END"
"""Used instead of ROLLBACK, after which the driver would drop its prepared statements and each read would be planned anew."""

PLANS: Final[Mapping[str, str]] = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_sort": "off",
    "enable_incremental_sort": "off",
    "enable_memoize": "off",
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
}
"""
Planner settings for reads. Reading a page takes a third of a millisecond and planning it four times as long, so each
statement has one generic plan for all chats. The estimated cost of such a plan may be high, but parallel workers and JIT
compilation would cost more than they save. With sorting discouraged, ORDER BY uses the index that has that order, whatever
the statistics say; where no index has it, rows are still sorted.
"""


@frozen
class Prepared:
    text: LiteralString
    constants: Mapping[str, Any]
    """Parameters whose values are part of the statement."""
    rows: AsyncRowFactory[Any] = dict_row
    """Makes rows by column name, or as tuples, which cost less."""
    numbered: LiteralString = field(init=False, eq=False, repr=False)
    """The text with numbers in place of names, as PostgreSQL reads it: the driver would look for the names each time."""
    names: Sequence[str] = field(init=False, eq=False, repr=False)
    """The names of the parameters, in the order of their numbers."""
    _packed: Mapping[str, Packed] = field(init=False, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        names: dict[str, int] = {}

        def number(found: re.Match[str]) -> str:
            return f"${names.setdefault(found[1], len(names) + 1)}" if found[1] else "%"

        object.__setattr__(self, "numbered", _PLACEHOLDER.sub(number, self.text))
        object.__setattr__(self, "names", tuple(names))
        packed = {
            name: Bigint.of(value) if isinstance(value, int) else Text.of(value)
            for name, value in self.constants.items()
            if isinstance(value, int | str)
        }
        object.__setattr__(self, "_packed", packed)

    def asked(self, **parameters: Packed) -> Statement:
        """Returns the statement with its parameters, for `ReadPool.exchange`. Its constants are numbers and texts."""
        given = {**self._packed, **parameters}
        return Statement(self.numbered, [given[name] for name in self.names])

    async def run(self, connection: psycopg.AsyncConnection[Any], parameters: Mapping[str, Any]) -> "Cursor":
        given = {**self.constants, **parameters} if self.constants else parameters
        cursor = psycopg.AsyncRawCursor(connection, row_factory=self.rows)
        cursor.format = Format.BINARY
        return await cursor.execute(self.numbered, [given[name] for name in self.names], prepare=True)


def prepared(statement: Select[Any]) -> Prepared:
    """Compiles a statement. Its `bindparam` names become the keyword arguments of `PreparedReads.rows`."""
    compiled = statement.compile(dialect=dialects.dialect())  # type: ignore[no-untyped-call]  # SQLAlchemy's own
    constants = {name: value for name, value in compiled.params.items() if value is not None}
    return Prepared(str(compiled), constants)


class PreparedReads(ABC):
    """Runs prepared SELECT statements."""

    @abstractmethod
    async def rows(self, statement: Prepared, **parameters: Any) -> Sequence[Any]: ...

    async def row(self, statement: Prepared, **parameters: Any) -> Row | None:
        """Returns the row of a statement that finds at most one, or None."""
        rows = await self.rows(statement, **parameters)
        return rows[0] if rows else None


@define(eq=False)
class ReadTransaction(PreparedReads):
    """Reads several statements from one snapshot."""

    reader: ReadConnection

    async def rows(self, statement: Prepared, **parameters: Any) -> Sequence[Any]:
        return await _all_rows(await statement.run(self.reader, parameters))


@define(eq=False)
class ReadPool(PreparedReads):
    """
    A pool of connections for reading. Each statement that is run on the pool itself sees a snapshot of its own; the
    statements in a transaction begun by `open` share one.

    A read waits up to ``wait`` seconds for one of ``size`` connections. Reads of one person take turns with those of others
    (`FairRoom`): whose a read is tells its parameter ``reader`` or ``account``, or ``reader`` of `open`. A read that takes longer than ``deadline`` seconds
    is abandoned, and its connection is closed.

    The pool must be closed. Reads that are running then may finish; their connections are closed when they are done.
    """

    plans: ClassVar[Mapping[str, str]] = PLANS

    _url: str
    size: int = 6
    _wait: float = 2.0
    _deadline: float = 5.0
    _connector: Connector = field(init=False)
    _idle: list[ReadConnection] = field(init=False, factory=list)
    _room: FairRoom = field(init=False)
    _generation: int = field(init=False, default=0)
    """How often `renew` was called. Connections of an earlier generation are closed instead of kept."""
    _is_closed: bool = field(init=False, default=False)
    in_use: int = field(init=False, default=0)
    waits: Waits = field(init=False, factory=Waits)

    def __attrs_post_init__(self) -> None:
        self._connector = Connector(target=self._url, deadline=self._deadline, plans=self.plans)
        self._room = FairRoom(self.size)

    @property
    def idle(self) -> int:
        """How many connections are open and not in use."""
        return len(self._idle)

    @asynccontextmanager
    async def open(self, reader: Hashable = None) -> AsyncIterator[ReadTransaction]:
        """
        Begins a transaction that reads one snapshot, for ``reader`` or for nobody.

        Raises:
            Unavailable: Storage did not answer, or all connections were busy for too long.
        """
        async with self._reading(_begin, reader) as (connection, _):
            try:
                yield ReadTransaction(connection)
            finally:
                await connection.command(END)

    async def rows(self, statement: Prepared, **parameters: Any) -> Sequence[Any]:
        """
        Raises:
            Unavailable: Storage did not answer, or all connections were busy for too long.
        """
        whose = parameters.get("reader", parameters.get("account"))
        return await self._rows_for(whose, statement, parameters)

    async def shared_rows(
        self, statement: Prepared, whose: Hashable = SHARED, **parameters: Any
    ) -> Sequence[Row]:
        """
        The same for a read that answers several people, which belongs to ``whose``.

        Raises:
            Unavailable: Storage did not answer, or all connections were busy for too long.
        """
        return await self._rows_for(whose, statement, parameters)

    async def _rows_for(
        self, whose: Hashable, statement: Prepared, parameters: Mapping[str, Any]
    ) -> Sequence[Row]:
        async def run(reader: ReadConnection) -> Cursor:
            if reader.is_pooled:
                await _begin(reader)
            return await statement.run(reader, parameters)

        async with self._reading(run, whose) as (reader, found):
            rows = await _all_rows(found)
            if reader.is_pooled:
                await reader.command(END)
            return rows

    async def exchange(
        self, *statements: Statement, whose: Hashable = SHARED, in_one_snapshot: bool = True
    ) -> Sequence[Found]:
        """
        Reads several statements in one exchange with the server: from one snapshot, or each from a snapshot that is no older
        than that of the one before it, which costs less.

        Raises:
            Unavailable: Storage did not answer, or all connections were busy for too long.
        """

        async def run(reader: ReadConnection) -> Sequence[Found]:
            beginning, end = [], []
            if in_one_snapshot or reader.is_pooled:
                beginning = [Statement(text) for text in (READ_SNAPSHOT, reader.settings) if text]
                end = [Statement(END)]
            try:
                found = await find(reader, [*beginning, *statements, *end])
            except Refused as refused:
                raise refused.error from None
            return found[len(beginning) : len(found) - len(end)]

        async with self._reading(run, whose) as (_, found):
            return found

    @asynccontextmanager
    async def _reading(
        self, run: Callable[[ReadConnection], Awaitable[T]], whose: Hashable = None
    ) -> AsyncIterator[tuple[ReadConnection, T]]:
        """Yields a connection and the result of ``run`` on it. It may be run again on another one, if the server has ended the first."""
        self._check_open()
        await self._wait_for_room(whose)
        self.in_use += 1
        try:
            self._check_open()
            with in_our_terms():
                reader, found = await self._run_first(run)
            try:
                with in_our_terms(), within(self._deadline, reader):
                    yield reader, found
            finally:
                await self._take_back(reader)
        finally:
            self.in_use -= 1
            self._room.give_back(whose)

    async def _wait_for_room(self, whose: Hashable) -> None:
        if self._room.take_at_once(whose):
            return
        try:
            with self.waits.counted():
                async with asyncio.timeout(self._wait):
                    await self._room.take(whose)
        except TimeoutError:
            complaints.tell(Unavailable.code, "all connections for reading are busy")
            raise Unavailable("all connections for reading are busy") from None

    async def close(self) -> None:
        """Closes the idle connections at once, and each of the others when its read ends. Later reads are refused."""
        self._is_closed = True
        await self._close_idle()

    async def renew(self) -> None:
        """Makes later reads use new connections. Reads that are running may finish on theirs."""
        self._generation += 1
        await self._close_idle()

    def _check_open(self) -> None:
        if self._is_closed:
            raise Unavailable("the connections for reading are closed")

    async def _close_idle(self) -> None:
        while self._idle:
            await self._idle.pop().close()

    async def _take_back(self, reader: ReadConnection) -> None:
        is_wanted = not self._is_closed and reader.generation == self._generation
        is_idle = not reader.closed and reader.info.transaction_status is TransactionStatus.IDLE
        if is_wanted and is_idle and not reader.is_cut:
            self._idle.append(reader)
        else:
            cut(reader)
            await reader.close()

    async def _run_first(self, run: Callable[[ReadConnection], Awaitable[T]]) -> tuple[ReadConnection, T]:
        """
        Runs the first statement on an idle connection. If the server has ended that one, it has probably ended the others too: all
        are closed and a new one is used.
        """
        if self._idle:
            try:
                reader = self._idle.pop()
                return reader, await _ask(reader, ANSWERS_WITHIN, run)
            except psycopg.OperationalError as error:
                complaints.tell("connected again", str(error), error.sqlstate)
                await self._close_idle()
        generation = self._generation
        fresh: ReadConnection = await self._connector.connect(dict_row)
        fresh.generation = generation
        return fresh, await _ask(fresh, self._deadline, run)


async def _begin(reader: ReadConnection) -> None:
    await begin(reader, READ_SNAPSHOT)


async def _ask(reader: ReadConnection, seconds: float, run: Callable[[ReadConnection], Awaitable[T]]) -> T:
    try:
        with within(seconds, reader):
            return await run(reader)
    except BaseException:
        cut(reader)
        await reader.close()
        raise


async def _all_rows(cursor: Cursor) -> Sequence[Any]:
    """Decodes what may be thousands of rows, some at a time. Other tasks have a turn between two slices."""
    rows = await cursor.fetchmany(SLICE)
    while len(rows) < cursor.rowcount:
        await asyncio.sleep(0)
        rows += await cursor.fetchmany(SLICE)
    return rows


async def made(make: Callable[[Row], T], rows: Sequence[Row]) -> Sequence[T]:
    """Makes an object of each of what may be thousands of rows, some at a time, like `sliced`."""
    all_made: list[T] = []
    for first in range(0, len(rows), SLICE):
        if first:
            await asyncio.sleep(0)
        all_made += map(make, rows[first : first + SLICE])
    return all_made


async def sliced(found: Found) -> AsyncIterator[Rows]:
    """Yields what may be thousands of rows, some at a time. Other tasks have a turn between two slices."""
    for first in range(0, found.count, SLICE):
        yield found.rows(first, first + SLICE)
        if first + SLICE < found.count:
            await asyncio.sleep(0)
