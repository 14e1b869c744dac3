"""Groups as years would have filled them, written past the messenger, and consistent as `messenger db check` sees it."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, LiteralString
from uuid import UUID, uuid4

import psycopg
from attrs import field, frozen

from infrastructure.stored_events import MESSAGE_SENT


@frozen(kw_only=True)
class Grown:
    """A group whose members took turns to speak, the first one being its owner."""

    name: str
    messages: int
    members: Sequence[UUID]
    steps: Sequence[int] = ()
    """
    How many messages a mark passes at a time; members take turns. If it is empty, nothing was read.

    Members joined one after the other through the first half, and their first mark passed all there was.
    """
    read: float = 1.0
    """How far the marks have come."""
    singly: int = 0
    """Beyond the marks every so many messages were read out of order."""
    id: UUID = field(factory=uuid4)

    def places(self) -> Iterator[tuple[Any, ...]]:
        for number, profile_id in enumerate(self.members):
            step = self.steps[number % len(self.steps)] if self.steps else 0
            mark = int(self.messages * self.read) if step else 0
            joined = min(mark, 2 + number * self.messages // (2 * len(self.members)))
            yield self.id, profile_id, number, joined, mark, step, self.singly


def people(connection: psycopg.Connection[Any], count: int) -> list[UUID]:
    """Profiles whose accounts play no part."""
    made = [uuid4() for _ in range(count)]
    _copy(
        connection,
        "COPY profile (profile_id, account_id, first_name, last_name) FROM STDIN",
        ((id, uuid4(), "Person", f"{number}") for number, id in enumerate(made)),
    )
    return made


def fill(connection: psycopg.Connection[Any], chats: Sequence[Grown], *, analyze: bool = True) -> None:
    with connection.transaction():
        connection.execute(PLAN)
        _copy(connection, "COPY plan FROM STDIN", ((c.id, c.name, c.messages, len(c.members)) for c in chats))
        _copy(connection, "COPY place FROM STDIN", (row for c in chats for row in c.places()))
        for statement in GROW:
            connection.execute(statement)
    if analyze:
        connection.execute("VACUUM (ANALYZE)")


def _copy(connection: psycopg.Connection[Any], into: LiteralString, rows: Iterable[tuple[Any, ...]]) -> None:
    with connection.cursor().copy(into) as copy:
        for row in rows:
            copy.write_row(row)


BEGAN: Final = "now() - interval '2 years'"

SENT: Final = f"{BEGAN} + interval '2 years' * (seq::float8 / messages)"

TX: Final = "(SELECT base + 1 FROM origin)"
"""Long ago: it is new to no cursor."""

PLAN: Final = """
SET LOCAL work_mem = '256MB';
CREATE TEMPORARY TABLE plan (chat_id uuid, name text, messages bigint, members int) ON COMMIT DROP;
CREATE TEMPORARY TABLE place (
    chat_id uuid, profile_id uuid, number int, joined bigint, mark bigint, step bigint, singly bigint
) ON COMMIT DROP
"""

# Rows lie in the tables in the order of time: what a quiet chat says is strewn over everything.
GROW: Final = (
    "ANALYZE plan",
    "ANALYZE place",
    f"""
    INSERT INTO chat (chat_id, kind, name, owner_id, created_at, updated_at)
    SELECT chat_id, 'group', name, profile_id, {BEGAN}, {BEGAN} FROM plan JOIN place USING (chat_id) WHERE number = 0
    """,
    f"""
    INSERT INTO chat_head (chat_id, last_seq, last_position, first_position, last_at, member_count, tx)
    SELECT chat_id, messages, messages, 1, now(), members, {TX} FROM plan
    """,
    f"""
    INSERT INTO member (chat_id, profile_id, role, joined_at, tx)
    SELECT chat_id, profile_id, CASE number WHEN 0 THEN 'owner' ELSE 'member' END, {BEGAN}, {TX} FROM place
    """,
    f"INSERT INTO profile_chat (profile_id, chat_id, joined_at) SELECT profile_id, chat_id, {BEGAN} FROM place",
    f"""
    INSERT INTO message (chat_id, seq, message_id, position, sender_id, nonce, body, sent_at)
    SELECT chat_id, seq, id, seq, profile_id, 'm:' || id, repeat('x', 200), {SENT}
    FROM (SELECT *, gen_random_uuid() AS id FROM plan, generate_series(1, messages) AS seq) said
    JOIN place USING (chat_id) WHERE number = seq % members ORDER BY seq::float8 / messages
    """,
    f"""
    INSERT INTO chat_log (chat_id, position, kind, seq, tx)
    SELECT chat_id, position, {MESSAGE_SENT}, seq, {TX} FROM message JOIN plan USING (chat_id) ORDER BY sent_at
    """,
    f"""
    INSERT INTO receipt (chat_id, profile_id, from_seq, to_seq, read_at, early, tx)
    SELECT chat_id, profile_id, start, seq, {SENT} + number * interval '1 second',
        row_number() OVER (PARTITION BY chat_id, start, seq ORDER BY number) <= 2, {TX}
    FROM plan JOIN place USING (chat_id) CROSS JOIN LATERAL (
        SELECT 1 AS start, joined AS seq
        UNION ALL SELECT passed + 1, least(passed + step, mark) FROM generate_series(joined, mark - 1, step) AS passed
        UNION ALL SELECT one, one FROM generate_series(mark + 1, messages, nullif(singly, 0)) AS one
    ) moved
    WHERE step > 0 AND NOT (start = seq AND seq % members = number) ORDER BY seq::float8 / messages
    """,
    f"""
    INSERT INTO reading (chat_id, profile_id, mark, less, tx)
    SELECT chat_id, profile_id, mark, (
        SELECT count(*) FROM generate_series(mark + 1, messages) AS seq
        WHERE seq % members = number OR (step > 0 AND singly > 0 AND (seq - mark - 1) % nullif(singly, 0) = 0)
    ), {TX} FROM plan JOIN place USING (chat_id)
    """,
)
