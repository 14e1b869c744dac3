"""
What reads touch in tables that have grown, by the pages of tables and indexes that PostgreSQL looked at: a count, no time.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from attrs import asdict, frozen
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine

from application.paging import Paging
from application.ports.views import After, Newest, Start
from domain.ids import ChatId, MessageId, ProfileId, Seq
from infrastructure.postgres.driver import arrays
from infrastructure.postgres.driver.batches import PLANS as LANE_PLANS
from infrastructure.postgres.driver.reads import PLANS, Prepared, ReadPool
from infrastructure.postgres.marking import NEWLY_READ
from infrastructure.postgres.pages import bounds, place_of_reader
from infrastructure.postgres.schema.chat_tables import LENGTHS
from infrastructure.postgres.schema.migrate import upgrade
from infrastructure.postgres.views import PAGE, READERS, PostgresViews
from tests.benchmarks.filling import Grown, fill, people
from tests.infrastructure.postgres.explaining import pages_read
from tests.postgres import PostgresServer
from tests.storages import conninfo
from tests.strategies import START

LAST, LIMIT = 40_000, 50


@frozen
class Town:
    """Chats that have been talked in for years."""

    url: str
    connection: psycopg.Connection[Any]
    busy: Grown
    quiet: Grown

    def blocks(self, statement: str, parameters: Any, plans: Mapping[str, str] = PLANS) -> int:
        return pages_read(self.connection, statement, parameters, plans)

    def of_read(self, statement: Prepared, chat: Grown, start: int, stop: int) -> int:
        author = chat.members[start % len(chat.members)]
        parameters = {"chat": chat.id, "start": start, "stop": stop, "author": author}
        page = {**place_of_reader(None), **bounds(Paging())}
        if statement is PAGE:
            begin = Start.of(After(Seq(start - 1)), stop - start)
            page |= {"reader": author, "known": [], "most": stop - start, **asdict(begin)}
        return self.blocks(statement.text, {**statement.constants, **parameters, **page})


@pytest.fixture(scope="module")
def town(postgres_server: PostgresServer) -> Iterator[Town]:
    name = postgres_server.fresh_database()
    engine = create_engine(postgres_server.url(name))
    with engine.begin() as connection:
        upgrade(connection)
    engine.dispose()
    with postgres_server.connect(name) as connection:
        arrays.register(connection.adapters)
        crowd = people(connection, 20)
        busy = Grown(name="busy", messages=LAST, members=crowd, steps=(5, 30), read=0.99, singly=3)
        quiet = Grown(name="quiet", messages=100, members=crowd[:2], steps=(1,))
        others = [Grown(name="another", messages=20, members=crowd[2:4]) for _ in range(300)]
        fill(connection, [busy, quiet, *others])
        yield Town(postgres_server.url(name), connection, busy, quiet)
    postgres_server.drop_database(name)


@pytest.mark.parametrize(("statement", "width"), [(PAGE, LIMIT), (READERS, 1)], ids=["page", "readers"])
@pytest.mark.parametrize("start", [1, LAST // 2, LAST - LIMIT], ids=["oldest", "middle", "newest"])
def test_what_was_read_later_is_not_looked_at(
    town: Town, statement: Prepared, width: int, start: int
) -> None:
    """Tens of thousands of receipts end behind an old message."""
    assert town.of_read(statement, town.busy, start, start + width) < 3 * LIMIT


@pytest.mark.parametrize("start", [1, 51])
def test_a_page_of_a_quiet_chat_is_not_looked_for_among_the_others(town: Town, start: int) -> None:
    """Each of its messages and receipts lies somewhere else, so these are blocks; not those of other chats."""
    assert town.of_read(PAGE, town.quiet, start, start + LIMIT) < 4 * LIMIT


def test_a_mark_passes_as_much_however_often_it_has_moved(town: Town) -> None:
    (often, seldom), last = town.busy.members[:2], LAST
    moves = [
        [
            arrays.Uuids.of([town.busy.id]),
            arrays.Uuids.of([who]),
            *(arrays.Bigints.of([n]) for n in (last - 20, last)),
        ]
        for who in (often, seldom)
    ]
    receipts = dict(
        town.connection.execute(
            "SELECT profile_id, count(*) FROM receipt WHERE chat_id = %s GROUP BY profile_id", (town.busy.id,)
        ).fetchall()
    )
    assert receipts[often] > 3 * receipts[seldom]
    much, little = (town.blocks(NEWLY_READ, [*move, 10], LANE_PLANS) for move in moves)
    assert much < 1.5 * little


async def test_a_statement_is_planned_once(town: Town) -> None:
    """Planning a page takes several times as long as reading it."""
    pictures = ReadPool(town.url)
    views, reader = PostgresViews(pictures), ProfileId(town.busy.members[0])
    for where in (Newest(), After(Seq(0)), Newest(), After(Seq(5)), Newest(), Newest(), Newest()):
        await views.history(reader, ChatId(town.busy.id), where, LIMIT)
    async with pictures.open() as picture:
        plans = await picture.rows(
            Prepared("SELECT custom_plans, generic_plans FROM pg_prepared_statements", {})
        )
    await pictures.close()
    assert sum(row["generic_plans"] for row in plans) >= 7
    assert sum(row["custom_plans"] for row in plans) == 0


MOST = 120
"""Messages in a chat whose receipts reach as far beyond them as they like."""

Range = tuple[int, int, int]
"""Who, from where, and how many messages beside that one."""

ranges = st.tuples(
    st.integers(0, 3),
    st.integers(1, MOST),
    st.integers(0, 70) | st.sampled_from([n + more for n in LENGTHS for more in (-1, 0, 1)]),
)


@pytest.mark.explored
def test_whatever_the_lengths_of_receipts_who_read_first_is_found(messenger_database: str) -> None:
    url = conninfo(messenger_database)
    with asyncio.Runner() as runner, psycopg.connect(url, autocommit=True) as beside:
        pictures = ReadPool(messenger_database)
        views = PostgresViews(pictures)

        @settings(max_examples=60)
        @example([(0, 50, LENGTHS[0] - 1), (1, 50, LENGTHS[1] - 1), (3, 50, LENGTHS[2] - 1)], 49, 1)
        @example([(who, 1, LENGTHS[-1] * 5) for who in range(4)], 30, 5)
        @given(st.lists(ranges, max_size=25, unique=True), st.integers(0, MOST), st.integers(1, 60))
        def check(given: Sequence[Range], after: int, limit: int) -> None:
            chat_id, crowd = uuid4(), [uuid4() for _ in range(4)]
            ids = put(beside, chat_id, crowd, given)
            page = runner.run(views.history(ProfileId(crowd[0]), ChatId(chat_id), After(Seq(after)), limit))
            assert [view.message.seq for view in page.messages] == list(
                range(after + 1, min(after + limit, MOST) + 1)
            )
            for view in page.messages:
                author = crowd.index(view.message.author_id)
                times = first_reads(given, view.message.seq, author)
                read_at = START + timedelta(seconds=min(times.values())) if times else None
                assert view.read_at == read_at
            asked = min(after + 1, MOST)
            readers = runner.run(
                views.readers(ProfileId(crowd[0]), ChatId(chat_id), MessageId(ids[asked - 1]))
            )
            assert {one.read_at - START for one in readers} == {
                timedelta(seconds=second) for second in first_reads(given, asked, asked % 4).values()
            }

        check()
        runner.run(pictures.close())


def first_reads(given: Sequence[Range], seq: int, author: int) -> Mapping[int, int]:
    """When each but the author first read a message, in seconds: the later in the list, the earlier in time."""
    return {
        who: len(given) - number
        for number, (who, start, more) in enumerate(given)
        if start <= seq <= start + more and who != author
    }


def put(
    connection: psycopg.Connection[Any], chat_id: UUID, crowd: Sequence[UUID], given: Sequence[Range]
) -> Sequence[UUID]:
    """A chat whose message n is by member n modulo 4. Returns the ids of its messages."""
    ids = [uuid4() for _ in range(MOST)]
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO chat VALUES (%s, 'group', 'chat', NULL, %s, now(), now())", (chat_id, crowd[0])
        )
        cursor.execute("INSERT INTO chat_head VALUES (%s, %s, %s, 1, now(), 4, 0)", (chat_id, MOST, MOST))
        cursor.execute("INSERT INTO member VALUES (%s, %s, 'owner', now(), NULL, 0)", (chat_id, crowd[0]))
        cursor.executemany(
            "INSERT INTO message VALUES (%s, %s, %s, %s, %s, 'm:' || %s::text, 'text', now())",
            [(chat_id, n, id, n, crowd[n % 4], id) for n, id in enumerate(ids, start=1)],
        )
        cursor.executemany(
            "INSERT INTO receipt (chat_id, profile_id, from_seq, to_seq, read_at, tx) VALUES (%s, %s, %s, %s, %s, 0)",
            [
                (chat_id, crowd[who], start, start + more, START + timedelta(seconds=len(given) - number))
                for number, (who, start, more) in enumerate(given)
            ],
        )
    return ids
