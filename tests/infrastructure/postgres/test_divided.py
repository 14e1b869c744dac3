"""
The adapters for divided tables, on one server, where two tables and a function stand in for what Citus says of its transactions.

The contracts that their own statements serve are held again here. What a real Citus accepts is tried where there is one
(`tests.citus`): then all contracts are.
"""

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from inspect import signature
from types import ModuleType
from typing import Any
from uuid import UUID

import psycopg
import pytest
from attrs import frozen
from sqlalchemy.event import listen

from application.chats.delete import DeleteChat, DeleteChatHandler
from application.errors import Unavailable
from application.ports.changes import Changes
from application.ports.own_changes import Missed, OwnChanges
from infrastructure.postgres.changes import PostgresChanges
from infrastructure.postgres.divided import purging
from infrastructure.postgres.divided.purging import DividedDeletedChats
from infrastructure.postgres.divided.stamp import TWO_PHASES, adapt
from infrastructure.postgres.driver.engine import make_engine
from infrastructure.postgres.driver.reads import ReadPool
from infrastructure.postgres.own_changes import PostgresOwnChanges
from infrastructure.postgres.storage import PostgresStorage
from tests.citus import STAND_INS
from tests.contracts import (
    test_changes,
    test_marking,
    test_own_changes,
    test_posting,
    test_purging,
)
from tests.contracts.talk import Talk, actor, open_chat
from tests.postgres import TEMPLATE, Emptied, PostgresServer
from tests.storages import SharedStorage, divided_storage
from tests.strategies import START
from tests.world import TickingClock

LEFT_OUT = {
    "TestRaces",
    "test_however_many_are_held_those_after_them_have_their_turn",
    "test_it_goes_in_slices",
    "test_marks_and_singles_against_sends_from_two_processes",
    "test_several_purge_at_once",
    "test_six_writers_at_once_and_one_who_reads_along",
}
"""They take long, and the order of locks is the same on one server."""


def _contracts(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """The tests of a contract that ask for a storage and for nothing else of an adapter's."""
    for name, test in vars(module).items():
        is_function = name.startswith("test_") and "rig" not in signature(test).parameters
        if (is_function or name.startswith("Test")) and name not in LEFT_OUT:
            yield name, test


for _module in (test_changes, test_marking, test_own_changes, test_posting, test_purging):
    _found = dict(_contracts(_module))
    assert not _found.keys() & globals().keys(), "one test would take the place of another"
    globals().update(_found)


@pytest.fixture(autouse=True)
def _find_deleted_chats_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the search for a chat that is free take a second statement when the first chat is held."""
    monkeypatch.setattr(purging, "FOUND_AT_ONCE", 1)


@pytest.fixture(scope="module")
def divided(postgres_server: PostgresServer) -> Iterator[Emptied]:
    name = postgres_server.fresh_database(TEMPLATE)
    with postgres_server.connect(name) as connection:
        connection.execute(STAND_INS)
    with Emptied.of(postgres_server, name) as divided:
        yield divided


@pytest.fixture
def divided_database(divided: Emptied) -> Iterator[str]:
    yield divided.server.url(divided.name)
    divided.empty()


@pytest.fixture
def beside_divided(divided: Emptied) -> Iterator[psycopg.Connection[Any]]:
    with divided.server.connect(divided.name) as connection:
        yield connection


@pytest.fixture
async def storage(divided_database: str) -> AsyncIterator[SharedStorage]:
    async with divided_storage(divided_database) as storage:
        yield storage


class BetweenTwoCommits:
    """
    A transaction that the coordinator has committed and the node of a chat has not: its rows are not visible yet. On one server the
    rows are written later, with the number of the transaction that has ended.
    """

    def __init__(self, connection: psycopg.Connection[Any], chat_id: UUID) -> None:
        self.connection, self.chat_id = connection, chat_id
        with connection.transaction():
            found = connection.execute(
                "SELECT base + pg_current_xact_id()::text::bigint FROM origin"
            ).fetchone()
            assert found is not None
            (self.tx,) = found
            connection.execute("INSERT INTO answer_of_a_node VALUES ('{one}')")
            connection.execute("INSERT INTO pg_dist_transaction VALUES ('one')")

    def end(self) -> None:
        with self.connection.transaction():
            self.show()
            self.connection.execute("DELETE FROM answer_of_a_node")

    def show(self) -> None:
        """Makes the rows visible. The node still says that the transaction is prepared."""
        with self.connection.transaction():
            self.connection.execute(
                "UPDATE chat_head SET last_position = last_position + 1, tx = %s WHERE chat_id = %s",
                [self.tx, self.chat_id],
            )
            self.connection.execute(
                "INSERT INTO chat_log (chat_id, position, kind, tx)"
                " SELECT chat_id, last_position, 1, %s FROM chat_head WHERE chat_id = %s",
                [self.tx, self.chat_id],
            )


@frozen
class Told:
    """The news that readers received about a transaction whose rows became visible late."""

    node: bool
    client: bool


async def late(
    storage: SharedStorage, connection: psycopg.Connection[Any], changes: Changes, own_changes: OwnChanges
) -> Told:
    """Takes the cursors between the two commits of a transaction, and reads after the second."""
    talk, ann = Talk(storage), actor()
    chat, other = await open_chat(storage.begin, ann), await open_chat(storage.begin, ann)
    torn = BetweenTwoCommits(connection, chat.id)
    await talk.say(ann, other.id)  # the greatest number that is visible is beyond the torn one
    of_node, of_client = await changes.now(), await own_changes.here()
    torn.end()
    news, missed = await changes.since(of_node), await own_changes.since(ann.profile_id, of_client)
    assert isinstance(missed, Missed)
    by_chat = {each.chat_id: each.first_missed for each in missed.standings}
    assert by_chat.keys() == {chat.id, other.id}
    assert by_chat[other.id] is None
    again = await changes.since(news.cursor)
    assert not again.moved, "what was told once is not told again"
    return Told(node=news.moved == {chat.id: 1}, client=by_chat[chat.id] == 1)


async def test_rows_that_become_visible_after_their_transaction_has_ended_are_told(
    storage: SharedStorage, beside_divided: psycopg.Connection[Any]
) -> None:
    assert await late(storage, beside_divided, storage.changes, storage.own_changes) == Told(True, True)


async def test_the_cursor_of_one_server_would_pass_them_over(
    storage: SharedStorage, beside_divided: psycopg.Connection[Any], divided_database: str
) -> None:
    """Otherwise the test above shows nothing."""
    engine, pool = make_engine(divided_database), ReadPool(divided_database)
    try:
        found = await late(storage, beside_divided, PostgresChanges(engine), PostgresOwnChanges(pool))
    finally:
        await pool.close()
        await engine.dispose()
    assert found == Told(False, False)


async def test_rows_that_are_visible_early_are_told_once(
    storage: SharedStorage, beside_divided: psycopg.Connection[Any]
) -> None:
    """A reader asks the nodes first, so it may see more than they said."""
    chat = await open_chat(storage.begin, actor())
    torn = BetweenTwoCommits(beside_divided, chat.id)
    cursor = await storage.changes.now()
    torn.show()
    early = await storage.changes.since(cursor)
    beside_divided.execute("DELETE FROM answer_of_a_node")
    later = await storage.changes.since(early.cursor)
    assert [early.moved, later.moved] == [{}, {chat.id: 1}]
    assert not (await storage.changes.since(later.cursor)).moved


async def test_a_node_that_cannot_be_asked_leaves_readers_without_an_answer(
    storage: SharedStorage, beside_divided: psycopg.Connection[Any]
) -> None:
    cursor = await storage.changes.now()
    beside_divided.execute("INSERT INTO answer_of_a_node VALUES ('connection refused')")
    with pytest.raises(Unavailable):
        await storage.changes.since(cursor)
    with pytest.raises(Unavailable):
        await storage.own_changes.here()


async def test_what_is_written_on_a_node_and_on_the_coordinator_is_committed_in_two_phases(
    divided_database: str,
) -> None:
    """Deleting a chat writes on the node that the chat was deleted, and on the coordinator what its members are told."""
    engine = adapt(make_engine(divided_database))
    executed: list[str] = []
    listen(
        engine.sync_engine,
        "before_cursor_execute",
        lambda _connection, _cursor, statement, *_: executed.append(statement),
    )
    begin, ann = PostgresStorage(engine).begin, actor()
    try:
        chat = await open_chat(begin, ann)
        executed.clear()
        delete = DeleteChatHandler(begin=begin, clock=TickingClock(START))
        await delete(ann, DeleteChat(chat_id=chat.id))
        assert any(TWO_PHASES in each for each in executed)
        executed.clear()
        later = START + timedelta(days=1)
        assert await DividedDeletedChats(engine).purge_some(deleted_before=later, at=later, rows=10)
        assert TWO_PHASES in executed
    finally:
        await engine.dispose()
