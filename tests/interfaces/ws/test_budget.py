"""What all sockets of a node hold together is bounded in bytes, and who holds most makes room."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Opcode

from interfaces.wire.frames import Frame
from interfaces.ws.budget import Budget
from interfaces.ws.closing import CloseCode
from interfaces.ws.outbox import Outbox
from tests.interfaces.live.test_hub import until
from tests.interfaces.ws.house import ENOUGH, House, framed, serving
from tests.interfaces.ws.written import Written

LIMIT = 1000

NOISE = 200


@define(eq=False)
class Holds:
    budget: Budget
    size: int = field(init=False, default=0)
    cuts: int = field(init=False, default=0)

    def hold(self, size: int) -> None:
        self.size = size
        self.budget.hold(self, size)

    def cut(self) -> None:
        self.cuts += 1
        self.size = 0


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, LIMIT + 200)), max_size=40))
def test_it_is_never_exceeded_and_the_greatest_pays(script: list[tuple[int, int]]) -> None:
    budget = Budget(LIMIT)
    everybody = [Holds(budget) for _ in range(5)]
    for who, size in script:
        before = [each.size for each in everybody]
        cuts = [each.cuts for each in everybody]
        before[who] = size
        everybody[who].hold(size)
        assert budget.used == sum(each.size for each in everybody) <= LIMIT
        cut = [now for now, was in zip(everybody, cuts, strict=True) if now.cuts != was]
        if sum(before) <= LIMIT:
            assert cut == []
        else:
            kept = [each.size for each in everybody if each not in cut]
            least = min(before[everybody.index(each)] for each in cut)
            assert all(size <= least for size in kept), "whoever holds less keeps it"


def test_the_slowest_of_many_readers_makes_room() -> None:
    budget, writers = Budget(10_000), [Written() for _ in range(4)]
    outboxes = [Outbox(writer, 1000, 1_000_000, budget=budget) for writer in writers]
    closes = [writer.closes for writer in writers]
    for outbox in outboxes:
        outbox.hold_up()
    frame = Frame(b'{"x":"' + b"x" * 90 + b'"}')
    for _ in range(20):
        for outbox in outboxes[1:]:
            outbox.put(frame)
    while not closes[0]:
        outboxes[0].put(frame)
        assert budget.used <= 10_000
    assert [len(closes[number]) for number in range(4)] == [1, 0, 0, 0]
    assert closes[0][0].code == CloseCode.TRY_LATER
    outboxes[1].abandon()
    for outbox in outboxes[2:]:
        outbox.clear()
    assert budget.used == 0


@pytest.fixture
async def tight(way: str) -> AsyncIterator[House]:
    async with serving(
        way, auth_timeout=5, waiting_bytes=50_000, node_waiting_bytes=150_000, message_timeout=1.0
    ) as house:
        yield house


async def hold_everything_up(house: House) -> asyncio.Event:
    """Until the event is set, no count is answered, and what a socket sends behind one must wait."""
    goes_on, messages = asyncio.Event(), house.services.messenger.messages
    count = messages.unread_count

    async def late(*asked: Any) -> int:
        await goes_on.wait()
        return await count(*asked)

    object.__setattr__(messages, "unread_count", late)
    return goes_on


class TestWaitingFrames:
    async def test_what_one_socket_sends_ahead_is_bounded_in_bytes(self, tight: House) -> None:
        goes_on = await hold_everything_up(tight)
        ann = await tight.enter("Ann", await tight.chat("Ann"))
        ann.say(type="get_unread_count")
        for number in range(20):
            ann.say(type="ping", id=f"{number}" + "x" * 10_000)
        await until(lambda: tight.services.waiting.used > 40_000)
        await asyncio.sleep(0.05)
        assert tight.services.waiting.used < 50_000 + 3 * 11_000, "some had been read from the line"
        goes_on.set()
        assert (await ann.hear())["type"] == "unread_count"
        assert [(await ann.hear())["id"].rstrip("x") for _ in range(20)] == [str(n) for n in range(20)]
        assert tight.services.waiting.used == 0

    async def test_what_all_send_ahead_is_bounded_and_one_who_sends_little_stays(self, tight: House) -> None:
        goes_on = await hold_everything_up(tight)
        chat, other = await tight.chat("Ann"), await tight.chat("Bob")
        bob = await tight.enter("Bob", other)
        bob.say(type="get_unread_count")
        bob.say(type="ping", id=1)
        for _ in range(6):
            line = await tight.enter("Ann", chat)
            line.say(type="get_unread_count")
            for _ in range(8):
                line.say(type="ping", id="x" * 8_000)
            await line.writer.drain()
        # each socket may hold 50 kB and a few frames, all of them 150 kB: three have been closed at least
        async with asyncio.timeout(ENOUGH):
            while len([*tight.hub.roster.listeners]) > 4:
                assert tight.services.waiting.used <= 150_000
                await asyncio.sleep(0.01)
        goes_on.set()
        assert await bob.hear() == {"type": "unread_count", "chat_id": str(other), "count": 0}
        assert await bob.hear() == {"type": "pong", "id": 1}

    async def test_noise_behind_a_send_is_bounded_too(self, tight: House) -> None:
        """Each piece of it has an answer, which must wait for that of the send before it."""
        goes_on, messages = asyncio.Event(), tight.services.messenger.messages
        send = messages.send

        async def late(*asked: Any) -> Any:
            await goes_on.wait()
            return await send(*asked)

        object.__setattr__(messages, "send", late)
        ann = await tight.enter("Ann", await tight.chat("Ann"))
        ann.say(type="send_message", text="x", nonce="n")
        for _ in range(NOISE):
            ann.write(Opcode.TEXT, b"noise")
        await until(lambda: tight.services.waiting.used > 0)
        await asyncio.sleep(0.1)
        (exchange,) = tight.services.waiting._held
        assert exchange._connection.unanswered <= 64  # type: ignore[attr-defined]
        assert tight.services.waiting.used < 150_000
        goes_on.set()
        assert (await ann.hear())["type"] == "message_ack"
        errors = 0
        while errors < NOISE:
            errors += (await ann.hear())["type"] == "error"


class TestUnfinishedMessages:
    @pytest.fixture(params=["handed over"])
    def way(self, request: pytest.FixtureRequest) -> str:
        name: str = request.param
        return name

    @pytest.mark.parametrize(
        "start",
        [
            framed(Opcode.TEXT, b'{"type": ', fin=False),
            framed(Opcode.TEXT, b"x" * 1000)[:500],
            framed(Opcode.TEXT, b"x" * 1000)[:2],
            framed(Opcode.TEXT, b"x" * 1000)[:1],
            framed(Opcode.PING, b"x" * 100)[:50],
        ],
        ids=["a fragment", "half a frame", "half a head", "a byte", "half a ping"],
    )
    async def test_they_end_the_socket_after_a_while(self, tight: House, start: bytes) -> None:
        ann = await tight.enter("Ann", await tight.chat("Ann"))
        ann.writer.write(start)
        assert await ann.until_close() == []
        assert ann.close == (1008, "message not finished in time")

    async def test_drops_do_not_help(self, tight: House) -> None:
        ann = await tight.enter("Ann", await tight.chat("Ann"))
        frame = framed(Opcode.TEXT, b"x" * 60_000)

        async def drip() -> None:
            for at in range(0, len(frame), 10):
                ann.writer.write(frame[at : at + 10])
                await asyncio.sleep(0.01)

        dripping = asyncio.create_task(drip())
        await ann.until_close()
        assert ann.close == (1008, "message not finished in time")
        dripping.cancel()

    async def test_a_long_message_in_parts_is_heard_and_silence_is_no_fault(self, way: str) -> None:
        async with serving(way, message_timeout=3.0) as house:
            ann = await house.enter("Ann", await house.chat("Ann"))
            for _ in range(4):
                ann.writer.write(framed(Opcode.TEXT, b'{"type": "ping",', fin=False))
                await asyncio.sleep(0.8)
                ann.writer.write(framed(Opcode.CONT, b' "id": 1}'))
                assert await ann.hear() == {"type": "pong", "id": 1}
            await asyncio.sleep(3.1)
            await ann.round_trip()


class TestLog:
    async def test_a_socket_is_logged_when_it_comes_and_when_it_goes(
        self, house: House, caplog: pytest.LogCaptureFixture
    ) -> None:
        chat = await house.chat("Ann")
        with caplog.at_level(logging.INFO, "access"):
            ann = await house.enter("Ann", chat)
            ann.write(Opcode.CLOSE, (1001).to_bytes(2) + b"moves")
            await ann.until_close()
            await until(lambda: len(records(caplog)) == 2)
            stranger = await house.line(chat)
            stranger.say(type="auth", token="none")
            await stranger.until_close()
            stranger.writer.close()
            await until(lambda: len(records(caplog)) == 4)
        opened, closed, _, refused = records(caplog)
        assert (opened.msg, opened.chat) == ("socket opened", str(chat))
        assert (closed.msg, closed.code, closed.reason) == ("socket closed", 1001, "moves")
        actor = (await house.person("Ann")).actor
        assert (closed.profile, closed.session) == (str(actor.profile_id), str(actor.session_id))
        assert 0 <= closed.seconds < 30
        assert (refused.code, refused.reason, refused.profile) == (1008, "Authentication failed", None)


def records(caplog: pytest.LogCaptureFixture) -> list[Any]:
    return [record for record in caplog.records if record.name == "access" and "socket" in record.msg]
