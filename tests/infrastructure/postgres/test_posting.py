"""What PostgreSQL does to a batch, and what its callers hear of it."""

import asyncio
import os
import re
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from attrs import define, evolve
from sqlalchemy.engine import make_url

from application.actor import Actor
from application.errors import OutcomeUnknown, Unavailable
from application.messages.send import Postponed, SendMessage, Sent
from application.ports.posting import BeginPosting, Draft, Indigestible, Interrupted
from application.ports.updates import Moved
from application.ports.views import Newest
from domain.account import Email
from domain.chat import Chat
from domain.ids import MessageId
from domain.message import Body, Nonce
from infrastructure.gather import Gatherer
from infrastructure.postgres.driver.batches import BatchConnection
from infrastructure.postgres.driver.pipeline import Statement
from infrastructure.postgres.posting import PostgresPostings
from tests.contracts.talk import Asked, Talk, actor, open_chat, saying
from tests.infrastructure.postgres.cutter import Cut, Cutter
from tests.postgres import PostgresServer
from tests.storages import SharedStorage, make_lane, postgres_storage
from tests.strategies import START

ENOUGH = 60
"""Seconds."""


@pytest.fixture
async def storage(messenger_database: str) -> AsyncIterator[SharedStorage]:
    async with postgres_storage(messenger_database) as storage:
        yield storage


@define(eq=False)
class Lanes:
    """A gatherer over lanes of its own, with short deadlines."""

    talk: Talk
    lane: BatchConnection
    gatherer: Gatherer[Asked, Sent]

    async def outcomes(self, *asked: Asked) -> list[Any]:
        answers = [self.gatherer.submit(each) for each in asked]
        found = await asyncio.gather(*answers, return_exceptions=True)
        return [type(each) if isinstance(each, BaseException) else each for each in found]

    async def backend(self) -> int:
        """The process on the server, which is connected now at the latest."""
        async with self.lane.begin():
            pass
        assert self.lane._driver is not None
        return self.lane._driver.info.backend_pid


@asynccontextmanager
async def lanes(
    storage: SharedStorage, url: str, *, deadline: float = 5.0, lock_timeout: float = 2.0
) -> AsyncIterator[Lanes]:
    lane = make_lane(url, deadline=deadline)
    patient = make_lane(url, patient=True, deadline=deadline, lock_timeout=lock_timeout)
    talk = Talk(evolve(storage, begin_patient_posting=PostgresPostings(patient).begin))
    try:
        async with asyncio.timeout(ENOUGH), talk.gathering(PostgresPostings(lane).begin) as gatherer:
            yield Lanes(talk, lane, gatherer)
    finally:
        await lane.close()
        await patient.close()


async def texts(storage: SharedStorage, reader: Actor, chat: Chat) -> list[str]:
    page = await storage.views.history(reader.profile_id, chat.id, Newest(), 10_000)
    assert [view.message.seq for view in page.messages] == list(range(1, page.total_count + 1))
    return [view.message.body.text for view in page.messages]


def poison(who: Actor, chat: Chat) -> Asked:
    """A text that the domain refuses and PostgreSQL cannot hold."""
    return who, SendMessage(chat_id=chat.id, body=Body.unjudged("bad\0text"))


class TestPoison:
    async def test_only_the_poison_is_refused(self, storage: SharedStorage, messenger_database: str) -> None:
        ann, bob = actor(), actor()
        chat, other = await open_chat(storage.begin, ann), await open_chat(storage.begin, bob)
        good = [saying(ann, chat.id, str(number)) for number in range(9)]
        async with lanes(storage, messenger_database) as here:
            found = await here.outcomes(*good[:4], poison(ann, chat), *good[4:], saying(bob, other.id, "x"))
        assert [found.index(each) for each in found if each is Indigestible] == [4]
        assert sum(isinstance(each, Sent) for each in found) == 10
        assert await texts(storage, ann, chat) == [str(number) for number in range(9)]
        assert await texts(storage, bob, other) == ["x"]

    async def test_a_poisoned_nonce(self, storage: SharedStorage, messenger_database: str) -> None:
        ann = actor()
        chat = await open_chat(storage.begin, ann)
        bad = Nonce("x")
        object.__setattr__(bad, "value", "nul\0")
        async with lanes(storage, messenger_database) as here:
            found = await here.outcomes(
                saying(ann, chat.id, "1"),
                (ann, SendMessage(chat_id=chat.id, body=Body.unjudged("2"), nonce=bad)),
                saying(ann, chat.id, "3"),
            )
        assert found[1] is Indigestible
        assert await texts(storage, ann, chat) == ["1", "3"]


class TestLostConnections:
    async def test_a_backend_that_ended_between_batches(
        self, storage: SharedStorage, messenger_database: str, beside: psycopg.Connection[Any]
    ) -> None:
        ann = actor()
        chat = await open_chat(storage.begin, ann)
        async with lanes(storage, messenger_database) as here:
            beside.execute("SELECT pg_terminate_backend(%s, 5000)", [await here.backend()])
            (sent,) = await here.outcomes(saying(ann, chat.id, "Hello"))
        assert isinstance(sent, Sent)
        assert await texts(storage, ann, chat) == ["Hello"]

    async def test_a_backend_that_ends_before_commit(
        self, storage: SharedStorage, messenger_database: str, beside: psycopg.Connection[Any]
    ) -> None:
        """Its batch is tried once more, and stored once."""
        ann = actor()
        chat = await open_chat(storage.begin, ann)
        async with lanes(storage, messenger_database) as here:
            backend = await here.backend()
            beside.execute("BEGIN")
            beside.execute("LOCK TABLE message IN ACCESS EXCLUSIVE MODE")
            answer = here.gatherer.submit(saying(ann, chat.id, "Hello", nonce="n"))
            await waits_for_a_lock(beside, backend)
            beside.execute("SELECT pg_terminate_backend(%s)", [backend])
            beside.execute("COMMIT")
            assert not (await answer).duplicate
        assert await texts(storage, ann, chat) == ["Hello"]

    async def test_a_frozen_backend_is_answered_for_within_the_deadline(
        self, storage: SharedStorage, messenger_database: str
    ) -> None:
        ann = actor()
        chat = await open_chat(storage.begin, ann)
        async with lanes(storage, messenger_database, deadline=2.0) as here:
            with frozen(await here.backend()):
                # Answered while it is frozen still.
                (sent,) = await here.outcomes(saying(ann, chat.id, "Hello"))
        assert isinstance(sent, Sent), "tried once more on a fresh connection"
        assert await texts(storage, ann, chat) == ["Hello"]

    async def test_one_that_froze_holding_a_chat_costs_that_chat_alone(
        self, storage: SharedStorage, messenger_database: str
    ) -> None:
        ann = actor()
        held, free = await open_chat(storage.begin, ann), await open_chat(storage.begin, ann)
        peer = make_lane(messenger_database)
        async with lanes(storage, messenger_database, lock_timeout=0.3) as here:

            async def freeze_and_give_up() -> None:
                async with PostgresPostings(peer).begin() as posting:
                    await posting.open([draft_of(saying(ann, held.id))], None)
                    assert peer._driver is not None
                    with frozen(peer._driver.info.backend_pid):
                        stuck = here.gatherer.submit(saying(ann, held.id, "stuck"))
                        for number in range(5):
                            assert isinstance(
                                await here.gatherer.submit(saying(ann, free.id, str(number))), Sent
                            )
                        with pytest.raises(Unavailable):
                            await stuck
                    raise ZeroDivisionError

            with pytest.raises(ZeroDivisionError):
                await freeze_and_give_up()
            await peer.close()
            (sent,) = await here.outcomes(saying(ann, held.id, "later"))
        assert isinstance(sent, Sent)
        assert await texts(storage, ann, held) == ["later"]

    async def test_one_that_forgets_to_end_is_ended_by_the_server(
        self, storage: SharedStorage, messenger_database: str
    ) -> None:
        ann = actor()
        chat = await open_chat(storage.begin, ann)
        lane = make_lane(messenger_database, idle_in_transaction=1.0)

        async def forget() -> None:
            async with PostgresPostings(lane).begin() as posting:
                await posting.open([draft_of(saying(ann, chat.id))], None)
                async with asyncio.timeout(ENOUGH), storage.begin() as work:
                    await work.chats.lock(chat.id)  # once the server has ended the transaction
                await posting.open([draft_of(saying(ann, chat.id))], None)

        with pytest.raises(Interrupted):
            await forget()
        async with asyncio.timeout(ENOUGH), storage.begin() as work:
            await work.chats.lock(chat.id)
        async with PostgresPostings(lane).begin() as posting:
            assert (await posting.open([draft_of(saying(ann, chat.id))], None)).chats.keys() == {chat.id}
        await lane.close()


class TestCommit:
    @pytest.fixture
    async def cutter(self, postgres_server: PostgresServer) -> AsyncIterator[tuple[Cutter, Path]]:
        embedded = postgres_server.embedded
        cutter = Cutter(embedded.socket_dir / f".s.PGSQL.{embedded.port}")
        with tempfile.TemporaryDirectory(prefix="cut-") as folder:
            async with cutter.listening(Path(folder)):
                yield cutter, Path(folder)

    @pytest.mark.parametrize("cut", [Cut.BEFORE_COMMIT, Cut.AFTER_COMMIT, Cut.SILENCE])
    async def test_an_answer_that_was_not_heard_leaves_it_open_and_a_repeat_stores_once(
        self, storage: SharedStorage, messenger_database: str, cutter: tuple[Cutter, Path], cut: Cut
    ) -> None:
        proxy, folder = cutter
        ann = actor()
        chat = await open_chat(storage.begin, ann)
        url = make_url(messenger_database)
        through = url.set(query={**url.query, "host": str(folder), "port": "5432"})
        named = [saying(ann, chat.id, str(number), nonce=str(number)) for number in range(5)]
        async with lanes(storage, through.render_as_string(hide_password=False), deadline=1.0) as here:
            proxy.cut = cut
            assert await here.outcomes(*named) == [OutcomeUnknown] * 5
            assert here.talk.published == [Moved(chat_id=chat.id)], "listeners look for themselves"
            proxy.cut = Cut.NOWHERE
            again = await here.outcomes(*named)
        stored = cut is not Cut.BEFORE_COMMIT
        assert [answer.duplicate for answer in again] == [stored] * 5
        assert await texts(storage, ann, chat) == [str(number) for number in range(5)]

    async def test_it_is_durable_whatever_the_server_prefers(
        self, storage: SharedStorage, messenger_database: str, beside: psycopg.Connection[Any]
    ) -> None:
        name = make_url(messenger_database).database
        beside.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = off')
        async with lanes(storage, messenger_database) as here, here.lane.begin() as batch:
            assert await batch.ask(Statement("SHOW synchronous_commit")) == [[("on",)]]

    async def test_a_stronger_setting_is_left_as_it_is(
        self, storage: SharedStorage, messenger_database: str, beside: psycopg.Connection[Any]
    ) -> None:
        name = make_url(messenger_database).database
        beside.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = remote_apply')
        async with lanes(storage, messenger_database) as here, here.lane.begin() as batch:
            assert await batch.ask(Statement("SHOW synchronous_commit")) == [[("remote_apply",)]]


class TestManyAtOnce:
    async def test_a_hundred_sends_make_few_commits(
        self, storage: SharedStorage, messenger_database: str
    ) -> None:
        people = [actor() for _ in range(100)]
        chats = [await open_chat(storage.begin, person) for person in people]
        begun = 0

        def counting(begin: BeginPosting) -> BeginPosting:
            def counted() -> Any:
                nonlocal begun
                begun += 1
                return begin()

            return counted

        talk = Talk(storage)
        async with talk.gathering(counting(storage.begin_posting)) as gatherer:
            await asyncio.gather(
                *(gatherer.submit(saying(who, chat.id)) for who, chat in zip(people, chats, strict=True))
            )
        assert begun < 5

    async def test_processes_never_wait_for_each_other_for_ever(
        self, storage: SharedStorage, messenger_database: str, beside: psycopg.Connection[Any]
    ) -> None:
        """Batches over the same chats in any order, patient ones too, marks between them, two hundred times."""
        random = Random(7)
        people = [actor() for _ in range(4)]
        chats = [await open_chat(storage.begin, *people) for _ in range(8)]
        talk = Talk(storage)
        sent = 0

        async def batches(begin: BeginPosting) -> None:
            nonlocal sent
            send = talk.sending(begin)
            for _ in range(70):
                some = random.sample(chats, 4)
                answers = await send([saying(random.choice(people), chat.id) for chat in some])
                assert all(isinstance(answer, Sent | Postponed) for answer in answers)
                sent += sum(isinstance(answer, Sent) for answer in answers)

        async def marks() -> None:
            marking = talk.marking(storage.marking_neighbour())
            for _ in range(50):
                reader, chat = random.choice(people), random.choice(chats)
                page = await storage.views.history(reader.profile_id, chat.id, Newest(), 1)
                for view in page.messages:
                    await talk.read(reader, chat.id, view.message.id, marking)

        patient = make_lane(messenger_database, patient=True)
        async with asyncio.timeout(ENOUGH):
            await asyncio.gather(
                batches(storage.begin_patient_posting),
                batches(PostgresPostings(patient).begin),
                batches(storage.neighbour()),
                marks(),
                marks(),
            )
        await patient.close()
        assert beside.execute(
            "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        ).fetchone() == (0,)
        assert sum([len(await texts(storage, people[0], chat)) for chat in chats]) == sent


class TestStatements:
    """Statements are counted in the log of the server."""

    @pytest.fixture
    def logged(
        self, postgres_server: PostgresServer, messenger_database: str, beside: psycopg.Connection[Any]
    ) -> "ServerLog":
        name = make_url(messenger_database).database
        beside.execute(f"ALTER DATABASE \"{name}\" SET log_statement = 'all'")
        return ServerLog(postgres_server.embedded.log_file)

    async def test_a_batch_of_one_and_of_a_hundred_take_as_many(
        self, messenger_database: str, logged: "ServerLog"
    ) -> None:
        async with postgres_storage(messenger_database) as storage:
            people = [actor() for _ in range(10)]
            chats = [await open_chat(storage.begin, *people) for _ in range(10)]
            talk = Talk(storage)
            await talk.say(people[0], chats[0].id)
            counts = []
            for number in (1, 100):
                logged.forget()
                await talk.send(*[saying(people[n % 10], chats[n // 10].id) for n in range(number)])
                counts.append(logged.statements())
        assert [len(statements) for statements in counts] == [5, 5], "BEGIN, three statements, COMMIT"
        assert counts[0] == counts[1]

    async def test_a_unit_of_work_takes_no_more_than_it_needs(
        self, messenger_database: str, logged: "ServerLog"
    ) -> None:
        async with postgres_storage(messenger_database) as storage:
            for _ in range(2):  # the first time a connection is made
                logged.forget()
                async with storage.begin() as work:
                    await work.accounts.find_by_email(Email("nobody@example.com"))
            begin, select, commit = logged.statements()
            assert (begin, select[:6], commit) == ("BEGIN ISOLATION LEVEL READ COMMITTED", "SELECT", "COMMIT")
            logged.forget()
            await storage.catalogues.headings()
            begin, select, rollback = logged.statements()
            assert (begin, select[:6], rollback) == (
                "BEGIN ISOLATION LEVEL READ COMMITTED",
                "SELECT",
                "ROLLBACK",
            )

    async def test_reads_take_as_many_for_little_and_for_much(
        self, messenger_database: str, logged: "ServerLog"
    ) -> None:
        async with postgres_storage(messenger_database) as storage:
            people = [actor() for _ in range(20)]
            few, many = people[0], people[1]
            talk, views = Talk(storage), storage.views
            quiet = await open_chat(storage.begin, few)
            await talk.say(few, quiet.id)
            chats = [await open_chat(storage.begin, *people[1:]) for _ in range(40)]
            busy = chats[0]
            await talk.send(
                *[saying(people[1 + n % 19], busy.id) for n in range(100)],
                *[saying(many, chat.id) for chat in chats],
            )
            await views.list_chats(few.profile_id)  # the connection is made, and prepared
            for small, large in (
                (lambda: views.list_chats(few.profile_id), lambda: views.list_chats(many.profile_id)),
                (
                    lambda: views.history(few.profile_id, quiet.id, Newest(), 100),
                    lambda: views.history(many.profile_id, busy.id, Newest(), 100),
                ),
                (
                    lambda: views.snapshot(few.profile_id, quiet.id, 50),
                    lambda: views.snapshot(many.profile_id, busy.id, 50),
                ),
                (
                    lambda: views.get_chat(few.profile_id, quiet.id),
                    lambda: views.get_chat(many.profile_id, busy.id),
                ),
            ):
                counts = []
                for read in (small, large):
                    logged.forget()
                    await read()
                    counts.append(len(logged.statements()))
                assert counts[0] == counts[1] <= 8


@define
class ServerLog:
    path: Path
    _seen: int = 0

    def forget(self) -> None:
        self._seen = self.path.stat().st_size

    def statements(self) -> list[str]:
        """The beginning of each."""
        text = self.path.read_bytes()[self._seen :].decode()
        return re.findall(r"LOG:  (?:statement|execute [^:]*): \s*(.{0,40})", text)


def draft_of(asked: Asked) -> Draft:
    who, command = asked
    return Draft(
        chat_id=command.chat_id,
        author_id=who.profile_id,
        id=MessageId(uuid4()),
        body=command.body,
        nonce=None,
        at=START,
    )


async def waits_for_a_lock(beside: psycopg.Connection[Any], backend: int) -> None:
    async with asyncio.timeout(ENOUGH):
        while True:
            row = beside.execute(
                "SELECT wait_event_type FROM pg_stat_activity WHERE pid = %s", [backend]
            ).fetchone()
            if row == ("Lock",):
                return
            await asyncio.sleep(0.01)


@contextmanager
def frozen(process: int) -> Iterator[None]:
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)
