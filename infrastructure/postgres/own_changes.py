"""
Finds what profiles missed since their cursors. `infrastructure.postgres.places` explains the cursor.

The entries of a log that lie after a cursor are always its last ones, because only one transaction at a time writes to a
log. A binary search therefore finds the first of them, by the primary key, however long the client was away. Whether an entry
is new is no condition of these lookups: with misleading statistics they would use the index on ``tx``.
"""

from collections.abc import Hashable, Mapping, Sequence
from typing import Final

from attrs import field, frozen

from application.ports.changes import Cursor
from application.ports.own_changes import PERSONAL_MOST, Lost, Missed, Standing
from domain.events import PersonalEvent
from domain.ids import ChatId, Position, ProfileId, Seq
from domain.reading import unread_count
from infrastructure.postgres.changes import ORIGIN, Origin
from infrastructure.postgres.driver.arrays import Bigint, Bigints, Packed, Uuids
from infrastructure.postgres.driver.reads import Prepared, ReadPool, prepared, sliced
from infrastructure.postgres.driver.together import HEAVIEST, Together
from infrastructure.postgres.places import Place
from infrastructure.stored_events import personal_event

HERE: Final = prepared(ORIGIN)
COLUMNS_OF_HERE: Final = tuple(ORIGIN.selected_columns.keys())

FEW_PERSONAL: Final = 16
"""Entries of one reader's own log that a shared read returns. Who has more is read once more, alone."""

FEW_MISSED: Final = 16
"""The newest entries of a chat's log among which the first missed one is counted rather than searched."""

Asked = tuple[ProfileId, Cursor, Place]
"""A question of `since`: the profile, its cursor, and the place in the cursor."""

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
        reading.mark, reading.less, coalesce(others.mark, 0) AS others_mark,
        reading.tx >= wanted.next_tx OR reading.tx = ANY (wanted.running)
            OR coalesce(others.tx >= wanted.next_tx OR others.tx = ANY (wanted.running), false)
            AS is_read,
        CASE WHEN head.tx >= wanted.next_tx OR head.tx = ANY (wanted.running) THEN coalesce((
            SELECT CASE WHEN count(*) < %(few)s::bigint THEN head.last_position + 1 - count(*) END
            FROM chat_log AS newest
            WHERE newest.chat_id = own.chat_id AND newest.position > head.last_position - %(few)s::bigint
                AND (newest.tx >= wanted.next_tx OR newest.tx = ANY (wanted.running))
        ), (
            WITH RECURSIVE search (low, high) AS (
                SELECT 0::bigint, head.last_position
                UNION ALL
                SELECT CASE WHEN found.is_new THEN search.low ELSE half.position END,
                       CASE WHEN found.is_new THEN half.position - 1 ELSE search.high END
                FROM search,
                     LATERAL (SELECT (search.low + search.high + 1) / 2 AS position) AS half,
                     LATERAL (SELECT coalesce((
                         SELECT middle.tx >= wanted.next_tx OR middle.tx = ANY (wanted.running)
                         FROM chat_log AS middle
                         WHERE middle.chat_id = own.chat_id AND middle.position = half.position
                         LIMIT 1
                     ), false) AS is_new) AS found
                WHERE search.low < search.high
            )
            SELECT 1 + min(search.high) FROM search
        )) END AS first_missed
    FROM (
        SELECT each.reader_id, each.next_tx, each.number, (%(running)s::bigint[])[each.first:each.last] AS running
        FROM unnest(%(readers)s::uuid[], %(next_txs)s::bigint[], %(firsts)s::bigint[], %(lasts)s::bigint[])
            WITH ORDINALITY AS each (reader_id, next_tx, first, last, number)
        OFFSET 0
    ) AS wanted
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
    {"few": FEW_MISSED},
)
"""
The chats of several readers, each with its first position after the reader's place. If it is one of the last few it is found by
counting them, which costs a fifth of the search.
"""

PERSONAL: Final = Prepared(
    """
    SELECT wanted.number, entry.kind, entry.payload, entry.chat_id
    FROM (
        SELECT each.reader_id, each.next_tx, each.number, (%(running)s::bigint[])[each.first:each.last] AS running
        FROM unnest(%(readers)s::uuid[], %(next_txs)s::bigint[], %(firsts)s::bigint[], %(lasts)s::bigint[])
            WITH ORDINALITY AS each (reader_id, next_tx, first, last, number)
        OFFSET 0
    ) AS wanted
    CROSS JOIN LATERAL (
        SELECT each.last_position, each.tx FROM profile_head AS each
        WHERE each.profile_id = wanted.reader_id LIMIT 1
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
                     SELECT middle.tx >= wanted.next_tx OR middle.tx = ANY (wanted.running)
                     FROM profile_log AS middle
                     WHERE middle.profile_id = wanted.reader_id AND middle.position = half.position
                     LIMIT 1
                 ), false) AS is_new) AS found
            WHERE search.low < search.high
        )
        SELECT min(search.high) AS position FROM search
        WHERE head.tx >= wanted.next_tx OR head.tx = ANY (wanted.running)
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
"""
The entries of several profiles' logs after their places. A log without an entry after the place is not read: its head was not written
since.
"""


@frozen
class PostgresOwnChanges:
    """Clients that come back at the same moment share the reads of `chats_of` and of `since`, whatever their cursors are."""

    pool: ReadPool
    _chats: Together[ProfileId, Sequence[ChatId]] = field(init=False)
    _missed: Together[Asked, Missed | Lost] = field(init=False)
    _here: Together[None, Origin] = field(init=False)

    @_chats.default
    def _chats_together(self) -> Together[ProfileId, Sequence[ChatId]]:
        return Together(self._read_chats, self._count_chats)

    @_missed.default
    def _missed_together(self) -> Together[Asked, Missed | Lost]:
        return Together(self._read_missed, lambda asked: self._count_chats([reader for reader, *_ in asked]))

    @_here.default
    def _here_together(self) -> Together[None, Origin]:
        return Together(self._read_here)

    async def here(self) -> Cursor:
        found = await self._here.ask(None, owner=None)
        assert found is not None, "the question is answered"
        return found.cursor

    async def chats_of(self, reader: ProfileId) -> Sequence[ChatId]:
        return await self._chats.ask(reader, owner=reader) or ()

    async def since(self, reader: ProfileId, cursor: Cursor, chats: int | None = None) -> Missed | Lost:
        try:
            place = Place.read(cursor.place)
        except ValueError:
            return Lost.MALFORMED
        missed = await self._missed.ask((reader, cursor, place), owner=reader, weight=chats)
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

    async def _read_here(self, _: Hashable, asked: Sequence[None]) -> Mapping[None, Origin]:
        rows = await self.pool.shared_rows(HERE)
        return dict.fromkeys(asked, Origin.of(rows[0] if rows else None))

    async def _read_missed(self, _: Hashable, asked: Sequence[Asked]) -> Mapping[Asked, Missed | Lost]:
        answers = await self._read_some(asked, FEW_PERSONAL)
        for each in asked:
            if answers[each] is Lost.TOO_FAR:  # it is read once more, alone and from another snapshot
                answers.update(await self._read_some([each], PERSONAL_MOST))
        return answers

    async def _read_some(self, asked: Sequence[Asked], most: int) -> dict[Asked, Missed | Lost]:
        """Answers from one snapshot. Who has more than ``most`` entries in the own log is told `Lost.TOO_FAR`."""
        after = _after(asked)
        here, chats, entries = await self.pool.exchange(
            HERE.asked(), STANDINGS.asked(**after), PERSONAL.asked(**after, most=Bigint.of(most + 1))
        )
        found = Origin.of(dict(zip(COLUMNS_OF_HERE, *here.rows(), strict=True)) if here.count else None)
        standings: list[list[Standing]] = [[] for _ in asked]
        async for rows in sliced(chats):
            for number, *row in rows:
                standings[number - 1].append(_standing(*row))
        personal: list[list[PersonalEvent]] = [[] for _ in asked]
        async for rows in sliced(entries):
            for number, kind, payload, chat_id in rows:
                reader, *_ = asked[number - 1]
                event = personal_event(kind, payload, profile_id=reader, chat_id=chat_id)
                personal[number - 1].append(event)
        answers: dict[Asked, Missed | Lost] = {}
        for each, standing, events in zip(asked, standings, personal, strict=True):
            if not _is_known(each[1], found):
                answers[each] = Lost.EPOCH
            elif len(events) > most:
                answers[each] = Lost.TOO_FAR
            else:
                answers[each] = Missed(cursor=found.cursor, standings=standing, personal=events)
        return answers


def _is_known(cursor: Cursor, found: Origin) -> bool:
    return found.cursor.epoch == cursor.epoch and not found.was_restored_since(cursor)


def _after(asked: Sequence[Asked]) -> Mapping[str, Packed]:
    """
    Returns readers and their places as parameters of a statement. The running transactions of all places are one array, of which
    each place has a part.
    """
    running, firsts, lasts = list[int](), list[int](), list[int]()
    for *_, place in asked:
        firsts.append(len(running) + 1)
        running += sorted(place.running)
        lasts.append(len(running))
    return {
        "readers": Uuids.of([reader for reader, *_ in asked]),
        "next_txs": Bigints.of(place.next_tx for *_, place in asked),
        "running": Bigints.of(running),
        "firsts": Bigints.of(firsts),
        "lasts": Bigints.of(lasts),
    }


def _standing(
    chat_id: ChatId,
    last_seq: Seq,
    last_position: Position,
    member_count: int,
    mark: Seq,
    less: int,
    others_mark: Seq,
    is_read: bool,
    first_missed: Position | None,
) -> Standing:
    return Standing(
        chat_id=chat_id,
        last_seq=last_seq,
        last_position=last_position,
        member_count=member_count,
        read_up_to=mark,
        unread_count=unread_count(last_seq=last_seq, mark=mark, excluded=less),
        others_read_up_to=others_mark,
        # a head also moves when nothing is added to its log, such as when members are counted anew
        first_missed=first_missed if first_missed and first_missed <= last_position else None,
        is_read=is_read,
    )
