"""Moves read marks in batches: one transaction with four statements between BEGIN and COMMIT for any number of marks."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final
from uuid import UUID

from attrs import Factory, define, field

from application.ports.marking import MarkRequest, OpenedReadings
from application.ports.updates import Update
from domain.events import MessagesRead
from domain.ids import ChatId, MessageId, ProfileId, Seq
from domain.reading import NewlyRead, Reading
from infrastructure.postgres.chats import TOLD_IDS
from infrastructure.postgres.driver import arrays
from infrastructure.postgres.driver.batches import Batch, BatchConnection
from infrastructure.postgres.driver.pipeline import Rows, Statement
from infrastructure.postgres.driver.trouble import WriteTrouble
from infrastructure.postgres.receipts import Latest, latest_with, read_before_in_batch

Moved = tuple[Reading, MessagesRead | None]
"""A reading as it becomes, and the act of reading that moved it, if anything was newly read."""

NOWHERE: Final = MessageId(UUID(int=0))
"""Placeholder for the message id in requests that name a message number instead."""

LOCK: Final = """
SELECT r.chat_id, r.profile_id, r.mark, r.less, r.read_at
FROM unnest(%s, %s) WITH ORDINALITY AS k(chat_id, profile_id, n)
JOIN reading r ON r.chat_id = k.chat_id AND r.profile_id = k.profile_id
ORDER BY k.n FOR NO KEY UPDATE OF r
"""
"""
Locks readings in the order of the given keys, by chat and profile as sends do, in a statement of its own: the next
statements see what was committed during the wait.
"""

READ: Final = """
SELECT m.left_at IS NULL AND m.profile_id IS NOT NULL AS is_member, s.seq, h.last_seq
FROM unnest(%s, %s, %s) WITH ORDINALITY AS w(chat_id, profile_id, message_id, n)
LEFT JOIN member m ON m.chat_id = w.chat_id AND m.profile_id = w.profile_id
LEFT JOIN LATERAL (
    SELECT seq FROM message
    WHERE chat_id = w.chat_id AND message_id >= w.message_id AND message_id <= w.message_id
    ORDER BY message_id LIMIT 1
) s ON true
LEFT JOIN chat_head h ON h.chat_id = w.chat_id
ORDER BY w.n
"""
"""Orders by the message's id because only the index of the ids has that order, as in `posting.READ`."""

NEWLY_READ: Final = """
SELECT counted.authors, counted.counts, newest.ids
FROM unnest(%s, %s, %s, %s) WITH ORDINALITY AS r(chat_id, profile_id, mark, upto, n)
CROSS JOIN LATERAL (
    SELECT array_agg(sender_id) AS authors, array_agg(unread) AS counts FROM (
        SELECT s.sender_id, count(*) AS unread FROM message s
        WHERE s.chat_id = r.chat_id AND s.seq > r.mark AND s.seq <= r.upto AND s.sender_id <> r.profile_id
          AND (
            SELECT c.to_seq FROM receipt c
            WHERE c.chat_id = r.chat_id AND (c.profile_id, c.to_seq) >= (r.profile_id, s.seq)
              AND c.profile_id <= r.profile_id AND c.from_seq <= s.seq
            ORDER BY c.profile_id, c.to_seq LIMIT 1) IS NULL
        GROUP BY s.sender_id
    ) by_author
) counted
CROSS JOIN LATERAL (
    SELECT array_agg(message_id ORDER BY seq) AS ids FROM (
        SELECT s.message_id, s.seq FROM message s
        WHERE s.chat_id = r.chat_id AND s.seq > r.mark AND s.seq <= r.upto AND s.sender_id <> r.profile_id
          AND (
            SELECT c.to_seq FROM receipt c
            WHERE c.chat_id = r.chat_id AND (c.profile_id, c.to_seq) >= (r.profile_id, s.seq)
              AND c.profile_id <= r.profile_id AND c.from_seq <= s.seq
            ORDER BY c.profile_id, c.to_seq LIMIT 1) IS NULL
        ORDER BY s.seq DESC LIMIT %s
    ) last
) newest
ORDER BY r.n
"""
"""
Finds the messages between the old and the new mark that the reader has not read singly before, and counts them by author.
It reads no message after the new mark.

Whether a receipt covers a message is one index lookup for each message. With NOT EXISTS the planner could choose a join
that compares each message with every receipt of the reader in the chat. Reader and message number are compared as one row
value, because that matches the primary key alone: in the other indexes the receipts of all readers are mixed.
"""

KEEP: Final = """
WITH stamp AS MATERIALIZED (
    SELECT base + pg_current_xact_id()::text::bigint AS tx FROM origin WHERE id = 1
), received AS (
    INSERT INTO receipt (chat_id, profile_id, from_seq, to_seq, read_at, early, tx)
    SELECT u.chat_id, u.profile_id, u.from_seq, u.to_seq, u.read_at, u.before + (
        SELECT count(*) FROM (
            SELECT o.read_at FROM reading o
            WHERE o.chat_id = u.chat_id AND o.mark >= u.to_seq ORDER BY o.mark DESC LIMIT 4
        ) AS farthest
        WHERE farthest.read_at <= u.read_at
    ) < 2, (SELECT tx FROM stamp)
    FROM unnest(%s, %s, %s, %s, %s, %s) AS u(chat_id, profile_id, from_seq, to_seq, read_at, before)
)
UPDATE reading r SET mark = u.mark, less = u.less, read_at = u.read_at, tx = (SELECT tx FROM stamp)
FROM unnest(%s, %s, %s, %s, %s) AS u(chat_id, profile_id, mark, less, read_at)
WHERE r.chat_id = u.chat_id AND r.profile_id = u.profile_id
"""
"""
Stores receipts and moves the readings. `infrastructure.postgres.receipts` says which receipts are early. Of the other readers only the
four with the highest marks are compared. The reader of the receipt is not among them, because the old mark is before its end.
"""


@define(eq=False)
class PostgresMarkings:
    """Begins units of marking on a dedicated connection."""

    _connection: BatchConnection
    _trouble: WriteTrouble = Factory(WriteTrouble)

    @asynccontextmanager
    async def begin(self) -> AsyncIterator["PostgresMarking"]:
        with self._trouble.noted():
            async with self._connection.begin() as batch:
                yield self._unit(batch)

    def _unit(self, batch: Batch) -> "PostgresMarking":
        return PostgresMarking(batch)


@define(eq=False)
class PostgresMarking:
    _batch: Batch
    pending_updates: list[Update] = field(init=False, factory=list)
    _latest: dict[tuple[ChatId, ProfileId], datetime | None] = field(init=False, factory=dict)
    """The latest time of the receipts of each reader whose reading is locked."""

    async def open(self, requests: Sequence[MarkRequest]) -> OpenedReadings:
        locked, rows = await self._read(requests)
        held = {
            (ChatId(row[0]), ProfileId(row[1])): Reading(
                chat_id=row[0], profile_id=row[1], mark=Seq(row[2]), excluded=row[3]
            )
            for row in locked
        }
        self._latest |= {(row[0], row[1]): row[4] for row in locked}
        readings: dict[tuple[ChatId, ProfileId], Reading] = {}
        targets: list[Seq | None] = []
        for request, (is_member, seq, last_seq) in zip(requests, rows, strict=True):
            key = request.chat_id, request.reader_id
            if is_member and key in held:
                readings[key] = held[key]
            targets.append(seq if isinstance(request.up_to, UUID) else min(request.up_to, last_seq or Seq(0)))
        return OpenedReadings(readings, targets)

    async def _read(self, requests: Sequence[MarkRequest]) -> Sequence[Rows]:
        """Locks the readings, and returns the rows of `LOCK` and those of `READ`."""
        return await self._batch.ask(Statement(LOCK, keys_of(requests)), Statement(READ, sought(requests)))

    async def newly_read(self, moves: Sequence[tuple[Reading, Seq]]) -> Sequence[NewlyRead]:
        if not moves:
            return []
        return [
            NewlyRead(
                message_ids=tuple(MessageId(id) for id in ids or ()),
                by_author={ProfileId(a): n for a, n in zip(authors or (), counts or (), strict=True)},
            )
            for authors, counts, ids in await self._read_newly(moves)
        ]

    async def _read_newly(self, moves: Sequence[tuple[Reading, Seq]]) -> Rows:
        """Returns the rows of `NEWLY_READ`."""
        (rows,) = await self._batch.ask(Statement(NEWLY_READ, passed(moves)))
        return rows

    async def keep(self, moved: Sequence[Moved]) -> None:
        await self._store(moved)
        self.pending_updates += [read for _, read in moved if read]

    async def _store(self, moved: Sequence[Moved]) -> None:
        self._batch.finish(Statement(KEEP, kept(moved, self._latest)))


def keys_of(requests: Sequence[MarkRequest]) -> Sequence[arrays.Packed]:
    """Returns the parameters of `LOCK`."""
    keys = sorted({(request.chat_id, request.reader_id) for request in requests})
    return arrays.Uuids.of([chat_id for chat_id, _ in keys]), arrays.Uuids.of([id for _, id in keys])


def sought(requests: Sequence[MarkRequest]) -> Sequence[arrays.Packed]:
    """Returns the parameters of `READ`."""
    return (
        arrays.Uuids.of([request.chat_id for request in requests]),
        arrays.Uuids.of([request.reader_id for request in requests]),
        arrays.Uuids.of(
            [request.up_to if isinstance(request.up_to, UUID) else NOWHERE for request in requests]
        ),
    )


def passed(moves: Sequence[tuple[Reading, Seq]]) -> Sequence[arrays.Packed]:
    """Returns the parameters of `NEWLY_READ`."""
    return (
        arrays.Uuids.of([reading.chat_id for reading, _ in moves]),
        arrays.Uuids.of([reading.profile_id for reading, _ in moves]),
        arrays.Bigints.of(reading.mark for reading, _ in moves),
        arrays.Bigints.of(to for _, to in moves),
        arrays.Bigint.of(TOLD_IDS),
    )


def kept(moved: Sequence[Moved], latest: Latest) -> Sequence[arrays.Packed]:
    """Returns the parameters of `KEEP`."""
    readings = [reading for reading, _ in moved]
    reads = [read for _, read in moved if read]
    read_at = [
        latest_with(read, latest) if read else latest.get((reading.chat_id, reading.profile_id))
        for reading, read in moved
    ]
    return (
        arrays.Uuids.of([read.chat_id for read in reads]),
        arrays.Uuids.of([read.reader_id for read in reads]),
        arrays.Bigints.of(read.from_seq for read in reads),
        arrays.Bigints.of(read.to_seq for read in reads),
        arrays.Moments.of(read.at for read in reads),
        arrays.Bigints.of(read_before_in_batch(reads, latest)),
        arrays.Uuids.of([reading.chat_id for reading in readings]),
        arrays.Uuids.of([reading.profile_id for reading in readings]),
        arrays.Bigints.of(reading.mark for reading in readings),
        arrays.Bigints.of(reading.excluded for reading in readings),
        arrays.Moments.or_null(read_at),
    )
