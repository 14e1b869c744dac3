"""
Every statement on a database whose sizes mislead the planner: what it looks at does not grow with any of them.

There is one huge chat beside many tiny and thousands of lonely ones, one author has written nearly everything in it, and
statistics are fresh, of a time when all chats had one message, or missing. Statements that SQLAlchemy sends are planned for their values and for any values.
What counts is how many pages of tables and indexes a statement looked at, as the server counts them.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from attrs import frozen
from psycopg.pq import Format, TransactionStatus
from psycopg.rows import tuple_row
from sqlalchemy import create_engine

from config.ports import Storage
from domain.ids import ChatId, MessageId, ProfileId
from infrastructure.postgres.accounts import LETTERS_LOOKED_AT
from infrastructure.postgres.driver import connection as connections
from infrastructure.postgres.driver.pipeline import Found, Rows, Statement
from infrastructure.postgres.schema.base import metadata, with_all_tables
from infrastructure.postgres.schema.migrate import upgrade
from infrastructure.postgres.views import ENTRIES, OTHERS, PAGE, PEOPLE, PRESENT, READERS
from tests.benchmarks.filling import Grown, fill, people
from tests.infrastructure.postgres.every_statement import (
    MODULES,
    Filled,
    not_run,
    recording,
    run_everything,
)
from tests.infrastructure.postgres.routes import EVERYWHERE, SECOND_STEP, SEVERAL_KINDS
from tests.infrastructure.postgres.routing import route
from tests.postgres import PostgresServer
from tests.storages import postgres_storage
from tests.strategies import START

MESSAGES, MEMBERS, TINY, LONELY = 40_000, 500, 300, 3_000

BASE, PER_ROW = 300, 40
"""The pages that any statement may read, and how many more for each row that it returns or changes."""

WITHOUT_ORDER = {
    " ".join(ENTRIES.numbered.split()): "a mapping by chat: the page has its order",
    " ".join(OTHERS.numbered.split()): "a mapping by chat",
    " ".join(PEOPLE.numbered.split()): "a mapping by profile",
    " ".join(PRESENT.numbered.split()): "sorted by role and name",
    "SELECT profile.profile_id, profile.account_id": "a mapping by profile",
    "SELECT profile.profile_id FROM profile WHERE profile.profile_id = ANY": "a set of those who are there",
    "SELECT chat_log.chat_id, max(chat_log.position)": "a mapping by chat",
    "INSERT INTO profile_head": "a mapping by profile",
    "DELETE FROM": "counted",
}
"""Statements that return several rows without an order, and what their rows are used for."""

BLOCKS = """
SELECT coalesce(sum(pg_stat_get_xact_blocks_fetched(oid)), 0) FROM pg_class
WHERE relnamespace = 'public'::regnamespace
"""


LOOKED_AT = {
    # Who read a message first is known only of all its readers, however few are shown: these grow with the members.
    " ".join(READERS.numbered.split()): MEMBERS,
    " ".join(PAGE.numbered.split()): MEMBERS,
    # One letter of each account is sent at a time, and a fixed number of letters is looked at to find others.
    "WITH oldest AS (SELECT letter.account_id": LETTERS_LOOKED_AT // 4,
}
"""How many rows some statements read beside those that they return."""


@frozen
class Ran:
    statement: str
    rows: int
    blocks: int
    gives_rows: bool

    @property
    def is_bounded(self) -> bool:
        rows = self.rows + sum(n for text, n in LOOKED_AT.items() if self.statement.startswith(text))
        return self.blocks <= BASE + PER_ROW * rows


@contextmanager
def counting(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Ran]]:
    """Records how many pages each statement in the block reads, as the server counts them."""
    ran: list[Ran] = []
    original = psycopg.AsyncCursor.execute

    async def aside(connection: psycopg.AsyncConnection[Any], statement: str) -> int:
        cursor = psycopg.AsyncCursor(connection, row_factory=tuple_row)
        await original(cursor, statement.encode())
        found = await cursor.fetchone() if cursor.description else None
        return int(found[0]) if found else 0

    async def execute(self: psycopg.AsyncCursor[Any], query: Any, *args: Any, **options: Any) -> Any:
        statement = " ".join(str(query).split())
        if statement.startswith(("BEGIN", "COMMIT", "END", "ROLLBACK", "SELECT pg_backend_pid()")):
            return await original(self, query, *args, **options)
        connection = self.connection
        is_single = connection.info.transaction_status is TransactionStatus.IDLE
        if is_single:
            await aside(connection, "BEGIN")
        before = await aside(connection, BLOCKS)
        await original(self, query, *args, **options)
        blocks = await aside(connection, BLOCKS) - before
        ran.append(Ran(statement, max(self.rowcount, 0), blocks, self.description is not None))
        if is_single:
            await aside(connection, "END")
        return self

    async def one_by_one(
        connection: psycopg.AsyncConnection[Any], statements: Sequence[Statement]
    ) -> Sequence[Rows]:
        """Carries out the statements of an exchange in exchanges of their own, so that each can be counted."""
        answers = []
        for each in statements:
            cursor = psycopg.AsyncCursor(connection, row_factory=tuple_row)
            await cursor.execute(each.text, each.parameters or None, prepare=True, binary=True)
            answers.append(await cursor.fetchall() if cursor.description else [])
        return answers

    async def alone(connection: psycopg.AsyncConnection[Any], statement: Statement) -> Rows:
        return (await one_by_one(connection, [statement]))[0]

    async def found_one_by_one(
        connection: psycopg.AsyncConnection[Any], statements: Sequence[Statement]
    ) -> Sequence[Found]:
        answers = []
        for each in statements:
            cursor = psycopg.AsyncRawCursor(connection, row_factory=tuple_row)
            cursor.format = Format.BINARY
            await cursor.execute(each.text, each.parameters or None, prepare=True)
            rows = await cursor.fetchall() if cursor.description else []
            answers.append(Found(slices_of(rows), len(rows)))
        return answers

    def slices_of(rows: Rows) -> Callable[[int, int], Rows]:
        return lambda first, end: rows[first:end]

    with monkeypatch.context() as patch:
        patch.setattr(psycopg.AsyncCursor, "execute", execute)
        patch.setattr("infrastructure.postgres.driver.reads.find", found_one_by_one)
        patch.setattr("infrastructure.postgres.driver.batches.ask", one_by_one)
        patch.setattr("infrastructure.postgres.driver.batches.carry_out", alone)
        yield ran


@frozen
class Misleading:
    """Databases with the same rows and other statistics, to be copied."""

    server: PostgresServer
    names: dict[str, str]
    filled: Filled

    @asynccontextmanager
    async def storage(self, statistics: str) -> AsyncIterator[Storage]:
        name = self.server.fresh_database(self.names[statistics])
        async with postgres_storage(self.server.url(name), deadline=60) as storage:
            yield storage
        self.server.drop_database(name)


@pytest.fixture(scope="module")
def misleading(postgres_server: PostgresServer) -> Iterator[Misleading]:
    names = {"stale": postgres_server.fresh_database()}
    engine = create_engine(postgres_server.url(names["stale"]))
    with engine.begin() as connection:
        upgrade(connection)
    engine.dispose()
    with postgres_server.connect(names["stale"]) as connection:
        for table in with_all_tables(metadata).tables:
            connection.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)".encode())
        crowd = people(connection, MEMBERS + 2)
        owner = crowd[0]
        tiny = [
            Grown(
                name="tiny",
                messages=20,
                members=[crowd[number % MEMBERS], crowd[(number + 7) % MEMBERS]],
                steps=(5,),
            )
            for number in range(TINY)
        ]
        lonely = [
            Grown(name="lonely", messages=1, members=[crowd[number % MEMBERS]]) for number in range(LONELY)
        ]
        # By these statistics a chat has one message and one member: any index that begins with the chat looks as good.
        fill(connection, lonely, analyze=True)
        fill(connection, tiny, analyze=False)
        huge = Grown(
            name="huge", messages=MESSAGES, members=crowd[:MEMBERS], steps=(200, 4000), read=0.99, singly=10
        )
        fill(connection, [huge], analyze=False)
        connection.execute("UPDATE message SET sender_id = %s WHERE chat_id = %s", (owner, huge.id))
        fill_accounts(connection, crowd[0])
        (message,) = connection.execute(
            "SELECT message_id FROM message WHERE chat_id = %s AND seq = %s", (huge.id, MESSAGES // 2)
        ).fetchone() or (None,)
    assert isinstance(message, UUID)
    for kind in ("fresh", "missing"):
        names[kind] = postgres_server.fresh_database(names["stale"])
    with postgres_server.connect(names["fresh"]) as connection:
        connection.execute("VACUUM (ANALYZE)")
    with postgres_server.connect(names["missing"]) as connection:
        connection.execute("DELETE FROM pg_statistic")
        connection.execute(
            "UPDATE pg_class SET reltuples = -1, relpages = 0 WHERE relnamespace = 'public'::regnamespace"
        )
    yield Misleading(
        postgres_server,
        names,
        Filled(
            chat=ChatId(huge.id),
            owner=ProfileId(owner),
            reader=ProfileId(crowd[1]),
            messages=MESSAGES,
            message=MessageId(message),
            person=ProfileId(crowd[MEMBERS]),
            other=ProfileId(crowd[MEMBERS + 1]),
        ),
    )
    for name in names.values():
        postgres_server.drop_database(name)


def fill_accounts(connection: psycopg.Connection[Any], owner: UUID) -> None:
    """Many people of the same name, letters and sessions of which few are due, and a long personal log."""
    values = {"start": START, "end": START + timedelta(days=3650), "owner": owner}
    for statement in (
        """
        INSERT INTO profile (profile_id, account_id, first_name, first_name_folded)
        SELECT gen_random_uuid(), gen_random_uuid(), 'Person ' || n, 'person ' || n FROM generate_series(1, 5000) n
        """,
        """
        INSERT INTO letter (account_id, letter_id, template, recipient, created_at, next_attempt_at, attempts, outcome)
        SELECT gen_random_uuid(), gen_random_uuid(), 'new_device', 'one@example.com', %(start)s, %(end)s, 1,
            CASE n %% 3 WHEN 0 THEN 'prepared' ELSE 'sent' END
        FROM generate_series(1, 5000) n
        """,
        """
        INSERT INTO profile_log (profile_id, position, kind, payload, tx)
        SELECT %(owner)s, n, 1, '{}', (SELECT base + 1 FROM origin) FROM generate_series(1, 5000) n
        """,
        """
        INSERT INTO profile_head (profile_id, last_position, first_position, tx)
        SELECT %(owner)s, 5000, 1, (SELECT base + 1 FROM origin)
        """,
        """
        INSERT INTO session (account_id, session_id, profile_id, fingerprint, access_id, refresh_id, issued_at,
            access_expires_at, refresh_expires_at, created_at, last_used_at, ended_at)
        SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'device', 'a', 'r', %(start)s, %(end)s, %(end)s,
            %(start)s, %(start)s, CASE n %% 3 WHEN 0 THEN NULL ELSE %(start)s END
        FROM generate_series(1, 5000) n
        """,
        """
        INSERT INTO account (account_id, email, created_at)
        SELECT gen_random_uuid(), n || '@example.net', %(start)s FROM generate_series(1, 5000) n
        """,
        "INSERT INTO account_by_email (email_folded, account_id) SELECT email, account_id FROM account",
    ):
        connection.execute(statement.encode(), values)


async def counted(misleading: Misleading, statistics: str) -> list[Ran]:
    """Carries out everything on a copy of its own."""
    async with misleading.storage(statistics) as storage:
        with pytest.MonkeyPatch.context() as monkeypatch, counting(monkeypatch) as ran:
            await run_everything(storage, misleading.filled)
    assert len(ran) > 100
    return ran


@pytest.fixture(scope="module")
def ran_as_usual(misleading: Misleading) -> list[Ran]:
    """Everything, planned for its values by fresh statistics. Tests that ask different things of it share one run."""
    return asyncio.run(counted(misleading, "fresh"))


def assert_bounded(ran: list[Ran]) -> None:
    unbounded = [
        f"{one.blocks} pages for {one.rows} rows: {one.statement}" for one in ran if not one.is_bounded
    ]
    assert not unbounded, "\n".join(unbounded)


def test_what_a_statement_looks_at_is_bounded(ran_as_usual: list[Ran]) -> None:
    assert_bounded(ran_as_usual)


@pytest.mark.parametrize("statistics", ["stale", "missing"])
async def test_it_is_bounded_by_wrong_statistics(misleading: Misleading, statistics: str) -> None:
    assert_bounded(await counted(misleading, statistics))


@pytest.mark.parametrize("statistics", ["fresh", "stale", "missing"])
async def test_it_is_bounded_when_planned_for_any_values(
    misleading: Misleading, monkeypatch: pytest.MonkeyPatch, statistics: str
) -> None:
    generic = connections.STATED | {"plan_cache_mode": "force_generic_plan"}
    monkeypatch.setattr(connections, "STATED", generic)
    monkeypatch.setattr(connections.Connection, "prepare_threshold", 0, raising=False)
    assert_bounded(await counted(misleading, statistics))


def test_every_statement_finds_its_rows_by_a_key(ran_as_usual: list[Ran]) -> None:
    found = {
        one.statement: route(one.statement) for one in ran_as_usual if not one.statement.startswith("show ")
    }
    assert len(found) > 100
    assert {fault for each in found.values() for fault in each.faults} == set()
    unnamed, unused = [], {*SEVERAL_KINDS, *SECOND_STEP, *EVERYWHERE}
    for statement, how in found.items():
        listed = EVERYWHERE if how.nowhere else SECOND_STEP if how.later else SEVERAL_KINDS
        names = {name for name in listed if statement.startswith(name) and not how.is_direct}
        unused -= names
        if not how.is_direct and not names:
            unnamed.append(f"{how}: {statement}")
    assert not unnamed, "\n".join(unnamed)
    assert not unused, "\n".join(unused)


async def test_no_statement_is_missing(misleading: Misleading) -> None:
    async with misleading.storage("fresh") as storage:
        with recording(MODULES) as ran:
            await run_everything(storage, misleading.filled)
    missing = [f"{file}:{line}" for file, line in not_run(ran, MODULES)]
    assert not missing, "\n".join(missing)


def is_ordered(statement: str) -> bool:
    """Whether what the statement gives has an order, those inside it left out."""
    while (shorter := re.sub(r"\([^()]*\)", "", statement)) != statement:
        statement = shorter
    return "ORDER BY" in statement


def test_rows_have_an_order_wherever_somebody_can_see_it(ran_as_usual: list[Ran]) -> None:
    several = {one.statement for one in ran_as_usual if one.rows > 1 and one.gives_rows}
    assert len(several) > 20
    unordered = {one for one in several if not is_ordered(one) and not one.startswith(tuple(WITHOUT_ORDER))}
    assert not unordered, "\n".join(unordered)


def test_an_order_inside_is_none() -> None:
    assert is_ordered("SELECT a FROM b ORDER BY a")
    assert not is_ordered("SELECT a FROM (SELECT a FROM (SELECT 1) ORDER BY a LIMIT 3) x")
