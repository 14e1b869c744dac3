"""Pages of history from a real streaming replica: one that follows, one that is behind, one that stands still, and a dead one."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from attrs import define, evolve, field
from sqlalchemy import create_engine

from application.actor import Actor
from application.ports.views import Newest
from application.views import HistoryPage
from domain.chat import Chat
from domain.chat_errors import NotAMember
from infrastructure.postgres.driver.reads import ReadPool
from infrastructure.postgres.replica import RESTS, Replica
from infrastructure.postgres.schema.migrate import upgrade
from infrastructure.postgres.views import PostgresViews
from tests.contracts.talk import Talk, actor, open_chat
from tests.storages import postgres_storage
from tests.system.postgres import Postgres, binaries, unprivileged

PATIENCE = 60.0
"""Seconds after which something hangs."""

AT_ONCE = 0.05
"""The patience with a replica that is not going to be there."""


@define(eq=False)
class Pair:
    primary: Postgres
    standby: Postgres
    url: str

    @property
    def replica_url(self) -> str:
        return self.standby.url("messenger")

    def on_standby(self, statement: str) -> object:
        with self.standby.connect() as connection:
            (found,) = connection.execute(statement.encode()).fetchone() or (None,)
        return found

    def pause(self) -> None:
        """Returns when nothing is replayed any more."""
        with self.standby.connect() as connection:
            connection.execute("SELECT pg_wal_replay_pause()")
            while connection.execute("SELECT pg_get_wal_replay_pause_state()").fetchone() != ("paused",):
                pass

    def resume(self) -> None:
        self.on_standby("SELECT pg_wal_replay_resume()")


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    primary = Postgres(tmp_path / "primary")
    standby = Postgres(tmp_path / "standby", {"hot_standby": "on"})
    with primary.running():
        url = primary.create("messenger")
        engine = create_engine(url)
        with engine.begin() as connection:
            upgrade(connection)
        engine.dispose()
        standby.folder.mkdir()
        where = ["--host", "127.0.0.1", "--port", str(primary.port), "--username", "postgres"]
        how = ["--pgdata", str(standby.data), "--write-recovery-conf", "--checkpoint", "fast", "--no-sync"]
        command = unprivileged([str(binaries() / "pg_basebackup"), *where, *how])
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL, timeout=PATIENCE)
        with standby.running():
            yield Pair(primary, standby, url)


@define(eq=False)
class Reader:
    """Somebody who reads a chat, in which they have said things, from a replica."""

    pair: Pair
    talk: Talk
    ann: Actor
    bob: Actor
    chat: Chat
    primary: ReadPool
    views: PostgresViews
    replica: Replica
    moment: float = 0.0
    said: list[str] = field(factory=list)

    async def say(self, text: str) -> None:
        await self.talk.say(self.ann, self.chat.id, text)
        self.said.append(text)

    async def page(self) -> HistoryPage:
        """A page, which has everything that was said."""
        page = await self.views.history(self.bob.profile_id, self.chat.id, Newest(), 50)
        assert [each.message.body.text for each in page.messages] == self.said
        return page

    def with_patience(self, seconds: float) -> None:
        self.replica.patience = seconds

    def later(self) -> None:
        """The replica has rested."""
        self.moment += RESTS

    @property
    def counted(self) -> tuple[int, int]:
        return self.replica.reads, self.replica.passed_by


@asynccontextmanager
async def reading(pair: Pair) -> AsyncIterator[Reader]:
    async with postgres_storage(pair.url) as storage:
        ann, bob = actor(), actor()
        chat = await open_chat(storage.begin, ann, bob)
        assert isinstance(storage.views, PostgresViews)
        primary = storage.views.pool
        pool = ReadPool(pair.replica_url, deadline=PATIENCE)
        replica = Replica(primary, pool, patience=PATIENCE, now=lambda: reader.moment)
        views = evolve(storage.views, replica=replica)
        reader = Reader(pair, Talk(storage), ann, bob, chat, primary, views, replica)
        try:
            yield reader
        finally:
            await replica.close()


async def test_a_page_has_what_was_said_just_before(pair: Pair) -> None:
    async with reading(pair) as reader:
        for number in range(20):
            await reader.say(f"{number}")
            await reader.page()
        assert reader.counted == (20, 0)


async def test_a_replica_that_is_paused_is_passed_by(pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    async with reading(pair) as reader:
        await reader.say("before")
        await reader.page()
        pair.pause()
        reader.with_patience(AT_ONCE)
        await reader.say("while it is paused")
        await reader.page()
        assert reader.counted == (1, 1)
        assert "it is behind" in caplog.text
        pair.resume()
        reader.with_patience(PATIENCE)
        await reader.page()
        assert reader.counted == (1, 2), "it rests, so that not every page waits for it"
        reader.later()
        await reader.page()
        assert reader.counted == (2, 2)


async def test_receipts_are_seen_too(pair: Pair) -> None:
    """They have no position in the log of their chat."""
    async with reading(pair) as reader:
        await reader.say("read by Bob")
        assert [each.read_at for each in (await reader.page()).messages] == [None]
        pair.pause()
        reader.with_patience(AT_ONCE)
        page = await reader.views.history(reader.ann.profile_id, reader.chat.id, Newest(), 1)
        await reader.talk.read(reader.bob, reader.chat.id, page.messages[0].message.id)
        assert [each.read_at is None for each in (await reader.page()).messages] == [False]


async def test_a_page_waits_for_a_replica_that_is_behind(pair: Pair) -> None:
    async with reading(pair) as reader:
        await reader.page()
        pair.pause()
        await reader.say("while it is paused")
        waiting = asyncio.create_task(reader.page())
        done, _ = await asyncio.wait([waiting], timeout=0.1)
        assert not done
        await asyncio.to_thread(pair.resume)
        await waiting
        assert reader.counted == (2, 0)


async def test_a_replica_that_dies_and_comes_back(pair: Pair) -> None:
    async with reading(pair) as reader:
        await reader.say("before")
        await reader.page()
        pair.standby.kill()
        await reader.say("while it is dead")
        await reader.page()
        assert reader.counted == (1, 1)
        pair.standby.start()
        reader.later()
        await reader.page()
        assert reader.counted == (2, 1)


async def test_a_replica_that_stands_still(pair: Pair) -> None:
    async with reading(pair) as reader:
        await reader.page()
        family = pair.standby.freeze()
        reader.with_patience(AT_ONCE)
        try:
            await reader.say("while it is frozen")
            await reader.page()
        finally:
            pair.standby.thaw(family)
        assert reader.counted == (1, 1)


async def test_a_server_that_has_become_a_primary_is_none(pair: Pair) -> None:
    async with reading(pair) as reader:
        await reader.say("before")
        await reader.page()
        assert pair.on_standby("SELECT pg_promote()") is True
        await reader.page()
        assert reader.counted == (1, 1)


async def test_who_may_not_read_may_not_read_there(pair: Pair) -> None:
    async with reading(pair) as reader:
        with pytest.raises(NotAMember):
            await reader.views.history(actor().profile_id, reader.chat.id, Newest(), 1)
        assert reader.counted == (0, 0)
