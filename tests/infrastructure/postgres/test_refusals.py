"""Databases that refuse for a while: the first request afterwards succeeds, and readiness tells the truth meanwhile."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from attrs import evolve, frozen
from psycopg import errors, sql
from sqlalchemy.engine import make_url

from application.actor import Actor
from application.errors import Unavailable
from application.messages.send import Sent
from application.ports.views import Newest
from application.receipts.mark_read import MarkRead
from config.ports import Storage
from domain.chat import Chat
from domain.ids import Seq
from infrastructure.complaints import Complaints
from infrastructure.postgres.driver import errors as driver_errors
from infrastructure.postgres.driver.errors import in_our_terms
from infrastructure.postgres.driver.trouble import WriteTrouble
from infrastructure.postgres.views import PostgresViews
from tests.contracts.talk import Talk, known, open_chat, saying
from tests.postgres import PostgresServer
from tests.storages import postgres_storage


@frozen
class Room:
    storage: Storage
    talk: Talk
    ann: Actor
    chat: Chat
    database: str
    beside: psycopg.Connection[Any]

    async def send(self) -> None:
        (answer,) = await self.talk.send(saying(self.ann, self.chat.id))
        assert isinstance(answer, Sent)

    async def mark(self) -> None:
        await self.talk.mark((self.ann, MarkRead(chat_id=self.chat.id, up_to=Seq(1))))

    async def write(self) -> None:
        async with self.storage.begin() as work:
            held = await work.profiles.lock(self.ann.profile_id)
            await work.profiles.save(held)

    async def read(self) -> None:
        await self.storage.views.history(self.ann.profile_id, self.chat.id, Newest(), 5)

    async def count(self) -> None:
        await self.storage.views.unread_count(self.ann.profile_id, self.chat.id)

    async def look(self) -> None:
        await self.storage.changes.now()

    async def probe(self) -> None:
        await self.storage.views.probe()

    def set(self, setting: str, value: str | None) -> None:
        """For new connections."""
        name = sql.Identifier(self.database)
        if value is None:
            what = sql.SQL("ALTER DATABASE {} RESET {}").format(name, sql.Identifier(setting))
        else:
            what = sql.SQL("ALTER DATABASE {} SET {} = {}").format(
                name, sql.Identifier(setting), sql.Literal(value)
            )
        self.beside.execute(what)

    def terminate_all(self) -> None:
        self.beside.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()",
            [self.database],
        )

    def wait_until_ended(self) -> None:
        """Until the server has ended every connection that is idle."""
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()"
        while self.beside.execute(waiting, [self.database]).fetchone() != (0,):
            self.beside.execute("SELECT pg_sleep(0.02)")


Ask = Callable[[Room], Awaitable[None]]

WRITES: dict[str, Ask] = {"send": Room.send, "mark": Room.mark, "write": Room.write}
READS: dict[str, Ask] = {"read": Room.read, "count": Room.count, "look": Room.look, "probe": Room.probe}
EVERYTHING = WRITES | READS


@pytest.fixture
async def room(postgres_server: PostgresServer, messenger_database: str) -> AsyncIterator[Room]:
    database = make_url(messenger_database).database
    assert database is not None
    with postgres_server.connect() as beside:
        async with postgres_storage(messenger_database) as storage:
            talk = Talk(storage)
            (ann,) = await known(storage.begin, "Ann")
            chat = await open_chat(storage.begin, ann)
            yield Room(storage, talk, ann, chat, database, beside)


@pytest.mark.parametrize("ask", EVERYTHING)
async def test_the_first_request_after_all_connections_were_ended_succeeds(room: Room, ask: str) -> None:
    for _ in range(2):
        await EVERYTHING[ask](room)
        room.terminate_all()
    await EVERYTHING[ask](room)


@pytest.mark.parametrize("ask", EVERYTHING)
async def test_the_first_request_after_a_rest_succeeds(room: Room, ask: str) -> None:
    room.set("idle_session_timeout", "100ms")
    room.terminate_all()
    for _ in range(3):
        await EVERYTHING[ask](room)
        room.wait_until_ended()


@pytest.mark.parametrize("ask", WRITES)
async def test_writing_goes_on_when_the_database_accepts_writes_again(room: Room, ask: str) -> None:
    await WRITES[ask](room)
    room.set("default_transaction_read_only", "on")
    room.terminate_all()
    for _ in range(2):
        with pytest.raises(Unavailable):
            await WRITES[ask](room)
    room.set("default_transaction_read_only", None)
    try:
        await WRITES[ask](room)  # on a connection that was made after the last refusal, or
    except Unavailable:
        await WRITES[ask](room)  # one retry does


async def test_ready_means_that_writing_is_possible(room: Room) -> None:
    await room.probe()
    room.set("default_transaction_read_only", "on")
    room.terminate_all()
    await room.read()
    with pytest.raises(Unavailable, match="no writes"):
        await room.probe()
    room.set("default_transaction_read_only", None)
    await room.probe()
    await room.send()


@contextmanager
def complaining(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """A clock of the test's own for the log about storage."""
    now = [0.0]
    monkeypatch.setattr(
        driver_errors, "complaints", Complaints("storage", driver_errors.log, now=lambda: now[0])
    )
    yield now


def refuse(error: psycopg.Error) -> None:
    with pytest.raises(Unavailable), in_our_terms():
        raise error


def test_each_kind_of_refusal_is_logged_once_a_minute_with_its_cause(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with complaining(monkeypatch) as now, caplog.at_level(logging.WARNING):
        for _ in range(5):
            refuse(errors.DiskFull("no space left on device"))
            refuse(errors.LockNotAvailable("canceling statement due to lock timeout"))
        assert [record.getMessage() for record in caplog.records] == [
            "storage: unavailable: DiskFull: no space left on device",
            "storage: unavailable: LockNotAvailable: canceling statement due to lock timeout",
        ]
        assert [record.__dict__["sqlstate"] for record in caplog.records] == ["53100", "55P03"]
        caplog.clear()
        now[0] = 59.9
        refuse(errors.DiskFull("no space left on device"))
        assert caplog.records == []
        now[0] = 60.0
        refuse(errors.DiskFull("no space left on device"))
        (record,) = caplog.records
        assert record.__dict__["since_the_last_such_line"] == 5


def test_a_value_is_not_logged(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    with complaining(monkeypatch):
        refuse(errors.InvalidTextRepresentation('invalid input syntax for type uuid: "a secret"'))
    assert "secret" not in caplog.text
    assert "InvalidTextRepresentation" in caplog.text


async def test_the_log_names_the_use_case_that_asked(room: Room, caplog: pytest.LogCaptureFixture) -> None:
    driver_errors.complaints._told.clear()
    room.set("default_transaction_read_only", "on")
    room.terminate_all()
    with pytest.raises(Unavailable):
        await room.send()
    assert {record.__dict__["asked"] for record in caplog.records} == {"messages.send"}


@pytest.fixture
async def clerk(postgres_server: PostgresServer, room: Room) -> AsyncIterator[Room]:
    """The same chat, over connections of a role that may do no more than it was granted."""
    url = make_url(postgres_server.url(room.database)).set(username="clerk")
    with postgres_server.connect(room.database) as beside:
        beside.execute("CREATE ROLE clerk LOGIN")
        beside.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO clerk")
        try:
            async with postgres_storage(url.render_as_string(hide_password=False)) as storage:
                yield evolve(room, storage=storage, talk=Talk(storage), beside=beside)
        finally:
            beside.execute("DROP OWNED BY clerk")
            beside.execute("DROP ROLE clerk")


FAULTS = {
    "a lost permission": (
        "REVOKE INSERT ON message FROM clerk",
        "GRANT INSERT ON message TO clerk",
        "42501",
    ),
    "a missing table": (
        "ALTER TABLE message RENAME TO elsewhere",
        "ALTER TABLE elsewhere RENAME TO message",
        "42P01",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_tables_that_are_missing_or_may_not_be_written_show_in_the_log_and_in_readiness(
    clerk: Room, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    broken, mended, sqlstate = FAULTS[fault]
    await clerk.send()
    await clerk.probe()
    driver_errors.complaints._told.clear()
    clerk.beside.execute(broken.encode())
    with pytest.raises(Unavailable, match=sqlstate):
        await clerk.probe()
    assert {(record.__dict__["sqlstate"], "message" in record.getMessage()) for record in caplog.records} == {
        (sqlstate, True)
    }
    with pytest.raises(Unavailable, match=sqlstate):
        await clerk.send()
    clerk.beside.execute(mended.encode())
    await clerk.probe()
    await clerk.send()


@pytest.fixture
async def full(room: Room, postgres_server: PostgresServer) -> AsyncIterator[Room]:
    """Its disk has room for no further message, as the server says it."""
    with postgres_server.connect(room.database) as beside:
        beside.execute(
            """
            CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100';
            END $$;
            CREATE TRIGGER full_disk BEFORE INSERT ON message EXECUTE FUNCTION full_disk();
            """
        )
        yield evolve(room, beside=beside)


@pytest.mark.parametrize("ask", ["send", "write"])
async def test_a_full_disk_shows_in_the_log_and_in_readiness_for_a_while(
    full: Room, caplog: pytest.LogCaptureFixture, ask: str
) -> None:
    trouble, now = trouble_of(full.storage), [100.0]
    trouble.now = lambda: now[0]
    full.beside.execute("CREATE TRIGGER full_disk BEFORE UPDATE ON profile EXECUTE FUNCTION full_disk()")
    await full.probe()
    driver_errors.complaints._told.clear()
    with pytest.raises(Unavailable, match="53100"):
        await WRITES[ask](full)
    assert "storage: unavailable: DiskFull: could not extend file: No space left on device" in caplog.text
    now[0] += 29
    with pytest.raises(Unavailable, match="53100"):
        await full.probe()
    await full.read()
    now[0] += 2
    await full.probe()
    full.beside.execute("DROP FUNCTION full_disk CASCADE")
    await WRITES[ask](full)


def trouble_of(storage: Storage) -> WriteTrouble:
    """What storage remembers of failed writes."""
    assert isinstance(storage.views, PostgresViews)
    return storage.views.trouble


async def test_a_connection_that_is_made_again_is_logged(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    driver_errors.complaints._told.clear()
    await room.send()
    room.terminate_all()
    await room.send()
    assert "storage: connected again: " in caplog.text
    assert len(caplog.records) == 1
