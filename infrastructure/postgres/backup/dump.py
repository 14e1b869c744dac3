"""Dumps the messenger's tables into a file that `restore` and `pg_restore` can read."""

import hashlib
import re
from collections.abc import Callable
from typing import BinaryIO, Final

from psycopg import sql

from infrastructure.postgres.backup.manifest import Manifest
from infrastructure.postgres.backup.session import (
    Connection,
    connected,
    count_rows,
    major_version,
    tables_of,
)
from infrastructure.postgres.backup.tools import Tools, connection_parameters, find_tools, running
from infrastructure.postgres.driver.errors import UnusableDatabase
from infrastructure.postgres.schema.migrate import UnknownRevision, known_revisions

APPLICATION: Final = "messenger db dump"

Progress = Callable[[int, int], None]
"""Called with the rows done and in total."""

_TABLE: Final = re.compile(r'dumping contents of table "(?:.*\.)?([^.]+)"')
_PIECE: Final = 1 << 20


def dump(url: str, to: BinaryIO, *, made_at: str, messenger: str, progress: Progress) -> Manifest:
    """
    Writes a dump of the schema with the messenger's tables. Everything in it, the row counts of the manifest included, is of
    one snapshot, and writers are not blocked.

    Raises:
        CannotConnect: No connection could be made.
        UnusableDatabase: The database has no tables of this messenger, or of a newer one.
        NoTools: There is no `pg_dump` for this server.
        ToolFailed: `pg_dump` failed.
        psycopg.Error: The server refused something.
    """
    with connected(url, APPLICATION) as connection:
        server = major_version(connection)
        tools = find_tools(server)
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        schema = _schema(connection)
        if _is_divided(connection, schema):
            raise UnusableDatabase(
                "its tables are divided over a Citus cluster, and a dump of the coordinator would have no chats: back up each"
                " server of the cluster with the tools of PostgreSQL"
            )
        revisions = sorted(row[0] for row in connection.execute("SELECT version_num FROM alembic_version"))
        if unknown := sorted(set(revisions) - known_revisions()):
            raise UnknownRevision(unknown[0])
        tables = {table: count_rows(connection, schema, table) for table in tables_of(connection, schema)}
        progress(0, sum(tables.values()))
        size, sha256 = _archive(connection, tools, url, schema, to, _Rows(tables, progress).hear)
        manifest = Manifest(
            made_at=made_at,
            messenger=messenger,
            server=server,
            tools=tools.version,
            schema=schema,
            revisions=revisions,
            generation=_one(connection, "SELECT generation::text FROM origin WHERE id = 1"),
            tables=tables,
            size=size,
            sha256=sha256,
        )
        to.write(manifest.written())
    progress(manifest.rows, manifest.rows)
    return manifest


def _archive(
    connection: Connection, tools: Tools, url: str, schema: str, to: BinaryIO, hear: Callable[[str], None]
) -> tuple[int, str]:
    """Runs `pg_dump` on the snapshot of the open transaction. Returns the size and the hash of what it wrote."""
    snapshot = _one(connection, "SELECT pg_export_snapshot()")
    size, digest = 0, hashlib.sha256()
    with connection_parameters(url, APPLICATION) as (place, secrets):
        pattern = sql.Identifier(schema).as_string(connection)
        command = tools.command(
            "pg_dump",
            *("--format=custom", "--no-owner", "--no-privileges", "--no-password", "--verbose"),
            *(f"--schema={pattern}", f"--snapshot={snapshot}", f"--dbname={place}"),
        )
        with running(command, secrets, hear) as dumping:
            while piece := dumping.stdout.read(_PIECE):
                to.write(piece)
                digest.update(piece)
                size += len(piece)
    return size, digest.hexdigest()


def _schema(connection: Connection) -> str:
    found = connection.execute(
        "SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE c.oid = to_regclass('alembic_version') AND to_regclass('origin') IS NOT NULL"
    ).fetchone()
    if found is None:
        raise UnusableDatabase(
            "there are no tables of the messenger in this database: there is nothing to dump"
        )
    return str(found[0])


def _is_divided(connection: Connection, schema: str) -> bool:
    """Returns True if any table of the schema is divided. After an interrupted `messenger db distribute` only some are."""
    if connection.execute("SELECT to_regclass('pg_catalog.pg_dist_partition')").fetchone() == (None,):
        return False
    found = connection.execute(
        "SELECT FROM pg_dist_partition AS divided JOIN pg_class AS c ON c.oid = divided.logicalrelid"
        " WHERE c.relnamespace = to_regnamespace(quote_ident(%s)) LIMIT 1",
        [schema],
    )
    return found.fetchone() is not None


def _one(connection: Connection, statement: str) -> str:
    found = connection.execute(statement.encode()).fetchone()
    assert found is not None
    return str(found[0])


class _Rows:
    """Translates the messages of `pg_dump` into progress: which tables are done, weighted by their rows."""

    def __init__(self, tables: dict[str, int], progress: Progress) -> None:
        self._tables, self._progress = tables, progress
        self._done, self._current = 0, ""

    def hear(self, line: str) -> None:
        if found := _TABLE.search(line):
            self._done += self._tables.get(self._current, 0)
            self._current = found[1]
            self._progress(self._done, sum(self._tables.values()))
