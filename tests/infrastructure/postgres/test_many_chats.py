"""
What the list of chats, and the rules of groups, cost somebody whom others have put into thousands of chats: counted in pages of
tables and indexes that PostgreSQL looked at.
"""

from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from attrs import frozen
from sqlalchemy import create_engine
from sqlalchemy.dialects import postgresql

from application.paging import Paging
from infrastructure.postgres.chats import ACQUAINTED, THOSE_IN
from infrastructure.postgres.driver import arrays
from infrastructure.postgres.driver.reads import PLANS
from infrastructure.postgres.pages import CHATS, bounds
from infrastructure.postgres.schema.migrate import upgrade
from infrastructure.postgres.views import ENTRIES
from tests.infrastructure.postgres.explaining import pages_read
from tests.postgres import PostgresServer

CHATS_OF_ONE = 3_000

GROUPS = """
WITH made AS (SELECT gen_random_uuid() AS chat FROM generate_series(1, %(chats)s)),
heads AS (
    INSERT INTO chat_head (chat_id, last_seq, last_position, first_position, member_count, tx)
    SELECT chat, 0, 0, 1, 2, 1 FROM made
), members AS (
    INSERT INTO member (chat_id, profile_id, role, joined_at, tx)
    SELECT chat, person, 'member', now(), 1 FROM made, unnest(%(people)s::uuid[]) AS person
), readings AS (
    INSERT INTO reading (chat_id, profile_id, mark, less, tx)
    SELECT chat, person, 0, 0, 1 FROM made, unnest(%(people)s::uuid[]) AS person
), own AS (
    INSERT INTO profile_chat (profile_id, chat_id, joined_at)
    SELECT person, chat, now() FROM made, unnest(%(people)s::uuid[]) AS person
)
INSERT INTO chat (chat_id, kind, name, owner_id, created_at, updated_at)
SELECT chat, 'group', 'a group', %(maker)s, now(), now() FROM made
"""


@frozen
class Victim:
    connection: psycopg.Connection[Any]
    maker: UUID
    person: UUID

    def pages(self, statement: str, **parameters: Any) -> int:
        return pages_read(self.connection, statement, parameters, PLANS)

    def pages_of(self, statement: Any, **parameters: Any) -> int:
        """The same for a statement of SQLAlchemy, which is planned without any settings of ours."""
        text = str(statement.compile(dialect=postgresql.psycopg.dialect()))  # type: ignore[no-untyped-call]  # SQLAlchemy's own
        return pages_read(self.connection, text, parameters, {})


@pytest.fixture(scope="module")
def victim(postgres_server: PostgresServer) -> Iterator[Victim]:
    name = postgres_server.fresh_database()
    engine = create_engine(postgres_server.url(name))
    with engine.begin() as connection:
        upgrade(connection)
    engine.dispose()
    maker, person = uuid4(), uuid4()
    with postgres_server.connect(name) as connection:
        arrays.register(connection.adapters)
        made = {"chats": CHATS_OF_ONE, "people": [maker, person], "maker": maker}
        connection.execute(GROUPS.encode(), made)
        connection.execute("VACUUM (ANALYZE)")
        yield Victim(connection, maker, person)
    postgres_server.drop_database(name)


def test_a_page_of_one_reads_the_entry_of_one(victim: Victim) -> None:
    ((chat,),) = victim.connection.execute(
        "SELECT chat_id FROM profile_chat WHERE profile_id = %s ORDER BY chat_id LIMIT 1", [victim.person]
    ).fetchall()
    constants = dict(ENTRIES.constants)
    assert victim.pages(ENTRIES.text, **constants, reader=victim.person, ids=arrays.Uuids.of([chat])) < 40


def test_the_order_of_all_costs_a_few_lookups_each(victim: Victim) -> None:
    """Lookups by primary key in three tables: a descent of each index, and a page of each table."""
    for limit in (1, 50):
        asked = {**CHATS.constants, **bounds(Paging(limit=limit)), "reader": victim.person}
        assert victim.pages(CHATS.text, **asked) < 10 * CHATS_OF_ONE


def test_what_one_looks_at_to_add_somebody_is_bounded(victim: Victim) -> None:
    counted = victim.pages_of(THOSE_IN, people=[victim.person] * 2, count=100)
    assert counted < 2 * 100, "no further than the limit"
    known = victim.pages_of(ACQUAINTED, people=[victim.person], profile=victim.maker)
    assert known < 40, "the first chat that both are in is enough"
    strangers = victim.pages_of(ACQUAINTED, people=[uuid4()], profile=victim.maker)
    assert strangers < 10 * CHATS_OF_ONE
