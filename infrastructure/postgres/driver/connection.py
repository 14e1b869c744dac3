"""What each connection to PostgreSQL is told before it is used, and how one is given up."""

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, LiteralString, TypeVar

import psycopg
from psycopg.rows import AsyncRowFactory

from infrastructure.postgres.driver import arrays

Row = TypeVar("Row")

READ_SNAPSHOT: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
"""Everything that is read is of one moment."""

DURABLE: Final = (
    "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
)
"""An acknowledged message is on disk. A stronger setting, for standbys, is left as it is."""


def limits(*, deadline: float, lock_timeout: float | None = None, idle_in_transaction: float = 10.0) -> str:
    """Server-side bounds as one statement, times in seconds: a client that hangs must not hold up the others."""
    settings = {
        "statement_timeout": deadline,
        "lock_timeout": deadline if lock_timeout is None else lock_timeout,
        "idle_in_transaction_session_timeout": idle_in_transaction,
    }
    return "; ".join(f"SET {name} = {round(seconds * 1000)}" for name, seconds in settings.items())


async def dial(
    conninfo: str, *settings: str, deadline: float, rows: AsyncRowFactory[Row]
) -> psycopg.AsyncConnection[Row]:
    """
    A driver connection in autocommit, told ``settings`` before anything else: statements made of numbers and constants.

    Raises:
        psycopg.OperationalError: Nobody answered within some seconds.
    """
    driver = await psycopg.AsyncConnection.connect(
        conninfo, autocommit=True, connect_timeout=3, row_factory=rows
    )
    try:
        with within(deadline, driver):
            for statement in settings:
                await driver.execute(_literal(statement))
    except BaseException:
        await driver.close()
        raise
    arrays.register(driver.adapters)
    return driver


def _literal(statement: str) -> LiteralString:
    return statement


def cut(driver: psycopg.AsyncConnection[Any]) -> None:
    """
    End a connection without asking the other side.

    psycopg waits up to five seconds when it is cancelled, and for ever on a server that is frozen. A socket that is shut
    down answers at once: whoever waits on it gets an `OperationalError`.
    """
    if driver.closed:
        return
    with socket.socket(fileno=os.dup(driver.pgconn.socket)) as twin, suppress(OSError):
        twin.shutdown(socket.SHUT_RDWR)  # fails where the other side was faster


@contextmanager
def within(seconds: float, driver: psycopg.AsyncConnection[Any]) -> Iterator[None]:
    """Cut the connection if the block takes longer."""
    timer = asyncio.get_running_loop().call_later(seconds, cut, driver)
    try:
        yield
    finally:
        timer.cancel()
