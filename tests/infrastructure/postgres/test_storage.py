"""How a unit lets go of its connection when the server has gone away meanwhile."""

from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from infrastructure.postgres.pictures import Pictures, prepared
from infrastructure.postgres.storage import connected, make_engine
from tests.storages import conninfo


@pytest.fixture
async def engine(messenger_database: str) -> AsyncIterator[AsyncEngine]:
    """With a pool of one: a connection that is not given back would be missed at once."""
    engine = make_engine(messenger_database, size=1, wait=1)
    yield engine
    await engine.dispose()


async def end(connection: AsyncConnection, beside: psycopg.Connection[Any]) -> None:
    """The server's side of it, so that the answer to ROLLBACK is that nobody is there."""
    backend = await connection.scalar(text("SELECT pg_backend_pid()"))
    beside.execute("SELECT pg_terminate_backend(%s, 5000)", [backend])


async def works(engine: AsyncEngine) -> bool:
    async with connected(engine, 5.0) as connection:
        return bool(await connection.scalar(text("SELECT true")))


async def test_what_was_read_before_the_server_went_away_counts(
    engine: AsyncEngine, beside: psycopg.Connection[Any]
) -> None:
    async with connected(engine, 5.0) as connection:
        answer = await connection.scalar(text("SELECT 6 * 7"))
        await end(connection, beside)
    assert answer == 42
    assert await works(engine)


async def test_what_went_wrong_is_told_and_not_how_it_ended(
    engine: AsyncEngine, beside: psycopg.Connection[Any]
) -> None:
    async def fail() -> None:
        async with connected(engine, 5.0) as connection:
            await end(connection, beside)
            raise KeyError("what went wrong")

    with pytest.raises(KeyError, match="what went wrong"):
        await fail()
    assert await works(engine)


async def test_a_read_finds_a_server_that_went_away_and_came_back(
    messenger_database: str, beside: psycopg.Connection[Any]
) -> None:
    backend = prepared(select(func.pg_backend_pid().label("pid")))
    pictures = Pictures(conninfo(messenger_database))
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
