"""
Finds what one profile missed since a cursor. `infrastructure.postgres.places` explains the cursor.

The entries of a log that lie after a cursor are always its last ones, because only one transaction at a time writes to a
log. A binary search therefore finds the first of them, by the primary key, however long the client was away. Whether an entry
is new is no condition of these lookups: with misleading statistics they would use the index on ``tx``.
"""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Final

from attrs import field, frozen

from application.ports.changes import Cursor
from application.ports.own_changes import PERSONAL_MOST, Lost, Missed, Standing
from domain.events import PersonalEvent
from domain.ids import ChatId, Position, ProfileId, Seq
from domain.reading import unread_count
from infrastructure.postgres.changes import ORIGIN, Origin
from infrastructure.postgres.driver.arrays import Uuids
from infrastructure.postgres.driver.reads import SHARED, Prepared, ReadPool, ReadTransaction, Row, prepared
from infrastructure.postgres.driver.together import HEAVIEST, Together
from infrastructure.postgres.places import Place
from infrastructure.stored_events import personal_event

HERE: Final = prepared(ORIGIN)

FEW_PERSONAL: Final = 16
"""Entries of one reader's own log that a shared read returns. Who has more is read alone, from the same snapshot."""

CHATS_COUNTED: Final = Prepared(
    """
    SELECT wanted.number, (
        SELECT count(*) FROM (
            SELECT FROM profile_chat AS own WHERE own.profile_id = wanted.reader_id LIMIT %(most)s::bigint
        ) AS counted
    ) AS count
    FROM unnest(%(readers)s::uuid[]) WITH ORDINALITY AS wanted (reader_id, number)
    ORDER BY wanted.number
    """,
    {"most": HEAVIEST},
)
"""How many chats several readers are or were in, which tells how much reading for them together would return."""

CHATS_OF: Final = Prepared(
    """
    SELECT wanted.number, ARRAY(
        SELECT own.chat_id
        FROM profile_chat AS own
        CROSS JOIN LATERAL (
            SELECT chat.deleted_at FROM chat WHERE chat.chat_id = own.chat_id LIMIT 1
        ) AS chat
        WHERE own.profile_id = wanted.reader_id AND own.left_at IS NULL AND chat.deleted_at IS NULL
    ) AS chat_ids
    FROM unnest(%(readers)s::uuid[]) WITH ORDINALITY AS wanted (reader_id, number)
    ORDER BY wanted.number
    """,
    {},
)
"""The chats of several readers."""

STANDINGS: Final = Prepared(
    """
    SELECT wanted.number, own.chat_id, head.last_seq, head.last_position, head.member_count,
        reading.mark, reading.less, others.mark AS others_mark,
        reading.tx >= %(next_tx)s::bigint OR reading.tx = ANY (%(running)s::bigint[])
            OR coalesce(others.tx >= %(next_tx)s::bigint OR others.tx = ANY (%(running)s::bigint[]), false)
            AS is_read,
        CASE WHEN head.tx >= %(next_tx)s::bigint OR head.tx = ANY (%(running)s::bigint[]) THEN (
            WITH RECURSIVE search (low, high) AS (
                SELECT 0::bigint, head.last_position
                UNION ALL
                SELECT CASE WHEN found.is_new THEN search.low ELSE half.position END,
                       CASE WHEN found.is_new THEN half.position - 1 ELSE search.high END
                FROM search,
                     LATERAL (SELECT (search.low + search.high + 1) / 2 AS position) AS half,
                     LATERAL (SELECT coalesce((
                         SELECT middle.tx >= %(next_tx)s::bigint OR middle.tx = ANY (%(running)s::bigint[])
                         FROM chat_log AS middle
                         WHERE middle.chat_id = own.chat_id AND middle.position = half.position
                         LIMIT 1
                     ), false) AS is_new) AS found
                WHERE search.low < search.high
            )
            SELECT 1 + min(search.high) FROM search
        ) END AS first_missed
    FROM unnest(%(readers)s::uuid[]) WITH ORDINALITY AS wanted (reader_id, number)
    CROSS JOIN LATERAL (
        SELECT each.chat_id, each.profile_id
        FROM profile_chat AS each WHERE each.profile_id = wanted.reader_id AND each.left_at IS NULL
    ) AS own
    CROSS JOIN LATERAL (
        SELECT chat.deleted_at FROM chat WHERE chat.chat_id = own.chat_id LIMIT 1
    ) AS chat
    CROSS JOIN LATERAL (
        SELECT each.last_seq, each.last_position, each.member_count, each.tx
        FROM chat_head AS each WHERE each.chat_id = own.chat_id LIMIT 1
    ) AS head
    CROSS JOIN LATERAL (
        SELECT each.mark, each.less, each.tx
        FROM reading AS each WHERE each.chat_id = own.chat_id AND each.profile_id = own.profile_id LIMIT 1
    ) AS reading
    LEFT JOIN LATERAL (
        SELECT each.mark, each.tx
        FROM reading AS each WHERE each.chat_id = own.chat_id AND each.profile_id <> own.profile_id
        ORDER BY each.mark DESC LIMIT 1
    ) AS others ON true
    WHERE chat.deleted_at IS NULL
    ORDER BY wanted.number, own.chat_id
    """,
    {},
)
"""The chats of several readers, each with its first position after a place."""

PERSONAL: Final = Prepared(
    """
    SELECT wanted.number, entry.kind, entry.payload, entry.chat_id
    FROM unnest(%(readers)s::uuid[]) WITH ORDINALITY AS wanted (reader_id, number)
    CROSS JOIN LATERAL (
        SELECT each.last_position FROM profile_head AS each WHERE each.profile_id = wanted.reader_id LIMIT 1
    ) AS head
    CROSS JOIN LATERAL (
        WITH RECURSIVE search (low, high) AS (
            SELECT 0::bigint, head.last_position
            UNION ALL
            SELECT CASE WHEN found.is_new THEN search.low ELSE half.position END,
                   CASE WHEN found.is_new THEN half.position - 1 ELSE search.high END
            FROM search,
                 LATERAL (SELECT (search.low + search.high + 1) / 2 AS position) AS half,
                 LATERAL (SELECT coalesce((
                     SELECT middle.tx >= %(next_tx)s::bigint OR middle.tx = ANY (%(running)s::bigint[])
                     FROM profile_log AS middle
                     WHERE middle.profile_id = wanted.reader_id AND middle.position = half.position
                     LIMIT 1
                 ), false) AS is_new) AS found
            WHERE search.low < search.high
        )
        SELECT min(search.high) AS position FROM search
    ) AS known
    CROSS JOIN LATERAL (
        SELECT each.position, each.kind, each.payload, each.chat_id
        FROM profile_log AS each
        WHERE each.profile_id = wanted.reader_id AND each.position > known.position
        ORDER BY each.position
        LIMIT %(most)s::bigint
    ) AS entry
    ORDER BY wanted.number, entry.position
    """,
    {},
)
"""The entries of several profiles' logs after a place."""


@frozen
class PostgresOwnChanges:
    """Clients that come back at the same moment share the reads of `chats_of`; those with the same cursor, that of `since`."""

    pool: ReadPool
    _chats: Together[ProfileId, Sequence[ChatId]] = field(init=False)
    _missed: Together[ProfileId, Missed | Lost] = field(init=False)

    @_chats.default
    def _chats_together(self) -> Together[ProfileId, Sequence[ChatId]]:
        return Together(self._read_chats, self._count_chats)

    @_missed.default
    def _missed_together(self) -> Together[ProfileId, Missed | Lost]:
        return Together(self._read_missed, self._count_chats)

    async def here(self) -> Cursor:
        return Origin.of(await self.pool.row(HERE)).cursor

    async def chats_of(self, reader: ProfileId) -> Sequence[ChatId]:
        return await self._chats.ask(reader, owner=reader) or ()

    async def since(self, reader: ProfileId, cursor: Cursor) -> Missed | Lost:
        missed = await self._missed.ask(reader, owner=reader, kind=cursor)
        assert missed is not None, "every reader is answered"
        return missed

    async def _count_chats(self, readers: Sequence[ProfileId]) -> Sequence[int]:
        rows = await self.pool.shared_rows(CHATS_COUNTED, readers=Uuids.of(readers))
        return [row["count"] for row in rows]

    async def _read_chats(
        self, _: Hashable, readers: Sequence[ProfileId]
    ) -> Mapping[ProfileId, Sequence[ChatId]]:
        rows = await self.pool.shared_rows(CHATS_OF, readers=Uuids.of(readers))
        return {readers[row["number"] - 1]: row["chat_ids"] for row in rows}

    async def _read_missed(
        self, cursor: Any, readers: Sequence[ProfileId]
    ) -> Mapping[ProfileId, Missed | Lost]:
        try:
            place = Place.read(cursor.place)
        except ValueError:
            return dict.fromkeys(readers, Lost.MALFORMED)
        after: Mapping[str, Any] = {"next_tx": place.next_tx, "running": sorted(place.running)}
        async with self.pool.open(SHARED) as reads:
            found = Origin.of(await reads.row(HERE))
            if found.cursor.epoch != cursor.epoch or found.was_restored_since(cursor):
                return dict.fromkeys(readers, Lost.EPOCH)
            standings: dict[ProfileId, list[Standing]] = {reader: [] for reader in readers}
            async for rows in reads.slices(STANDINGS, readers=Uuids.of(readers), **after):
                for row in rows:
                    standings[readers[row["number"] - 1]].append(_standing(row))
            personal = await _read_personal(reads, readers, after)
        return {
            reader: Missed(cursor=found.cursor, standings=standings[reader], personal=personal[reader])
            if len(personal[reader]) <= PERSONAL_MOST
            else Lost.TOO_FAR
            for reader in readers
        }


async def _read_personal(
    reads: ReadTransaction, readers: Sequence[ProfileId], after: Mapping[str, Any]
) -> Mapping[ProfileId, Sequence[PersonalEvent]]:
    """Reads the entries of each reader's own log after a place: `PERSONAL_MOST`, and one more if there are more."""
    personal: dict[ProfileId, list[PersonalEvent]] = {}
    wanted = [(readers, FEW_PERSONAL)]
    while wanted:
        some, most = wanted.pop()
        personal |= {reader: [] for reader in some}
        async for rows in reads.slices(PERSONAL, readers=Uuids.of(some), **after, most=most + 1):
            for row in rows:
                reader = some[row["number"] - 1]
                personal[reader].append(
                    personal_event(row["kind"], row["payload"], profile_id=reader, chat_id=row["chat_id"])
                )
        if most == FEW_PERSONAL:
            wanted = [([reader], PERSONAL_MOST) for reader in some if len(personal[reader]) > most]
    return personal


def _standing(row: Row) -> Standing:
    first_missed = row["first_missed"]
    return Standing(
        chat_id=ChatId(row["chat_id"]),
        last_seq=Seq(row["last_seq"]),
        last_position=Position(row["last_position"]),
        member_count=row["member_count"],
        read_up_to=Seq(row["mark"]),
        unread_count=unread_count(last_seq=row["last_seq"], mark=row["mark"], excluded=row["less"]),
        others_read_up_to=Seq(row["others_mark"] or 0),
        # a head also moves when nothing is added to its log, such as when members are counted anew
        first_missed=Position(first_missed)
        if first_missed and first_missed <= row["last_position"]
        else None,
        is_read=row["is_read"],
    )
