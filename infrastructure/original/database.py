"""A database of the original messenger in PostgreSQL, read and never written."""

import os
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from typing import Any, Final, LiteralString

import psycopg
from attrs import frozen
from psycopg.rows import DictRow, dict_row

from application.ports.original import OriginalChat, OriginalMessage, OriginalPerson, Totals
from domain.ids import ChatId, MessageId, ProfileId

REVISIONS: Final = frozenset(("20250219193149", "20250527182423"))
"""The migrations of the original. The second one makes all tables."""

NEWEST: Final = "20250527182423"

AT_ONCE: Final = 500
"""Rows per fetch."""

REVISION: Final = "SELECT version_num FROM alembic_version"
BEGIN: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

# ``created_at`` was written by the server in the time zone of the session, everything else by the program in UTC.
PEOPLE: Final = """
SELECT a.id AS account_id, a.email, a.password AS password_hash, a.is_confirmed,
       a.created_at AT TIME ZONE current_setting('TimeZone') AS created_at,
       p.id AS profile_id, p.first_name, p.last_name, p.middle_name, p.username, d.phone
FROM account a
LEFT JOIN profile p ON p.account_id = a.id
LEFT JOIN profile_personal_data d ON d.profile_id = p.id
ORDER BY a.created_at, a.id
"""

CHATS: Final = """
SELECT c.id, c.name, c.description, c.owner_id,
       c.created_at AT TIME ZONE current_setting('TimeZone') AS created_at,
       u.member_ids, u.joined_at
FROM chat c
LEFT JOIN LATERAL (
    SELECT array_agg(profile_id) AS member_ids, array_agg(joined_at) AS joined_at FROM (
        SELECT profile_id, min(created_at) AT TIME ZONE current_setting('TimeZone') AS joined_at
        FROM chat_user WHERE chat_id = c.id GROUP BY profile_id
    ) AS once
) u ON true
ORDER BY c.created_at, c.id
"""

MESSAGES: Final = """
SELECT id, sender_id AS author_id, text, coalesce(sent_at, created_at) AT TIME ZONE 'UTC' AS sent_at
FROM message WHERE chat_id = %s
ORDER BY coalesce(sent_at, created_at), created_at, id
"""

READ_BY: Final = """
SELECT s.message_id, s.read_at AT TIME ZONE 'UTC' AS read_at
FROM message_read_status s JOIN message m ON m.id = s.message_id
WHERE m.chat_id = %s AND s.profile_id = %s
"""

TOTALS: Final = """
SELECT (SELECT count(*) FROM account) AS people, (SELECT count(*) FROM chat) AS chats,
       (SELECT count(*) FROM message WHERE chat_id IS NOT NULL) AS messages
"""


class NotAnOriginal(Exception):
    """The database does not belong to the original messenger, or has tables of an unknown version."""


@frozen
class OriginalDatabase:
    connection: psycopg.AsyncConnection[DictRow]

    async def totals(self) -> Totals:
        cursor = await self.connection.execute(TOTALS)
        (row,) = await cursor.fetchall()
        return Totals(**row)

    async def people(self) -> AsyncIterator[OriginalPerson]:
        async for rows in self._batches("people", PEOPLE):
            for row in rows:
                yield OriginalPerson(**row)

    async def chats(self) -> AsyncIterator[OriginalChat]:
        async for rows in self._batches("chats", CHATS):
            for row in rows:
                joined_at: dict[ProfileId, datetime] = dict(
                    zip(row.pop("member_ids") or (), row.pop("joined_at") or (), strict=True)
                )
                yield OriginalChat(**row, joined_at=joined_at)

    async def messages(self, chat_id: ChatId, at_once: int) -> AsyncIterator[Sequence[OriginalMessage]]:
        async for rows in self._batches("messages", MESSAGES, (chat_id,), at_once):
            yield [OriginalMessage(**row) for row in rows]

    async def read_by(self, chat_id: ChatId, reader_id: ProfileId) -> Mapping[MessageId, datetime]:
        cursor = await self.connection.execute(READ_BY, (chat_id, reader_id))
        return {MessageId(row["message_id"]): row["read_at"] for row in await cursor.fetchall()}

    async def _batches(
        self, name: str, query: LiteralString, parameters: tuple[Any, ...] = (), at_once: int = AT_ONCE
    ) -> AsyncIterator[list[dict[str, Any]]]:
        """Reads with a server-side cursor, so that no table has to fit into memory."""
        async with self.connection.cursor(name) as cursor:
            await cursor.execute(query, parameters)
            while rows := await cursor.fetchmany(at_once):
                yield rows


@asynccontextmanager
async def original_database(conninfo: str) -> AsyncIterator[OriginalDatabase]:
    """
    Opens a snapshot of the database, in a read-only transaction.

    Raises:
        NotAnOriginal: The database does not belong to the original messenger.
        psycopg.Error: The database cannot be read.
    """
    with _without_a_time_zone():
        connection = await psycopg.AsyncConnection.connect(
            conninfo, autocommit=True, connect_timeout=5, row_factory=dict_row
        )
    async with connection:
        await _check(connection)
        await connection.execute(BEGIN)
        try:
            yield OriginalDatabase(connection)
        finally:
            if not connection.closed:
                await connection.execute("ROLLBACK")


@contextmanager
def _without_a_time_zone() -> Iterator[None]:
    """
    Hides ``PGTZ`` from libpq, which would put it in the place of the server's own time zone.

    The original's times are in the server's zone and do not say so. libpq has no parameter that overrides the variable.
    """
    hidden = os.environ.pop("PGTZ", None)
    try:
        yield
    finally:
        if hidden is not None:
            os.environ["PGTZ"] = hidden


async def _check(connection: psycopg.AsyncConnection[DictRow]) -> None:
    try:
        cursor = await connection.execute(REVISION)
        found = {row["version_num"] for row in await cursor.fetchall()}
    except psycopg.errors.UndefinedTable:
        found = set()
    if NEWEST not in found:
        told = ", ".join(sorted(found)) or "none"
        raise NotAnOriginal(
            f"This is no database of the original messenger at its revision {NEWEST}: its revision is {told}."
        )
