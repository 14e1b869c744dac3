"""
Both ways of serving a socket, over real uvicorn and real TCP: handed over under our protocol class, and the plain loop
under another class. What a client sees is the same.
"""

import asyncio
import asyncio.selector_events
import os
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import orjson
import psutil
import pytest
import uvicorn
from attrs import Factory, define, field
from typing_extensions import override
from websockets.frames import Frame, Opcode

from application.ports.updates import Typing
from application.views import Snapshot
from domain.events import SessionEnd, SessionEnded
from domain.ids import ChatId
from interfaces.app import create_app
from interfaces.http.options import HttpOptions
from interfaces.ws.endpoint import ChatSockets
from interfaces.ws.exchange import Desk, SocketOptions
from interfaces.ws.hub import Hub
from interfaces.ws.protocol import IDLE_FRAMES, HandedOver
from tests.interfaces.ws.test_hub import until, watching
from tests.strategies import START
from tests.world import Person, World, world

ENOUGH = 30
"""Seconds."""

FRAME_LIMIT = 65536

WAYS: dict[str, Any] = {"handed over": HandedOver, "plain loop": "websockets-sansio"}


class Server(uvicorn.Server):
    @override
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # they are the test runner's


@define(eq=False)
class House:
    """A server with people in it."""

    world: World
    hub: Hub
    server: Server
    port: int
    patience: float
    """Seconds that one who does not answer the close may take: ours by our class, else the other class's."""
    people: dict[str, Person] = Factory(dict)
    lines: "list[Line]" = Factory(list)

    async def person(self, name: str) -> Person:
        if name not in self.people:
            self.people[name] = await self.world.person(name)
        return self.people[name]

    async def chat(self, *names: str) -> ChatId:
        return await self.world.chat(*[(await self.person(name)).actor for name in names])

    async def line(self, chat_id: ChatId, *, narrow: bool = False) -> "Line":
        """A socket after the handshake. ``narrow``: what is not read soon fills it."""
        raw = socket.socket()
        if narrow:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.setblocking(False)
        await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", self.port))
        reader, writer = await asyncio.open_connection(sock=raw, limit=1024 if narrow else 65536)
        writer.write(
            f"GET /chats/{chat_id}/ws HTTP/1.1\r\nHost: server\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head
        self.lines.append(Line(reader, writer))
        return self.lines[-1]

    async def enter(self, name: str, chat_id: ChatId, *, narrow: bool = False) -> "Line":
        line = await self.line(chat_id, narrow=narrow)
        line.say(type="auth", token=(await self.person(name)).token)
        assert (await line.hear())["type"] == "auth_success"
        assert (await line.hear())["type"] == "chat_history"
        return line


@define(eq=False)
class Line:
    """The client's side, byte by byte: it answers nothing by itself."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    close: tuple[int, str] | None = field(init=False, default=None)

    def say(self, **fields: Any) -> None:
        self.write(Opcode.TEXT, orjson.dumps(fields))

    def write(self, opcode: Opcode, data: bytes = b"", *, fin: bool = True) -> None:
        self.writer.write(framed(opcode, data, fin=fin))

    async def frame(self) -> tuple[int, bytes]:
        first, second = await self.reader.readexactly(2)
        size = second & 127
        if size > 125:
            size = int.from_bytes(await self.reader.readexactly(2 if size == 126 else 8))
        return first & 15, await self.reader.readexactly(size)

    async def hear(self) -> dict[str, Any]:
        """The next text frame."""
        async with asyncio.timeout(ENOUGH):
            while True:
                opcode, data = await self.frame()
                if opcode == Opcode.TEXT:
                    heard: dict[str, Any] = orjson.loads(data)
                    return heard
                assert opcode != Opcode.CLOSE, data

    async def until_close(self) -> list[dict[str, Any]]:
        """All that is heard until the server closes, which must say why."""
        heard = []
        async with asyncio.timeout(ENOUGH):
            while self.close is None:
                opcode, data = await self.frame()
                if opcode == Opcode.TEXT:
                    heard.append(orjson.loads(data))
                elif opcode == Opcode.CLOSE:
                    self.close = int.from_bytes(data[:2]), data[2:].decode()
        return heard

    async def until_cut(self) -> float:
        """Seconds until there is nothing any more."""
        began = time.monotonic()
        async with asyncio.timeout(ENOUGH):
            try:
                while await self.reader.read(65536):
                    pass
            except ConnectionResetError:
                pass
        return time.monotonic() - began

    async def round_trip(self) -> float:
        """Seconds; of a message that is stored, with whatever is told meanwhile left aside."""
        began = time.perf_counter()
        nonce = str(began)
        self.say(type="send_message", text=nonce, nonce=nonce)
        while (await self.hear()).get("nonce") != nonce:
            pass
        return time.perf_counter() - began


def framed(opcode: Opcode, data: bytes = b"", *, fin: bool = True) -> bytes:
    return Frame(opcode, data, fin).serialize(mask=True)


Open = Callable[..., Any]


@asynccontextmanager
async def serving(way: str, **options: Any) -> AsyncIterator[House]:
    async with world() as here:
        messenger = here.messenger
        hub = Hub(
            snapshot=messenger.snapshot,
            log=messenger.log,
            changes=messenger.changes,
            clock=here.application.adapters.clock(),
            interval=0.2,
        )
        here.application.updates().subscribe(hub.receive)
        desk = Desk(messenger=messenger, hub=hub, options=SocketOptions(frame_limit=FRAME_LIMIT, **options))
        app = create_app(
            messenger, HttpOptions(), new_request_id=lambda: "x", sockets=ChatSockets(desk).routes()
        )
        listening = socket.create_server(("127.0.0.1", 0))
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16384)  # so that little fills it
        server = Server(
            uvicorn.Config(
                app,
                ws=WAYS[way],
                ws_max_size=FRAME_LIMIT,
                ws_ping_interval=None,
                ws_per_message_deflate=False,
                log_config=None,
                access_log=False,
                lifespan="off",
                timeout_graceful_shutdown=2,
            )
        )
        watch, serve = asyncio.create_task(hub.run()), asyncio.create_task(server.serve([listening]))
        try:
            await watching(hub)
            await until(lambda: server.started)
            house = House(here, hub, server, listening.getsockname()[1], 2 if way == "handed over" else 15)
            yield house
            for line in house.lines:
                line.writer.close()
                line.writer.transport.abort()
        finally:
            server.should_exit = True
            await serve
            watch.cancel()
            await asyncio.wait({watch})


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
async def house(way: str) -> AsyncIterator[House]:
    async with serving(way, auth_timeout=0.5, close_timeout=0.5) as house:
        yield house


class TestConversation:
    async def test_all_of_it(self, house: House) -> None:
        chat = await house.chat("Ann", "Bob")
        ann = await house.enter("Ann", chat)
        bob = await house.enter("Bob", chat)
        assert (await ann.hear())["type"] == "user_joined"
        ann.say(type="send_message", text="Привет 🙂", nonce="n")
        ack, own = await ann.hear(), await ann.hear()
        assert (ack["type"], ack["seq"], ack["duplicate"]) == ("message_ack", 1, False)
        told = await bob.hear()
        assert own == told
        assert (told["type"], told["after"], told["message"]["text"]) == ("new_message", 0, "Привет 🙂")
        ann.say(type="send_message", text="Привет 🙂", nonce="n")
        assert (await ann.hear())["duplicate"] is True
        bob.say(type="typing", is_typing=True)
        assert (await ann.hear())["type"] == "typing"
        bob.say(type="get_unread_count")
        assert (await bob.hear())["count"] == 1
        bob.say(type="mark_single_read", message_id=told["message"]["id"])
        assert (await ann.hear())["type"] == "message_read"
        bob.say(type="get_chat_history", limit=5)
        history = await bob.hear()
        assert (history["type"], history["unread_count"], len(history["messages"])) == ("chat_history", 0, 1)
        bob.say(type="dance")
        assert (await bob.hear())["code"] == "unknown_type"
        bob.say(type="leave_chat")
        assert (await ann.hear())["type"] == "user_left"
        bob.say(type="ping", id=[1])
        assert await bob.hear() == {"type": "pong", "id": [1]}

    async def test_a_fragmented_frame(self, house: House) -> None:
        chat = await house.chat("Ann")
        ann = await house.enter("Ann", chat)
        text = orjson.dumps({"type": "send_message", "text": "Привет", "nonce": "n"})
        ann.write(Opcode.TEXT, text[:30], fin=False)
        ann.write(Opcode.PING, b"between")
        ann.write(Opcode.CONT, text[30:33], fin=False)
        ann.write(Opcode.CONT, text[33:])
        assert await ann.frame() == (Opcode.PONG, b"between")
        assert (await ann.hear())["type"] == "message_ack"

    async def test_what_came_before_the_handshake_was_answered(self, house: House) -> None:
        """A client need not wait: the first frames may come with the handshake in one packet."""
        chat, person = await house.chat("Ann"), await house.person("Ann")
        line = await house.line(chat)
        line.write(Opcode.TEXT, orjson.dumps({"type": "auth", "token": person.token}))
        for number in range(20):
            line.say(type="ping", id=number)
        assert [(await line.hear())["type"] for _ in range(2)] == ["auth_success", "chat_history"]
        assert [(await line.hear())["id"] for _ in range(20)] == list(range(20))

    async def test_pipelined_frames_keep_their_order(self, house: House) -> None:
        chat = await house.chat("Ann", "Bob")
        ann, bob = await house.enter("Ann", chat), await house.enter("Bob", chat)
        for number in range(300):
            ann.say(type="send_message", text=str(number), nonce=str(number))
            if number % 50 == 49:
                ann.say(type="ping", id=number)
        acks: list[int] = []
        told: list[int] = []
        while len(told) < 300:
            match await ann.hear():
                case {"type": "message_ack", "nonce": nonce, "seq": seq}:
                    acks.append(int(nonce))
                    assert seq == len(acks)
                case {"type": "pong", "id": id_}:
                    assert len(acks) == id_ + 1, "after the sends before it"
                case {"type": "new_message", "position": position, "message": message}:
                    assert message["seq"] <= len(acks), "an answer comes first"
                    told.append(position)
        assert acks == list(range(300))
        assert told == list(range(1, 301))
        assert [(await bob.hear())["message"]["text"] for _ in range(300)] == [str(n) for n in range(300)]

    async def test_removal_and_an_ended_session_close_it(self, house: House) -> None:
        chat = await house.chat("Ann", "Bob")
        ann, bob = await house.enter("Ann", chat), await house.enter("Bob", chat)
        bob.say(type="auth", token="again")
        assert (await bob.hear())["code"] == "unknown_type"
        person = await house.person("Ann")
        ended = SessionEnded(
            profile_id=person.actor.profile_id,
            session_id=person.actor.session_id,
            reason=SessionEnd.SIGNED_OUT,
            at=START,
        )
        house.hub.receive([ended])
        await ann.until_close()
        assert ann.close == (4401, "session ended")
        assert (await bob.hear())["type"] == "user_disconnected"
        await bob.round_trip()


class TestTheFirstSeconds:
    async def test_who_says_nothing_is_let_go(self, house: House) -> None:
        line = await house.line(await house.chat("Ann"))
        began = time.monotonic()
        (error,) = await line.until_close()
        assert (error["type"], error["code"], line.close) == (
            "auth_error", "auth_timeout", (1008, "Authentication failed"),
        )  # fmt: skip
        assert 0.4 < time.monotonic() - began < 5

    @pytest.mark.parametrize("said", [b"hello", b'{"type": "ping"}', b'{"type": "auth", "token": "x.y.z"}'])
    async def test_who_is_nobody(self, house: House, said: bytes) -> None:
        line = await house.line(await house.chat("Ann"))
        line.write(Opcode.TEXT, said)
        (error,) = await line.until_close()
        assert (error["type"], line.close) == ("auth_error", (1008, "Authentication failed"))

    async def test_a_stranger(self, house: House) -> None:
        chat, stranger = await house.chat("Ann"), await house.person("Eve")
        line = await house.line(chat)
        line.say(type="auth", token=stranger.token)
        (error,) = await line.until_close()
        assert (error["code"], line.close) == ("not_a_member", (1008, "Access denied"))


class TestFramesThatNobodyMaySend:
    @pytest.mark.parametrize(
        ("raw", "code"),
        [
            (framed(Opcode.TEXT, b"x" * (FRAME_LIMIT + 1)), 1009),
            (framed(Opcode.TEXT, b"x" * FRAME_LIMIT, fin=False) + framed(Opcode.CONT, b"x"), 1009),
            (framed(Opcode.TEXT, b'{"type": "\xff"}'), 1007),
            (framed(Opcode.TEXT, b'"\xed\xa0\x80"'), 1007),
            (framed(Opcode.CONT, b"x"), 1002),
            (Frame(Opcode.TEXT, b"{}").serialize(mask=False), 1002),
            (b"\x8b\x80\0\0\0\0", 1002),
        ],
        ids=[
            "oversize",
            "oversize in parts",
            "no UTF-8",
            "a surrogate",
            "no beginning",
            "unmasked",
            "reserved",
        ],
    )
    async def test_it_is_told_why(self, house: House, raw: bytes, code: int) -> None:
        chat = await house.chat("Ann", "Bob")
        ann, bob = await house.enter("Ann", chat), await house.enter("Bob", chat)
        bob.writer.write(raw)
        await bob.until_close()
        assert bob.close is not None
        assert bob.close[0] == code
        assert await bob.until_cut() < 5, "also from one that does not answer the close"
        assert await ann.round_trip() < 5

    async def test_a_binary_frame_is_answered(self, house: House) -> None:
        ann = await house.enter("Ann", await house.chat("Ann"))
        ann.write(Opcode.BINARY, b"\x00\xff")
        assert (await ann.hear())["code"] == "malformed"
        ann.say(type="ping", id=1)
        assert (await ann.hear())["type"] == "pong"

    async def test_a_frame_of_the_greatest_size(self, house: House) -> None:
        ann = await house.enter("Ann", await house.chat("Ann"))
        said = orjson.dumps({"type": "ping", "id": "x"})
        ann.write(Opcode.TEXT, said[:-2] + b"x" * (FRAME_LIMIT - len(said)) + said[-2:])
        assert len((await ann.hear())["id"]) > FRAME_LIMIT - 100


class TestEnds:
    async def test_a_client_that_closes_is_answered(self, house: House) -> None:
        chat = await house.chat("Ann", "Bob")
        ann, bob = await house.enter("Ann", chat), await house.enter("Bob", chat)
        assert (await ann.hear())["type"] == "user_joined"
        bob.write(Opcode.CLOSE, (1000).to_bytes(2) + b"bye")
        await bob.until_close()
        assert bob.close is not None
        assert bob.close[0] == 1000
        assert await bob.until_cut() < 5
        assert (await ann.hear())["type"] == "user_disconnected"

    async def test_a_client_that_is_cut_is_gone(self, house: House) -> None:
        chat = await house.chat("Ann", "Bob")
        ann, bob = await house.enter("Ann", chat), await house.enter("Bob", chat)
        assert (await ann.hear())["type"] == "user_joined"
        bob.writer.transport.abort()
        assert (await ann.hear())["type"] == "user_disconnected"

    async def test_one_that_does_not_answer_the_close_is_not_waited_for(self, house: House) -> None:
        line = await house.line(await house.chat("Ann"))
        line.say(type="ping")
        await line.until_close()
        assert await line.until_cut() < house.patience


class TestCrowds:
    async def test_what_is_told_in_one_go_is_written_in_one_go(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """For each listener: the system call is most of what telling costs."""
        written: list[bytes] = []

        def write(transport: Any, data: bytes) -> None:
            written.append(bytes(data))
            plainly(transport, data)

        async with serving("handed over") as house:
            chat = await house.chat("Ann", "Bob")
            lines = [await house.enter("Ann", chat) for _ in range(3)]
            plainly = asyncio.selector_events._SelectorSocketTransport.write  # type: ignore[attr-defined]
            monkeypatch.setattr(asyncio.selector_events._SelectorSocketTransport, "write", write)  # type: ignore[attr-defined]
            bob = (await house.person("Bob")).actor.profile_id
            house.hub.receive(
                [Typing(chat_id=chat, profile_id=bob, is_typing=n % 2 == 1, at=START) for n in range(5)]
            )
            for line in lines:
                assert [(await line.hear())["is_typing"] for _ in range(5)] == [
                    False,
                    True,
                    False,
                    True,
                    False,
                ]
        assert [data.count(b'"typing"') for data in written if b'"typing"' in data] == [5, 5, 5]

    async def test_all_who_come_at_once_are_let_in_a_few_at_a_time(self, way: str) -> None:
        now, most = 0, 0

        async with serving(way, entering=4) as house:
            snapshot = house.hub.snapshot

            async def counted(*asked: Any) -> Snapshot:
                nonlocal now, most
                now += 1
                most = max(most, now)
                await asyncio.sleep(0.01)
                now -= 1
                return await snapshot(*asked)

            house.hub.snapshot = counted
            chat = await house.chat("Ann")
            await asyncio.gather(*(house.enter("Ann", chat) for _ in range(20)))
        assert most == 4

    async def test_one_who_waits_too_long_for_a_turn_is_told_to_come_again(self, way: str) -> None:
        async with serving(way, entering=1, entry_timeout=0.05) as house:
            snapshot, is_in, goes_on = house.hub.snapshot, asyncio.Event(), asyncio.Event()

            async def slow(*asked: Any) -> Snapshot:
                is_in.set()
                await goes_on.wait()
                return await snapshot(*asked)

            house.hub.snapshot = slow
            chat = await house.chat("Ann")
            first = asyncio.create_task(house.enter("Ann", chat))
            await is_in.wait()
            late = await house.line(chat)
            late.say(type="auth", token=(await house.person("Ann")).token)
            await late.until_close()
            assert late.close == (1013, "try again in 1 s")
            goes_on.set()
            await first


def used() -> int:
    """Bytes of memory."""
    return int(psutil.Process(os.getpid()).memory_info().rss)


MEBIBYTE = 1024 * 1024


class TestFloods:
    async def test_a_slow_reader_is_cut_while_the_others_go_on(self, house: House) -> None:
        chat = await house.chat("Ann", "Bob", "Eve")
        eve = await house.enter("Eve", chat, narrow=True)
        bob = await house.enter("Bob", chat)
        actor = (await house.person("Ann")).actor
        before, slowest = used(), 0.0
        for batch in range(10):
            await asyncio.gather(
                *(house.world.say(actor, chat, f"{batch}.{number} {'x' * 3900}") for number in range(40))
            )
            slowest = max(slowest, await bob.round_trip())
        assert slowest < 2
        assert used() - before < 64 * MEBIBYTE
        heard = await eve.until_close()
        assert eve.close is not None
        assert eve.close[0] == 1013
        positions = [frame["position"] for frame in heard if "after" in frame]
        assert positions == list(range(1, len(positions) + 1)), "whole as far as it goes"
        assert len(positions) < 400
        assert await eve.until_cut() < house.patience + 2
        assert await bob.round_trip() < 5, "who read all along goes on"

    async def test_thousands_of_frames_from_one_that_does_not_read(self, house: House) -> None:
        chat, other = await house.chat("Eve"), await house.chat("Ann")
        eve, ann = await house.enter("Eve", chat, narrow=True), await house.enter("Ann", other)
        before = used()
        for number in range(4000):
            eve.say(type="send_message", text=f"{number} " + "x" * 1000, nonce=str(number))
        slowest = max([await ann.round_trip() for _ in range(20)])
        assert slowest < 2
        assert used() - before < 64 * MEBIBYTE
        heard = await eve.until_close()
        assert eve.close is not None
        assert eve.close[0] == 1013, "it was told more than it read"
        acks = [int(frame["nonce"]) for frame in heard if frame["type"] == "message_ack"]
        assert acks == list(range(len(acks)))
        assert len(acks) < 4000

    async def test_thousands_of_frames_from_one_that_reads(self, house: House) -> None:
        """Each is carried out; and what waits for its turn is bounded, so that it is held up instead."""
        ann = await house.enter("Ann", await house.chat("Ann"))
        count = 3000
        for number in range(count):
            ann.say(type="get_unread_count") if number % 2 else ann.say(type="ping", id=number)
        pongs = counts = 0
        for _ in range(count):
            match await ann.hear():
                case {"type": "pong", "id": id_}:
                    assert id_ == 2 * pongs
                    pongs += 1
                case {"type": "unread_count"}:
                    counts += 1
                    assert counts == pongs
        assert (pongs, counts) == (count // 2, count // 2)


class TestIdleFrames:
    """Frames that say nothing are bounded by our own class alone."""

    @pytest.fixture(params=["handed over"])
    def way(self, request: pytest.FixtureRequest) -> str:
        name: str = request.param
        return name

    @pytest.mark.parametrize(
        "flood",
        [
            framed(Opcode.PING) * 350_000,
            framed(Opcode.PING, b"x" * 125) * 60_000,
            framed(Opcode.PONG) * 350_000,
            framed(Opcode.TEXT, fin=False) + framed(Opcode.CONT, fin=False) * 350_000,
        ],
        ids=["pings", "great pings", "pongs", "empty fragments"],
    )
    async def test_a_flood_ends_and_stalls_nobody(self, house: House, flood: bytes) -> None:
        chat, other = await house.chat("Eve"), await house.chat("Ann")
        eve, ann = await house.enter("Eve", chat, narrow=True), await house.enter("Ann", other)
        before = used()
        eve.writer.write(flood)
        slowest = max([await ann.round_trip() for _ in range(20)])
        assert slowest < 1
        assert used() - before < 16 * MEBIBYTE + len(flood)
        assert await eve.until_cut() < 10
        assert await ann.round_trip() < 1

    async def test_as_many_as_an_honest_client_sends_are_answered(self, house: House) -> None:
        ann = await house.enter("Ann", await house.chat("Ann"))
        for turn in range(3):
            for number in range(IDLE_FRAMES - 1):
                ann.write(Opcode.PING, str(number).encode())
            ann.say(type="ping", id=turn)
            for number in range(IDLE_FRAMES - 1):
                assert await ann.frame() == (Opcode.PONG, str(number).encode())
            assert (await ann.hear())["id"] == turn

    async def test_one_too_many_is_told_why(self, house: House) -> None:
        ann = await house.enter("Ann", await house.chat("Ann"))
        for _ in range(IDLE_FRAMES):
            ann.write(Opcode.PONG)
        await ann.until_close()
        assert ann.close == (1008, "too many empty frames")


class TestLeaving:
    """uvicorn's own class cuts the line behind its close, and with it what others hear of that."""

    @pytest.fixture(params=["handed over"])
    def way(self, request: pytest.FixtureRequest) -> str:
        name: str = request.param
        return name

    async def test_who_is_talking_when_the_server_goes_is_told_so(self, house: House) -> None:
        ann = await house.enter("Ann", await house.chat("Ann"))
        house.server.should_exit = True
        await ann.until_close()
        assert ann.close == (1012, "")
        for number in range(2):  # a line that was cut is reset by the first, and fails with the second
            ann.say(type="ping", id=number)
        ann.write(Opcode.CLOSE, (1012).to_bytes(2))
        assert await ann.reader.read() == b""
        ann.writer.close()
        await ann.writer.wait_closed()

    async def test_who_does_not_answer_is_not_waited_for_long(self, house: House) -> None:
        ann = await house.enter("Ann", await house.chat("Ann"))
        house.server.should_exit = True
        await ann.until_close()
        assert await ann.until_cut() < 1
