import asyncio
from collections.abc import Callable, Sequence

import pytest
from websockets.frames import Opcode

from interfaces.wire.frames import Frame
from interfaces.ws import shared_writes
from interfaces.ws.closing import Close, CloseCode
from interfaces.ws.framing import Framing, head
from interfaces.ws.protocol import JOINED, SocketProtocol
from interfaces.ws.services import Tick
from interfaces.ws.shared_writes import PER_TURN, SharedWrites
from tests.interfaces.live.test_hub import until
from tests.interfaces.ws.house import framed
from tests.interfaces.ws.test_outbox import frame
from tests.interfaces.ws.test_plain_frames import Wire, opened


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


class Room:
    """Sockets of one process that are told the same."""

    def __init__(self, sockets: int) -> None:
        self.framing, self.tick = Framing(), Tick()
        self.sockets: list[SocketProtocol] = []
        self.wires: list[Wire] = []
        for _ in range(sockets):
            socket, wire = opened(SocketProtocol, asyncio.get_running_loop())
            socket._framing, socket._tick = self.framing, self.tick
            self.sockets.append(socket)
            self.wires.append(wire)

    def tell(self, *frames: Frame) -> None:
        for socket in self.sockets:
            socket.write_shared(frames)

    async def rest(self) -> None:
        await until(lambda: not self.tick.shared_writes._is_busy)

    def end(self) -> None:
        for socket in self.sockets:
            if socket.close_timer is not None:
                socket.close_timer.cancel()


def on_the_wire(frames: Sequence[Frame]) -> bytes:
    return b"".join(head(each.size) + each.data for each in frames)


async def test_a_socket_gets_what_it_alone_is_told_between_what_all_are_told() -> None:
    room = Room(3)
    alone, others = room.wires[1], [room.wires[0], room.wires[2]]
    frames = [frame(number) for number in range(8)]
    room.tell(*frames[:2])
    room.sockets[1].write(frames[2])
    room.tell(frames[3])
    assert [wire.done for wire in room.wires] == [[], [], []]
    await until(lambda: all(wire.done for wire in room.wires))
    room.tell(frames[4])  # waits for what follows
    room.sockets[1].write(frames[5])
    room.tell(*frames[6:])
    await room.rest()
    assert alone.done == [on_the_wire(frames[:4]), on_the_wire(frames[4:])]
    for wire in others:
        assert wire.done == [
            on_the_wire([*frames[:2], frames[3]]),
            on_the_wire([frames[4], *frames[6:]]),
        ]


async def test_what_is_long_does_not_wait_and_is_written_once() -> None:
    room = Room(2)
    frames = [frame(number, JOINED // 2) for number in range(3)]
    for each in frames:
        room.tell(each)
    assert [wire.done for wire in room.wires] == [[on_the_wire(frames[:2])]] * 2
    await room.rest()
    assert [wire.done for wire in room.wires] == [[on_the_wire(frames[:2]), on_the_wire(frames[2:])]] * 2


@pytest.mark.parametrize(
    ("end", "code"),
    [
        (lambda socket: socket.finish(Close(CloseCode.POLICY, "")), CloseCode.POLICY),
        (lambda socket: socket.shutdown(), CloseCode.RESTART),
        (lambda socket: socket.end_unanswered(), CloseCode.INTERNAL_ERROR),
        (lambda socket: socket.data_received(framed(Opcode.CLOSE, b"\x03\xe8")), CloseCode.NORMAL),
        (lambda socket: socket.data_received(b"\xff\xff"), 1002),
    ],
    ids=["closed", "the server stops", "silent", "the client closes", "a bad frame"],
)
async def test_what_waits_is_written_before_a_close(end: Callable[[SocketProtocol], None], code: int) -> None:
    room, told = Room(1), [frame(1), frame(2)]
    socket, wire = room.sockets[0], room.wires[0]
    room.tell(*told)
    end(socket)
    room.tell(frame(3))
    socket.write(frame(4))
    await room.rest()
    room.end()
    written = b"".join(each for each in wire.done if isinstance(each, bytes))
    assert written.startswith(on_the_wire(told) + b"\x88")
    closing = written[len(on_the_wire(told)) :]
    assert len(closing) == 2 + closing[1], "nothing is written behind the close"
    assert int.from_bytes(closing[2:4]) == code
