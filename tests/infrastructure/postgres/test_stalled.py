"""An event loop that was busy for longer than the server has to answer: the answer is there, and the deadline is over."""

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, LiteralString

import pytest
from psycopg.rows import tuple_row
from sqlalchemy import text

from infrastructure.postgres.driver import batches, engine, reads
from infrastructure.postgres.driver.batches import BatchConnection
from infrastructure.postgres.driver.connection import READ_COMMITTED, Connection, Connector, begin, within
from infrastructure.postgres.driver.engine import make_engine, transaction
from infrastructure.postgres.driver.reads import Prepared, ReadPool

pytestmark = pytest.mark.usefixtures("impatient")

SECONDS = 0.2
ONE = Prepared("SELECT 1 AS one", {})


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (batches, engine, reads):
        monkeypatch.setattr(module, "ANSWERS_WITHIN", SECONDS)


def stall() -> None:
    """Keep the event loop busy past the deadline, from the next await that waits for something."""
    asyncio.get_running_loop().call_soon(time.sleep, 2 * SECONDS)


async def asked_twice(
    begun: Callable[[], AbstractAsyncContextManager[Any]], ask: Callable[[Any], Any]
) -> None:
    async with begun() as first:
        await ask(first)
    stall()
    async with begun() as second:
        await ask(second)


async def test_an_answer_that_is_heard_too_late_begins_nothing(messenger_database: str) -> None:
    connection = await Connector(target=messenger_database, deadline=5.0).connect(tuple_row)
    stall()
    with pytest.raises(Exception, match="too late"), within(SECONDS, connection):
        await begin(connection)
    await connection.close()


async def test_a_unit_of_work_begins_on_another_connection(
    messenger_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = make_engine(messenger_database)
    async with transaction(pool, 5.0) as unit:
        await unit.execute(text("SELECT 1"))
    begun = []

    async def begin_late(connection: Connection[Any], statement: LiteralString = READ_COMMITTED) -> None:
        if not begun:  # the pool waits for things of its own before that
            stall()
        begun.append(connection)
        await begin(connection, statement)

    monkeypatch.setattr(engine, "begin", begin_late)
    async with transaction(pool, 5.0) as unit:
        await unit.execute(text("SELECT 1"))
    assert len(set(begun)) == 2
    await pool.dispose()


async def test_a_read_begins_on_another_connection(messenger_database: str) -> None:
    pool = ReadPool(messenger_database)
    await asked_twice(pool.open, lambda read: read.rows(ONE))
    await pool.close()


async def test_a_batch_begins_on_another_connection(messenger_database: str) -> None:
    connection = BatchConnection(messenger_database)
    await asked_twice(connection.begin, lambda driver: driver.execute("SELECT 1"))
    await connection.close()
