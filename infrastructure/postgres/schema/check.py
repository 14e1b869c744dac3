"""
Checks that counters and numbers agree with the rows that they are derived from, and repairs them where possible.

A number that is lower than its rows require is repaired. A number that is higher is only reported: rows are missing, and
using their numbers again would give clients two different things under one number.

Chats and profiles are checked in slices, each from one snapshot, while the messenger goes on writing. Repairs take the same
locks as other writes: the head first, then readings in their order.
"""

from collections.abc import Callable, Sequence
from typing import Final
from uuid import UUID

from attrs import field, frozen
from sqlalchemy import RowMapping, TextClause, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.types import Uuid

from application.checkup import Examined, Finding
from infrastructure.postgres.driver.connection import READ_SNAPSHOT
from infrastructure.postgres.driver.engine import transaction
from infrastructure.postgres.driver.errors import in_our_terms
from infrastructure.stored_events import MESSAGE_SENT

SLICE: Final = 200
"""Chats or profiles that are checked from one snapshot."""

STAMP: Final = "(SELECT base + pg_current_xact_id()::text::bigint FROM origin WHERE id = 1)"

NOT_COUNTING: Final = """(
    SELECT count(*) FROM message m
    WHERE m.chat_id = r.chat_id AND m.seq > r.mark AND (m.sender_id = r.profile_id OR EXISTS (
        SELECT FROM receipt c WHERE c.chat_id = r.chat_id AND c.profile_id = r.profile_id
        AND c.from_seq <= m.seq AND c.to_seq >= m.seq
    ))
)"""
"""The definition of ``less``: the messages after the mark that are the reader's own or were read singly."""


@frozen(kw_only=True)
class Rule:
    """
    Finds violations of one rule. ``query`` returns a row for each: ``key`` (the chat or profile), optionally ``who`` for more
    detail, ``found`` and ``expected``.
    """

    what: str
    query: str
    can_be_repaired: bool = True
    _statement: TextClause = field(init=False)

    def __attrs_post_init__(self) -> None:
        statement = text(self.query).bindparams(bindparam("keys", type_=ARRAY(Uuid)))
        object.__setattr__(self, "_statement", statement)

    async def violations(
        self, connection: AsyncConnection, keys: Sequence[UUID]
    ) -> list[tuple[UUID, Finding]]:
        found = await connection.execute(self._statement, {"keys": list(keys)})
        return [(row["key"], self._finding(row)) for row in found.mappings()]

    def _finding(self, row: RowMapping) -> Finding:
        who = row.get("who")
        return Finding(
            what=self.what,
            where=f"{row['key']}" if who is None else f"{row['key']} {who}",
            found=row["found"],
            expected=row["expected"],
            can_be_repaired=self.can_be_repaired,
        )


OF_CHATS: Final = (
    Rule(
        what="a chat's head is behind its messages",
        query="""
            SELECT h.chat_id AS key, h.last_seq AS found, max(m.seq) AS expected
            FROM chat_head h JOIN message m ON m.chat_id = h.chat_id
            WHERE h.chat_id = ANY(:keys) GROUP BY h.chat_id HAVING max(m.seq) > h.last_seq
        """,
    ),
    Rule(
        what="messages are missing",
        query="""
            SELECT h.chat_id AS key, count(m.seq) AS found, greatest(h.last_seq, coalesce(max(m.seq), 0)) AS expected
            FROM chat_head h JOIN chat c ON c.chat_id = h.chat_id LEFT JOIN message m ON m.chat_id = h.chat_id
            WHERE h.chat_id = ANY(:keys) AND c.deleted_at IS NULL
            GROUP BY h.chat_id HAVING count(m.seq) <> greatest(h.last_seq, coalesce(max(m.seq), 0))
        """,
        can_be_repaired=False,
    ),
    Rule(
        what="a chat's head is behind its log",
        query="""
            SELECT h.chat_id AS key, h.last_position AS found, max(l.position) AS expected
            FROM chat_head h JOIN chat_log l ON l.chat_id = h.chat_id
            WHERE h.chat_id = ANY(:keys) GROUP BY h.chat_id HAVING max(l.position) > h.last_position
        """,
    ),
    Rule(
        what="the first position of a chat's head is after the start of its log",
        query="""
            SELECT h.chat_id AS key, h.first_position AS found, min(l.position) AS expected
            FROM chat_head h JOIN chat_log l ON l.chat_id = h.chat_id
            WHERE h.chat_id = ANY(:keys) GROUP BY h.chat_id HAVING min(l.position) < h.first_position
        """,
    ),
    Rule(
        what="a message is not in its chat's log",
        query="""
            SELECT m.chat_id AS key, 'message ' || m.seq AS who, NULL AS found, m.position AS expected
            FROM message m LEFT JOIN chat_log l ON l.chat_id = m.chat_id AND l.position = m.position
            JOIN chat_head h ON h.chat_id = m.chat_id
            WHERE m.chat_id = ANY(:keys) AND l.position IS NULL AND m.position >= h.first_position
        """,
    ),
    Rule(
        what="entries of a chat's log are missing",
        query=f"""
            SELECT h.chat_id AS key, count(l.position) + (
                SELECT count(*) FROM message m LEFT JOIN chat_log g ON g.chat_id = m.chat_id AND g.position = m.position
                WHERE m.chat_id = h.chat_id AND g.position IS NULL AND m.position >= h.first_position
            ) AS found, greatest(h.last_position, coalesce(max(l.position), 0))
                - least(h.first_position, coalesce(min(l.position), h.first_position)) + 1 AS expected
            FROM chat_head h LEFT JOIN chat_log l ON l.chat_id = h.chat_id
            WHERE h.chat_id = ANY(:keys) GROUP BY h.chat_id
            HAVING count(l.position) + (
                SELECT count(*) FROM message m LEFT JOIN chat_log g ON g.chat_id = m.chat_id AND g.position = m.position
                WHERE m.chat_id = h.chat_id AND g.position IS NULL AND m.position >= h.first_position
            ) <> greatest(h.last_position, coalesce(max(l.position), 0))
                - least(h.first_position, coalesce(min(l.position), h.first_position)) + 1
            UNION ALL
            SELECT l.chat_id, NULL, l.seq FROM chat_log l
            LEFT JOIN message m ON m.chat_id = l.chat_id AND m.seq = l.seq AND m.position = l.position
            JOIN chat c ON c.chat_id = l.chat_id
            WHERE l.chat_id = ANY(:keys) AND l.kind = {MESSAGE_SENT} AND m.seq IS NULL AND c.deleted_at IS NULL
        """,
        can_be_repaired=False,
    ),
    Rule(
        what="a chat counts its members wrong",
        query="""
            SELECT h.chat_id AS key, h.member_count AS found, count(m.profile_id) AS expected
            FROM chat_head h LEFT JOIN member m ON m.chat_id = h.chat_id AND m.left_at IS NULL
            WHERE h.chat_id = ANY(:keys) GROUP BY h.chat_id HAVING count(m.profile_id) <> h.member_count
        """,
    ),
    Rule(
        what="a member has no reading",
        query="""
            SELECT m.chat_id AS key, m.profile_id AS who, NULL AS found, 0 AS expected
            FROM member m JOIN chat c ON c.chat_id = m.chat_id
            LEFT JOIN reading r ON r.chat_id = m.chat_id AND r.profile_id = m.profile_id
            WHERE m.chat_id = ANY(:keys) AND m.left_at IS NULL AND c.deleted_at IS NULL AND r.profile_id IS NULL
        """,
    ),
    Rule(
        what="a mark lies beyond the last message",
        query="""
            SELECT r.chat_id AS key, r.profile_id AS who, r.mark AS found, h.last_seq AS expected
            FROM reading r JOIN chat_head h ON h.chat_id = r.chat_id JOIN chat c ON c.chat_id = r.chat_id
            WHERE r.chat_id = ANY(:keys) AND c.deleted_at IS NULL
            AND r.mark > greatest(h.last_seq, (SELECT coalesce(max(seq), 0) FROM message m WHERE m.chat_id = r.chat_id))
        """,
    ),
    Rule(
        what="unread messages are counted wrong",
        query=f"""
            SELECT r.chat_id AS key, r.profile_id AS who, h.last_seq - r.mark - r.less AS found,
                h.last_seq - r.mark - {NOT_COUNTING} AS expected
            FROM reading r JOIN chat_head h ON h.chat_id = r.chat_id JOIN chat c ON c.chat_id = r.chat_id
            WHERE r.chat_id = ANY(:keys) AND c.deleted_at IS NULL AND r.mark <= h.last_seq AND r.less <> {NOT_COUNTING}
        """,
    ),
    Rule(
        what="a member's own list of chats disagrees",
        query="""
            SELECT m.chat_id AS key, m.profile_id AS who,
                CASE WHEN p.chat_id IS NULL THEN NULL ELSE p.left_at IS NULL END AS found, m.left_at IS NULL AS expected
            FROM member m LEFT JOIN profile_chat p ON p.profile_id = m.profile_id AND p.chat_id = m.chat_id
            WHERE m.chat_id = ANY(:keys) AND (p.chat_id IS NULL OR p.joined_at IS DISTINCT FROM m.joined_at
                OR p.left_at IS DISTINCT FROM m.left_at)
        """,
    ),
)

OF_PROFILES: Final = (
    Rule(
        what="a person's list has a chat that they were never in",
        query="""
            SELECT p.profile_id AS key, p.chat_id AS who, p.left_at IS NULL AS found, NULL AS expected
            FROM profile_chat p LEFT JOIN member m ON m.chat_id = p.chat_id AND m.profile_id = p.profile_id
            WHERE p.profile_id = ANY(:keys) AND m.profile_id IS NULL
        """,
    ),
    Rule(
        what="a profile's head is behind its log",
        query="""
            SELECT l.profile_id AS key, h.last_position AS found, max(l.position) AS expected
            FROM profile_log l LEFT JOIN profile_head h ON h.profile_id = l.profile_id
            WHERE l.profile_id = ANY(:keys) GROUP BY l.profile_id, h.last_position
            HAVING max(l.position) > coalesce(h.last_position, 0)
        """,
    ),
    Rule(
        what="entries of a profile's log are missing",
        query="""
            SELECT h.profile_id AS key, count(l.position) AS found,
                greatest(h.last_position, coalesce(max(l.position), 0)) - h.first_position + 1 AS expected
            FROM profile_head h LEFT JOIN profile_log l ON l.profile_id = h.profile_id
            WHERE h.profile_id = ANY(:keys) GROUP BY h.profile_id
            HAVING count(l.position) <> greatest(h.last_position, coalesce(max(l.position), 0)) - h.first_position + 1
        """,
        can_be_repaired=False,
    ),
)

REPAIR_CHAT: Final = (
    "SELECT 1 FROM chat_head WHERE chat_id = :key FOR NO KEY UPDATE",
    f"""
        INSERT INTO chat_log (chat_id, position, kind, seq, tx)
        SELECT m.chat_id, m.position, {MESSAGE_SENT}, m.seq, {STAMP}
        FROM message m JOIN chat_head h ON h.chat_id = m.chat_id
        LEFT JOIN chat_log l ON l.chat_id = m.chat_id AND l.position = m.position
        WHERE m.chat_id = :key AND l.position IS NULL AND m.position >= h.first_position
    """,
    f"""
        UPDATE chat_head h SET
            last_seq = greatest(h.last_seq, (SELECT coalesce(max(seq), 0) FROM message WHERE chat_id = h.chat_id)),
            last_position = greatest(
                h.last_position, (SELECT coalesce(max(position), 0) FROM chat_log WHERE chat_id = h.chat_id)
            ),
            first_position = least(
                h.first_position,
                (SELECT coalesce(min(position), h.first_position) FROM chat_log WHERE chat_id = h.chat_id)
            ),
            member_count = (SELECT count(*) FROM member WHERE chat_id = h.chat_id AND left_at IS NULL),
            tx = {STAMP}
        WHERE h.chat_id = :key
    """,
    f"""
        INSERT INTO reading (chat_id, profile_id, mark, less, tx)
        SELECT m.chat_id, m.profile_id, 0, 0, {STAMP} FROM member m JOIN chat c ON c.chat_id = m.chat_id
        WHERE m.chat_id = :key AND m.left_at IS NULL AND c.deleted_at IS NULL
        ORDER BY m.profile_id ON CONFLICT DO NOTHING
    """,
    "SELECT 1 FROM reading WHERE chat_id = :key ORDER BY profile_id FOR NO KEY UPDATE",
    # the locks are held now: these statements see everything that was committed during the wait
    f"""
        UPDATE reading r SET mark = h.last_seq, tx = {STAMP}
        FROM chat_head h WHERE h.chat_id = r.chat_id AND r.chat_id = :key AND r.mark > h.last_seq
    """,
    f"UPDATE reading r SET less = {NOT_COUNTING}, tx = {STAMP} WHERE r.chat_id = :key AND r.less <> {NOT_COUNTING}",
    """
        INSERT INTO profile_chat (profile_id, chat_id, joined_at, left_at)
        SELECT profile_id, chat_id, joined_at, left_at FROM member WHERE chat_id = :key ORDER BY profile_id
        ON CONFLICT (profile_id, chat_id) DO UPDATE SET joined_at = excluded.joined_at, left_at = excluded.left_at
        WHERE (profile_chat.joined_at, profile_chat.left_at) IS DISTINCT FROM (excluded.joined_at, excluded.left_at)
    """,
)

REPAIR_PROFILE: Final = (
    f"""
        INSERT INTO profile_head (profile_id, last_position, first_position, tx)
        SELECT :key, max(position), min(position), {STAMP} FROM profile_log WHERE profile_id = :key
        HAVING count(*) > 0 ON CONFLICT DO NOTHING
    """,
    "SELECT 1 FROM profile_head WHERE profile_id = :key FOR NO KEY UPDATE",
    f"""
        UPDATE profile_head h SET
            last_position = greatest(
                h.last_position, (SELECT coalesce(max(position), 0) FROM profile_log WHERE profile_id = h.profile_id)
            ),
            tx = {STAMP}
        WHERE h.profile_id = :key
    """,
    """
        DELETE FROM profile_chat p WHERE p.profile_id = :key
        AND NOT EXISTS (SELECT FROM member m WHERE m.chat_id = p.chat_id AND m.profile_id = p.profile_id)
    """,
)

CHATS: Final = "SELECT chat_id FROM chat_head WHERE chat_id > :after ORDER BY chat_id LIMIT :most"
PROFILES: Final = "SELECT profile_id FROM profile WHERE profile_id > :after ORDER BY profile_id LIMIT :most"
COUNTED: Final = "SELECT (SELECT count(*) FROM chat_head) + (SELECT count(*) FROM profile)"


@frozen
class Checkup:
    """
    Checks all chats and profiles, and with ``repair`` repairs what it can. ``progress`` is called with the number of chats
    and profiles checked so far and their total.
    """

    engine: AsyncEngine
    repair: bool = False
    progress: Callable[[int, int], None] = lambda _done, _all: None
    deadline: float = 600.0

    async def __call__(self) -> Examined:
        """
        Raises:
            Unavailable: Storage did not answer.
        """
        async with transaction(self.engine, self.deadline) as connection:
            total = await connection.scalar(text(COUNTED)) or 0
        chats, found = await self._look(CHATS, OF_CHATS, REPAIR_CHAT, 0, total)
        profiles, more = await self._look(PROFILES, OF_PROFILES, REPAIR_PROFILE, chats, total)
        return Examined(
            chats=chats,
            profiles=profiles,
            repaired=[finding for finding, is_left in found + more if not is_left],
            remaining=[finding for finding, is_left in found + more if is_left],
        )

    async def _look(
        self, keys_of: str, rules: Sequence[Rule], repair: Sequence[str], done: int, total: int
    ) -> tuple[int, list[tuple[Finding, bool]]]:
        """Returns the number of keys checked, and the findings, each with whether it remains."""
        after, count = UUID(int=0), 0
        found: list[tuple[Finding, bool]] = []
        while True:
            async with transaction(self.engine, self.deadline) as connection:
                keys = (await connection.scalars(text(keys_of), {"after": after, "most": SLICE})).all()
            if not keys:
                return count, found
            found += await self._slice(keys, rules, repair)
            after, count = keys[-1], count + len(keys)
            self.progress(done + count, max(total, done + count))

    async def _slice(
        self, keys: Sequence[UUID], rules: Sequence[Rule], repair: Sequence[str]
    ) -> list[tuple[Finding, bool]]:
        violations = await self._violations(keys, rules)
        broken = {key for key, finding in violations if finding.can_be_repaired}
        if not self.repair or not broken:
            return [(finding, True) for _, finding in violations]
        for key in sorted(broken):
            await self._repair_one(key, repair)
        left = [finding for _, finding in await self._violations(keys, rules)]
        gone = [finding for _, finding in violations if finding not in left]
        return [*((finding, False) for finding in gone), *((finding, True) for finding in left)]

    async def _violations(self, keys: Sequence[UUID], rules: Sequence[Rule]) -> list[tuple[UUID, Finding]]:
        async with transaction(self.engine, self.deadline, READ_SNAPSHOT) as connection:
            return [one for rule in rules for one in await rule.violations(connection, keys)]

    async def _repair_one(self, key: UUID, repair: Sequence[str]) -> None:
        async with transaction(self.engine, self.deadline) as connection:
            for statement in repair:
                await connection.execute(text(statement), {"key": key})
            with in_our_terms(committing=True):
                await connection.commit()
