"""
Updates between processes over NATS, for nodes that share more than one database server can notify.

Subjects end with a partition of the chat, so that the updates of one chat stay in their order, and a cluster of NATS servers can
route them apart. NATS keeps nothing: a process that is not connected reads the log (`application.ports.updates`).

The client's own reconnecting is not used: it would send what it had in its buffer, which may be old by then.
"""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Final
from zlib import crc32

from attrs import define, field, frozen
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error

from application.ports.updates import LimitUsed, PresenceUpdate, Update
from domain.events import SessionEnded
from domain.ids import ChatId
from infrastructure.nats.credentials import Credentials, UnusableCredentials
from infrastructure.relay import Relay, again_and_again

log: Final = logging.getLogger(__name__)

PARTITIONS: Final = 16

ENVELOPE_BYTES: Final = 256 * 1024
"""A quarter of what a NATS server accepts unless it is told otherwise."""

LAST_SECONDS: Final = 0.3
"""How long the last updates may take to be sent when the process ends."""


@frozen(kw_only=True)
class NatsServers:
    """The NATS servers to connect to, and the credentials for them."""

    addresses: Sequence[str]
    """Addresses like ``nats://host:4222``, or ``tls://`` for TLS. One is chosen by chance, and another if it does not answer."""
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    credentials: Path | None = None
    """The credentials file of a user of NATS. It is read for each connection, so that it may be renewed."""
    tls: ssl.SSLContext | None = None
    """None if the addresses say what is needed."""


class Lost(Exception):
    """The connection to NATS has ended."""


FAILURES: Final = (Error, OSError, Lost, UnusableCredentials)


@define(eq=False, kw_only=True)
class NatsUpdates:
    """
    ``run`` carries updates until it is cancelled, and connects again whenever the connection is lost: also if the server has
    not answered for ``deadline`` seconds. It is asked at least once in ``heartbeat`` seconds.
    """

    _servers: NatsServers
    publisher: str
    subject: str = "messenger"
    """The beginning of all subjects. Messengers that have nothing to do with each other need different ones."""
    _deadline: float = 5.0
    heartbeat: float = 1.0
    _relay: Relay = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._relay = Relay(publisher=self.publisher, most_bytes=ENVELOPE_BYTES)

    def publish(self, updates: Sequence[Update]) -> None:
        self._relay.publish(updates)

    def subscribe(self, listener: Callable[[Sequence[Update]], None]) -> None:
        self._relay.subscribe(listener)

    def focus(self, is_listened_to: Callable[[ChatId], bool]) -> None:
        self._relay.focus(is_listened_to)

    def see(self, epoch: str) -> None:
        self._relay.see(epoch)

    async def run(self) -> None:
        carrying = asyncio.create_task(again_and_again(self._carry, FAILURES, self._relay))
        try:
            await asyncio.wait([carrying])
            carrying.result()
        finally:
            # The client swallows a cancellation that arrives while it writes.
            while not carrying.done():
                carrying.cancel()
                await asyncio.wait([carrying], timeout=2 * LAST_SECONDS)

    async def _carry(self, works: Callable[[], None]) -> None:
        async with self._connected() as client:
            with _lost():
                await client.subscribe(f"{self.subject}.updates.*", cb=self._hear)
                await client.flush(self._seconds)
            works()
            try:
                while True:
                    await self._relay.filled(self.heartbeat)
                    await self._send(client, self._deadline)
            except asyncio.CancelledError:
                with suppress(Error, OSError, Lost):
                    while not self._relay.is_empty:
                        await self._send(client, LAST_SECONDS)
                raise

    @property
    def _seconds(self) -> int:
        return self._deadline  # type: ignore[return-value]  # used as a float

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Client]:
        client, servers = Client(), self._servers
        shown = Credentials.read(servers.credentials) if servers.credentials else None
        try:
            with _lost():
                await client.connect(
                    servers=list(servers.addresses),
                    user=servers.user,
                    password=servers.password,
                    token=servers.token,
                    user_jwt_cb=shown.tell_token if shown else None,
                    signature_cb=shown.sign if shown else None,
                    tls=servers.tls,
                    name="messenger",
                    no_echo=True,
                    allow_reconnect=False,
                    max_reconnect_attempts=1,
                    connect_timeout=self._seconds,
                    error_cb=_ignore,
                )
            yield client
        finally:
            # After a TLS handshake that failed, closing would wait for ever. The client writes what is left to a connection that is
            # closed already, which uvloop refuses.
            with suppress(TimeoutError, Lost):
                async with asyncio.timeout(LAST_SECONDS):
                    with _lost():
                        await client.close()

    async def _hear(self, message: Msg) -> None:
        self._relay.hear(message.data)

    async def _send(self, client: Client, seconds: float) -> None:
        batches = self._relay.take(_partition)
        try:
            with _lost():
                for partition, batch in batches.items():
                    for envelope in batch.envelopes:
                        await client.publish(f"{self.subject}.updates.{partition}", envelope)
                await client.flush(seconds)  # type: ignore[arg-type]  # used as a float
            _check(client)
        except BaseException:
            self._relay.not_sent(batches.values())
            raise


@contextmanager
def _lost() -> Iterator[None]:
    """
    Takes any error of the client for a lost connection. A connection that breaks in the middle of a frame can let the client
    fail with errors of its own code, which would end the process.
    """
    try:
        yield
    except (Error, OSError):
        raise
    except Exception as error:
        raise Lost(f"the NATS client failed: {error!r}") from error


def _check(client: Client) -> None:
    """A flush reports nothing if the connection has ended in the meantime."""
    if not client.is_connected:
        raise Lost("the connection to NATS has ended")


async def _ignore(_: Exception) -> None:
    """Errors end the connection, and are told then."""


def _partition(update: Update) -> str:
    if isinstance(update, PresenceUpdate):
        return str(crc32(update.node.encode()) % PARTITIONS)
    if isinstance(update, LimitUsed):
        return str(crc32(update.key.encode()) % PARTITIONS)
    about = update.profile_id if isinstance(update, SessionEnded) else update.chat_id
    return str(about.int % PARTITIONS)
