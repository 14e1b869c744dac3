"""Everything through the real PgBouncer in transaction mode, with fewer server connections than the messenger opens."""

import asyncio
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest

from application.ports.views import Newest
from application.receipts.mark_read import MarkRead
from domain.ids import Seq
from infrastructure.postgres.driver.engine import make_engine
from infrastructure.postgres.driver.reads import Prepared, ReadPool
from infrastructure.postgres.schema.migrate import current_revision, migrate, newest_revision
from infrastructure.postgres.server.adoption import adopt, check_home
from tests.contracts.talk import Talk, actor, known, open_chat, saying
from tests.infrastructure.postgres.test_environment import EXPECTED, OWN, WAYS
from tests.pgbouncer import SERVER_CONNECTIONS, Pooler
from tests.storages import postgres_storage

SETTINGS = "SELECT name, setting FROM pg_settings WHERE name <> 'application_name'"
"""PgBouncer itself sets `application_name` on behalf of its clients."""


async def test_a_life_through_the_pooler(pooler: Pooler, fresh_database: str) -> None:
    """From the empty database on: tables, units of work, batches, reads of both kinds and the feed of changes."""
    url = pooler.url(fresh_database)
    engine = make_engine(url)
    await check_home(engine)
    await migrate(engine)
    assert await current_revision(engine) == newest_revision()
    await adopt(engine, actor().profile_id)
    await engine.dispose()
    async with postgres_storage(url) as storage:
        talk = Talk(storage)
        ann, bob = await known(storage.begin, "Ann", "Bob")
        chats = [await open_chat(storage.begin, ann, bob, name=str(number)) for number in range(6)]
        before = await storage.changes.now()

        async def one_chat(number: int) -> None:
            chat = chats[number]
            for turn in range(12):  # psycopg prepares what is repeated five times
                await talk.say(ann, chat.id, f"{turn}", nonce=f"{number}-{turn}")
                await talk.mark((bob, MarkRead(chat_id=chat.id, up_to=Seq(turn + 1))))
                page = await storage.views.history(bob.profile_id, chat.id, Newest(), 50)
                assert [view.message.body.text for view in page.messages] == [str(n) for n in range(turn + 1)]
                assert await storage.views.unread_count(bob.profile_id, chat.id) == 0
                await storage.views.probe()
                async with storage.begin() as work:
                    assert await work.profiles.find(ann.profile_id) is not None

        await asyncio.gather(*(one_chat(number) for number in range(len(chats))))
        assert len(await storage.views.list_chats(ann.profile_id)) == len(chats)
        news = await storage.changes.since(before)
        assert {chat.id for chat in chats} <= news.moved.keys()


@pytest.mark.parametrize("way", WAYS)
async def test_settings_are_stated_in_each_transaction(
    pooler: Pooler, strange_database: str, way: str
) -> None:
    async with WAYS[way](pooler.url(strange_database)) as found:
        isolation = {"single reads": {"transaction_isolation": "repeatable read"}}.get(way, {})
        assert found == EXPECTED | {"transaction_isolation": "read committed"} | OWN.get(way, {}) | isolation


async def test_nothing_is_left_for_other_clients(pooler: Pooler, messenger_database: str) -> None:
    """No setting outlives its transaction, and nothing is prepared on the pooler's connections."""
    with pooler.connect(messenger_database) as other:
        untouched: dict[str, str] = dict(other.execute(SETTINGS).fetchall())
    async with postgres_storage(pooler.url(messenger_database)) as storage:
        talk, ann = Talk(storage), actor()
        chat = await open_chat(storage.begin, ann)
        for turn in range(12):
            await asyncio.gather(
                talk.send(saying(ann, chat.id, str(turn))),
                *(storage.views.history(ann.profile_id, chat.id, Newest(), 5) for _ in range(3)),
                *(storage.views.unread_count(ann.profile_id, chat.id) for _ in range(3)),
            )
        with ExitStack() as others:
            for _ in range(SERVER_CONNECTIONS):  # each holds another one of the pooler's connections
                other = others.enter_context(pooler.connect(messenger_database))
                other.execute("BEGIN")
                assert dict(other.execute(SETTINGS).fetchall()) == untouched
                assert other.execute("SELECT count(*) FROM pg_prepared_statements").fetchone() == (0,)


async def test_a_connection_that_the_pooler_ends_is_made_again(
    pooler: Pooler, messenger_database: str, beside: psycopg.Connection[Any]
) -> None:
    reads = ReadPool(pooler.url(messenger_database))
    backend = Prepared("SELECT pg_backend_pid() AS pid", {})
    first = await reads.row(backend)
    assert first is not None
    beside.execute("SELECT pg_terminate_backend(%s, 5000)", [first["pid"]])
    second = await reads.row(backend)
    assert second is not None
    assert second["pid"] != first["pid"]
    await reads.close()
