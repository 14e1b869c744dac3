"""What only PostgreSQL's cursor must hold; what every cursor must is among the contracts."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from application.ports.changes import Cursor
from domain.events import ChatAdded
from domain.ids import ChatId
from infrastructure.postgres.places import Place
from tests.contracts.talk import Talk, actor, open_chat
from tests.postgres import BASE
from tests.storages import SharedStorage, postgres_storage
from tests.strategies import START


@pytest.fixture
async def storage(messenger_database: str) -> AsyncIterator[SharedStorage]:
    async with postgres_storage(messenger_database) as storage:
        yield storage


def greatest(beside: psycopg.Connection[Any]) -> int:
    row = beside.execute(
        "SELECT greatest((SELECT max(tx) FROM chat_log), (SELECT max(tx) FROM profile_log), (SELECT max(tx) FROM receipt))"
    ).fetchone()
    assert row is not None
    number: int = row[0]
    return number


async def test_it_is_not_ahead_of_what_is_stored(
    storage: SharedStorage, beside: psycopg.Connection[Any]
) -> None:
    """After a crash PostgreSQL hands the numbers of transactions that left nothing out again."""
    empty = Place.read((await storage.changes.now()).place)
    assert empty == Place(BASE + 1, frozenset()), "nothing is stamped yet"
    talk, ann = Talk(storage), actor()
    chat = await open_chat(storage.begin, ann)
    await talk.say(ann, chat.id)
    for _ in range(5):
        beside.execute("BEGIN")
        beside.execute("SELECT pg_current_xact_id()")
        beside.execute("ROLLBACK")
    assert Place.read((await storage.changes.now()).place).next_tx == greatest(beside) + 1


async def test_each_kind_of_row_counts(storage: SharedStorage, beside: psycopg.Connection[Any]) -> None:
    talk, ann, bob = Talk(storage), actor(), actor()
    chat = await open_chat(storage.begin, ann, bob)
    said = await talk.say(ann, chat.id)
    await talk.read(bob, chat.id, said.message.id)
    after_receipt = Place.read((await storage.changes.now()).place).next_tx
    assert after_receipt == greatest(beside) + 1
    async with storage.begin() as work:
        await work.personal.add([ChatAdded(profile_id=ann.profile_id, chat_id=ChatId(uuid4()), at=START)])
    assert Place.read((await storage.changes.now()).place).next_tx == greatest(beside) + 1 > after_receipt


async def test_it_names_the_running_ones_below_it(
    storage: SharedStorage, beside: psycopg.Connection[Any]
) -> None:
    talk, ann = Talk(storage), actor()
    chat = await open_chat(storage.begin, ann)
    beside.execute("BEGIN")
    row = beside.execute("SELECT pg_current_xact_id()::text::bigint").fetchone()
    assert row is not None
    await talk.say(ann, chat.id)
    assert Place.read((await storage.changes.now()).place).running == {BASE + row[0]}
    beside.execute("ROLLBACK")
    assert Place.read((await storage.changes.now()).place).running == frozenset()


async def test_another_generation_is_another_history(
    storage: SharedStorage, beside: psycopg.Connection[Any]
) -> None:
    before = await storage.changes.now()
    talk, ann = Talk(storage), actor()
    chat = await open_chat(storage.begin, ann)
    await talk.say(ann, chat.id)
    beside.execute("UPDATE origin SET generation = %s", [uuid4()])
    news = await storage.changes.since(before)
    assert (news.moved, list(news.personal), list(news.read)) == ({}, [], [])
    assert news.cursor.epoch != before.epoch
    snapshot = await storage.views.snapshot(ann.profile_id, chat.id, 10)
    assert snapshot.epoch == news.cursor.epoch
    again = await storage.changes.since(Cursor(epoch=news.cursor.epoch, place=before.place))
    assert again.moved == {chat.id: 1}


def test_what_nobody_here_wrote_is_no_place() -> None:
    for text in ("", "x", "1.x", "1..2"):
        with pytest.raises(ValueError, match="invalid literal"):
            Place.read(text)
