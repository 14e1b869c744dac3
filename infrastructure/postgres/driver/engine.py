"""The pool of connections that units of work use through SQLAlchemy, and one transaction on one of them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, LiteralString

import psycopg
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.event import listen
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from infrastructure.postgres.driver.connection import DURABLE, limits, within
from infrastructure.postgres.driver.errors import in_our_terms

BEGIN: Final = "BEGIN ISOLATION LEVEL READ COMMITTED"

ANSWERS_WITHIN: Final = 1.0
"""Seconds. A server that does not begin or give up a transaction in this time is not there for this connection."""


def make_engine(url: str, *, size: int = 10, wait: float = 2.0, deadline: float = 5.0) -> AsyncEngine:
    """
    A bounded pool: at most ``size`` connections, for one of which a unit waits up to ``wait`` seconds.

    Connects to nothing yet. Transactions are begun by `transaction`, not by the driver with the first statement: where a
    connection proves dead then, nothing has been done on it, and another one will do.
    """
    engine = create_async_engine(
        url,
        pool_size=size,
        max_overflow=0,
        pool_timeout=wait,
        pool_use_lifo=True,
        isolation_level="AUTOCOMMIT",
        connect_args={"connect_timeout": 3},
    )
    bounds = limits(deadline=deadline)

    def prepare(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        cursor.execute(bounds)
        cursor.execute(DURABLE)
        cursor.close()
        connection.commit()

    listen(engine.sync_engine, "connect", prepare)
    return engine


@asynccontextmanager
async def transaction(
    engine: AsyncEngine, deadline: float, begin: LiteralString = BEGIN
) -> AsyncIterator[AsyncConnection]:
    """
    A transaction on a connection of the pool for at most ``deadline`` seconds. What is not committed at the end is rolled
    back.

    Raises:
        Unavailable: There was none, or storage failed; certainly not committed.
    """
    with in_our_terms():
        try:
            connection, driver = await _begun(engine, begin, ANSWERS_WITHIN)
        except psycopg.OperationalError:
            connection, driver = await _begun(engine, begin, deadline)
    try:
        with in_our_terms(), within(deadline, driver):
            yield connection
    finally:
        await _let_go(connection, driver)


async def _begun(
    engine: AsyncEngine, begin: LiteralString, seconds: float
) -> tuple[AsyncConnection, psycopg.AsyncConnection[Any]]:
    """
    Raises:
        psycopg.OperationalError: The server has ended this connection. The pool trusts none of its age any more.
    """
    connection = await engine.connect()
    driver = (await connection.get_raw_connection()).driver_connection
    assert isinstance(driver, psycopg.AsyncConnection)
    try:
        with within(seconds, driver):
            await driver.execute(begin)
    except psycopg.OperationalError:
        await driver.close()
        with suppress(DBAPIError):
            await connection.exec_driver_sql(begin)  # fails, and so tells the pool
        await connection.close()
        raise
    except BaseException:
        await connection.invalidate()
        raise
    return connection, driver


async def _let_go(connection: AsyncConnection, driver: psycopg.AsyncConnection[Any]) -> None:
    """Whatever the server makes of it: what was read has been read, and what was committed is stored."""
    try:
        with within(ANSWERS_WITHIN, driver):
            await connection.close()
    except Exception:  # noqa: BLE001 - what is not committed goes with the connection
        if not connection.closed:
            await connection.invalidate()
