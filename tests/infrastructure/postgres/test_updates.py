"""What is particular about updates by LISTEN and NOTIFY."""

import asyncio
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from attrs import define

from config.adapters import make_bus
from config.ports import Bus
from config.settings.groups import Bus as BusSettings
from config.settings.groups import Settings
from config.settings.readers import BusKind
from domain.ids import ChatId
from infrastructure.postgres import updates
from infrastructure.postgres.driver.connection import Connection
from infrastructure.postgres.driver.pipeline import Rows, Statement, ask
from infrastructure.postgres.updates import PostgresUpdates
from infrastructure.system.ids import SystemIds
from tests.contracts.buses import PATIENCE, Notified, change, connected, process, processes, until
from tests.pgbouncer import Pooler
from tests.storages import conninfo


@define(eq=False)
class Impatient(Notified):
    """Takes a connection for dead soon."""

    def make(self) -> PostgresUpdates:
        return PostgresUpdates(
            url=self.url, publisher=uuid4().hex, deadline=PATIENCE, heartbeat=0.1, silence=2.0
        )


@contextmanager
def frozen(url: str) -> Iterator[None]:
    """Stops the backends of all that listen now: their connections stay open, and nothing comes."""
    with psycopg.connect(conninfo(url), autocommit=True) as connection:
        found = connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"
        ).fetchall()
    assert found
    for (pid,) in found:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for (pid,) in found:
            os.kill(pid, signal.SIGCONT)


async def test_a_connection_that_hears_nothing_is_taken_for_dead(emptied_database: str) -> None:
    async with processes(Impatient(emptied_database), 2) as (one, other):
        with frozen(emptied_database):
            await connected([one, other])


async def test_a_pooler_is_noticed_and_can_be_passed_by(
    messenger_database: str, pooler: Pooler, caplog: pytest.LogCaptureFixture
) -> None:
    pooled = Notified(pooler.url(messenger_database))
    async with processes(Notified(messenger_database), 1) as (other,), process(pooled) as one:
        chat = ChatId(uuid4())
        await until(lambda: "set BUS_DATABASE_URL" in caplog.text)
        async with process(Notified(messenger_database)) as third:
            await connected([other, third])
        one.bus.publish([change(chat, 1)])
        await until(lambda: bool(other.positions(chat)))


@define(eq=False)
class AsSet(Notified):
    """A bus that is made from settings: the database through a pooler, and its own address for LISTEN."""

    pooled: str

    def make(self) -> Bus:
        bus = BusSettings(kind=BusKind.NOTIFY, database_url=self.url)
        return make_bus(Settings(bus=bus), self.pooled, SystemIds())


async def test_a_bus_goes_past_the_pooler_of_its_database(messenger_database: str, pooler: Pooler) -> None:
    async with processes(AsSet(messenger_database, pooler.url(messenger_database)), 2) as (one, other):
        chat = ChatId(uuid4())
        one.bus.publish([change(chat, 1)])
        await until(lambda: other.positions(chat) == [1])


async def test_notifying_waits_for_no_disk(emptied_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    durability: list[str] = []

    async def ask_first(connection: Connection[Any], statements: Sequence[Statement]) -> list[Rows]:
        ((how,),) = (await ask(connection, [Statement("SHOW synchronous_commit")]))[0]
        durability.append(how)
        return await ask(connection, statements)

    monkeypatch.setattr(updates, "ask", ask_first)
    async with processes(Notified(emptied_database), 2):
        pass
    assert set(durability) == {"off"}


async def test_what_is_being_sent_at_the_end_is_not_cancelled(
    emptied_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server might cancel what is sent after it, because the driver asks it to on another connection."""
    began, goes_on = asyncio.Event(), asyncio.Event()
    cancelled: list[Sequence[Statement]] = []

    async def slowly(connection: Connection[Any], statements: Sequence[Statement]) -> list[Rows]:
        began.set()
        try:
            await goes_on.wait()
        except asyncio.CancelledError:
            cancelled.append(statements)
            raise
        return await ask(connection, statements)

    wire, chat = Notified(emptied_database), ChatId(uuid4())
    async with process(wire) as other:
        async with process(wire) as one:
            await connected([one, other])
            monkeypatch.setattr(updates, "ask", slowly)
            one.bus.publish([change(chat, 1)])
            await began.wait()
            asyncio.get_running_loop().call_later(0.05, goes_on.set)
        assert not cancelled
        await until(lambda: bool(other.positions(chat)))
