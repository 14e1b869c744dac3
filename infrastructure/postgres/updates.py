"""
Updates between processes that share a database, by LISTEN and NOTIFY.

Each process has two connections for it: one that only listens, and one that only notifies. A notification is sent after the
transaction whose updates it carries, never within: PostgreSQL commits transactions that notify one after the other, which
would slow down everything that is stored. It is a transaction of its own that waits for no disk, as nothing is lost with it.

Many updates go out in one statement: those that come while the one before is under way, or soon after it began
(`infrastructure.relay.APART`). A process hears its own notifications too. If it has heard nothing for some seconds it connects
again: the connection may be dead without anybody having said so.
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Final

import psycopg
from attrs import define, field
from psycopg.rows import TupleRow, tuple_row

from application.ports.updates import Update
from domain.ids import ChatId
from infrastructure.postgres.driver.arrays import Texts
from infrastructure.postgres.driver.connection import Connection, Connector, cut, within
from infrastructure.postgres.driver.errors import UnusableDatabase
from infrastructure.postgres.driver.pipeline import Refused, Statement, ask
from infrastructure.relay import Relay, again_and_again

log: Final = logging.getLogger(__name__)

CHANNEL: Final = "messenger_updates"

NOTIFICATION_BYTES: Final = 7999
"""PostgreSQL refuses longer ones."""

HEARD_AT_ONCE: Final = 10
"""Notifications that are heard in one turn of the event loop: one or two milliseconds if they are full."""

LAST_SECONDS: Final = 0.3
"""How long the last updates may take to be sent when the process ends."""

NOTIFY: Final = "SELECT pg_notify('messenger_updates', payload) FROM unnest(%s) AS payload"


class Silent(Exception):
    """Nothing was heard for so long that the connection is taken for dead."""


FAILURES: Final = (psycopg.Error, OSError, UnusableDatabase, Silent)


@define(eq=False, kw_only=True)
class PostgresUpdates:
    """
    ``run`` carries updates until it is cancelled, and connects again whenever a connection is lost.

    A process says every ``heartbeat`` seconds that it is there if it has said nothing else, and takes its listening
    connection for dead after ``silence`` seconds. When it ends, it spends up to ``last_seconds`` on sending what waits.
    """

    _url: str
    publisher: str
    _deadline: float = 5.0
    heartbeat: float = 1.0
    silence: float = 4.0
    last_seconds: float = LAST_SECONDS
    _relay: Relay = field(init=False)
    _connector: Connector = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._relay = Relay(publisher=self.publisher, most_bytes=NOTIFICATION_BYTES)
        self._connector = Connector(target=self._url, deadline=self._deadline)

    def publish(self, updates: Sequence[Update]) -> None:
        self._relay.publish(updates)

    def subscribe(self, listener: Callable[[Sequence[Update]], None]) -> None:
        self._relay.subscribe(listener)

    def focus(self, is_listened_to: Callable[[ChatId], bool]) -> None:
        self._relay.focus(is_listened_to)

    def see(self, epoch: str) -> None:
        self._relay.see(epoch)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for work in (self._listen, self._notify):
                tasks.create_task(again_and_again(work, FAILURES, self._relay))

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Connection[TupleRow]]:
        connection = await self._connector.connect(tuple_row)
        try:
            yield connection
        finally:
            cut(connection)
            await connection.close()

    # Hearing

    async def _listen(self, works: Callable[[], None]) -> None:
        async with self._connected() as connection:
            if connection.is_pooled:
                raise UnusableDatabase(
                    "notifications do not pass a pooler: set BUS_DATABASE_URL to the database itself"
                )
            with within(self._deadline, connection):
                await connection.execute(f"LISTEN {CHANNEL}")
            works()
            await _Ear(connection, self._relay.hear).listen(self.silence)

    # Notifying

    async def _notify(self, works: Callable[[], None]) -> None:
        async with self._connected() as connection:
            await connection.execute("SET synchronous_commit = off")
            works()
            sending: asyncio.Task[None] | None = None
            try:
                while True:
                    await self._relay.filled(self.heartbeat)
                    sending = asyncio.create_task(self._send(connection, self._deadline))
                    await asyncio.shield(sending)
            except asyncio.CancelledError:
                await self._send_last(connection, sending)
                raise

    async def _send_last(
        self, connection: Connection[TupleRow], sending: "asyncio.Task[None] | None"
    ) -> None:
        """
        Lets what is being sent arrive, and sends the rest. The driver answers a cancellation by having the server cancel the
        statement, or the next one if that request comes late: what is under way is therefore never cancelled.
        """
        with suppress(psycopg.Error), within(self.last_seconds, connection):
            if sending is not None:
                await sending
            while not self._relay.is_empty:
                await self._send(connection, self.last_seconds)

    async def _send(self, connection: Connection[TupleRow], seconds: float) -> None:
        batches = self._relay.take().values()
        envelopes = [each for batch in batches for each in batch.envelopes] or [self._relay.sign_of_life()]
        try:
            with within(seconds, connection):
                await ask(connection, [Statement(NOTIFY, [Texts.packed(envelopes)])])
        except Refused as refusal:
            self._relay.not_sent(batches)
            raise refusal.error from refusal
        except BaseException:
            self._relay.not_sent(batches)
            raise


@define(eq=False)
class _Ear:
    """
    Reads notifications as soon as they arrive. The driver's own iterator would hold the lock of the connection, and takes
    more CPU for each.
    """

    _connection: Connection[TupleRow]
    _hear: Callable[[bytes], None]
    _has_heard: bool = field(init=False, default=False)
    _is_hearing: bool = field(init=False, default=False)
    """Whether more of what has been read is heard in the next turn of the event loop."""
    _lost: "asyncio.Future[None]" = field(init=False)

    async def listen(self, silence: float) -> None:
        """
        Listens until it is cancelled.

        Raises:
            psycopg.Error: The connection was lost.
            Silent: Nothing came for ``silence`` seconds.
        """
        loop = asyncio.get_running_loop()
        place = os.dup(
            self._connection.pgconn.socket
        )  # the driver closes its own when the connection is lost
        self._lost = loop.create_future()
        loop.add_reader(place, self._read)
        try:
            while True:
                self._has_heard = False
                await asyncio.wait([self._lost], timeout=silence)
                if self._lost.done():
                    self._lost.result()
                if not self._has_heard:
                    raise Silent(f"nothing was heard for {silence:g} seconds")
        finally:
            loop.remove_reader(place)
            os.close(place)
            self._lost.cancel()

    def _read(self) -> None:
        with self._losing():
            self._connection.pgconn.consume_input()
            if not self._is_hearing:
                self._hear_some()

    def _hear_some(self) -> None:
        """Hears what has been read, and lets others have a turn in between."""
        self._is_hearing = False
        if self._lost.done():
            return
        with self._losing():
            for _ in range(HEARD_AT_ONCE):
                if (notification := self._connection.pgconn.notifies()) is None:
                    return
                self._has_heard = True
                self._hear(notification.extra)
            self._is_hearing = True
            asyncio.get_running_loop().call_soon(self._hear_some)

    @contextmanager
    def _losing(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            if not self._lost.done():
                self._lost.set_exception(error)
