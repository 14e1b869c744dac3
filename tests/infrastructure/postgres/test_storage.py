"""How a unit comes to its connection and lets go of it, when the server has gone away meanwhile or says nothing."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import Any

import psycopg
import pytest
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from application.errors import OutcomeUnknown
from application.ports.posting import Interrupted
from infrastructure.postgres.driver.engine import make_engine, transaction
from infrastructure.postgres.driver.reads import ReadPool, prepared
from infrastructure.postgres.storage import PostgresStorage


@pytest.fixture
async def engine(messenger_database: str) -> AsyncIterator[AsyncEngine]:
    """With a pool of one: a connection that is not given back would be missed at once."""
    engine = make_engine(messenger_database, size=1, wait=1)
    yield engine
    await engine.dispose()


async def backend_of(connection: AsyncConnection) -> int:
    found = await connection.scalar(text("SELECT pg_backend_pid()"))
    assert isinstance(found, int)
    return found


async def end(connection: AsyncConnection, beside: psycopg.Connection[Any]) -> None:
    """The server's side of it, so that the answer to ROLLBACK is that nobody is there."""
    beside.execute("SELECT pg_terminate_backend(%s, 5000)", [await backend_of(connection)])


@contextmanager
def frozen(*backends: int) -> Iterator[None]:
    """They are there and say nothing."""
    for backend in backends:
        os.kill(backend, signal.SIGSTOP)
    try:
        yield
    finally:
        for backend in backends:
            os.kill(backend, signal.SIGCONT)


async def works(engine: AsyncEngine) -> bool:
    async with transaction(engine, 5.0) as connection:
        return bool(await connection.scalar(text("SELECT true")))


async def test_what_was_read_before_the_server_went_away_counts(
    engine: AsyncEngine, beside: psycopg.Connection[Any]
) -> None:
    async with transaction(engine, 5.0) as connection:
        answer = await connection.scalar(text("SELECT 6 * 7"))
        await end(connection, beside)
    assert answer == 42
    assert await works(engine)


async def test_what_went_wrong_is_told_and_not_how_it_ended(
    engine: AsyncEngine, beside: psycopg.Connection[Any]
) -> None:
    async def fail() -> None:
        async with transaction(engine, 5.0) as connection:
            await end(connection, beside)
            raise KeyError("what went wrong")

    with pytest.raises(KeyError, match="what went wrong"):
        await fail()
    assert await works(engine)


async def test_a_unit_begins_on_another_connection_if_its_own_was_ended(
    engine: AsyncEngine, beside: psycopg.Connection[Any]
) -> None:
    async with transaction(engine, 5.0) as connection:
        backend = await backend_of(connection)
    beside.execute("SELECT pg_terminate_backend(%s, 5000)", [backend])
    async with transaction(engine, 5.0) as connection:
        assert await backend_of(connection) != backend
    assert await works(engine)


async def test_what_has_begun_is_not_begun_again(
    engine: AsyncEngine, beside: psycopg.Connection[Any]
) -> None:
    async def ask_again() -> None:
        async with transaction(engine, 5.0) as connection:
            await end(connection, beside)
            await connection.scalar(text("SELECT true"))

    with pytest.raises(Interrupted):
        await ask_again()
    assert await works(engine)


async def test_a_commit_is_not_repeated(engine: AsyncEngine, beside: psycopg.Connection[Any]) -> None:
    beside.execute("CREATE TABLE noted (what text)")

    async def note(what: str, *, is_ended: bool) -> None:
        async with PostgresStorage(engine).begin() as work:
            await work.connection.execute(text("INSERT INTO noted VALUES (:what)"), {"what": what})
            if is_ended:
                await end(work.connection, beside)

    with pytest.raises(OutcomeUnknown):
        await note("once", is_ended=True)
    assert beside.execute("SELECT * FROM noted").fetchall() == []
    await note("again", is_ended=False)
    assert beside.execute("SELECT * FROM noted").fetchall() == [("again",)]


async def test_a_unit_waits_for_one_connection_that_says_nothing_and_not_for_all(
    messenger_database: str,
) -> None:
    """The unit waits a second for a frozen connection. For twelve of them, one after the other, it would take twelve."""
    size = 12
    engine = make_engine(messenger_database, size=size)

    async def backends_at_once() -> set[int]:
        async with AsyncExitStack() as open_together:
            units = [await open_together.enter_async_context(transaction(engine, 30.0)) for _ in range(size)]
            return {await backend_of(each) for each in units}

    backends = await backends_at_once()
    began = asyncio.get_running_loop().time()
    with frozen(*backends):
        others = await backends_at_once()
    assert not others & backends
    assert 0.9 < asyncio.get_running_loop().time() - began < 0.9 * size
    await engine.dispose()


async def test_a_server_that_says_nothing_does_not_hold_what_is_finished(engine: AsyncEngine) -> None:
    async with asyncio.timeout(50), AsyncExitStack() as unit:
        connection = await unit.enter_async_context(transaction(engine, 60.0))
        with frozen(await backend_of(connection)):
            await unit.aclose()
    assert await works(engine)


async def test_a_read_finds_a_server_that_went_away_and_came_back(
    messenger_database: str, beside: psycopg.Connection[Any]
) -> None:
    backend = prepared(select(func.pg_backend_pid().label("pid")))
    pictures = ReadPool(messenger_database)
    async with pictures.open() as first, pictures.open() as second:
        seen = [await picture.row(backend) for picture in (first, second)]
    for row in seen:
        assert row is not None
        beside.execute("SELECT pg_terminate_backend(%s, 5000)", [row["pid"]])
    async with pictures.open() as again:
        fresh = await again.row(backend)
    assert fresh is not None
    assert fresh not in seen
    beside.execute("SELECT pg_terminate_backend(%s, 5000)", [fresh["pid"]])
    assert await pictures.row(backend) not in (None, *seen, fresh)
    await pictures.close()
