"""Two nodes over one PostgreSQL and a bus. Every connection between two of them, and to clients, goes over a `Wire`."""

import asyncio
import hmac
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from random import Random
from types import MappingProxyType
from typing import Any, Final, Literal

import httpx
from attrs import define, field

from application.errors import ApplicationError, NotAuthenticated, OutcomeUnknown, Overloaded, Unavailable
from domain.errors import DomainError
from domain.ids import ChatId
from tests.infrastructure.smtp.sink import Sink, serving
from tests.nats import NatsServer
from tests.simulation.access import Hear, Stored
from tests.simulation.over_http import Cursors, written
from tests.system.faults.lines import Line, SocketLine, StreamLine
from tests.system.faults.wire import FINE, Wire
from tests.system.postgres import Postgres
from tests.system.server import Server

Bus = Literal["nats", "notify"]

DATABASE: Final = "messenger"

SECRET: Final = "a key of the fault harness that is long enough, 0123456789"

CURSORS: Final = Cursors(hmac.digest(SECRET.encode(), b"cursors of lists", "sha256"))

INTERVAL: Final = 0.3
"""Seconds within which nobody says the same twice without a nonce."""

PATIENCE: Final = 50.0
"""Seconds that a request may take before its sender gives up."""

SETTINGS: Final[Mapping[str, str]] = {
    "JWT_SECRET_KEY": SECRET,
    "JWT_ACCESS_TOKEN_EXPIRE_MINUTES": "1440",
    "CHAT_MIN_MESSAGE_INTERVAL": str(INTERVAL),
    "WS_HEARTBEAT_SECONDS": "2",
    "WS_PONG_SECONDS": "4",
    "WS_CURSOR_SECONDS": "1",
    "LIMIT_SENDS_PER_ACCOUNT_AND_MINUTE": "0",
    "LIMIT_MARKS_PER_ACCOUNT_AND_MINUTE": "0",
    "LIMIT_TYPING_PER_ACCOUNT_AND_MINUTE": "0",
    "LIMIT_SIGN_INS_PER_ACCOUNT_AND_HOUR": "0",
    "API_DRAIN_SECONDS": "0.5",
    # on a busy machine a node takes longer than operators give it
    "API_SHUTDOWN_SECONDS": "30",
    "MAIL_TIMEOUT": "1.5",
}


class RefusedOverHttp(DomainError):
    """A rule has refused a request; only its code is known here."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code  # type: ignore[misc]  # each answer has its own


OF_THE_APPLICATION: Final[Mapping[str, type[ApplicationError]]] = {
    "OUTCOME_UNKNOWN": OutcomeUnknown,
    "DATA_ERROR": Unavailable,
    "OVERLOADED": Overloaded,
}


def data_of(answer: httpx.Response) -> Any:
    """
    The data of a successful answer.

    Raises:
        ApplicationError, DomainError: It is a refusal.
    """
    if answer.is_success:
        return answer.json()["data"]
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        raise NotAuthenticated("token_invalid")
    code: str = answer.json()["error"]["code"]
    if code in OF_THE_APPLICATION:
        raise OF_THE_APPLICATION[code](code)
    if answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
        raise Unavailable(code)
    raise RefusedOverHttp(code.lower())


def headers(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@define(eq=False, kw_only=True)
class Node:
    """One node, and the way to it."""

    name: str
    server: Server
    chance: Random
    clients: Wire
    database: Wire
    bus: Wire
    outbox_frames: int
    http: httpx.AsyncClient = field(init=False)
    lines: dict[Line, None] = field(init=False, factory=dict)
    is_away: bool = field(init=False, default=False)
    """Whether clients are told not to come here."""

    def __attrs_post_init__(self) -> None:
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=10)
        self.http = httpx.AsyncClient(base_url=self.url, timeout=PATIENCE, limits=limits)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.clients.port}"

    @property
    def is_up(self) -> bool:
        return not self.is_away

    @property
    def wires(self) -> tuple[Wire, ...]:
        return self.clients, self.database, self.bus

    async def start(self) -> None:
        await asyncio.to_thread(self.server.start)

    async def kill(self) -> None:
        """Ends the process, and the workers that it may have, at once."""
        assert self.server.process is not None
        self.server.process.kill()
        await asyncio.to_thread(self.server.process.wait)
        while self.server.leftovers():  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.02)

    # What clients do

    def open(self, chat_id: ChatId | None, hear: Hear) -> SocketLine:
        path = f"/chats/{chat_id}/ws" if chat_id else "/ws"
        port = self.clients.port
        return SocketLine(hear, f"ws://127.0.0.1:{port}{path}", port, self.clients.weather.is_narrow)

    def listen(self, token: str, since: Any, hear: Hear) -> StreamLine:
        query, is_cursor_alone = written(since)
        sent = headers(token)
        if is_cursor_alone and self.chance.random() < 0.7:
            sent["Last-Event-ID"] = query.pop("since")
        return StreamLine(hear, self.http, sent, query)

    async def synchronise(self, token: str, query: dict[str, str]) -> Any:
        return await self.ask("GET", "/sync/", token, params=query)

    async def send(self, token: str, chat_id: ChatId, text: str, nonce: str | None) -> Stored:
        key = {} if nonce is None else {"Idempotency-Key": nonce}
        path = f"/chats/{chat_id}/messages/"
        message = await self.ask("POST", path, token, json={"text": text}, headers=headers(token) | key)
        # the answer does not say whether it is a repeat
        return Stored(message["id"], message["seq"], message["position"], duplicate=nonce is not None)

    async def mark_read(self, token: str, chat_id: ChatId, up_to: int) -> None:
        await self.ask("PUT", f"/chats/{chat_id}/read/", token, json={"upTo": up_to})

    async def ask(self, method: str, path: str, token: str, **more: Any) -> Any:
        """
        The data of an answer.

        Raises:
            ApplicationError, DomainError: It was refused, or there was none.
        """
        try:
            answer = await self.http.request(method, path, **{"headers": headers(token), **more})
        except httpx.HTTPError as error:
            raise OutcomeUnknown(str(error)) from error
        return data_of(answer)

    def epoch_of(self, cursor: str) -> str:
        return CURSORS.epoch_of(cursor)

    def is_on_the_way(self, cursor: str) -> bool:
        return CURSORS.is_on_the_way(cursor)


@define(eq=False, kw_only=True)
class Cluster:
    bus: Bus
    postgres: Postgres
    nats: NatsServer | None
    nodes: list[Node]
    url: str
    """The URL of the database itself, past all wires."""
    sink: Sink
    """The mail server."""
    mail: Wire
    """The way to it."""

    def log(self) -> str:
        return "".join(node.server.log() for node in self.nodes)

    def heal(self) -> None:
        self.sink.answers.clear()
        self.mail.change(FINE)
        for node in self.nodes:
            node.is_away = False
            for wire in node.wires:
                wire.change(FINE)


@asynccontextmanager
async def clustered(
    folder: Path,
    bus: Bus,
    chance: Random,
    *,
    workers: int = 1,
    settings: Mapping[str, str] = MappingProxyType({}),
    of_postgres: Mapping[str, str] = MappingProxyType({}),
) -> AsyncIterator[Cluster]:
    """A cluster that has started. ``settings`` are further ones of its nodes."""
    async with AsyncExitStack() as stack:
        postgres = Postgres(folder / "postgres", dict(of_postgres))
        stack.callback(postgres.remove)
        await asyncio.to_thread(postgres.start)
        url = await asyncio.to_thread(postgres.create, DATABASE)
        nats = None
        if bus == "nats":
            (folder / "nats").mkdir()
            nats = NatsServer(folder / "nats")
            stack.callback(nats.stop)
            await asyncio.to_thread(nats.start)
        sink = await stack.enter_async_context(serving(Sink()))
        mail = Wire(sink.port, chance)
        await mail.open()
        stack.push_async_callback(mail.close)
        settings = {
            "API_WORKERS": str(workers),
            "MAIL_SERVER": "127.0.0.1",
            "MAIL_PORT": str(mail.port),
            "MAIL_SECURITY": "none",
            "MAIL_FROM_EMAIL": "messenger@example.com",
            **settings,
        }
        nodes = [
            await _node(stack, folder, name, postgres, nats, chance, settings) for name in ("north", "south")
        ]
        cluster = Cluster(bus=bus, postgres=postgres, nats=nats, nodes=nodes, url=url, sink=sink, mail=mail)
        for node in nodes:
            stack.push_async_callback(asyncio.to_thread, node.server.stop)
        for node in nodes:  # the first one makes the tables
            await node.start()
        yield cluster


async def _node(
    stack: AsyncExitStack,
    folder: Path,
    name: str,
    postgres: Postgres,
    nats: NatsServer | None,
    chance: Random,
    settings: Mapping[str, str],
) -> Node:
    wires = [Wire(port, chance) for port in (0, postgres.port, nats.port if nats else postgres.port)]
    for wire in wires:
        await wire.open()
        stack.push_async_callback(wire.close)
    clients, database, bus = wires
    over = (
        {"BUS": "nats", "NATS_SERVERS": f"nats://127.0.0.1:{bus.port}"}
        if nats
        else {"BUS": "notify", "BUS_DATABASE_URL": postgres.url(DATABASE, port=bus.port)}
    )
    server = Server(
        folder / name,
        {"DATABASE_URL": postgres.url(DATABASE, port=database.port), **SETTINGS, **over, **settings},
        environment="DEV",  # where no example people are made, for which a busy machine may take too long
    )
    clients.target = server.port
    node = Node(
        name=name,
        server=server,
        chance=chance,
        clients=clients,
        database=database,
        bus=bus,
        outbox_frames=int(settings.get("WS_OUTBOX_FRAMES", "256")),
    )
    stack.push_async_callback(node.http.aclose)
    return node
