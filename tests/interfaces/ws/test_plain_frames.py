"""Compares a socket with one for which `websockets` parses all bytes: both must hear and answer the same, however input is cut."""

import asyncio
from collections.abc import Iterator, Sequence
from itertools import pairwise
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

from interfaces.ws.closing import Close, CloseCode
from interfaces.ws.plain_frames import plain_texts
from interfaces.ws.protocol import SocketProtocol
from tests.interfaces.ws.house import framed, raw

LIMIT = 300
"""The most bytes of a message."""

LAST = "the last"


class ByTheLibrary(SocketProtocol):
    @override
    def _plain(self, data: bytes) -> tuple[Sequence[bytes], bytes]:
        return (), data


@define(eq=False)
class Wire:
    """What a socket does with its transport, and the messages that it hears. It is closed after one of them."""

    done: list[object] = Factory(list)
    socket: SocketProtocol | None = None

    def hear(self, text: str | None) -> None:
        self.done.append(text)
        if text == LAST:
            assert self.socket is not None
            self.socket._close(Close(CloseCode.POLICY, ""))

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

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


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


texts = st.text(max_size=140).map(lambda text: framed(Opcode.TEXT, text.encode()))
sizes = st.sampled_from([0, 1, 125, 126, 127, LIMIT - 1, LIMIT, LIMIT + 1])
plain = sizes.map(lambda size: framed(Opcode.TEXT, b"x" * size))
frames = st.builds(
    lambda first, data: raw(first, 0x80 | len(data), data),
    st.sampled_from([0x81, 0x89, 0x01, 0x80, 0x00, 0x82, 0x8A, 0x88, 0x09]),
    st.binary(max_size=20),
)
strange = st.builds(
    raw,
    st.sampled_from([0x81, 0x01, 0xC1, 0x91, 0x83, 0x89]),
    st.sampled_from([0, 5, 0x80, 0x85, 0xFE, 0xFF]),
    st.binary(max_size=20),
)
streams = st.lists(
    st.one_of(
        texts,
        texts,
        st.just(framed(Opcode.TEXT, LAST.encode())),
        plain,
        frames,
        strange,
        st.binary(max_size=6),
    ),
    max_size=8,
).map(b"".join)


@given(streams, st.lists(st.integers(0, 2000), max_size=6))
def test_it_is_heard_as_by_the_library(
    loop: asyncio.AbstractEventLoop, stream: bytes, cuts: list[int]
) -> None:
    bounds = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    (quick, told), (slow, wanted) = opened(SocketProtocol, loop), opened(ByTheLibrary, loop)
    for start, end in pairwise(bounds):
        for socket in (quick, slow):
            socket.data_received(stream[start:end])
        assert told.done == wanted.done
        assert quick.close_sent == slow.close_sent
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
