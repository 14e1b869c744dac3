"""A dump is restored into the database of a running messenger: nobody goes on as if nothing had happened."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import uuid4

import orjson
import psycopg
import pytest
from attrs import evolve
from sqlalchemy import make_url

from application.errors import Unavailable
from application.ports.changes import Cursor
from config.container import PostgresAdapters, closing
from domain.ids import ChatId
from infrastructure.postgres.driver.engine import make_engine
from infrastructure.postgres.server.adoption import adopt, check_home
from infrastructure.postgres.server.embedded import OWNER, find_binaries
from interfaces.live.hub import Hub
from interfaces.ws.chat_connection import ChatConnection
from tests.contracts.talk import Talk, known, open_chat
from tests.interfaces.live.ear import GREETING, Ear
from tests.postgres import PostgresServer
from tests.storages import SharedStorage, postgres_storage
from tests.world import SETTINGS, SignedInPerson, world

LONG = 60
"""Seconds."""


def tool(server: PostgresServer, name: str, url: str, *arguments: str, given: bytes = b"") -> bytes:
    where = ["--host", str(server.embedded.socket_dir), "--port", str(server.embedded.port)]
    whose = ["--username", OWNER, "--dbname", make_url(url).database or ""]
    command = [str(find_binaries() / name), *where, *whose, *arguments]
    return subprocess.run(command, input=given, check=True, capture_output=True).stdout


async def dump(server: PostgresServer, url: str) -> bytes:
    return await asyncio.to_thread(tool, server, "pg_dump", url, "--clean", "--if-exists")


async def restore(server: PostgresServer, url: str, dumped: bytes) -> None:
    arguments = ("--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1")
    await asyncio.to_thread(tool, server, "psql", url, *arguments, given=dumped)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(LONG):
        while not condition():  # noqa: ASYNC110  # any condition, of things that know nothing of events
            await asyncio.sleep(0.01)


async def enter(hub: Hub, who: SignedInPerson, chat_id: ChatId, since: object = None) -> Ear:
    ear = Ear()
    connection = ChatConnection(ear.outbox, GREETING, chat_id)
    connection.hear(orjson.dumps({"type": "auth", "token": who.token, "since": since}).decode())
    connection.recognise(who.actor)
    async with asyncio.timeout(LONG):
        await hub.watching()
        await hub.enter(connection, 10)
    return ear


async def test_clients_start_over_after_a_restore(
    postgres_server: PostgresServer, messenger_database: str
) -> None:
    adapters: Any = PostgresAdapters(settings=SETTINGS, url=messenger_database)
    async with world(adapters) as here, closing(here.application):
        feed, ports = here.messenger.feed, here.application.ports()
        hub = Hub(feed=feed, clock=ports.clock, interval=0.1)
        here.application.updates().subscribe(hub.receive)
        ann, bob = await here.person("Ann"), await here.person("Bob")
        chat_id = await here.chat(ann.actor, bob.actor)
        await here.say(ann.actor, chat_id, "kept")
        watching = asyncio.create_task(hub.run())
        ear = await enter(hub, bob, chat_id)
        epoch = ear.frames[0]["epoch"]
        dumped = await dump(postgres_server, messenger_database)
        for text in ("lost", "lost as well"):
            await here.say(ann.actor, chat_id, text)
        await until(lambda: ear.positions == [2, 3])

        await restore(postgres_server, messenger_database, dumped)
        await until(lambda: bool(ear.closes))
        assert ear.close == (1012, "history changed")
        for text in ("two", "three", "four"):
            await here.say(ann.actor, chat_id, text)
        back = await enter(hub, bob, chat_id, since={"epoch": epoch, "position": 3})
        assert back.types == ["auth_success", "reset", "chat_history"]
        assert back.frames[0]["epoch"] != epoch
        assert back.frames[1]["reason"] == "epoch"
        assert [each["text"] for each in back.frames[2]["messages"]] == ["kept", "two", "three", "four"]
        await here.say(ann.actor, chat_id, "five")
        await until(lambda: back.positions == [5])
        assert not back.closes
        watching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await watching
        await check_home(here.application.adapters.engine())


@pytest.fixture
async def storage(messenger_database: str) -> AsyncIterator[SharedStorage]:
    async with postgres_storage(messenger_database) as storage:
        yield storage


def rewritten(beside: psycopg.Connection[Any]) -> None:
    """Replaces the rows and keeps their tables, as a dump of the rows alone does."""
    beside.execute("CREATE TEMPORARY TABLE kept AS TABLE origin")
    beside.execute("TRUNCATE origin")
    beside.execute("INSERT INTO origin TABLE kept")


async def test_rows_alone_may_be_restored(storage: SharedStorage, beside: psycopg.Connection[Any]) -> None:
    before = await storage.changes.now()
    rewritten(beside)
    news = await storage.changes.since(before)
    assert news.cursor.epoch != before.epoch


async def test_a_server_that_went_back_to_older_files_is_noticed(storage: SharedStorage) -> None:
    """The tables are the same, and the cursor has seen transactions that have not happened."""
    here = await storage.changes.now()
    ahead = evolve(here, place=f"{int(here.place.partition('.')[0]) + 1_000_000}")
    assert (await storage.changes.since(ahead)).cursor.epoch != here.epoch


async def test_a_restore_that_many_nodes_notice_begins_one_new_line_of_history(
    storage: SharedStorage, beside: psycopg.Connection[Any]
) -> None:
    before = await storage.changes.now()
    rewritten(beside)
    noticed = await asyncio.gather(*(storage.changes.since(before) for _ in range(4)))
    epochs = {news.cursor.epoch for news in noticed}
    assert len(epochs - {before.epoch}) == len(epochs) == 1
    assert {(await storage.changes.since(news.cursor)).cursor.epoch for news in noticed} == epochs


async def test_an_adoption_while_nodes_run_is_followed(
    storage: SharedStorage, messenger_database: str, beside: psycopg.Connection[Any]
) -> None:
    before, generation, engine = await storage.changes.now(), uuid4(), make_engine(messenger_database)
    await adopt(engine, generation)
    await engine.dispose()
    news = await storage.changes.since(before)
    assert news.cursor.epoch != before.epoch
    assert beside.execute("SELECT generation FROM origin").fetchone() == (generation,)
    await said_is_seen(storage, news.cursor)


async def said_is_seen(storage: SharedStorage, cursor: Cursor) -> None:
    ann, ben = await known(storage.begin, "Ann", "Ben")
    chat = await open_chat(storage.begin, ann, ben)
    await Talk(storage).say(ann, chat.id, "after")
    assert dict((await storage.changes.since(cursor)).moved) == {chat.id: 1}


@pytest.mark.parametrize(
    ("gone", "back"),
    [
        ("CREATE TABLE kept AS TABLE origin; TRUNCATE origin", "INSERT INTO origin TABLE kept"),
        ("ALTER TABLE origin RENAME TO hidden", "ALTER TABLE hidden RENAME TO origin"),
    ],
)
async def test_in_the_middle_of_a_restore_storage_is_unavailable(
    storage: SharedStorage, beside: psycopg.Connection[Any], gone: str, back: str
) -> None:
    before = await storage.changes.now()
    beside.execute(gone.encode())
    ask: Callable[[], Awaitable[object]]
    for ask in (storage.changes.now, lambda: storage.changes.since(before)):
        with pytest.raises(Unavailable):
            await ask()
    beside.execute(back.encode())
    await said_is_seen(storage, (await storage.changes.since(before)).cursor)
