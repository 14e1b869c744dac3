"""
Restores a dump, in one transaction: tables that were there are removed, those of the dump are made and filled, and their rows
are counted. Only then it is committed, so that a failure at any point leaves the database as it was.
"""

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Final

from psycopg import sql

from infrastructure.postgres.backup.manifest import BadDump, Manifest
from infrastructure.postgres.backup.session import (
    Connection,
    connected,
    count_rows,
    difference,
    major_version,
    state,
    tables_of,
)
from infrastructure.postgres.backup.tools import ToolFailed, find_tools, running
from infrastructure.postgres.schema.migrate import known_revisions

APPLICATION: Final = "messenger db restore"

FILLED_BY_ITSELF: Final = ("alembic_version", "origin", "catalogue", "catalogue_entry")
"""The tables that have rows in a database that was never used."""

LINGER_SECONDS: Final = 2.0
"""How long a connection that has just been closed may take to disappear from the list of connections."""

COPY: Final = re.compile(rb"COPY .+ FROM stdin;\n")
END_OF_COPY: Final = b"\\.\n"

COLUMN_OPTIONS: Final = re.compile(rb"(ALTER TABLE ONLY .+ ALTER COLUMN .+ SET \()(.+)(\);\n)")
KNOWN_OPTIONS: Final = (b"n_distinct=", b"n_distinct_inherited=")
"""
The options of columns that every server knows. Some minor releases of 15 note others of their own there, such as `pg_attver`,
which a `pg_dump` of another release writes out, and another server refuses.
"""

_PIECE: Final = 1 << 20

OTHERS: Final = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
AND usename IS NOT NULL AND coalesce(backend_type, 'client backend') = 'client backend'
"""
"""
Counts the connections of others. A role without special rights does not see the types of other roles' connections, but sees
that they have a user, which the server's own processes have not.
"""

Progress = Callable[[int, int], None]
"""Called with the rows done and in total."""


class HasData(Exception):
    """The database has data, which a restore would replace. The message names a table."""


class InUse(Exception):
    """Other programs are connected to the database."""


class NotAsDumped(Exception):
    """The restored rows differ from the dumped ones. Nothing was changed."""


def restore(url: str, file: Path, manifest: Manifest, *, replace: bool, progress: Progress) -> None:
    """
    Replaces the tables of the dump's schema by those of the dump. With ``replace`` these may have data. The database is not
    at home afterwards: `adopt` has to follow.

    Raises:
        CannotConnect: No connection could be made.
        UnusableDatabase: The database or the server is not supported.
        InUse: Other programs are connected.
        HasData: There is data, and ``replace`` is not given.
        NoTools: There is no `pg_restore` that reads this dump.
        BadDump: `pg_restore` cannot read the archive, or it is of a newer version of the messenger.
        NotAsDumped: Rows are missing.
        psycopg.Error: The server refused something.
    """
    if unknown := sorted(set(manifest.revisions) - known_revisions()):
        raise BadDump(
            f"is at revision {unknown[0]}, which this version does not know: restore it with the version that made it"
            f" ({manifest.messenger}) or a newer one, and with the same modules"
        )
    with connected(url, APPLICATION) as connection:
        tools = find_tools(max(manifest.tools, major_version(connection)))
        _refuse_company(connection)
        with connection.transaction():
            _make_room(connection, manifest.schema, replace=replace)
            script = _Script(connection, manifest, progress)
            for section in ("pre-data", "data", "post-data"):
                command = tools.command(
                    "pg_restore",
                    *("--no-owner", "--no-privileges", "--exit-on-error", "--file=-"),
                    *(f"--schema={manifest.schema}", f"--section={section}", str(file)),
                )
                try:
                    with running(command) as reading:
                        script.run(reading.stdout)
                except ToolFailed as why:
                    raise BadDump(f"cannot be read: {why}") from None
            state(connection, sql.Identifier(manifest.schema).as_string(connection))
            found = {
                table: count_rows(connection, manifest.schema, table)
                for table in tables_of(connection, manifest.schema)
            }
            if wrong := difference(manifest.tables, found):
                raise NotAsDumped(wrong)
            revisions = sorted(
                row[0] for row in connection.execute("SELECT version_num FROM alembic_version")
            )
            if revisions != list(manifest.revisions):
                raise NotAsDumped(
                    f"the restored tables are at {revisions}, and the dump was at {manifest.revisions}"
                )
        # A restored table has no statistics, and the first queries would be planned without them.
        connection.execute("ANALYZE")
    progress(manifest.rows, manifest.rows)


def _refuse_company(connection: Connection) -> None:
    until = time.monotonic() + LINGER_SECONDS
    while True:
        found = connection.execute(OTHERS).fetchone()
        if found is None or not found[0]:
            return
        if time.monotonic() > until:
            raise InUse
        time.sleep(0.05)


def _make_room(connection: Connection, schema: str, *, replace: bool) -> None:
    name = sql.Identifier(schema)
    tables = tables_of(connection, schema)
    for table in tables:
        relation = sql.Identifier(schema, table)
        connection.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(relation))
        if not replace and table not in FILLED_BY_ITSELF:
            some = sql.SQL("SELECT EXISTS (SELECT FROM {})").format(relation)
            if (found := connection.execute(some).fetchone()) and found[0]:
                raise HasData(table)
    for table in tables:
        dropping = sql.SQL("DROP TABLE IF EXISTS {} CASCADE").format(sql.Identifier(schema, table))
        connection.execute(dropping)
    if connection.execute("SELECT FROM pg_namespace WHERE nspname = %s", [schema]).fetchone() is None:
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(name))


class _Script:
    """Runs scripts that `pg_restore` writes. In place of psql: it is one program less, and the transaction stays ours."""

    def __init__(self, connection: Connection, manifest: Manifest, progress: Progress) -> None:
        self._connection, self._progress = connection, progress
        self._done, self._total = 0, manifest.rows
        self._knows_transaction_timeout = major_version(connection) >= 17

    def run(self, script: IO[bytes]) -> None:
        """Runs a script. Its rows are copied in pieces, and the statements between them are run at once."""
        statements: list[bytes] = []
        for line in script:
            if COPY.fullmatch(line):
                self._execute(statements)
                self._copy(line, script)
            else:
                statements.append(self._for_server(line))
        self._execute(statements)

    def _for_server(self, line: bytes) -> bytes:
        """Leaves out commands to psql, and what another version of the server or of the programs has written."""
        if line.startswith((b"\\restrict ", b"\\unrestrict ")):
            return b""
        if line.startswith(b"SET transaction_timeout") and not self._knows_transaction_timeout:
            return b""
        if options := COLUMN_OPTIONS.fullmatch(line):
            known = [each for each in options[2].split(b", ") if each.startswith(KNOWN_OPTIONS)]
            return options[1] + b", ".join(known) + options[3] if known else b""
        return line

    def _execute(self, statements: list[bytes]) -> None:
        if statements:
            self._connection.execute(b"".join(statements))
            statements.clear()

    def _copy(self, statement: bytes, script: IO[bytes]) -> None:
        with self._connection.cursor() as cursor, cursor.copy(statement) as copy:
            for piece, rows in _pieces(script):
                copy.write(piece)
                self._done += rows
                self._progress(min(self._done, self._total), self._total)


def _pieces(script: IO[bytes]) -> Iterator[tuple[bytes, int]]:
    """Yields the rows up to the end of a COPY, in pieces of about a megabyte, each with its number of rows."""
    rows: list[bytes] = []
    size = 0
    for row in script:
        if row == END_OF_COPY:
            break
        rows.append(row)
        size += len(row)
        if size >= _PIECE:
            yield b"".join(rows), len(rows)
            rows, size = [], 0
    else:
        raise BadDump("is incomplete: the rows of a table do not end")
    yield b"".join(rows), len(rows)
