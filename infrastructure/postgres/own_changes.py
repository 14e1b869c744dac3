"""
Finds what one profile missed since a cursor. `infrastructure.postgres.places` explains the cursor.

The entries of a log that lie after a cursor are always its last ones, because only one transaction at a time writes to a
log. A binary search therefore finds the first of them, by the primary key, however long the client was away. Whether an entry
is new is no condition of these lookups: with misleading statistics they would use the index on ``tx``.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from attrs import frozen

from application.ports.changes import Cursor
from application.ports.own_changes import PERSONAL_MOST, Lost, Missed, Standing
from domain.ids import ChatId, Position, ProfileId, Seq
from domain.reading import unread_count
from infrastructure.postgres.changes import ORIGIN, Origin
from infrastructure.postgres.driver.reads import Prepared, ReadPool, Row, prepared
from infrastructure.postgres.places import Place
from infrastructure.stored_events import personal_event

HERE: Final = prepared(ORIGIN)

CHATS_OF: Final = Prepared(
    """
    SELECT own.chat_id
    FROM profile_chat AS own
    CROSS JOIN LATERAL (
        SELECT chat.deleted_at FROM chat WHERE chat.chat_id = own.chat_id LIMIT 1
    ) AS chat
    WHERE own.profile_id = %(reader)s AND own.left_at IS NULL AND chat.deleted_at IS NULL
    ORDER BY own.chat_id
    """,
    {},
)

STANDINGS: Final = Prepared(
    """
    SELECT own.chat_id, head.last_seq, head.last_position, head.member_count,
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
    FROM profile_chat AS own
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
    WHERE own.profile_id = %(reader)s AND own.left_at IS NULL AND chat.deleted_at IS NULL
    ORDER BY own.chat_id
    """,
    {},
)
"""The chats of a reader, each with its first position after a place."""

PERSONAL: Final = Prepared(
    """
    SELECT entry.kind, entry.payload, entry.chat_id
    FROM profile_head AS head
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
                     WHERE middle.profile_id = %(reader)s AND middle.position = half.position
                     LIMIT 1
                 ), false) AS is_new) AS found
            WHERE search.low < search.high
        )
        SELECT min(search.high) AS position FROM search
    ) AS known
    CROSS JOIN LATERAL (
        SELECT each.position, each.kind, each.payload, each.chat_id
        FROM profile_log AS each
        WHERE each.profile_id = %(reader)s AND each.position > known.position
        ORDER BY each.position
        LIMIT %(most)s::bigint
    ) AS entry
    WHERE head.profile_id = %(reader)s
    ORDER BY entry.position
    """,
    {},
)
"""The entries of a profile's log after a place."""


@frozen
class PostgresOwnChanges:
    pool: ReadPool

    async def here(self) -> Cursor:
        return Origin.of(await self.pool.row(HERE)).cursor

    async def chats_of(self, reader: ProfileId) -> Sequence[ChatId]:
        return [ChatId(row["chat_id"]) for row in await self.pool.rows(CHATS_OF, reader=reader)]

    async def since(self, reader: ProfileId, cursor: Cursor) -> Missed | Lost:
        try:
            place = Place.read(cursor.place)
        except ValueError:
            return Lost.MALFORMED
        async with self.pool.open(reader) as reads:
            found = Origin.of(await reads.row(HERE))
            if found.cursor.epoch != cursor.epoch or found.was_restored_since(cursor):
                return Lost.EPOCH
            after: Mapping[str, Any] = {"next_tx": place.next_tx, "running": sorted(place.running)}
            standings = await reads.rows(STANDINGS, reader=reader, **after)
            personal = await reads.rows(PERSONAL, reader=reader, **after, most=PERSONAL_MOST + 1)
        if len(personal) > PERSONAL_MOST:
            return Lost.TOO_FAR
        return Missed(
            cursor=found.cursor,
            standings=[_standing(row) for row in standings],
            personal=[
                personal_event(row["kind"], row["payload"], profile_id=reader, chat_id=row["chat_id"])
                for row in personal
            ],
        )


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
