import asyncio

import pytest

from interfaces.ws import shared_writes
from interfaces.ws.framing import Framing, head
from interfaces.ws.shared_writes import PER_TURN, SharedWrites
from tests.interfaces.live.test_hub import until
from tests.interfaces.ws.test_outbox import frame


async def test_all_are_written_to_in_order_and_others_get_turns_between() -> None:
    writes, done, turns = SharedWrites(), list[int](), list[int]()

    def turn() -> None:
        turns.append(len(done))
        if len(done) < 3 * PER_TURN:
            asyncio.get_running_loop().call_soon(turn)

    for number in range(3 * PER_TURN):
        writes.soon(lambda number=number: done.append(number))  # type: ignore[misc]
    assert done == []
    turn()
    await until(lambda: len(done) == 3 * PER_TURN)
    assert done == list(range(3 * PER_TURN))
    assert {PER_TURN, 2 * PER_TURN} <= set(turns)


async def test_what_follows_soon_waits_and_is_then_written(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 5.0, 10.0, 10.0])
    monkeypatch.setattr(shared_writes, "monotonic", lambda: next(clock))
    pauses = list[float]()
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "call_later", lambda pause, _: pauses.append(pause))
    writes, done = SharedWrites(), list[str]()
    writes.soon(lambda: done.append("first"))
    await asyncio.sleep(0)
    writes.soon(lambda: done.append("second"))
    for _ in range(5):
        await asyncio.sleep(0)
    assert done == ["first"]
    assert pauses == [shared_writes.LONGEST_PAUSE], "writing took longer than the pause may"
    writes._go_on()
    assert done == ["first", "second"]
    for _ in range(5):
        await asyncio.sleep(0)
    assert pauses == [shared_writes.LONGEST_PAUSE, 0.0]
    writes._go_on()
    assert not writes._is_busy


async def test_an_error_at_one_socket_stops_no_other() -> None:
    loop, errors, done = asyncio.get_running_loop(), list[object](), list[int]()
    loop.set_exception_handler(lambda _, context: errors.append(context["exception"]))
    writes = SharedWrites()

    def fail() -> None:
        raise OSError

    writes.soon(fail)
    writes.soon(lambda: done.append(1))
    await until(lambda: done == [1])
    writes.soon(lambda: done.append(2))
    await until(lambda: done == [1, 2])
    assert [type(error) for error in errors] == [OSError]


def test_sockets_that_wait_for_the_same_share_what_is_joined() -> None:
    framing, first, second = Framing(), [frame(1), frame(2)], [frame(3)]
    waiting = framing.framed(first)
    assert waiting == b"".join(head(each.size) + each.data for each in first)
    added = framing.framed(second)
    joined = framing.behind(waiting)
    assert joined == waiting + added
    assert framing.behind(waiting) is joined
    assert framing.behind(b"other") == b"other" + added
    assert framing.framed(first) == waiting
    assert framing.behind(waiting) == waiting + waiting
