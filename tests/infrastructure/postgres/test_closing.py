"""Pools are closed while their connections are in use, are being opened or are waited for: none stays open."""

import asyncio
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator
from contextlib import AbstractAsyncContextManager
from itertools import count
from typing import Any

import psycopg
import pytest
from attrs import Factory, define, field
from sqlalchemy import text

from application.errors import Unavailable
from infrastructure.postgres.driver.batches import BatchConnection
from infrastructure.postgres.driver.connection import Connection, Connector
from infrastructure.postgres.driver.engine import close_engine, make_engine, transaction
from infrastructure.postgres.driver.pipeline import Statement
from infrastructure.postgres.driver.reads import Prepared, ReadPool

BACKEND = Prepared("SELECT pg_backend_pid() AS pid", {})


@define(eq=False)
class Opened:
    """All connections that were opened. While ``is_slow``, new ones are handed over only after `go_on`."""

    connections: list[Connection[Any]] = Factory(list)
    is_slow: bool = False
    arrived: asyncio.Event = field(factory=asyncio.Event)
    go_on: asyncio.Event = field(factory=asyncio.Event)

    @property
    def still_open(self) -> int:
        return sum(not connection.closed for connection in self.connections)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[Opened]:
    opened, connect = Opened(), Connector.connect

    async def connect_slowly(self: Connector, rows: Any) -> Connection[Any]:
        connection = await connect(self, rows)
        opened.connections.append(connection)
        if opened.is_slow:
            opened.arrived.set()
            await opened.go_on.wait()
        return connection

    monkeypatch.setattr(Connector, "connect", connect_slowly)
    yield opened
    assert opened.connections
    assert opened.still_open == 0


@define
class Pool:
    """One of the pools, seen alike."""

    begin: Callable[[], AbstractAsyncContextManager[Any]]
    ask: Callable[[Any], Awaitable[Any]]
    close: Callable[[], Awaitable[None]]


def reads(url: str) -> Pool:
    pool = ReadPool(url)
    return Pool(pool.open, lambda reads: reads.rows(BACKEND), pool.close)


def single_reads(url: str) -> Pool:
    pool = ReadPool(url)
    return Pool(
        lambda: pool._reading(lambda reader: BACKEND.run(reader, {})),
        lambda both: both[1].fetchall(),
        pool.close,
    )


def batches(url: str) -> Pool:
    connection = BatchConnection(url)
    return Pool(connection.begin, lambda batch: batch.ask(Statement(BACKEND.text)), connection.close)


def units_of_work(url: str) -> Pool:
    engine = make_engine(url)
    return Pool(
        lambda: transaction(engine, 5.0),
        lambda unit: unit.execute(text(BACKEND.text)),
        lambda: close_engine(engine),
    )


POOLS = [reads, single_reads, batches, units_of_work]


@pytest.mark.parametrize("make", POOLS)
async def test_a_connection_in_use_is_closed_when_it_is_handed_back(
    messenger_database: str, opened: Opened, make: Callable[[str], Pool]
) -> None:
    pool = make(messenger_database)
    async with pool.begin() as begun:
        await pool.close()
        await pool.ask(begun)
    assert opened.still_open == 0


@pytest.mark.parametrize("make", POOLS)
async def test_a_connection_that_is_opened_meanwhile_is_closed(
    messenger_database: str, opened: Opened, make: Callable[[str], Pool]
) -> None:
    pool = make(messenger_database)
    opened.is_slow = True

    async def use() -> None:
        async with pool.begin() as begun:
            await pool.ask(begun)

    using = asyncio.create_task(use())
    await opened.arrived.wait()
    await pool.close()
    opened.go_on.set()
    await using
    assert opened.still_open == 0


@pytest.mark.parametrize("make", POOLS)
async def test_a_closed_pool_opens_nothing(
    messenger_database: str, opened: Opened, make: Callable[[str], Pool]
) -> None:
    pool = make(messenger_database)
    async with pool.begin():
        pass
    await pool.close()
    with pytest.raises(Unavailable):
        async with pool.begin():
            pass
    assert len(opened.connections) == 1


@types.coroutine
def cancelled_at(turn: int, work: Coroutine[Any, None, None]) -> Generator[Any, None, bool]:
    """Runs a coroutine and cancels it the ``turn``-th time that it waits. Returns whether it waited so often."""
    turns = count(1)
    cancel = False
    while True:
        try:
            waits_for = work.throw(asyncio.CancelledError()) if cancel else work.send(None)
        except StopIteration:
            return next(turns) > turn
        except asyncio.CancelledError:
            return True
        cancel = next(turns) == turn
        if not cancel:
            yield waits_for


@pytest.mark.parametrize("make", POOLS)
async def test_a_cancelled_use_leaves_nothing_open(
    messenger_database: str, opened: Opened, make: Callable[[str], Pool]
) -> None:
    """The use is cancelled at each place where it waits, also before the first connection of a pool is ready."""
    for turn in count(1):
        pool = make(messenger_database)

        async def use(pool: Pool = pool) -> None:
            async with pool.begin() as begun:
                await pool.ask(begun)

        was_cancelled = await cancelled_at(turn, use())
        await pool.close()
        assert opened.still_open == 0, turn
        if not was_cancelled:
            break
    assert turn > 3


async def test_a_read_that_waits_for_a_connection_is_refused_when_the_pool_closes(
    messenger_database: str, opened: Opened
) -> None:
    pool = ReadPool(messenger_database, size=1, wait=30)
    async with pool.open():
        waiting = asyncio.create_task(pool.rows(BACKEND))
        await asyncio.sleep(0)
        await pool.close()
    with pytest.raises(Unavailable):
        await waiting


async def test_a_read_that_no_longer_waits_leaves_its_place_free(
    messenger_database: str, opened: Opened
) -> None:
    pool = ReadPool(messenger_database, size=1, wait=30)
    async with pool.open():
        waiting = [asyncio.create_task(pool.rows(BACKEND)) for _ in range(3)]
        await asyncio.sleep(0)
        for each in waiting[:2]:
            each.cancel()
    assert len(await waiting[2]) == 1
    assert len(await pool.rows(BACKEND)) == 1
    await pool.close()


async def test_renewed_reads_use_new_connections(messenger_database: str, opened: Opened) -> None:
    pool = ReadPool(messenger_database)
    async with pool.open() as before:
        (old,) = await before.rows(BACKEND)
        await pool.renew()
    (new,) = await pool.rows(BACKEND)
    assert new["pid"] != old["pid"]
    assert opened.still_open == 1
    await pool.close()


async def test_a_batch_that_is_cancelled_while_it_rolls_back_is_not_continued_by_the_next(
    messenger_database: str, opened: Opened, monkeypatch: pytest.MonkeyPatch, beside: psycopg.Connection[Any]
) -> None:
    connection, execute = BatchConnection(messenger_database), Connection.execute
    rolling_back = asyncio.Event()

    async def execute_slowly(self: Connection[Any], query: Any, *given: Any, **options: Any) -> Any:
        if query == "ROLLBACK":
            rolling_back.set()
            await asyncio.Event().wait()
        return await execute(self, query, *given, **options)

    async def fail() -> None:
        async with connection.begin() as batch:
            await batch.ask(Statement("UPDATE origin SET base = base + 1"))
            raise ValueError

    monkeypatch.setattr(Connection, "execute", execute_slowly)
    (before,) = beside.execute("SELECT base FROM origin").fetchone() or (None,)
    failing = asyncio.create_task(fail())
    await rolling_back.wait()
    failing.cancel()
    await asyncio.wait({failing})
    async with connection.begin() as batch:
        await batch.ask(Statement("SELECT 1"))
    assert beside.execute("SELECT base FROM origin").fetchone() == (before,)
    await connection.close()
