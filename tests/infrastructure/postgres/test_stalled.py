"""
An event loop that was busy for longer than the server may take to answer. The answer is there, and the deadline is over: the
connection is cut in the same turn of the loop in which the answer is heard.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import psycopg
import pytest
from attrs import define
from psycopg.rows import tuple_row
from sqlalchemy import text

from infrastructure.postgres.driver.batches import BatchConnection
from infrastructure.postgres.driver.connection import Connection, Connector, begin, cut
from infrastructure.postgres.driver.engine import make_engine, transaction
from infrastructure.postgres.driver.reads import Prepared, ReadPool

ONE = Prepared("SELECT 1 AS one", {})


@define
class Stall:
    is_due: bool = False


@pytest.fixture
def stall(monkeypatch: pytest.MonkeyPatch) -> Stall:
    """The next transaction that begins while it is due meets a stall."""
    stall = Stall()
    command: Callable[..., Any] = Connection.command

    async def command_late(self: Connection[Any], statement: str) -> None:
        await command(self, statement)
        if stall.is_due and statement.startswith("BEGIN"):
            stall.is_due = False
            cut(self)

    monkeypatch.setattr(Connection, "command", command_late)
    return stall


async def ask_through_a_stall(
    begun: Callable[[], AbstractAsyncContextManager[Any]], ask: Callable[[Any], Any], stall: Stall
) -> None:
    async with begun() as first:
        await ask(first)
    stall.is_due = True
    async with begun() as second:
        await ask(second)
    assert not stall.is_due


async def test_an_answer_that_is_heard_too_late_begins_nothing(messenger_database: str, stall: Stall) -> None:
    connection = await Connector(target=messenger_database, deadline=5.0).connect(tuple_row)
    stall.is_due = True
    with pytest.raises(psycopg.OperationalError, match="too late"):
        await begin(connection)
    await connection.close()


async def test_a_unit_of_work_begins_on_another_connection(messenger_database: str, stall: Stall) -> None:
    pool = make_engine(messenger_database)
    await ask_through_a_stall(
        lambda: transaction(pool, 5.0), lambda unit: unit.execute(text("SELECT 1")), stall
    )
    await pool.dispose()


async def test_a_read_begins_on_another_connection(messenger_database: str, stall: Stall) -> None:
    pool = ReadPool(messenger_database)
    await ask_through_a_stall(pool.open, lambda read: read.rows(ONE), stall)
    await pool.close()


async def test_a_batch_begins_on_another_connection(messenger_database: str, stall: Stall) -> None:
    connection = BatchConnection(messenger_database)
    await ask_through_a_stall(connection.begin, lambda driver: driver.execute("SELECT 1"), stall)
    await connection.close()
