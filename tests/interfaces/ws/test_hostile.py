"""
What one client can cost the server and the others, under our protocol class: what is held for it is counted at each step.

`pytest -s` prints the figures.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import orjson
import pytest
import pytest_asyncio
from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override
from websockets.client import ClientProtocol
from websockets.frames import CloseCode, Opcode
from websockets.frames import Frame as Fragment
from websockets.protocol import State
from websockets.uri import parse_uri

from domain.ids import ChatId
from interfaces.ws.heartbeats import Heartbeats
from interfaces.ws.options import SocketOptions
from interfaces.ws.protocol import FRAGMENTS, IDLE_FRAMES, SLICE, SocketProtocol
from tests.interfaces.live.test_hub import until
from tests.interfaces.ws.house import (
    FRAME_LIMIT,
    House,
    Line,
    answers,
    asked,
    asking,
    framed,
    handshake,
    raw,
    rest,
    serving,
    used,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

OPTIONS = SocketOptions()
READ = 256 * 1024
"""Bytes: what asyncio, and uvloop, read from a socket at most in one go."""


class Watched(SocketProtocol):
    """Counts what it holds whenever it may have become more."""

    parsed = 0
    """Bytes at most in one go."""
    unread = 0
    """Bytes at most, of frames that are not whole or have not had their turn."""
    parts = 0
    requests = 0
    unsent = 0
    """Bytes at most: what the other side does not read, beside the outbox."""
    outbox_frames = 0
    outbox_bytes = 0
    frames_until_close = 0

    @override
    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self.look()

    @override
    def _parse(self, data: bytes) -> None:
        self.parsed = max(self.parsed, len(data))
        super()._parse(data)
        self.look()

    @override
    def handle_events(self) -> None:
        if not self.close_sent:
            self.frames_until_close += len(self.conn.events)
        super().handle_events()

    def look(self) -> None:
        self.unread = max(self.unread, len(self._unparsed) + len(self.conn.reader.buffer))
        self.parts = max(self.parts, len(self.frames))
        written = self.transport.get_write_buffer_size() + sum(map(len, self.conn.writes))
        self.unsent = max(self.unsent, written)
        if self._exchange:
            self.requests = max(self.requests, len(self._exchange._waiting or ()))
        if self._outbox:
            self.outbox_frames = max(self.outbox_frames, len(self._outbox._frames or ()))
            self.outbox_bytes = max(self.outbox_bytes, self._outbox._size)

    def check(self) -> None:
        assert self.parsed <= SLICE
        assert self.unread <= READ + FRAME_LIMIT
        assert self.parts <= FRAGMENTS
        assert self.requests <= OPTIONS.waiting_frames + SLICE // 6
        assert self.unsent <= 64 * 1024 + FRAME_LIMIT + 2 * SLICE, (
            "asyncio's mark, a frame, a slice's answers"
        )
        assert self.outbox_frames <= OPTIONS.outbox_frames
        assert self.outbox_bytes <= OPTIONS.outbox_bytes + FRAME_LIMIT

    def __str__(self) -> str:
        return (
            f"{self.frames_until_close} frames until its close; at most {self.unread} B unread, {self.unsent} B unsent, "
            f"{self.parts} parts, {self.requests} requests, {self.outbox_frames} frames ({self.outbox_bytes} B) in the outbox"
        )


@define(eq=False)
class Complaints(logging.Handler):
    """What nobody caught, and what was logged as an error."""

    said: list[str] = field(factory=list)

    def __attrs_pre_init__(self) -> None:
        super().__init__(logging.ERROR)

    @override
    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


@pytest.fixture(autouse=True, scope="module")
def complaints() -> Iterator[Complaints]:
    complaints = Complaints()
    logging.getLogger().addHandler(complaints)
    yield complaints
    logging.getLogger().removeHandler(complaints)
    assert complaints.said == []


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house() -> AsyncIterator[House]:
    async with serving(Watched, close_timeout=0.5) as house:
        yield house


def sockets(house: House) -> list[Watched]:
    return [each for each in house.server.server_state.connections if isinstance(each, Watched)]


@asynccontextmanager
async def told_apart(house: House) -> AsyncIterator[list[Watched]]:
    """The sockets that come meanwhile."""
    before, new = sockets(house), list[Watched]()
    yield new
    new += [each for each in sockets(house) if each not in before]


async def enter(house: House, name: str, chat: ChatId, *, narrow: bool = False) -> tuple[Line, Watched]:
    async with told_apart(house) as new:
        line = await house.enter(name, chat, narrow=narrow)
    (socket,) = new
    return line, socket


async def fill(house: House, chat: ChatId, socket: Watched, name: str = "Ann") -> None:
    """Tell somebody who does not read so much that it waits."""
    actor, number = (await house.person(name)).actor, 0
    while not (socket._outbox and socket._outbox.is_held_up):
        await house.world.say(actor, chat, f"{number} {'x' * 3900}")
        number += 1


def ping_from_now(socket: Watched) -> None:
    """Pings a socket soon. Until now it had all the time that a busy machine may take."""
    socket.stop_keepalive()
    socket._keepalive = Heartbeats(0.1, 0.1).begin(socket)


TEXT, BINARY, CONT = Opcode.TEXT, Opcode.BINARY, Opcode.CONT
PING, PONG, CLOSE = Opcode.PING, Opcode.PONG, Opcode.CLOSE

FLOODS: dict[str, tuple[bytes, bytes, int]] = {
    # how it begins, what it repeats, how it is closed
    "pings": (b"", framed(PING), 1008),
    "great pings": (b"", framed(PING, b"x" * 125), 1008),
    "pongs": (b"", framed(PONG), 1008),
    "empty parts": (framed(TEXT, fin=False), framed(CONT, fin=False), 1008),
    "parts of two bytes": (framed(BINARY, fin=False), framed(CONT, b"ab", fin=False), 1009),
    "pings amid parts": (
        framed(TEXT, b"x" * 60000, fin=False),
        framed(PING) * 9 + framed(CONT, b"", fin=False),
        1008,
    ),
    "binary frames": (b"", framed(BINARY), 1013),
    "what is no JSON": (b"", framed(TEXT, b"{"), 1013),
    "requests": (b"", asked("x" * 100), 1013),
    "great requests": (b"", asked("x" * 60000), 1013),
    "requests that wait for one another": (b"", framed(TEXT, b'{"type": "get_unread_count"}'), 1013),
    "a frame without end": (b"", raw(0x82, 0xFF, (2**62).to_bytes(8)) + b"x" * 4096, 1009),
}


class TestFloods:
    @pytest.mark.parametrize("case", FLOODS)
    async def test_it_ends_and_costs_little(self, house: House, case: str) -> None:
        beginning, repeated, code = FLOODS[case]
        eve, socket = await enter(house, "Eve", await house.chat("Eve"), narrow=True)
        ann = await house.enter("Ann", await house.chat("Ann"))
        before, trips, flood = used(), list[int](), repeated * (SLICE // len(repeated) + 1)

        async def keep_on() -> None:
            """And when it was told to stop, four times as much."""
            after = 0
            while after < 40:
                after += socket.close_sent
                if eve.writer.transport.get_write_buffer_size() < READ:
                    eve.writer.write(flood)
                await asyncio.sleep(0)

        eve.writer.write(beginning)
        flooding = asyncio.create_task(keep_on())
        while not flooding.done():
            trips.append(await ann.round_trip())
        await flooding
        socket.check()
        print(
            f"\n{case}: {socket}; {used() - before} B more memory; another's worst of {len(trips)}: {max(trips)} turns"
        )
        await eve.until_close()
        assert eve.close is not None
        assert eve.close[0] == code
        eve.writer.write_eof()
        await until(lambda: socket not in sockets(house))
        await ann.round_trip()

    async def test_what_is_answered_with_nothing_is_only_slowed_by_what_it_costs(self, house: House) -> None:
        eve, socket = await enter(house, "Eve", await house.chat("Eve"))
        ann = await house.enter("Ann", await house.chat("Ann"))
        eve.writer.write(framed(TEXT, b'{"type": "send_message"}') * 20_000 + asked("end"))
        waiting, trips = asyncio.create_task(answers(eve, 1)), list[int]()
        while not waiting.done():
            trips.append(await ann.round_trip())
        assert await waiting == ["end"]
        assert len(trips) > 10
        socket.check()
        print(f"\nnothing: {socket}; another's worst of {len(trips)}: {max(trips)} turns")

    async def test_who_does_not_read_pongs_gets_no_more(self, house: House) -> None:
        """Also where a request now and then makes them look honest."""
        eve, socket = await enter(house, "Eve", await house.chat("Eve"), narrow=True)
        some = framed(PING, b"x" * 125) * (IDLE_FRAMES - 1) + framed(TEXT, b'{"type": "send_message"}')
        for _ in range(20):
            eve.writer.write(some)
            await eve.writer.drain()
        await until(lambda: socket.frames_until_close >= 20 * IDLE_FRAMES)
        socket.check()
        assert not socket.close_sent
        print(f"\npongs that are not read: {socket}")

    async def test_parts_are_joined_and_make_their_message(self, house: House) -> None:
        eve, socket = await enter(house, "Eve", await house.chat("Eve"))
        asking_ = asking(1, FRAME_LIMIT)
        for at in range(0, FRAME_LIMIT, 2):
            eve.write(TEXT if at == 0 else CONT, asking_[at : at + 2], fin=at == FRAME_LIMIT - 2)
        assert await answers(eve, 1) == [1]
        socket.check()
        assert socket.parts > 1

    async def test_as_many_as_an_honest_client_sends_are_answered(self, house: House) -> None:
        ann = await house.enter("Ann", await house.chat("Ann"))
        for turn in range(3):
            for number in range(IDLE_FRAMES - 1):
                ann.write(PING, str(number).encode())
            ann.say(type="ping", id=turn)
            assert await answers(ann, IDLE_FRAMES) == [
                *(str(n).encode() for n in range(IDLE_FRAMES - 1)),
                turn,
            ]

    async def test_one_too_many_is_told_why(self, house: House) -> None:
        ann = await house.enter("Ann", await house.chat("Ann"))
        for _ in range(IDLE_FRAMES):
            ann.write(PONG)
        await ann.until_close()
        assert ann.close == (1008, "too many empty frames")
        assert await rest(ann) == b""

    async def test_one_that_still_sends_hears_why_it_must_not(self, house: House) -> None:
        """Under uvicorn's class TCP's reset overtakes the close."""
        eve, socket = await enter(house, "Eve", await house.chat("Eve"))
        eve.writer.write(raw(0x82, 0xFF, (2**40).to_bytes(8)))
        for _ in range(256):
            eve.writer.write(b"x" * 65536)
            await eve.writer.drain()
        await eve.until_close()
        assert eve.close is not None
        assert eve.close[0] == 1009
        assert await rest(eve) == b""
        socket.check()


class TestWhoDoesNotRead:
    """Ends within `FINAL_GRACE`; a transport that is closed waits for ever for what it has to write."""

    @pytest.mark.parametrize(
        "last",
        [
            framed(CLOSE, (1000).to_bytes(2)),
            framed(PING) * 3 + framed(CLOSE, (1000).to_bytes(2)),
            raw(0x83, 0x80),
            framed(TEXT, b"\xff"),
            framed(PING) * IDLE_FRAMES,
        ],
        ids=["close", "pings and close", "a bad frame", "no UTF-8", "a flood"],
    )
    async def test_and_ends_it(self, house: House, last: bytes) -> None:
        chat = await house.chat("Ann", "Eve")
        eve, socket = await enter(house, "Eve", chat, narrow=True)
        await fill(house, chat, socket)
        eve.writer.write(last)
        await until(lambda: socket not in sockets(house))
        socket.check()

    async def test_and_reads_after_all_hears_the_close(self, house: House) -> None:
        chat = await house.chat("Ann", "Eve")
        eve, socket = await enter(house, "Eve", chat, narrow=True)
        await fill(house, chat, socket)
        eve.writer.write(framed(PING) * 3 + framed(CLOSE, (1000).to_bytes(2)))
        await until(socket.transport.is_closing)
        await eve.until_close()
        assert eve.close == (1000, "")
        assert await rest(eve) == b""

    async def test_and_answers_a_close_that_it_has_not_read(self, house: House) -> None:
        chat = await house.chat("Ann", "Eve")
        eve, socket = await enter(house, "Eve", chat, narrow=True)
        actor, number = (await house.person("Ann")).actor, 0
        while not socket.close_sent:
            await house.world.say(actor, chat, f"{number} {'x' * 3900}")
            number += 1
        eve.writer.write(framed(CLOSE, (1013).to_bytes(2)))
        await until(lambda: socket not in sockets(house))
        socket.check()

    async def test_and_answers_no_ping(self, house: House) -> None:
        chat = await house.chat("Ann", "Eve")
        _, socket = await enter(house, "Eve", chat, narrow=True)
        await fill(house, chat, socket)
        ping_from_now(socket)
        await until(lambda: socket not in sockets(house))

    async def test_who_reads_and_answers_no_ping_is_told(self, house: House) -> None:
        eve, socket = await enter(house, "Eve", await house.chat("Eve"))
        ping_from_now(socket)
        await eve.until_close()
        assert eve.close == (1011, "keepalive ping timeout")

    async def test_and_is_there_when_the_server_goes(self) -> None:
        """uvicorn's class closes it a second time, and that error ends the server's shutdown."""
        async with serving(Watched) as house:
            chat = await house.chat("Ann", "Eve")
            eve, socket = await enter(house, "Eve", chat, narrow=True)
            await fill(house, chat, socket)
            eve.writer.write(framed(CLOSE, (1000).to_bytes(2)))
            await until(socket.transport.is_closing)
            house.server.should_exit = True
            await until(lambda: not sockets(house))


class TestHandshake:
    @pytest.mark.parametrize(
        ("query", "changed", "status"),
        [
            ("", {"Content-Length": "5"}, 400),
            ("", {"Transfer-Encoding": "chunked"}, 400),
            ("x" * 9000, {}, 414),
            ("", {f"X-{number}": "x" for number in range(130)}, 431),
            ("", {"X": "x" * 9000}, 431),
        ],
        ids=["a body", "a chunked body", "a long path", "many headers", "a long header"],
    )
    async def test_a_head_that_only_the_library_refuses_is_answered(
        self, house: House, query: str, changed: dict[str, str | None], status: int
    ) -> None:
        """uvicorn's class says nothing and keeps the socket for ever."""
        line = await house.dial()
        line.writer.write(handshake(f"/chats/{await house.chat('Ann')}/ws?{query}", changed))
        assert int((await line.head()).split()[1]) == status
        await rest(line)

    async def test_who_does_not_wait_is_heard_after_it(self, house: House) -> None:
        """uvicorn's class sends the pong before the handshake's answer."""
        person = await house.person("Ann")
        async with early(house) as (line, socket):
            line.write(PING, b"early")
            line.say(type="auth", token=person.token)
            line.writer.write(b"".join(asked(number) for number in range(1000)))
            await until(lambda: bool(socket._unparsed))
        assert (await line.head()).startswith("HTTP/1.1 101 ")
        assert await answers(line, 1) == [b"early"]
        assert [(await line.hear())["type"] for _ in range(2)] == ["auth_success", "chat_history"]
        assert await answers(line, 1000) == list(range(1000))
        socket.check()

    async def test_who_does_not_wait_behind_a_long_head_may_let_no_more_wait(self, house: House) -> None:
        """The library parses the end of such a head, and the first messages together with it."""
        chat, person = await house.chat("Ann"), await house.person("Ann")
        other, line = await house.enter("Ann", chat), await house.dial()
        for _ in range(OPTIONS.entering):  # nobody else enters meanwhile
            await house.services.entering.acquire()
        async with told_apart(house) as new:
            line.writer.write(handshake(f"/chats/{chat}/ws", {"X": "x" * (SLICE + 1)}))
            line.say(type="auth", token=person.token)
            line.writer.write(b"".join(asked(number) for number in range(2000)))
            assert (await line.head()).startswith("HTTP/1.1 101 ")
        (socket,) = new

        def is_full() -> bool:
            socket.look()
            return socket.requests >= OPTIONS.waiting_frames

        await until(is_full)
        for _ in range(9):
            await other.round_trip()
        socket.look()
        socket.check()
        for _ in range(OPTIONS.entering):
            house.services.entering.release()
        assert [(await line.hear())["type"] for _ in range(2)] == ["auth_success", "chat_history"]
        assert await answers(line, 2000) == list(range(2000))
        socket.check()

    async def test_who_does_not_wait_and_is_wrong_is_told_after_it(self, house: House) -> None:
        """uvicorn's class fails an assertion, which nobody catches."""
        async with early(house) as (line, socket):
            line.writer.write(raw(0x83, 0x80))
            await until(lambda: bool(socket._unparsed))
        assert (await line.head()).startswith("HTTP/1.1 101 ")
        await line.until_close()
        assert line.close is not None
        assert line.close[0] == 1002
        assert await rest(line) == b""


@asynccontextmanager
async def early(house: House) -> AsyncIterator[tuple[Line, Watched]]:
    """While its handshake is not answered yet."""
    line, chat = await house.dial(), await house.chat("Ann")
    house.door.clear()
    async with told_apart(house) as new:
        line.writer.write(handshake(f"/chats/{chat}/ws"))
        await until(lambda: any(not each.handshake_complete for each in sockets(house)))
    yield line, new[0]
    house.door.set()


async def test_a_client_whose_connection_is_reset_before_it_is_answered_is_no_error(
    house: House, complaints: Complaints
) -> None:
    """The event loop tells of a reset a turn later than the transport, and the answer may come in between."""
    async with early(house) as (line, socket):
        house.door.set()
        socket.transport.abort()
        await line.until_cut()
        await until(lambda: socket not in sockets(house) and not socket.tasks)
    assert complaints.said == []


@pytest.fixture(scope="module")
def at_home(house: House) -> Callable[[], House]:
    """Hypothesis writes out what it hands over, and a house has much in it."""
    return lambda: house


requests = st.sampled_from(
    [
        {"type": "ping", "id": 1},
        {"type": "send_message", "text": "x", "nonce": "n"},
        {"type": "send_message", "text": "x"},
        {"type": "get_chat_history", "limit": 3},
        {"type": "get_unread_count"},
        {"type": "typing", "is_typing": True},
        {"type": "leave_chat"},
        {"type": "auth", "token": "x"},
        {"type": None},
        [],
    ]
).map(orjson.dumps)

frames = st.builds(
    lambda opcode, data, fin: Fragment(opcode, data, fin or opcode >= CLOSE).serialize(mask=True),
    st.sampled_from(Opcode),
    st.one_of(requests, st.binary(max_size=125)),
    st.booleans(),
)
heads = st.builds(
    lambda first, second, more: bytes([first, second]) + more,
    st.integers(0, 255),
    st.integers(0, 255),
    st.binary(max_size=20),
)
closes = st.builds(
    lambda code, reason: framed(CLOSE, code.to_bytes(2) + reason),
    st.one_of(st.integers(0, 65535), st.sampled_from(CloseCode)),
    st.binary(max_size=20),
)
scripts = st.lists(st.one_of(frames, frames, heads, closes, st.binary(max_size=30)), max_size=12)


@given(
    said=scripts,
    step=st.integers(1, 200),
    is_known=st.booleans(),
    is_cut=st.booleans(),
)
async def test_whatever_is_sent_only_frames_come_back_and_nothing_is_left(
    at_home: Callable[[], House],
    complaints: Complaints,
    said: list[bytes],
    step: int,
    is_known: bool,
    is_cut: bool,
) -> None:
    house = at_home()
    tasks, chat = asyncio.all_tasks(), await house.chat("Ann")
    async with told_apart(house) as new:
        line = await (house.enter("Ann", chat) if is_known else house.line(chat))
    sent = b"".join(said)
    for at in range(0, len(sent), step):
        line.writer.write(sent[at : at + step])
        await asyncio.sleep(0)
    if is_cut:
        line.writer.transport.abort()
    else:
        with suppress(OSError):  # the server was faster
            line.writer.write_eof()
        check_heard(await until_end(line))
        line.writer.transport.abort()
    await until(lambda: not {*new} & {*sockets(house)} and asyncio.all_tasks() <= tasks)
    assert complaints.said == []


async def until_end(line: Line) -> bytes:
    heard = bytearray()
    async with asyncio.timeout(30):
        with suppress(ConnectionResetError):
            while data := await line.reader.read(65536):
                heard += data
    return bytes(heard)


def check_heard(heard: bytes) -> None:
    client = ClientProtocol(parse_uri("ws://server/"), state=State.OPEN)
    client.receive_data(heard)
    assert client.parser_exc is None, "each is a frame that a server may send"
    assert not client.reader.buffer, "and whole"
    size = 0
    for event in client.events_received():
        assert isinstance(event, Fragment)
        assert event.opcode in {TEXT, PONG, CLOSE}
        size += len(event.serialize(mask=False))
        if event.opcode == TEXT:
            fields: dict[str, Any] = orjson.loads(event.data)
            assert isinstance(fields["type"], str)
    assert size == len(heard), "nothing after a close"
