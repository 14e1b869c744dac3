"""The connection pool that units of work use through SQLAlchemy, and transactions on its connections."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, LiteralString

import psycopg
from psycopg.rows import tuple_row
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.event import listen
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, PoolProxiedConnection, QueuePool

from application.errors import Unavailable
from infrastructure.postgres.driver.connection import (
    ANSWERS_WITHIN,
    READ_COMMITTED,
    Connection,
    Connector,
    begin,
    within,
)
from infrastructure.postgres.driver.errors import READ_ONLY, complaints, in_our_terms
from infrastructure.postgres.driver.waits import Waits


class CountingPool(AsyncAdaptedQueuePool):
    """Counts the waits for a connection while all are in use. Once `close_engine` has closed it, it opens no connection."""

    _sqla_logger_namespace = "sqlalchemy.pool"  # or it would log under this module's name, at another level

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.waits = Waits()
        self.is_closed = False

    def connect(self) -> PoolProxiedConnection:
        if self.is_closed:
            raise Unavailable("the connections of the pool are closed")
        if self.checkedout() < self.size():
            return super().connect()
        with self.waits.counted():
            return super().connect()

    def recreate(self) -> QueuePool:
        pool = super().recreate()
        assert isinstance(pool, CountingPool)
        pool.is_closed = self.is_closed
        return pool


def make_engine(url: str, *, size: int = 10, wait: float = 2.0, deadline: float = 5.0) -> AsyncEngine:
    """
    Makes a pool of at most ``size`` connections; a unit of work waits up to ``wait`` seconds for a free one.

    Connections are opened when they are needed, and `close_engine` closes them. `transaction` sends BEGIN on its own, not together with the first
    statement: if the connection turns out to be dead then, nothing has been done, and another one can be used.

    Raises:
        ValueError: ``url`` is not the address of a PostgreSQL database.
    """
    connector = Connector(target=url, deadline=deadline)

    async def connect(*_: Any, **__: Any) -> Connection[Any]:
        return await connector.connect(tuple_row)

    engine = create_async_engine(
        "postgresql+psycopg://",
        async_creator=connect,
        poolclass=CountingPool,
        pool_size=size,
        max_overflow=0,
        pool_timeout=wait,
        pool_use_lifo=True,
        isolation_level="AUTOCOMMIT",
        use_native_hstore=False,
    )
    listen(engine.sync_engine, "handle_error", _renew_if_read_only)
    return engine


async def close_engine(engine: AsyncEngine) -> None:
    """
    Closes the idle connections at once, and each of the others when its transaction ends. Later transactions are refused.

    After `AsyncEngine.dispose` alone, a task that is still running would open a connection that nobody closes.
    """
    assert isinstance(engine.pool, CountingPool)
    engine.pool.is_closed = True
    await engine.dispose()


def _renew_if_read_only(context: ExceptionContext) -> None:
    """
    Discards all pooled connections when a server refuses to write: it may be a former primary after a failover, or the
    setting may have changed since the connection was made, and only new connections can tell.
    """
    error = context.original_exception
    if isinstance(error, psycopg.Error) and error.sqlstate == READ_ONLY:
        context.is_disconnect = True


@asynccontextmanager
async def transaction(
    engine: AsyncEngine, deadline: float, statement: LiteralString = READ_COMMITTED
) -> AsyncIterator[AsyncConnection]:
    """
    Begins a transaction on a connection of the pool, for at most ``deadline`` seconds. It is rolled back at the end unless
    the caller has committed.

    The engine may be closed meanwhile; the transaction may then finish, and its connection is closed afterwards.

    Raises:
        Unavailable: No connection was free, storage failed or the engine is closed. Nothing was committed.
    """
    pool = engine.pool
    with in_our_terms():
        try:
            connection, driver = await _begun(engine, statement, ANSWERS_WITHIN)
        except psycopg.OperationalError as error:
            complaints.tell("connected again", str(error), error.sqlstate)
            connection, driver = await _begun(engine, statement, deadline)
    try:
        with in_our_terms(), within(deadline, driver):
            yield connection
    finally:
        if engine.pool is pool:
            await _let_go(connection, driver)
        else:
            await connection.invalidate()
            await connection.close()


async def _begun(
    engine: AsyncEngine, statement: LiteralString, seconds: float
) -> tuple[AsyncConnection, Connection[Any]]:
    """
    Raises:
        psycopg.OperationalError: The server has ended this connection. The pool discards all connections as old as it.
    """
    connection = await engine.connect()
    driver = (await connection.get_raw_connection()).driver_connection
    assert isinstance(driver, Connection)
    try:
        with within(seconds, driver):
            await begin(driver, statement)
    except psycopg.OperationalError:
        await driver.close()
        with suppress(DBAPIError):
            await connection.exec_driver_sql(
                statement
            )  # fails, which tells the pool that the connection is dead
        await connection.close()
        raise
    except BaseException:
        await connection.invalidate()
        raise
    return connection, driver


async def _let_go(connection: AsyncConnection, driver: Connection[Any]) -> None:
    """Returns the connection to the pool, ignoring errors: they cannot affect what was read or committed."""
    try:
        with within(ANSWERS_WITHIN, driver):
            await connection.close()
    except Exception:  # noqa: BLE001 - an uncommitted transaction ends with its connection
        if not connection.closed:
            await connection.invalidate()
