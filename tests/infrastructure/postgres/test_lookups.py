"""
The lookups that every send, every mark and every socket make, where statistics say that a chat has one message and one member.

By such statistics all indexes that begin with the chat look as good, and plans are made once. What counts is how many pages
of tables and indexes a statement looks at in a chat that has grown since.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from attrs import frozen
from sqlalchemy import create_engine

from application.paging import LONG_AGO
from infrastructure.postgres import marking, posting
from infrastructure.postgres.driver import arrays
from infrastructure.postgres.driver.batches import PLANS as LANE_PLANS
from infrastructure.postgres.driver.reads import PLANS as READ_PLANS
from infrastructure.postgres.pages import MEMBERS_AFTER
from infrastructure.postgres.schema.migrate import upgrade
from infrastructure.postgres.views import MEMBERSHIP_AND_EPOCH, STANDS
from infrastructure.stored_events import MESSAGE_SENT
from tests.infrastructure.postgres.explaining import pages_read
from tests.postgres import PostgresServer

LONELY, MESSAGES, MEMBERS = 3_000, 33_000, 4_000

FEW = 40
"""Pages. Each lookup is a descent of an index and a page of the table, and a statement makes up to nine."""

LONELY_CHATS = """
WITH made AS (SELECT gen_random_uuid() AS chat, gen_random_uuid() AS person FROM generate_series(1, %(lonely)s)),
heads AS (
    INSERT INTO chat_head (chat_id, last_seq, last_position, first_position, last_at, member_count, tx)
    SELECT chat, 1, 1, 1, now(), 1, 1 FROM made
), members AS (
    INSERT INTO member (chat_id, profile_id, role, joined_at, tx) SELECT chat, person, 'owner', now(), 1 FROM made
), readings AS (
    INSERT INTO reading (chat_id, profile_id, mark, less, tx) SELECT chat, person, 0, 1, 1 FROM made
), chats AS (
    INSERT INTO chat (chat_id, kind, name, owner_id, created_at, updated_at)
    SELECT chat, 'group', 'lonely', person, now(), now() FROM made
)
INSERT INTO message (chat_id, seq, message_id, position, sender_id, nonce, body, sent_at)
SELECT chat, 1, id, 1, person, 'm:' || id, 'text', now() FROM (SELECT *, gen_random_uuid() AS id FROM made) one
"""

GROWN_CHAT = (
    """
    INSERT INTO chat (chat_id, kind, name, owner_id, created_at, updated_at)
    VALUES (%(chat)s, 'group', 'grown', %(author)s, now(), now())
    """,
    """
    INSERT INTO chat_head (chat_id, last_seq, last_position, first_position, last_at, member_count, tx)
    VALUES (%(chat)s, %(messages)s, %(messages)s, 1, now(), %(members)s, 1)
    """,
    """
    WITH made AS (
        SELECT CASE n WHEN 1 THEN %(author)s::uuid ELSE gen_random_uuid() END AS person
        FROM generate_series(1, %(members)s) n
    ), readings AS (
        INSERT INTO reading (chat_id, profile_id, mark, less, tx) SELECT %(chat)s, person, 5, 0, 1 FROM made
    )
    INSERT INTO member (chat_id, profile_id, role, joined_at, tx)
    SELECT %(chat)s, person, 'member', now(), 1 FROM made
    """,
    """
    INSERT INTO message (chat_id, seq, message_id, position, sender_id, nonce, body, sent_at)
    SELECT %(chat)s, n, gen_random_uuid(), n, %(author)s, 'm:' || n, 'text', now()
    FROM generate_series(1, %(messages)s) n
    """,
)


@frozen
class Grown:
    connection: psycopg.Connection[Any]
    chat: UUID
    author: UUID

    def pages(self, statement: str, parameters: Any, plans: Mapping[str, str]) -> int:
        return pages_read(self.connection, statement, parameters, plans)


@pytest.fixture(scope="module")
def grown(postgres_server: PostgresServer) -> Iterator[Grown]:
    name = postgres_server.fresh_database()
    engine = create_engine(postgres_server.url(name))
    with engine.begin() as connection:
        upgrade(connection)
    engine.dispose()
    chat, author = uuid4(), uuid4()
    values = {
        "chat": chat,
        "author": author,
        "messages": MESSAGES,
        "members": MEMBERS,
        "lonely": LONELY,
    }
    with postgres_server.connect(name) as connection:
        arrays.register(connection.adapters)
        for table in ("chat", "chat_head", "member", "message", "reading"):
            connection.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)".encode())
        connection.execute(LONELY_CHATS.encode(), values)
        connection.execute("VACUUM (ANALYZE)")
        for statement in GROWN_CHAT:
            connection.execute(statement.encode(), values)
        yield Grown(connection, chat, author)
    postgres_server.drop_database(name)


def drafts(grown: Grown, nonce: str, earlier: str) -> Any:
    return (
        arrays.Uuids.of([grown.chat]),
        arrays.Uuids.of([grown.author]),
        arrays.Texts.of([nonce]),
        arrays.Texts.of([earlier]),
    )


@pytest.mark.parametrize(
    ("nonce", "earlier"), [("m:none", "m:none"), ("m:none", "m:7"), ("m:9000", "m:8999")]
)
def test_a_send_looks_for_its_repeat_by_the_nonce_alone(grown: Grown, nonce: str, earlier: str) -> None:
    assert grown.pages(posting.READ, drafts(grown, nonce, earlier), LANE_PLANS) < FEW


def test_the_database_misleads_the_planner(grown: Grown) -> None:
    """With an equality, and with IN, all messages of the chat are looked at."""
    begin, end = posting.READ.index("    (\n"), posting.READ.index("    ORDER BY seq DESC")
    for condition in ("nonce = d.nonce", "nonce IN (d.nonce, d.earlier)"):
        plain = f"""
            SELECT message_id, seq, position, body, sent_at, nonce FROM message
            WHERE chat_id = d.chat_id AND sender_id = d.author_id AND {condition}
        """
        statement = posting.READ[:begin] + plain + posting.READ[end:]
        assert grown.pages(statement, drafts(grown, "m:none", "m:7"), LANE_PLANS) > MESSAGES // 100


def test_a_send_by_memory_looks_for_its_repeat_by_the_nonce_alone(grown: Grown) -> None:
    number, chat, author = arrays.Bigints.of([MESSAGES + 1]), [grown.chat], [grown.author]
    stamped = grown.connection.execute("SELECT tx FROM chat_head WHERE chat_id = %s", chat).fetchone()
    assert stamped is not None
    moment = arrays.Moments.of([datetime.now(UTC)])
    said = (
        arrays.Uuids.of(chat),
        number,
        arrays.Uuids.of([uuid4()]),
        number,
        arrays.Uuids.of(author),
        arrays.Texts.of(["m:none"]),
        arrays.Texts.of(["text"]),
        moment,
        arrays.Xids.of([None]),
    )
    head = (arrays.Uuids.of(chat), arrays.Bigints.of(stamped), number, number, moment)
    counted = (arrays.Uuids.of(chat), arrays.Uuids.of(author), arrays.Bigints.of([1]))
    parameters = (*said, *head, arrays.Bigint.of(MESSAGE_SENT), *counted)
    with grown.connection.transaction(force_rollback=True):
        # Explained twice: the first time it is stored, the second time refused after the same look-ups.
        assert grown.pages(posting.KEEP_REMEMBERED, parameters, LANE_PLANS) < FEW


def test_a_mark_looks_for_its_message_by_the_id_alone(grown: Grown) -> None:
    one = (arrays.Uuids.of([grown.chat]), arrays.Uuids.of([grown.author]), arrays.Uuids.of([uuid4()]))
    assert grown.pages(marking.READ, one, LANE_PLANS) < FEW


def test_a_mark_locks_its_reading_without_looking_at_the_others(grown: Grown) -> None:
    one = (arrays.Uuids.of([grown.chat]), arrays.Uuids.of([grown.author]))
    assert grown.pages(marking.LOCK, one, LANE_PLANS) < FEW


def test_a_socket_does_not_look_at_the_reading_of_every_member(grown: Grown) -> None:
    values = {**MEMBERSHIP_AND_EPOCH.constants, "chat": grown.chat, "reader": grown.author}
    assert grown.pages(MEMBERSHIP_AND_EPOCH.text, values, READ_PLANS) < FEW


def test_sockets_that_come_back_do_not_look_at_the_reading_of_every_member(grown: Grown) -> None:
    values = {
        "chats": arrays.Uuids.of([grown.chat] * 5),
        "readers": arrays.Uuids.of([grown.author] * 5),
    }
    assert grown.pages(STANDS.text, values, READ_PLANS) < 5 * FEW


def test_a_page_of_members_does_not_look_at_the_readings_of_all(grown: Grown) -> None:
    """Also by statistics of one chat with one member, when they are so old that PostgreSQL takes each page for a row."""
    values = {
        **MEMBERS_AFTER.constants,
        "chat": grown.chat,
        "first": grown.author,
        "at": LONG_AGO,
        "id": UUID(int=0),
        "most": 20,
        "skip": 0,
    }
    with grown.connection.transaction(force_rollback=True):
        grown.connection.execute(
            "UPDATE pg_statistic SET stadistinct = -1 WHERE starelid IN ('member'::regclass, 'reading'::regclass)"
        )
        grown.connection.execute(
            "UPDATE pg_class SET reltuples = relpages WHERE oid IN ('member'::regclass, 'reading'::regclass)"
        )
        assert grown.pages(MEMBERS_AFTER.text, values, READ_PLANS) < FEW * 5
