"""What carries updates between processes, as the tests see it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Protocol
from uuid import UUID, uuid4

import nats
import psycopg
from attrs import define, field
from psycopg import sql

from application.ports.updates import ChatUpdate, Update
from config.ports import Bus
from domain.events import ChatChanged
from domain.ids import ChatId, Position, ProfileId
from infrastructure.memory.updates import MemoryUpdates
from infrastructure.nats.updates import NatsServers, NatsUpdates
from infrastructure.postgres.updates import CHANNEL, PostgresUpdates
from tests.nats import NatsServer
from tests.storages import conninfo
from tests.strategies import START

EPOCH = "the present line of history"
SOMEBODY = ProfileId(UUID(int=7))
PATIENCE = 30.0
"""Seconds after which something hangs."""


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.005)


def change(chat_id: ChatId, position: int, description: str | None = None) -> ChatChanged:
    return ChatChanged(
        chat_id=chat_id,
        position=Position(position),
        name=f"Name {position}",
        description=description,
        by=SOMEBODY,
        at=START,
    )


@define(eq=False)
class Process:
    """One process on a bus, and what its listener has heard."""

    bus: Bus
    heard: list[Update] = field(factory=list)
    calls: list[Sequence[Update]] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        self.bus.subscribe(self._hear)

    def _hear(self, updates: Sequence[Update]) -> None:
        self.calls.append(updates)
        self.heard.extend(updates)

    def positions(self, chat_id: ChatId) -> list[int]:
        return [
            each.position or 0
            for each in self.heard
            if isinstance(each, ChatUpdate) and each.chat_id == chat_id
        ]


class Medium(Protocol):
    """A bus that several processes share."""

    def make(self) -> Bus: ...

    async def cut(self) -> None:
        """Ends all connections, as a restart of the server does."""
        ...

    async def send_nonsense(self) -> None:
        """A stranger sends what no process can read."""
        ...

    @asynccontextmanager
    async def deaf(self) -> AsyncIterator[None]:
        """Somebody subscribes who does not read."""
        yield


@asynccontextmanager
async def process(medium: Medium, epoch: str = EPOCH) -> AsyncIterator[Process]:
    bus = medium.make()
    bus.see(epoch)
    running = asyncio.create_task(bus.run())
    try:
        yield Process(bus)
    finally:
        running.cancel()
        await asyncio.wait([running], timeout=PATIENCE)
        assert running.cancelled()


@asynccontextmanager
async def processes(medium: Medium, number: int) -> AsyncIterator[Sequence[Process]]:
    """Yields when each hears each other."""
    async with AsyncExitStack() as stack:
        made = [await stack.enter_async_context(process(medium)) for _ in range(number)]
        await connected(made)
        yield made


async def connected(made: Sequence[Process]) -> None:
    """Waits until each hears each other. What is published before a process listens is lost to it."""
    for each in made:
        trial = ChatId(uuid4())
        async with asyncio.timeout(PATIENCE):
            while not all(other.positions(trial) for other in made):
                each.bus.publish([change(trial, 1)])
                await asyncio.sleep(0.02)


@define(eq=False)
class InMemory:
    """All are one process: memory is not shared with others."""

    shared: MemoryUpdates = field(factory=MemoryUpdates)

    def make(self) -> Bus:
        return self.shared


@define(eq=False)
class Notified:
    url: str

    def make(self) -> Bus:
        return PostgresUpdates(
            url=self.url,
            publisher=uuid4().hex,
            deadline=PATIENCE,
            heartbeat=0.2,
            silence=PATIENCE,
            last_seconds=PATIENCE,
        )

    def _connect(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(conninfo(self.url), autocommit=True)

    async def cut(self) -> None:
        with self._connect() as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

    async def send_nonsense(self) -> None:
        with self._connect() as connection:
            for text in ("", "nonsense", '{"v":1}', '{"v":1,"from":"me","epoch":"","updates":[[1,2]]}'):
                connection.execute("SELECT pg_notify(%s, %s)", [CHANNEL, text])

    @asynccontextmanager
    async def deaf(self) -> AsyncIterator[None]:
        with self._connect() as connection:
            connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(CHANNEL)))
            yield


@define(eq=False)
class OverNats:
    server: NatsServer
    subject: str = field(factory=lambda: uuid4().hex)

    def make(self) -> Bus:
        return NatsUpdates(
            servers=NatsServers(addresses=[self.server.url]),
            publisher=uuid4().hex,
            subject=self.subject,
            deadline=PATIENCE,
            heartbeat=0.2,
        )

    async def cut(self) -> None:
        await asyncio.to_thread(self.server.stop)
        await asyncio.to_thread(self.server.start)

    async def send_nonsense(self) -> None:
        client = await nats.connect(self.server.url)
        for text in (b"", b"nonsense", b'{"v":1}', b'{"v":1,"from":"me","epoch":"","updates":[[1,2]]}'):
            await client.publish(f"{self.subject}.updates.0", text)
        await client.flush()
        await client.close()

    @asynccontextmanager
    async def deaf(self) -> AsyncIterator[None]:
        _, writer = await asyncio.open_connection("127.0.0.1", self.server.port, limit=1)
        writer.write(
            b'CONNECT {"verbose":false}\r\nSUB ' + self.subject.encode() + b".updates.* 1\r\nPING\r\n"
        )
        await writer.drain()
        try:
            yield
        finally:
            writer.close()
