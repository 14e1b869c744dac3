"""Compares a socket with one for which `websockets` parses all bytes: both must hear and answer the same, however input is cut."""

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, cast

import pytest
import uvicorn
from attrs import Factory, define
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override
from uvicorn.server import ServerState
from websockets.frames import Opcode
from websockets.protocol import OPEN, Protocol

from interfaces.ws import protocol
from interfaces.ws.closing import Close, CloseCode
from interfaces.ws.plain_frames import plain_texts
from interfaces.ws.protocol import SLICE, SocketProtocol
from tests.interfaces.ws.house import framed, raw

LIMIT = 300
"""The most bytes of a message."""

LAST = "the last"

PAUSE = "wait"

INNER = framed(Opcode.TEXT, b"inner")
"""Within a binary message this is no message of its own."""


class ByTheLibrary(SocketProtocol):
    @override
    def _plain(self, data: bytes) -> tuple[Sequence[bytes], bytes]:
        return (), data


@define(eq=False)
class Wire:
    """
    What a socket does with its transport, and the messages that it hears. One of them closes it, and another one pauses it. As
    a transport it keeps what comes while reading is paused.
    """

    done: list[object] = Factory(list)
    socket: SocketProtocol | None = None
    is_reading: bool = True
    kept: deque[bytes] = Factory(deque)

    def hear(self, text: str | None) -> None:
        self.done.append(text)
        assert self.socket is not None
        if text == LAST:
            self.socket.finish(Close(CloseCode.POLICY, ""))
        elif text == PAUSE:
            self.socket.pause()

    def count(self, frames: int) -> float:
        return 0.0

    def deliver(self) -> None:
        assert self.socket is not None
        while self.kept and self.is_reading:
            self.socket.data_received(self.kept.popleft())

    def is_closing(self) -> bool:
        return "closed" in self.done

    def close(self) -> None:
        self.done.append("closed")

    abort = close

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.done.append("end")

    def write(self, data: bytes) -> None:
        self.done.append(data)

    def pause_reading(self) -> None:
        self.is_reading = False

    def resume_reading(self) -> None:
        self.is_reading = True


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture(scope="module", autouse=True)
def same_slices() -> Iterator[None]:
    """Slices of one length, because only what the library parses is counted, and here it parses more of one socket."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(protocol, "SHORT_SLICE", SLICE)
        yield


def opened(way: type[SocketProtocol], loop: asyncio.AbstractEventLoop) -> tuple[SocketProtocol, Wire]:
    """A socket after its handshake."""
    config = uvicorn.Config(
        cast(Any, None), ws_max_size=LIMIT, ws_per_message_deflate=False, log_config=None, interface="asgi3"
    )
    config.loaded, config.loaded_app = True, cast(Any, None)
    socket, wire = way(config, ServerState(), {}, loop), Wire()
    wire.socket = socket
    socket.transport = cast(Any, wire)
    socket._exchange = cast(Any, wire)
    socket.handshake_initiated = socket.handshake_complete = True
    socket.conn.state = OPEN
    socket.conn.parser = Protocol.parse(socket.conn)
    next(socket.conn.parser)
    return socket, wire


def take_turn(loop: asyncio.AbstractEventLoop) -> None:
    """Lets the event loop go round once."""
    loop.call_soon(loop.stop)
    loop.run_forever()


def one(opcode: Opcode, sizes: st.SearchStrategy[int]) -> st.SearchStrategy[bytes]:
    return sizes.map(lambda size: framed(opcode, b"x" * size))


short = st.integers(0, 125)
good = st.one_of(
    st.text(max_size=140).map(lambda text: framed(Opcode.TEXT, text.encode())),
    one(Opcode.TEXT, st.sampled_from([0, 1, 125, 126, 127, LIMIT - 1, LIMIT])),
    short.map(lambda size: framed(Opcode.TEXT, b"x" * size) * (SLICE // (6 + size))),  # about a slice
    st.just(framed(Opcode.TEXT, PAUSE.encode())),
    st.sampled_from([Opcode.PING, Opcode.PONG, Opcode.BINARY]).flatmap(lambda opcode: one(opcode, short)),
    st.builds(
        lambda begun, between, rest: (
            framed(Opcode.TEXT, begun, fin=False) + between + framed(Opcode.CONT, rest)
        ),
        st.binary(max_size=4),
        st.sampled_from([b"", framed(Opcode.PING)]),
        st.just(b"x"),
    ),
    st.just(raw(0x82, 0x80 | len(INNER), bytes(4) + INNER)),
)
"""Frames behind which the socket stays open, unless bytes are no UTF-8."""
bad = st.one_of(
    st.just(framed(Opcode.TEXT, LAST.encode())),
    one(Opcode.TEXT, st.just(LIMIT + 1)),
    st.builds(
        lambda first, data: raw(first, 0x80 | len(data), data),
        st.sampled_from([0x81, 0x89, 0x01, 0x80, 0x00, 0x82, 0x8A, 0x88, 0x09]),
        st.binary(max_size=20),
    ),
    st.builds(
        raw,
        st.sampled_from([0x81, 0x01, 0xC1, 0x91, 0x83, 0x89]),
        st.sampled_from([0, 5, 0x80, 0x85, 0xFE, 0xFF]),
        st.binary(max_size=20),
    ),
    st.binary(max_size=6),
)
frames = st.builds(
    lambda before, middle, after: [*before, *middle, *after],
    st.lists(good, max_size=6),
    st.lists(bad, max_size=1),
    st.lists(good, max_size=2),
)
cuts = st.sampled_from([None, None, 0, 0, 1, 2, 5, 6, 9, 40])
"""Where, within a frame, what comes at once ends; None if it does not end there."""


@given(frames, st.lists(cuts, min_size=9, max_size=9), st.lists(st.booleans(), min_size=10, max_size=10))
def test_it_is_heard_as_by_the_library(
    loop: asyncio.AbstractEventLoop, frames: list[bytes], cuts: list[int | None], resumes: list[bool]
) -> None:
    """``resumes``: whether sockets that were paused go on before the next piece."""
    pieces = [framed(Opcode.TEXT, b"first")]  # from then on the quick one knows that it is between two frames
    for frame, cut in zip(frames, cuts, strict=False):
        if cut is None:
            pieces[-1] += frame
        else:
            pieces[-1] += frame[:cut]
            pieces.append(frame[cut:])
    (quick, told), (slow, wanted) = opened(SocketProtocol, loop), opened(ByTheLibrary, loop)

    def go_on(*, is_resumed: bool) -> None:
        for socket, wire in ((quick, told), (slow, wanted)):
            if is_resumed:
                socket.resume()
            wire.deliver()
        take_turn(loop)
        assert told.done == wanted.done
        assert told.kept == wanted.kept
        assert quick._unparsed == slow._unparsed
        assert quick.read_paused == slow.read_paused
        assert quick.close_sent == slow.close_sent

    for piece, is_resumed in zip(pieces, resumes, strict=False):
        for wire in (told, wanted):
            wire.kept.append(piece)
        go_on(is_resumed=is_resumed)
    for _ in range(len(pieces) + sum(map(len, pieces)) // SLICE + 1):  # each is a turn for a piece or a slice
        go_on(is_resumed=True)
    assert quick.close_sent or not (quick._unparsed or told.kept)
    for socket in (quick, slow):
        socket._forget_message_deadline()
        if socket.close_timer is not None:
            socket.close_timer.cancel()


def test_whole_messages_need_no_parser(loop: asyncio.AbstractEventLoop) -> None:
    socket, wire = opened(SocketProtocol, loop)
    socket.data_received(framed(Opcode.TEXT, b"first"))
    cast(Any, socket.conn).receive_data = None  # is not called any more
    socket.data_received(framed(Opcode.TEXT, b"second") + framed(Opcode.TEXT, b"x" * 126))
    socket.data_received(framed(Opcode.TEXT, "дальше".encode()))
    assert wire.done == ["first", "second", "x" * 126, "дальше"]


@pytest.mark.parametrize(
    "left",
    [
        framed(Opcode.TEXT, b"x", fin=False),
        framed(Opcode.BINARY, b"x"),
        framed(Opcode.TEXT, b"x" * (LIMIT + 1)),
        framed(Opcode.TEXT, b"x" * 5)[:-1],
        framed(Opcode.TEXT, b"x" * 200)[:4],
        raw(0x81, 0xFF, (1).to_bytes(8) + b"x"),
        raw(0xC1, 0x81, b"x"),
        raw(0x81, 0x01, b"x"),
    ],
    ids=[
        "unfinished",
        "binary",
        "too long",
        "cut",
        "cut in its head",
        "a long length",
        "reserved bit",
        "no mask",
    ],
)
def test_the_rest_is_left_to_it(left: bytes) -> None:
    first = framed(Opcode.TEXT, b"taken")
    assert plain_texts(first + left, LIMIT) == ([b"taken"], left)
