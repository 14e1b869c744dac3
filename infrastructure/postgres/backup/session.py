"""Connections of dumps and restores: without time limits, and in the schema of the messenger's tables."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from infrastructure.postgres.driver.connection import OLDEST_VERSION, TRANSACTION_TIMEOUT_SINCE
from infrastructure.postgres.driver.errors import UnusableDatabase
from infrastructure.postgres.driver.target import parse
from infrastructure.postgres.server.reach import CannotConnect

Connection = psycopg.Connection[tuple[Any, ...]]

UNLIMITED: Final = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")

TABLES: Final = """
SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relkind IN ('r', 'p')
AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY c.relname
"""
"""The tables of a schema that do not belong to an extension."""


@contextmanager
def connected(url: str, application_name: str) -> Iterator[Connection]:
    """
    Connects in autocommit, in UTF-8 and without limits of time.

    Raises:
        CannotConnect: No connection could be made.
        UnusableDatabase: The encoding of the database or the version of the server is not supported.
    """
    target = parse(url)
    parameters = {**target.libpq, "application_name": application_name}
    try:
        connection = psycopg.connect(make_conninfo(**parameters), autocommit=True)
    except psycopg.OperationalError as error:
        raise CannotConnect.of(error) from None
    with connection:
        if connection.info.parameter_status("server_encoding") != "UTF8":
            raise UnusableDatabase(
                f"the database {connection.info.dbname!r} does not store texts in UTF-8: create another one"
            )
        if connection.info.server_version < OLDEST_VERSION * 10000:
            raise UnusableDatabase(f"PostgreSQL {OLDEST_VERSION} or newer is needed")
        state(connection, target.schema)
        yield connection


def state(connection: Connection, search_path: str) -> None:
    """Sets the search path, and switches time limits off. To be repeated after a script of `pg_dump`, which sets others."""
    newer = ("transaction_timeout",) if connection.info.server_version >= TRANSACTION_TIMEOUT_SINCE else ()
    settings = {**dict.fromkeys((*UNLIMITED, *newer), "0"), "search_path": search_path}
    for name, value in settings.items():
        connection.execute("SELECT set_config(%s, %s, false)", [name, value])


def tables_of(connection: Connection, schema: str) -> list[str]:
    return [name for (name,) in connection.execute(TABLES, [schema])]


def count_rows(connection: Connection, schema: str, table: str) -> int:
    counting = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(schema, table))
    found = connection.execute(counting).fetchone()
    assert found is not None
    return int(found[0])


def major_version(connection: Connection) -> int:
    return connection.info.server_version // 10000


def difference(expected: Mapping[str, int], found: Mapping[str, int]) -> str:
    """Describes the first table whose number of rows is not as expected, or returns an empty string."""
    for table in sorted(expected.keys() | found.keys()):
        if expected.get(table) != found.get(table):
            return f"{table} has {found.get(table, 'no')} rows, and the dump had {expected.get(table, 'no')}"
    return ""
