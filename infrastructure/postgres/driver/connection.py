"""
The life of a connection to PostgreSQL, the same for every part of the adapter: how it is made, what it is told, how a
transaction begins on it, and how it is given up.

A connection relies on nothing that its environment could say otherwise: libpq's variables, the settings of a role or of a
database, and a pooler in between. So it states each setting that decides what is stored, what is read and how long
anything takes. Behind a pooler that hands its connections to other clients after each transaction, settings are stated
within each transaction and nothing is prepared.
"""

import asyncio
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final, LiteralString, TypeVar

import psycopg
from attrs import field, frozen
from psycopg import sql
from psycopg.conninfo import make_conninfo
from psycopg.rows import AsyncRowFactory

from infrastructure.postgres.driver import arrays
from infrastructure.postgres.driver.errors import UnusableDatabase
from infrastructure.postgres.driver.target import Target, parse

Row = TypeVar("Row")

READ_COMMITTED: Final = "BEGIN ISOLATION LEVEL READ COMMITTED"

READ_SNAPSHOT: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
"""All reads of such a transaction see one snapshot."""

ANSWERS_WITHIN: Final = 1.0
"""In seconds. A server that takes longer to begin or end a transaction counts as unreachable."""

OLDEST_VERSION: Final = 15
"""The oldest major version of PostgreSQL that the messenger works with."""

STATED: Final = {
    "standard_conforming_strings": "on",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "array_nulls": "on",
    "transform_null_equals": "off",
    "default_transaction_isolation": "read committed",
    "default_transaction_deferrable": "off",
}
"""
Settings that every connection makes, besides its search path, its limits and its durability. The encoding is a parameter of
the connection itself.

``default_transaction_read_only`` is left alone: hosts set it deliberately for a database, for example when a disk is nearly
full. Writes are refused then, and the messenger reports that it is not ready.
"""

DURABLE: Final = """
CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END
"""
"""An acknowledged message is on disk. A stronger setting, for standbys, is left as it is."""

TRANSACTION_TIMEOUT_SINCE: Final = 170000


class Connection(psycopg.AsyncConnection[Row]):
    """A driver connection in autocommit."""

    settings: str = ""
    """A statement that each transaction begins with: empty unless a pooler is in between."""
    is_cut: bool = False
    """Whether it was ended by `cut`: an answer that had come just before may still be heard, and nothing after it."""

    @property
    def is_pooled(self) -> bool:
        """Whether the server's process may be another one in the next transaction."""
        return bool(self.settings)


@frozen(kw_only=True)
class Connector:
    """
    Makes connections to one database.

    Times are in seconds and bounds on the server's side: a client that hangs must not hold up the others. ``plans`` are
    settings of the planner.
    """

    target: Target = field(converter=parse)
    deadline: float
    lock_timeout: float | None = None
    idle_in_transaction: float = 10.0
    plans: Mapping[str, str] = {}

    async def connect(self, rows: AsyncRowFactory[Row]) -> Connection[Row]:
        """
        Raises:
            psycopg.OperationalError: Nobody answered within some seconds.
            UnusableDatabase: The database can never be used by the messenger.
        """
        connection: Connection[Row] = await Connection.connect(
            make_conninfo(**self.target.libpq), autocommit=True, row_factory=rows
        )
        try:
            with within(self.deadline, connection):
                await self._prepare(connection)
        except BaseException:
            cut(connection)
            await connection.close()
            raise
        arrays.register(connection.adapters)
        return connection

    async def _prepare(self, connection: Connection[Any]) -> None:
        _check(connection)
        # A pooler invents the number of the process that it tells its clients.
        is_pooled = f"pg_backend_pid() <> {connection.info.backend_pid}"
        stating = self._stating(connection.info.server_version)
        cursor = connection.cursor(row_factory=psycopg.rows.tuple_row)
        await cursor.execute(_sure(f"SELECT {is_pooled}, {stating.replace('IS_LOCAL', is_pooled)}"))
        found = await cursor.fetchone()
        assert found is not None
        if found[0]:
            connection.settings = f"SELECT {stating.replace('IS_LOCAL', 'true')}"
            connection.prepare_threshold = None

    def _stating(self, version: int) -> str:
        """Expressions that set each setting, for one transaction only where IS_LOCAL."""
        lock_timeout = self.deadline if self.lock_timeout is None else self.lock_timeout
        settings = {
            **STATED,
            "search_path": self.target.schema,
            "statement_timeout": _milliseconds(self.deadline),
            "lock_timeout": _milliseconds(lock_timeout),
            "idle_in_transaction_session_timeout": _milliseconds(self.idle_in_transaction),
            **({"transaction_timeout": "0"} if version >= TRANSACTION_TIMEOUT_SINCE else {}),
            **self.plans,
        }
        values = {name: sql.Literal(value).as_string() for name, value in settings.items()}
        values["synchronous_commit"] = DURABLE.strip()
        return ", ".join(f"set_config('{name}', {value}, IS_LOCAL)" for name, value in values.items())


def _milliseconds(seconds: float) -> str:
    return str(round(seconds * 1000))


def _check(connection: Connection[Any]) -> None:
    info = connection.info
    encoding = info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise UnusableDatabase(
            f"the database {info.dbname!r} stores texts in the encoding {encoding}: create it with ENCODING 'UTF8'"
            " (CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0)"
        )
    if info.server_version < OLDEST_VERSION * 10000:
        raise UnusableDatabase(
            f"the server is PostgreSQL {info.server_version // 10000}: {OLDEST_VERSION} or newer is needed"
        )


def _sure(statement: str) -> LiteralString:
    """Made of constants and numbers only."""
    return statement


async def begin(connection: Connection[Any], statement: LiteralString = READ_COMMITTED) -> None:
    """
    Begins a transaction. Where this fails nothing has been done, and another connection will do.

    Raises:
        psycopg.OperationalError: The server has ended this connection, or it answered too late.
    """
    if connection.is_pooled:
        await connection.execute(_sure(f"{statement}; {connection.settings}"))
    else:
        await connection.execute(statement)
    if connection.is_cut:  # in the same turn of the event loop in which the answer came
        raise psycopg.OperationalError("the answer came too late")


def cut(connection: psycopg.AsyncConnection[Any]) -> None:
    """
    Ends a connection without waiting for the server.

    psycopg waits up to five seconds when it is cancelled, and forever on a frozen server. Shutting down the socket makes
    every wait on it end at once with an `OperationalError`.
    """
    if connection.closed:
        return
    if isinstance(connection, Connection):
        connection.is_cut = True
    with socket.socket(fileno=os.dup(connection.pgconn.socket)) as twin, suppress(OSError):
        twin.shutdown(socket.SHUT_RDWR)  # fails where the other side was faster


@contextmanager
def within(seconds: float, connection: psycopg.AsyncConnection[Any]) -> Iterator[None]:
    """Cuts the connection if the block takes longer than ``seconds``."""
    timer = asyncio.get_running_loop().call_later(seconds, cut, connection)
    try:
        yield
    finally:
        timer.cancel()
