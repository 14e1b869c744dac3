import asyncio
from collections.abc import Sequence

import orjson
import pytest
from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st

from interfaces.wire.frames import Frame
from interfaces.ws.closing import Close, CloseCode
from interfaces.ws.outbox import Outbox
from tests.interfaces.ws.house import ENOUGH
from tests.interfaces.ws.written import Written


@define(eq=False)
class Side:
    """The other side: what it was written, and how it was closed."""

    max_frames: int = 8
    max_bytes: int = 1000
    writer: Written = field(factory=Written)
    outbox: Outbox = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.outbox = Outbox(self.writer, self.max_frames, self.max_bytes)

    @property
    def written(self) -> list[Frame]:
        return self.writer.frames

    @property
    def closes(self) -> list[Close]:
        return self.writer.closes


def frame(number: int, size: int = 0) -> Frame:
    return Frame(orjson.dumps({"n": number, "x": "x" * size}))


def test_while_the_way_is_clear_frames_go_straight_on() -> None:
    side = Side()
    sent = [frame(number) for number in range(20)]
    for each in sent:
        side.outbox.put(each)
    assert side.written == sent


def test_what_waited_comes_first_and_in_order() -> None:
    side = Side()
    sent = [frame(number) for number in range(6)]
    side.outbox.hold_up()
    for each in sent[:4]:
        side.outbox.put(each)
    assert side.written == []
    side.outbox.clear()
    for each in sent[4:]:
        side.outbox.put(each)
    assert side.written == sent


def test_one_frame_too_many_ends_it_at_once() -> None:
    side = Side(max_frames=3)
    side.outbox.hold_up()
    for number in range(3):
        side.outbox.put(frame(number))
    assert side.closes == []
    side.outbox.put(frame(3))
    assert [(close.code, close.is_final) for close in side.closes] == [(CloseCode.TRY_LATER, True)]
    side.outbox.clear()
    side.outbox.put(frame(4))
    assert side.written == [], "what waited is given up: it comes back for the rest"
    assert len(side.closes) == 1


def test_bytes_are_bounded_but_one_big_frame_finds_a_place() -> None:
    side = Side(max_bytes=500)
    side.outbox.hold_up()
    side.outbox.put(frame(0, size=5000))
    assert side.closes == []
    side.outbox.put(frame(1))
    assert [close.code for close in side.closes] == [CloseCode.TRY_LATER]


def test_what_does_not_matter_later_is_dropped_at_half() -> None:
    side = Side(max_frames=8)
    side.outbox.hold_up()
    for number in range(3):
        side.outbox.put(frame(number))
    side.outbox.put(frame(100), ephemeral=True)
    side.outbox.put(frame(101), ephemeral=True)
    side.outbox.put(frame(3))
    side.outbox.clear()
    assert side.written == [frame(0), frame(1), frame(2), frame(100), frame(3)]
    assert side.closes == []


def test_a_close_comes_behind_what_waits_and_the_first_reason_stands() -> None:
    side = Side()
    side.outbox.hold_up()
    side.outbox.put(frame(0))
    side.outbox.close(1008, "first")
    side.outbox.close(1000, "second")
    side.outbox.put(frame(1))
    assert (side.written, side.closes) == ([], [])
    side.outbox.clear()
    assert (side.written, side.closes) == ([frame(0)], [Close(1008, "first")])


def test_a_close_with_nothing_waiting_is_at_once() -> None:
    side = Side()
    side.outbox.close(1000, "")
    side.outbox.close(1008, "late")
    assert side.closes == [Close(1000, "")]


def test_nobody_writes_to_who_is_gone() -> None:
    side = Side()
    side.outbox.hold_up()
    side.outbox.put(frame(0))
    side.outbox.abandon()
    side.outbox.put(frame(1))
    side.outbox.clear()
    assert (side.written, side.closes) == ([], [])


async def test_what_is_asked_for_waits_until_half_is_read() -> None:
    side = Side(max_frames=4)
    side.outbox.hold_up()
    for number in range(3):
        side.outbox.put(frame(number))
    waiting = asyncio.create_task(side.outbox.relaxed())
    await asyncio.sleep(0)
    assert not waiting.done()
    side.outbox.clear()
    await asyncio.wait_for(waiting, ENOUGH)


@pytest.mark.parametrize("end", ["close", "abandon", "overflow"])
async def test_nobody_waits_for_who_does_not_read_any_more(end: str) -> None:
    side = Side(max_frames=4)
    side.outbox.hold_up()
    for number in range(4):
        side.outbox.put(frame(number))
    waiting = asyncio.create_task(side.outbox.relaxed())
    await asyncio.sleep(0)
    match end:
        case "close":
            side.outbox.close(1000, "")
            side.outbox.abandon()
        case "abandon":
            side.outbox.abandon()
        case _:
            side.outbox.put(frame(4))
            side.outbox.abandon()
    await asyncio.wait_for(waiting, ENOUGH)


acts = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["put", "put two", "ephemeral"]), st.integers(0, 400)),
        st.tuples(st.sampled_from(["hold up", "clear"]), st.just(0)),
        st.tuples(st.just("close"), st.just(0)),
    ),
    max_size=60,
)


@given(acts)
def test_durable_frames_are_told_in_order_without_a_gap_until_it_ends(script: list[tuple[str, int]]) -> None:
    side = Side(max_frames=6, max_bytes=1000)
    durable, held, ended = [], False, False
    for number, (act, size) in enumerate(script):
        match act:
            case "put":
                if not side.outbox.closing:
                    durable.append(frame(number, size))
                side.outbox.put(frame(number, size))
            case "put two":
                two = [frame(number, size), frame(number, 0)]
                if not side.outbox.closing:
                    durable.extend(two)
                side.outbox.put_shared(two)
            case "ephemeral":
                side.outbox.put(Frame(orjson.dumps({"e": number})), ephemeral=True)
            case "hold up":
                side.outbox.hold_up()
                held = True
            case "clear":
                side.outbox.clear()
                held = False
            case _:
                side.outbox.close(1000, "")
                ended = True
    told = [each for each in side.written if b'"e"' not in each.data]
    assert told == durable[: len(told)]
    slow = [close for close in side.closes if close.code == CloseCode.TRY_LATER]
    assert len(side.closes) <= 1
    if not slow and not held:
        assert told == durable
        assert bool(side.closes) == ended


@define(eq=False)
class Narrow(Side):
    """The other side takes a few frames, and then no more until the outbox is cleared again."""

    room: int = 3
    left: int = field(init=False, default=3)

    def __attrs_post_init__(self) -> None:
        self.left = self.room
        self.outbox = Outbox(self, 10_000, 10**9)

    def write(self, frame: Frame) -> None:
        self.written.append(frame)
        self.left -= 1
        if self.left <= 0:
            self.outbox.hold_up()

    def write_shared(self, frames: Sequence[Frame]) -> None:
        for frame in frames:
            self.write(frame)

    def finish(self, close: Close) -> None:
        self.closes.append(close)

    def read(self) -> None:
        self.left = self.room
        self.outbox.clear()

    async def write_in_parts(self, parts: list[Frame]) -> None:
        written = 0
        await self.outbox.begin_parts()
        try:
            for part in parts:
                await self.outbox.writable()
                if self.outbox.closing is not None:
                    break
                self.outbox.write_part(part)
                written += 1
        finally:
            self.outbox.end_parts(is_cut_off=0 < written < len(parts))


async def passes() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


acts_with_parts = st.lists(
    st.one_of(
        st.sampled_from(["put", "hold up", "read", "pass", "cancel"]),
        st.integers(1, 4).map(lambda count: f"parts {count}"),
    ),
    max_size=40,
)


@given(acts_with_parts, st.integers(1, 4))
def test_a_message_in_parts_keeps_its_place_and_nothing_comes_between_its_parts(
    script: list[str], room: int
) -> None:
    asyncio.run(follow(script, room))


async def follow(script: list[str], room: int) -> None:
    side = Narrow(room=room)
    expected: list[Frame] = []
    parts: list[Frame] = []
    task: asyncio.Task[None] | None = None
    for number, act in enumerate(script):
        match act.split():
            case ["put"]:
                expected.append(frame(number))
                side.outbox.put(expected[-1])
            case ["hold", "up"]:
                side.outbox.hold_up()
            case ["read"]:
                side.read()
            case ["pass"]:
                await passes()
            case ["cancel"]:
                await passes()
                if task is not None and parts[0] not in side.written:
                    task.cancel()
                    await passes()
                    expected = [each for each in expected if each not in parts]
            case ["parts", count] if task is None or task.done():  # a socket has one request at a time
                parts = [frame(1000 * (number + 1) + part) for part in range(int(count))]
                expected += parts
                task = asyncio.create_task(side.write_in_parts(parts))
                await asyncio.sleep(0)
    while len(side.written) < len(expected) or (task is not None and not task.done()):
        before = len(side.written)
        side.read()
        await passes()
        assert len(side.written) > before or len(side.written) == len(expected), "nothing is stuck"
    assert side.written == expected
    assert side.outbox.is_empty


async def test_what_waits_is_written_before_a_message_in_parts_that_came_behind_it() -> None:
    side = Narrow(room=1)
    sent = [frame(number) for number in range(5)]
    side.outbox.hold_up()
    for each in sent[:3]:
        side.outbox.put(each)
    task = asyncio.create_task(side.write_in_parts([frame(100), frame(101)]))
    await passes()
    for each in sent[3:]:
        side.outbox.put(each)
    for _ in range(10):
        side.read()
        await passes()
    await asyncio.wait_for(task, ENOUGH)
    assert side.written == [*sent[:3], frame(100), frame(101), *sent[3:]]


@pytest.mark.parametrize("end", ["close", "abandon", "cut"])
async def test_a_message_in_parts_does_not_wait_for_its_place_when_the_socket_ends(end: str) -> None:
    side = Narrow(room=9)
    side.outbox.hold_up()
    side.outbox.put(frame(0))
    task = asyncio.create_task(side.write_in_parts([frame(100)]))
    await passes()
    side.outbox.put(frame(1))
    match end:
        case "close":
            side.outbox.close(1000, "")
            side.read()
        case "abandon":
            side.outbox.abandon()
        case _:
            side.outbox.cut()
    await asyncio.wait_for(task, ENOUGH)
    assert side.written == ([frame(0), frame(1)] if end == "close" else [])
    assert [close.code for close in side.closes] == {"close": [1000], "abandon": [], "cut": [1013]}[end]
