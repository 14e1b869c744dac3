"""Pages of history from a real streaming replica: one that follows, one that is behind, one that stands still, and a dead one."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from attrs import define, evolve, field
from typing_extensions import override

from application.actor import Actor
from application.errors import Unavailable
from application.ports.views import Newest
from application.views import HistoryPage
from domain.chat import Chat
from domain.chat_errors import NotAMember
from infrastructure.postgres.driver.errors import UnusableDatabase
from infrastructure.postgres.driver.reads import Prepared, ReadPool
from infrastructure.postgres.replica import REPLAYED, RESTS, Replica, complaints
from infrastructure.postgres.views import PostgresViews
from tests.contracts.talk import Talk, actor, open_chat
from tests.storages import postgres_storage
from tests.system.postgres import DATABASE, Postgres, binaries, unprivileged

SCRIPTS = Path(__file__).resolve().parents[3] / "docs" / "deploy" / "postgres"

PATIENCE = 60.0
"""Seconds after which something hangs."""

NEVER = 1000.0
"""Seconds that no test lasts."""

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


def carried_out(script: str, data: Path, *words: str) -> str:
    """What a script of docs/deploy/postgres says. The last thing that one of them does is to run PostgreSQL, which only says so here."""
    instead = data.parent / "bin"
    instead.mkdir(exist_ok=True)
    (instead / "postgres").write_text("#!/bin/sh\necho followed\n")
    (instead / "postgres").chmod(0o755)
    environment = {
        "PATH": f"{instead}:{binaries()}:{os.environ['PATH']}",
        "PGDATA": str(data),
        "POSTGRES_USER": "messenger",
    }
    done = subprocess.run(
        unprivileged(["bash", str(SCRIPTS / script), *words]),
        check=True,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        timeout=PATIENCE,
    )
    return done.stdout


@contextmanager
def paired(folder: Path) -> Iterator[Pair]:
    primary = Postgres(folder / "primary", lived_in=True)
    standby = Postgres(folder / "standby", {"hot_standby": "on"})
    with primary.running():
        standby.folder.mkdir()
        where = ["--host", "127.0.0.1", "--port", str(primary.port), "--username", "postgres", "--no-sync"]
        assert carried_out("follow.sh", standby.data, *where) == "followed\n"
        with standby.running():
            yield Pair(primary, standby, primary.url(DATABASE))


@pytest.fixture(scope="module")
def shared_pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with paired(tmp_path_factory.mktemp("pair")) as pair:
        yield pair


@pytest.fixture
def pair(shared_pair: Pair) -> Iterator[Pair]:
    """Two servers that all tests use. Each test has a chat of its own, and leaves a replica that follows."""
    yield shared_pair
    shared_pair.resume()


@pytest.fixture
def own_pair(tmp_path: Path) -> Iterator[Pair]:
    """Two servers for a test that changes what they are."""
    with paired(tmp_path) as pair:
        yield pair


@define(eq=False)
class WatchedPool(ReadPool):
    """Counts how often the replica is asked how far it is, and by how many at the same time."""

    looks: int = 0
    _asking: int = 0
    most_at_once: int = 0
    meanwhile: Callable[[], object] = lambda: None
    """What happens to the replica when a page is about to be read from it."""

    @override
    async def rows(self, statement: Prepared, **parameters: Any) -> Sequence[Any]:
        if statement is not REPLAYED:
            self.meanwhile()
            return await ReadPool.rows(self, statement, **parameters)
        self.looks += 1
        self._asking += 1
        self.most_at_once = max(self.most_at_once, self._asking)
        try:
            return await ReadPool.rows(self, statement, **parameters)
        finally:
            self._asking -= 1


@define(eq=False)
class DeadPool(ReadPool):
    """The primary, which answers nobody."""

    asked: "list[object]" = field(factory=list)

    @override
    async def rows(self, statement: Prepared, **parameters: Any) -> Sequence[Any]:
        self.asked.append(parameters["reader"])
        raise Unavailable


@define(eq=False)
class Reader:
    """Somebody who reads a chat, in which they have said things, from a replica."""

    pair: Pair
    talk: Talk
    ann: Actor
    bob: Actor
    chat: Chat
    views: PostgresViews
    replica: Replica
    pool: WatchedPool
    """The connections of the replica."""
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

    async def waiting(self, pages: int = 1) -> "list[asyncio.Task[HistoryPage]]":
        """Pages that wait until the replica has replayed what was said."""
        before = self.pool.looks
        started = [asyncio.create_task(self.page()) for _ in range(pages)]
        while len(self.replica._waiting) < pages or self.pool.looks == before:
            assert not any(page.done() for page in started)
            await asyncio.sleep(0.001)
        return started

    def later(self) -> None:
        """The replica has rested."""
        self.moment += RESTS

    @property
    def counted(self) -> tuple[int, int]:
        return self.replica.reads, self.replica.passed_by


@asynccontextmanager
async def reading(pair: Pair) -> AsyncIterator[Reader]:
    complaints._told.clear()  # another test of this process may have met the same within a minute
    async with postgres_storage(pair.url) as storage:
        ann, bob = actor(), actor()
        chat = await open_chat(storage.begin, ann, bob)
        assert isinstance(storage.views, PostgresViews)
        pool = WatchedPool(pair.replica_url, deadline=NEVER)
        replica = Replica(pool, patience=PATIENCE, now=lambda: reader.moment)
        views = evolve(storage.views, replica=replica)
        reader = Reader(pair, Talk(storage), ann, bob, chat, views, replica, pool)
        try:
            yield reader
        finally:
            await replica.close()


def test_the_examples_database_lets_replicas_in_that_know_the_password(pair: Pair) -> None:
    carried_out("let-replicas-in.sh", pair.primary.data)
    rules = "SELECT database, user_name, auth_method, error FROM pg_hba_file_rules ORDER BY rule_number DESC"
    with pair.primary.connect() as connection:
        assert connection.execute(rules).fetchone() == (["replication"], ["messenger"], "scram-sha-256", None)


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


async def test_pages_that_wait_ask_together(pair: Pair) -> None:
    async with reading(pair) as reader, asyncio.timeout(PATIENCE):
        await reader.page()
        pair.pause()
        await reader.say("while it is paused")
        pages = await reader.waiting(20)
        seen = reader.pool.looks
        while reader.pool.looks < seen + 3:  # noqa: ASYNC110 - of another server
            await asyncio.sleep(0.001)
        await asyncio.to_thread(pair.resume)
        await asyncio.gather(*pages)
        assert reader.counted == (21, 0)
        assert reader.pool.most_at_once == 1


async def test_the_first_that_loses_patience_sends_all_to_the_primary(pair: Pair) -> None:
    async with reading(pair) as reader, asyncio.timeout(PATIENCE):
        await reader.page()
        pair.pause()
        await reader.say("while it is paused")
        reader.with_patience(NEVER)
        pages = await reader.waiting(5)
        reader.with_patience(AT_ONCE)
        await reader.page()
        await asyncio.gather(*pages)
        assert reader.counted == (1, 6)


async def test_after_a_rest_one_page_probes_and_the_others_pass_by(pair: Pair) -> None:
    async with reading(pair) as reader, asyncio.timeout(PATIENCE):
        await reader.page()
        pair.pause()
        await reader.say("while it is paused")
        reader.with_patience(AT_ONCE)
        await reader.page()
        reader.later()
        reader.with_patience(NEVER)
        (probe,) = await reader.waiting()
        for _ in range(3):
            await reader.page()
        assert reader.counted == (1, 4)
        assert not probe.done()
        await asyncio.to_thread(pair.resume)
        await probe
        await asyncio.gather(*(reader.page() for _ in range(3)))
        assert reader.counted == (5, 4)


async def test_a_probe_that_nobody_waits_for_leaves_it_to_the_next(pair: Pair) -> None:
    async with reading(pair) as reader, asyncio.timeout(PATIENCE):
        pair.pause()
        await reader.say("while it is paused")
        reader.with_patience(AT_ONCE)
        await reader.page()
        reader.later()
        reader.with_patience(NEVER)
        (probe,) = await reader.waiting()
        probe.cancel()
        await asyncio.wait([probe])
        await asyncio.to_thread(pair.resume)
        await reader.page()
        assert reader.counted == (1, 1)


async def test_a_replica_that_freezes_while_it_is_read_costs_its_patience(pair: Pair) -> None:
    async with reading(pair) as reader, asyncio.timeout(PATIENCE):
        await reader.say("before")
        await reader.page()
        family: list[Any] = []

        def freeze() -> None:
            family.extend(pair.standby.freeze())
            for limit in reader.replica._limits:  # the patience is used up soon after
                limit.reschedule(asyncio.get_running_loop().time() + AT_ONCE)

        reader.pool.meanwhile = freeze
        reader.with_patience(NEVER)
        try:
            await reader.page()
        finally:
            pair.standby.thaw(family)
        assert family, "it was frozen after it had said that it had everything"
        assert reader.counted == (1, 1)


async def test_a_primary_that_does_not_answer_is_asked_once(pair: Pair) -> None:
    async with reading(pair) as reader:
        primary = DeadPool(pair.url)
        views = evolve(reader.views, pool=primary)
        with pytest.raises(Unavailable):
            await views.history(reader.bob.profile_id, reader.chat.id, Newest(), 1)
        assert primary.asked == [reader.bob.profile_id], "once, and in their turn"
        assert reader.counted == (0, 0)


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


@pytest.mark.parametrize(
    "error",
    [UnusableDatabase("the password is wrong"), ValueError("a defect"), Unavailable()],
    ids=lambda error: type(error).__name__,
)
async def test_whatever_is_wrong_with_it_the_primary_answers_and_it_rests(
    pair: Pair, error: Exception
) -> None:
    async with reading(pair) as reader:
        await reader.say("before")
        await reader.page()

        def fail() -> None:
            raise error

        reader.pool.meanwhile = fail
        await reader.page()
        assert reader.counted == (1, 1)
        assert reader.replica.is_resting
        reader.pool.meanwhile = lambda: None
        reader.later()
        await reader.page()
        assert reader.counted == (2, 1)


async def test_a_replica_that_lets_nobody_in_is_passed_by(pair: Pair) -> None:
    async with reading(pair) as reader:
        await reader.say("before")
        stranger = pair.replica_url.replace("/messenger", "/no_such_database")
        reader.replica.pool = ReadPool(stranger, deadline=NEVER)
        try:
            await reader.page()
        finally:
            await reader.replica.pool.close()
        assert reader.counted == (0, 1)
        assert reader.replica.is_resting


async def test_a_server_that_has_become_a_primary_is_none(own_pair: Pair) -> None:
    async with reading(own_pair) as reader:
        await reader.say("before")
        await reader.page()
        assert own_pair.on_standby("SELECT pg_promote()") is True
        await reader.page()
        assert reader.counted == (1, 1)


async def test_who_may_not_read_may_not_read_there(pair: Pair) -> None:
    async with reading(pair) as reader:
        with pytest.raises(NotAMember):
            await reader.views.history(actor().profile_id, reader.chat.id, Newest(), 1)
        assert reader.counted == (0, 0)


async def test_who_was_removed_a_moment_ago_reads_nothing(pair: Pair) -> None:
    async with reading(pair) as reader:
        await reader.page()
        before = reader.pool.looks
        with pair.primary.connect("messenger") as connection:
            connection.execute(
                "UPDATE member SET left_at = now() WHERE profile_id = %s", [reader.bob.profile_id]
            )
        with pytest.raises(NotAMember):
            await reader.page()
        assert reader.pool.looks > before, "the replica was asked"
        assert reader.counted == (1, 0)
