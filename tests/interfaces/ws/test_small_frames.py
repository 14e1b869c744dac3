"""Pings, pongs and parts of messages count as requests, and a client that sends too many is read more slowly."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from attrs import define, field
from typing_extensions import override
from websockets.frames import Opcode

from interfaces.live.listener import End
from interfaces.pace import FRAMES, Moments, Pace
from interfaces.ws.protocol import SHORT_SLICE, SLICE, SocketProtocol
from tests.interfaces.live.test_hub import until
from tests.interfaces.ws.house import FRAME_LIMIT, House, Line, answers, asking, framed, raw, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

PER_SECOND = 50
ENDLESS = 10**12
"""Bytes of an answer that takes up all that an account may ask for in the longest wait."""


SAID = b"x" * 20
PING = framed(Opcode.PING, SAID)
"""Few of them fill a slice: too many in a row would close the socket."""


class Counting(SocketProtocol):
    def __init__(self, *arguments: object, **named: object) -> None:
        super().__init__(*arguments, **named)  # type: ignore[arg-type]
        self.parsed: list[int] = []
        """Bytes of each piece."""

    @override
    def _parse(self, data: bytes) -> None:
        self.parsed.append(len(data))
        super()._parse(data)


@define(eq=False)
class Clock:
    """A clock that stands still unless it is set."""

    at: float = field(init=False, default=0.0)

    def __call__(self) -> float:
        return self.at


@define(eq=False)
class Eve:
    line: Line
    socket: Counting
    house: House
    clock: Clock

    @property
    def pace(self) -> Pace:
        return self.house.services.pace

    async def owes(self) -> None:
        """Uses up all of her account's allowance."""
        self.pace.charge((await self.house.person("Eve")).actor.account_id, ENDLESS)

    async def rests(self) -> None:
        """Owes so much that she is not read after the next small frames."""
        await self.owes()
        self.ping(FRAMES)
        assert len(await answers(self.line, FRAMES)) == FRAMES
        await until(lambda: self.socket._resting is not None)

    def ping(self, times: int) -> None:
        self.line.writer.write(PING * times)

    def may_save(self) -> None:
        """Lets her wait for nothing, until `waits` is asked."""
        self.pace.saved_seconds = 1000.0

    async def waits(self) -> float:
        """Seconds that her account's next request would wait if nothing were saved up."""
        self.pace.saved_seconds = 0.0
        return self.pace.take((await self.house.person("Eve")).actor.account_id)

    def has_rested(self) -> None:
        """Lets the time of her rest be over."""
        assert self.socket._resting is not None
        self.socket._resting.cancel()
        self.socket._rested()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house() -> AsyncIterator[House]:
    pace, moments = Pace(PER_SECOND, 0.0), Moments(Pace(PER_SECOND, 0.0))
    async with serving(Counting, pace=pace, moments=moments, close_timeout=0.5) as house:
        yield house


@pytest_asyncio.fixture(loop_scope="module")
async def eve(house: House) -> Eve:
    clock = Clock()
    for pace in (house.services.pace, house.services.moments.pace):
        pace._now = clock
        pace._taken_until.clear()
        pace.saved_seconds = 0.0
    before = sockets(house)
    line = await house.enter("Eve", await house.chat("Eve"))
    (socket,) = sockets(house) - before
    return Eve(line, socket, house, clock)


def sockets(house: House) -> set[Counting]:
    return {each for each in house.server.server_state.connections if isinstance(each, Counting)}


PARTS = framed(Opcode.CONT, b" ", fin=False)

MANY = {
    "pings": framed(Opcode.PING, b"x") * 500,
    "pongs": framed(Opcode.PONG, b"x") * 500,
    "parts": framed(Opcode.TEXT, b'{"type": "ping",', fin=False)
    + PARTS * 498
    + framed(Opcode.CONT, b'"id": 1}'),
}


@pytest.mark.parametrize("kind", MANY)
async def test_so_many_count_as_a_request(eve: Eve, kind: str) -> None:
    eve.may_save()
    eve.line.writer.write(MANY[kind])
    eve.line.say(type="ping", id="last")
    while (await answers(eve.line, 1)) != ["last"]:
        pass
    messages = 2 if kind == "parts" else 1
    assert await eve.waits() == pytest.approx((500 // FRAMES + messages) / PER_SECOND)


async def test_before_entering_they_count_for_the_network(eve: Eve) -> None:
    pace = eve.house.services.moments.pace
    pace._taken_until.clear()
    line = await eve.house.line(await eve.house.chat("Eve"))
    line.writer.write(framed(Opcode.PING) * (2 * FRAMES))
    await answers(line, 2 * FRAMES)
    connecting = 1
    assert pace.take("127.0.0.1") == pytest.approx((connecting + 2) / PER_SECOND)


async def test_messages_in_one_frame_count_once(eve: Eve) -> None:
    eve.may_save()
    eve.line.writer.write(b"".join(framed(Opcode.TEXT, asking(number)) for number in range(2 * FRAMES)))
    assert await answers(eve.line, 2 * FRAMES) == [*range(2 * FRAMES)]
    assert await eve.waits() == pytest.approx(2 * FRAMES / PER_SECOND)


async def test_who_owes_is_not_read_until_the_moment_has_come(eve: Eve) -> None:
    await eve.rests()
    ann = await eve.house.enter("Ann", await eve.house.chat("Ann"))
    assert not eve.socket.transport.is_reading()
    parsed = sum(eve.socket.parsed)
    eve.ping(9)
    for _ in range(3):
        await ann.round_trip()
    eve.socket.data_received(PING)  # a transport with TLS may have read it before
    assert sum(eve.socket.parsed) == parsed
    eve.has_rested()
    assert eve.socket._resting is not None, "the account still owes as much"
    eve.clock.at += 60.0
    eve.has_rested()
    assert await answers(eve.line, 10) == [SAID] * 10
    assert eve.socket.transport.is_reading()


async def test_what_was_read_already_waits_as_well(eve: Eve) -> None:
    await eve.owes()
    eve.ping(2 * SLICE // len(PING))
    await until(lambda: eve.socket._resting is not None)
    assert eve.socket._unparsed
    parsed = list(eve.socket.parsed)
    eve.socket.pause()
    eve.socket.resume()
    ann = await eve.house.enter("Ann", await eve.house.chat("Ann"))
    await ann.round_trip()
    assert eve.socket.parsed == parsed
    eve.clock.at += 60.0
    eve.has_rested()
    await answers(eve.line, 2 * SLICE // len(PING))


async def test_who_rests_is_told_everything(eve: Eve) -> None:
    chat = await eve.house.chat("Ann", "Eve")
    ann = await eve.house.enter("Ann", chat)
    before = sockets(eve.house)
    line = await eve.house.enter("Eve", chat)
    (socket,) = sockets(eve.house) - before
    other = Eve(line, socket, eve.house, eve.clock)
    await other.rests()
    ann.say(type="send_message", text="hello", nonce="1")
    while (told := await line.hear())["type"] != "new_message":
        pass
    assert told["message"]["text"] == "hello"


async def test_who_rests_is_not_taken_for_dead_or_late(eve: Eve) -> None:
    await eve.rests()
    eve.socket.end_unanswered()
    eve.socket._is_unfinished_still()
    assert not eve.socket._is_ending
    eve.clock.at += 60.0
    eve.has_rested()
    eve.socket._forget_message_deadline()
    eve.socket.end_unanswered()
    await eve.line.until_close()
    assert eve.line.close == (1011, "keepalive ping timeout")


@pytest.mark.parametrize("server_stops", [False, True])
async def test_who_rests_is_closed_as_ever(eve: Eve, *, server_stops: bool) -> None:
    await eve.rests()
    if server_stops:
        eve.socket.shutdown()
    else:
        eve.socket._exchange._desk.listener.end(End.SESSION_ENDED)  # type: ignore[union-attr]
    await eve.line.until_close()
    assert eve.line.close is not None
    await until(lambda: eve.socket not in sockets(eve.house))
    assert eve.socket._resting is None


async def test_a_failed_socket_is_read_to_its_end(eve: Eve) -> None:
    """Data that is not read would reset the connection before the client reads why it was closed."""
    await eve.owes()
    eve.line.writer.write(framed(Opcode.PING, b"x") * FRAMES + raw(0x83, 0x80))
    await eve.line.until_close()
    assert eve.line.close is not None
    assert eve.line.close[0] == 1002
    assert eve.socket._resting is None
    assert eve.socket.transport.is_reading()


async def test_slices_are_short_behind_many_small_frames(eve: Eve) -> None:
    eve.may_save()
    pings = 4 * SLICE // len(PING)
    eve.ping(pings)
    await answers(eve.line, pings)
    first, *others = eve.socket.parsed[1:]
    assert first <= SLICE
    assert others
    assert max(others) <= SHORT_SLICE
    large = framed(Opcode.TEXT, asking("large", FRAME_LIMIT))
    eve.socket.parsed.clear()
    eve.line.writer.write(large)
    assert await answers(eve.line, 1) == ["large"]
    assert max(eve.socket.parsed) == SLICE
