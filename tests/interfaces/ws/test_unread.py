"""Frames of sockets that are not read, and requests that limits refuse, count as several: an account gains nothing by asking on."""

from collections.abc import AsyncIterator
from uuid import UUID

import httpx
import pytest
import pytest_asyncio
from attrs import define, evolve, field

from application.errors import Overloaded
from domain.ids import AccountId, ChatId
from interfaces.live.listener import End
from interfaces.pace import BYTES, FRAMES, REFUSED, UNREAD, Pace
from interfaces.ws.exchange import Exchange
from interfaces.ws.protocol import SocketProtocol
from tests.interfaces.live.test_hub import until
from tests.interfaces.ws.house import House, Line, serving
from tests.world import SETTINGS

pytestmark = pytest.mark.asyncio(loop_scope="module")

PER_SECOND, WAITING = 50, 4
SOON = 5.0
"""Seconds that an account owes: its frames wait for longer than a test takes, and are not refused."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house() -> AsyncIterator[House]:
    limits = evolve(SETTINGS.limits, sends=1, marks=1)
    async with serving(
        SocketProtocol,
        settings=evolve(SETTINGS, limits=limits),
        pace=Pace(PER_SECOND, 0.0, now=lambda: 0.0),
        waiting_frames=WAITING,
        close_timeout=0.5,
    ) as house:
        yield house


@define(eq=False)
class Eve:
    """Somebody whose frames wait until a test lets their moments come."""

    house: House
    account: AccountId
    chat: ChatId
    lines: list[Line] = field(factory=list)
    exchanges: list[Exchange] = field(factory=list)

    async def enter(self) -> None:
        before = sockets(self.house)
        self.lines.append(await self.house.enter("Eve", self.chat))
        (socket,) = sockets(self.house) - before
        assert socket._exchange is not None
        self.exchanges.append(socket._exchange)

    async def connect(self) -> None:
        """Opens a socket that does not tell whose it is."""
        before = sockets(self.house)
        self.lines.append(await self.house.line(self.chat))
        (socket,) = sockets(self.house) - before
        await until(lambda: socket._exchange is not None)
        assert socket._exchange is not None
        self.exchanges.append(socket._exchange)

    def owes(self) -> None:
        self.pace.charge(self.account, int(SOON * PER_SECOND) * BYTES)

    async def fill(self, which: int) -> None:
        """Sends as much on a socket as is kept, and lets the moment of the first frame come."""
        for number in range(1 + WAITING):
            self.lines[which].say(type="ping", id=number)
        await until(lambda: self.exchanges[which]._is_paused)
        self.turn(which)

    def turn(self, which: int) -> None:
        """Lets the moment of the next frame of a socket come."""
        exchange = self.exchanges[which]
        assert exchange._turn is not None
        exchange._turn.cancel()
        exchange._take_turn()

    @property
    def pace(self) -> Pace:
        return self.house.services.pace

    def requests(self, pace: Pace, since: float) -> int:
        """The number of requests that were counted since `wait`."""
        return round((pace.take(self.account) - since) * PER_SECOND) - 1

    def wait(self) -> float:
        """Takes a moment, and returns the seconds for which the account waits for it."""
        return self.pace.take(self.account)


def sockets(house: House) -> set[SocketProtocol]:
    return {each for each in house.server.server_state.connections if isinstance(each, SocketProtocol)}


@pytest_asyncio.fixture(loop_scope="module")
async def eve(house: House) -> AsyncIterator[Eve]:
    house.services.pace._taken_until.clear()
    eve = Eve(house, (await house.person("Eve")).actor.account_id, await house.chat("Eve"))
    yield eve
    for line in eve.lines:
        line.writer.close()
    for socket in sockets(house):
        socket.transport.abort()  # one that is not read does not notice that its client is gone
    await until(lambda: not sockets(house))
    assert not house.services.pace._unread, "sockets that are gone are not counted"


@pytest.mark.parametrize(("full", "weight"), [(1, 1), (2, 2), (UNREAD + 2, UNREAD)])
async def test_a_frame_counts_once_for_each_socket_that_is_not_read(eve: Eve, full: int, weight: int) -> None:
    for _ in range(full):
        await eve.enter()
    eve.owes()
    for which in range(full):
        await eve.fill(which)
    since = eve.wait()
    eve.turn(0)
    assert eve.requests(eve.pace, since) == weight


async def test_sockets_that_are_read_do_not_make_frames_dearer(eve: Eve) -> None:
    for _ in range(3):
        await eve.enter()
    eve.owes()
    await eve.fill(0)
    for line in eve.lines[1:]:
        line.say(type="ping", id="one")
    await until(lambda: all(each._turn is not None for each in eve.exchanges))
    since = eve.wait()
    for which in range(2):
        eve.turn(which)
    assert eve.requests(eve.pace, since) == 1, "the next frame of the full one"


async def test_a_socket_whose_frames_are_all_taken_is_read_again(eve: Eve) -> None:
    for _ in range(2):
        await eve.enter()
    eve.owes()
    for which in range(2):
        await eve.fill(which)
    for _ in range(WAITING):
        eve.turn(0)
    assert not eve.exchanges[0]._is_paused
    since = eve.wait()
    eve.turn(1)
    assert eve.requests(eve.pace, since) == 1


async def test_a_socket_that_is_not_read_for_another_reason_does_not_count(eve: Eve) -> None:
    await eve.enter()
    (line,), (exchange,) = eve.lines, eve.exchanges
    exchange._is_busy = True
    for number in range(WAITING):
        line.say(type="ping", id=number)
    await until(lambda: exchange._is_paused)
    assert not eve.pace._unread
    eve.pace._taken_until.clear()
    exchange._is_busy = False
    eve.pace.saved_seconds = 1.0
    assert not exchange._must_wait()
    assert not eve.pace._unread, "its frames wait for no moment"
    exchange._go_on()
    eve.pace.saved_seconds = 0.0
    assert [(await line.hear())["id"] for _ in range(WAITING)] == [*range(WAITING)]


@pytest.mark.parametrize("by_server", [False, True])
async def test_sockets_that_end_do_not_count(eve: Eve, *, by_server: bool) -> None:
    await eve.enter()
    eve.owes()
    await eve.fill(0)
    assert eve.pace._unread
    if by_server:
        eve.exchanges[0]._desk.listener.end(End.SESSION_ENDED)
        await eve.lines[0].until_close()
    else:
        eve.exchanges[0].cut()
        assert not eve.pace._unread


async def test_small_frames_that_wait_make_each_other_dearer(eve: Eve) -> None:
    for _ in range(2):
        await eve.enter()
    eve.owes()
    first, second = eve.exchanges
    weights = []
    for exchange in (first, second, second):
        since = eve.wait()
        assert exchange.count(FRAMES) > 0
        weights.append(eve.requests(eve.pace, since))
    assert weights == [1, 2, 2]
    assert first.count(0) == 0.0, "its rest is over"
    since = eve.wait()
    second.count(FRAMES)
    assert eve.requests(eve.pace, since) == 1


async def test_strangers_of_one_network_do_not_make_each_other_dearer(
    eve: Eve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until they authenticate, sockets of one address may belong to different people."""
    for _ in range(2):
        await eve.connect()
    pace, network = eve.house.services.moments.pace, eve.exchanges[0]._network
    of_test = {"per_second": PER_SECOND, "saved_seconds": 0.0, "_now": lambda: 0.0, "_taken_until": {}}
    for name, value in of_test.items():
        monkeypatch.setattr(pace, name, value)
    pace.take(network)
    for exchange in (*eve.exchanges, *eve.exchanges):
        assert exchange.count(FRAMES) > 0
    assert pace.take(network) == pytest.approx((1 + 4) / PER_SECOND)


async def test_waiting_messages_stay_counted_beside_small_frames(eve: Eve) -> None:
    """The parser counts a piece of a frame while the messages before it wait."""
    await eve.enter()
    eve.owes()
    await eve.fill(0)
    assert eve.exchanges[0].count(1) == 0.0
    assert eve.pace._unread == {eve.account: 1}


@pytest.mark.parametrize("way", ["send", "request", "HTTP"])
async def test_what_a_limit_refuses_counts_as_several(eve: Eve, way: str) -> None:
    await eve.enter()
    eve.pace.saved_seconds = 1.0
    await refusal(eve, way)  # the first may still be permitted
    eve.pace.saved_seconds = 0.0
    since = eve.wait()
    eve.pace.saved_seconds = 1.0
    assert await refusal(eve, way) in {"too_many_requests", "TOO_MANY_REQUESTS"}
    eve.pace.saved_seconds = 0.0
    pings = 0 if way == "HTTP" else 1
    assert eve.requests(eve.pace, since) == REFUSED + pings


async def test_what_is_refused_for_another_reason_counts_once(eve: Eve) -> None:
    await eve.enter()
    since = eve.wait()
    eve.exchanges[0]._charge_refused(Overloaded("too many messages wait"))
    assert eve.requests(eve.pace, since) == 0, "beside the request itself"


async def refusal(eve: Eve, way: str) -> object:
    """Asks for something, and returns the code of the refusal, if it is refused."""
    if way == "HTTP":
        headers = (await eve.house.person("Eve")).headers
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{eve.house.port}") as client:
            answer = await client.post(
                f"/chats/{eve.chat}/messages/", json={"text": "hello"}, headers=headers
            )
        return answer.json().get("error", {}).get("code")
    (line,) = eve.lines
    if way == "send":
        line.say(type="send_message", text="hello", nonce="1")
    else:
        line.say(type="mark_read", last_read_message_id=str(UUID(int=1)))
    line.say(type="ping", id="behind it")
    code = None
    while (heard := await line.hear())["type"] != "pong":
        code = heard.get("code", code)
    return code
