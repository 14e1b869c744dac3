"""What a page of a long list touches, by the pages of tables and indexes that PostgreSQL looked at: it follows the limit."""

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from attrs import frozen
from sqlalchemy import create_engine
from sqlalchemy.dialects.postgresql.psycopg import dialect

from application.paging import MemberPlace, Paging, PersonPlace
from domain.ids import ChatId, ProfileId
from infrastructure.postgres.accounts import people_found
from infrastructure.postgres.driver import arrays
from infrastructure.postgres.driver.reads import PLANS
from infrastructure.postgres.pages import CHATS, CHATS_AFTER, MEMBERS_AFTER, bounds
from infrastructure.postgres.schema.migrate import upgrade
from tests.benchmarks.filling import Grown, fill, people
from tests.infrastructure.postgres.explaining import pages_read
from tests.postgres import PostgresServer
from tests.strategies import START

CHATS_OF_ONE, CROWD, NAMESAKES = 1000, 3000, 3000


@frozen
class Town:
    url: str
    connection: psycopg.Connection[Any]
    reader_id: UUID
    crowd: Grown

    def blocks(self, statement: str, parameters: Mapping[str, Any] | None) -> int:
        return pages_read(self.connection, statement, parameters, PLANS)


@pytest.fixture(scope="module")
def town(postgres_server: PostgresServer) -> Iterator[Town]:
    name = postgres_server.fresh_database()
    engine = create_engine(postgres_server.url(name))
    with engine.begin() as connection:
        upgrade(connection)
    engine.dispose()
    with postgres_server.connect(name) as connection:
        arrays.register(connection.adapters)
        connection.autocommit = True
        everybody = people(connection, CROWD)
        with connection.cursor().copy(
            "COPY profile (profile_id, account_id, first_name, first_name_folded) FROM STDIN"
        ) as copy:
            for number in range(NAMESAKES):
                copy.write_row((uuid4(), uuid4(), "Anna", "anna" if number % 2 else f"anna{number:05}"))
        crowd = Grown(name="crowd", messages=2, members=everybody)
        own = [
            Grown(name=f"own {number}", messages=3, members=everybody[:2]) for number in range(CHATS_OF_ONE)
        ]
        fill(connection, [crowd, *own])
        yield Town(postgres_server.url(name), connection, everybody[0], crowd)
    postgres_server.drop_database(name)


def test_a_page_of_chats_reads_three_rows_of_each_chat_and_sorts_them(town: Town) -> None:
    """Activity is not kept by member, so every chat of the reader is looked at; of the others nothing else is read."""
    page = {"reader": town.reader_id, **bounds(Paging(limit=1))}
    assert town.blocks(CHATS.text, {**CHATS.constants, **page}) < 12 * CHATS_OF_ONE


@pytest.mark.parametrize("moved", [False, True])
def test_a_chat_that_was_written_to_costs_a_search_by_halves(town: Town, moved: bool) -> None:
    following = {
        "reader": town.reader_id,
        "next_tx": 0 if moved else 2**62,
        "running": [],
        "at": START.replace(year=9999),
        "id": uuid4(),
        **bounds(Paging(limit=1)),
    }
    assert town.blocks(CHATS_AFTER.text, following) < (40 if moved else 12) * CHATS_OF_ONE


def test_a_page_of_members_reads_nobody_else(town: Town) -> None:
    rows = town.connection.execute(
        "SELECT joined_at, profile_id FROM member WHERE chat_id = %s ORDER BY 1, 2 OFFSET 1500 LIMIT 1",
        (town.crowd.id,),
    ).fetchall()
    place = MemberPlace(first=ProfileId(town.reader_id), joined_at=rows[0][0], id=ProfileId(rows[0][1]))
    for at, id in ((START.replace(year=1970), UUID(int=0)), (place.joined_at, place.id)):
        page = {"chat": ChatId(town.crowd.id), "first": place.first, "at": at, "id": id}
        page |= bounds(Paging(limit=20))
        assert town.blocks(MEMBERS_AFTER.text, {**MEMBERS_AFTER.constants, **page}) < 21 * 10


@pytest.mark.parametrize("wanted", ["anna", "ann"])
def test_a_page_of_people_reads_few_others(town: Town, wanted: str) -> None:
    (found,) = town.connection.execute(
        "SELECT profile_id FROM profile WHERE first_name_folded = 'anna' LIMIT 1"
    )
    behind = PersonPlace(rank=1, text="anna", id=ProfileId(found[0]))
    for after in (None, behind if wanted == "anna" else PersonPlace(rank=4, text="anna01234", id=behind.id)):
        statement = people_found(wanted, 21, after)
        told: Any = dialect
        text = statement.compile(dialect=told(), compile_kwargs={"literal_binds": True})
        assert town.blocks(str(text), None) < 400
