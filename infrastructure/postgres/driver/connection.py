"""
Connections to PostgreSQL, for every part of the adapter: how they are made and configured, how a transaction begins, and
how they are closed.

A connection relies on no setting that its environment could change: libpq's variables, the settings of a role or of a
database, or a pooler in between. It therefore sets every parameter that affects what is stored, what is read and how long
anything takes. Behind a pooler that assigns server connections for each transaction, the parameters are set within each
transaction and no statement is prepared.
"""

import asyncio
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final, LiteralString, TypeVar

import psycopg
from attrs import field, frozen
from psycopg import generators, sql
from psycopg.conninfo import make_conninfo
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus
from psycopg.rows import AsyncRowFactory

from infrastructure.postgres.driver import arrays
from infrastructure.postgres.driver.errors import UnusableDatabase
from infrastructure.postgres.driver.target import Target, parse

Row = TypeVar("Row")

READ_COMMITTED: Final = "BEGIN ISOLATION LEVEL READ COMMITTED"

READ_SNAPSHOT: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
"""All statements of such a transaction read one snapshot."""

ANSWERS_WITHIN: Final = 1.0
"""Seconds. If beginning or ending a transaction takes longer, the connection counts as lost."""

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
    "jit": "off",
}
"""
Parameters that every connection sets, besides its search path, its timeouts and its durability. The encoding is a
connection parameter. ``jit`` is off because before version 18 a plan that sorts where sorting is avoided counts as so costly
that the server compiles it: 0.3 seconds for each batch.

``default_transaction_read_only`` is left alone on purpose: operators set it for a database deliberately, for example when
the disk is nearly full. Writes are then refused and the messenger reports that it is not ready.
"""

DURABLE: Final = """
CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END
"""
"""Ensures that an acknowledged message is on disk. Stronger values, which also wait for standbys, are kept."""

TRANSACTION_TIMEOUT_SINCE: Final = 170000


class Connection(psycopg.AsyncConnection[Row]):
    """A driver connection in autocommit."""

    settings: str = ""
    """A statement that sets all parameters at the beginning of each transaction. Empty unless a pooler is in between."""
    is_cut: bool = False
    """Whether `cut` has ended it. An answer that arrived just before may still be read, but none after it."""
    prepared: dict[str, bytes]
    """The names of the statements that `infrastructure.postgres.driver.pipeline` has prepared, by their texts."""
    generation: int = 0
    """The generation of the pool's connections that it belongs to, in a pool that can renew them."""

    @property
    def is_pooled(self) -> bool:
        """Whether a pooler may assign another server connection to the next transaction."""
        return bool(self.settings)

    async def command(self, statement: LiteralString) -> None:
        """
        Runs a statement that has neither parameters nor rows, such as BEGIN and COMMIT.

        It takes a third of the CPU of `execute`, which makes a cursor and looks for placeholders. ROLLBACK must go through
        `execute`, which lets the driver forget what it has prepared.
        """
        async with self.lock:
            self.pgconn.send_query(statement.encode())
            results = await self.wait(generators.execute(self.pgconn))
        for result in results:
            if result.status == ExecStatus.FATAL_ERROR:
                raise error_from_result(result)


@frozen(kw_only=True)
class Connector:
    """
    Makes connections to one database.

    Times are in seconds and enforced by the server, so that a client that hangs cannot block others. ``plans`` are
    parameters of the query planner.
    """

    target: Target = field(converter=parse)
    deadline: float
    lock_timeout: float | None = None
    idle_in_transaction: float = 10.0
    plans: Mapping[str, str] = {}

    async def connect(self, rows: AsyncRowFactory[Row]) -> Connection[Row]:
        """
        Raises:
            psycopg.OperationalError: No server answered in time.
            UnusableDatabase: The encoding of the database or the version of the server is not supported.
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
        connection.prepared = {}
        return connection

    async def _prepare(self, connection: Connection[Any]) -> None:
        _check(connection)
        # A pooler reports a made-up process id to its clients.
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
        """Expressions that set each parameter: for the current transaction only if IS_LOCAL is replaced by true."""
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
    """Marks a statement as safe for the type checker: it is composed of constants and numbers only."""
    return statement


async def begin(connection: Connection[Any], statement: LiteralString = READ_COMMITTED) -> None:
    """
    Begins a transaction. If this fails nothing has been done, and the caller may try another connection.

    Raises:
        psycopg.OperationalError: The server has ended this connection, or it answered too late.
    """
    if connection.is_pooled:
        await connection.execute(_sure(f"{statement}; {connection.settings}"))
    else:
        await connection.command(statement)
    if connection.is_cut:  # in the same turn of the event loop in which the answer arrived
        raise psycopg.OperationalError("the server answered too late")


def cut(connection: psycopg.AsyncConnection[Any]) -> None:
    """
    Shuts down the socket of a connection without waiting for the server.

    psycopg waits up to five seconds when it is cancelled, and for ever on a server that is frozen. After a shutdown every
    pending operation on the connection fails at once with `OperationalError`.
    """
    if connection.closed:
        return
    if isinstance(connection, Connection):
        connection.is_cut = True
    with socket.socket(fileno=os.dup(connection.pgconn.socket)) as twin, suppress(OSError):
        twin.shutdown(socket.SHUT_RDWR)  # fails if the server has closed it already


@contextmanager
def within(seconds: float, connection: psycopg.AsyncConnection[Any]) -> Iterator[None]:
    """Cuts the connection if the block takes longer than ``seconds``."""
    timer = asyncio.get_running_loop().call_later(seconds, cut, connection)
    try:
        yield
    finally:
        timer.cancel()
