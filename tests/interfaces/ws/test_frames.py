"""
What RFC 6455 says about frames, over real TCP: under our protocol class, and under uvicorn's own with the plain loop.

The cases follow the groups of Autobahn's test suite; where the two classes differ, a test of one alone says in what.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import orjson
import pytest
import pytest_asyncio
from websockets.frames import Opcode

from interfaces.http.middleware import SAFE_HEADERS
from tests.interfaces.ws.house import (
    FRAME_LIMIT,
    MALFORMED,
    WAYS,
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
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=WAYS)
async def way(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(way: str) -> AsyncIterator[House]:
    """One for all cases: whatever they send, the next one is served."""
    async with serving(way, close_timeout=0.5) as house:
        yield house


@pytest_asyncio.fixture(loop_scope="module")
async def line(house: House) -> Line:
    return await house.enter("Ann", await house.chat("Ann"))


TEXT, BINARY, CONT = Opcode.TEXT, Opcode.BINARY, Opcode.CONT
PING, PONG, CLOSE = Opcode.PING, Opcode.PONG, Opcode.CLOSE


def parts(opcode: Opcode, *data: bytes) -> bytes:
    """A message in fragments."""
    return b"".join(
        framed(opcode if number == 0 else CONT, each, fin=number == len(data) - 1)
        for number, each in enumerate(data)
    )


KOSME = "κόσμε \U0010ffff \ufffe\uffff"

ANSWERED: dict[str, tuple[bytes, list[Any]]] = {
    # 1: framing
    "text, empty": (framed(TEXT), [MALFORMED]),
    **{
        f"text of {size}": (asked(size, size), [size])
        for size in (30, 125, 126, 127, 128, 65535, FRAME_LIMIT)
    },
    **{
        f"binary of {size}": (framed(BINARY, b"\xfe" * size) + asked(1), [MALFORMED, 1])
        for size in (0, 125, 126, 127, 128, 65535, FRAME_LIMIT)
    },
    "several in one packet": (b"".join(asked(number) for number in range(50)), list(range(50))),
    "a mask of zeros": (raw(0x81, 0x80 | 25, asking(1, 25)), [1]),
    # the RFC asks the sender for the shortest length, and nothing of who reads another
    "a length longer than need be": (
        raw(0x81, 0xFE, (25).to_bytes(2) + asking(1, 25)) + raw(0x81, 0xFF, (25).to_bytes(8) + asking(2, 25)),
        [1, 2],
    ),
    # 2: pings and pongs
    "ping, empty": (framed(PING), [b""]),
    "ping of 125": (framed(PING, b"\0\xff\xfe" * 41 + b"ab"), [b"\0\xff\xfe" * 41 + b"ab"]),
    "pings in order": (
        b"".join(framed(PING, bytes([n])) for n in range(50)),
        [bytes([n]) for n in range(50)],
    ),
    "pong that nobody asked for": (framed(PONG) + framed(PONG, b"x" * 125) + asked(1), [1]),
    "pong, then ping": (framed(PONG, b"x") + framed(PING, b"y"), [b"y"]),
    # 5: fragments
    "two parts": (parts(TEXT, b'{"type": "pi', b'ng", "id": 1}'), [1]),
    "parts of one byte": (parts(TEXT, *[bytes([each]) for each in asking(1, 300)]), [1]),
    "empty parts": (parts(TEXT, b"", b"", asking(1), b"", b""), [1]),
    "nothing but empty parts": (parts(TEXT, b"", b"", b"") + asked(1), [MALFORMED, 1]),
    "binary in parts": (parts(BINARY, b"\0", b"\xff") + asked(1), [MALFORMED, 1]),
    "one fragmented message after another": (
        parts(TEXT, asking(1), b" ") + parts(TEXT, asking(2), b" "),
        [1, 2],
    ),
    "the greatest message, in parts": (
        parts(TEXT, asking(1, FRAME_LIMIT - 2), b" ", b" "),
        [1],
    ),
    "pings and pongs amid parts": (
        framed(TEXT, asking(1)[:5], fin=False)
        + framed(PING, b"a")
        + framed(CONT, asking(1)[5:9], fin=False)
        + framed(PONG, b"b")
        + framed(PING, b"c")
        + framed(CONT, asking(1)[9:]),
        [b"a", b"c", 1],
    ),
    # 6: UTF-8
    "UTF-8": (asked(KOSME), [KOSME]),
    "UTF-8, cut within characters": (
        parts(TEXT, *[bytes([each]) for each in asking(KOSME)]) + asked(2),
        [KOSME, 2],
    ),
    "what is no UTF-8, in binary": (framed(BINARY, b"\xed\xa0\x80") + asked(1), [MALFORMED, 1]),
}

CLOSED: dict[str, tuple[bytes, int]] = {
    # 2: control frames
    "ping of 126": (raw(0x89, 0xFE, (126).to_bytes(2) + b"x" * 126), 1002),
    "pong of 126": (raw(0x8A, 0xFE, (126).to_bytes(2) + b"x" * 126), 1002),
    "close of 126": (raw(0x88, 0xFE, (126).to_bytes(2) + b"\x03\xe8" + b"x" * 124), 1002),
    "ping in parts": (raw(0x09, 0x80), 1002),
    "pong in parts": (raw(0x0A, 0x80), 1002),
    "close in parts": (raw(0x08, 0x82, b"\x03\xe8"), 1002),
    # 3: reserved bits
    **{
        f"reserved bit {bit:#x} of {name}": (raw(first | bit, 0x80), 1002)
        for bit in (0x40, 0x20, 0x10, 0x70)
        for name, first in {"text": 0x81, "binary": 0x82, "ping": 0x89, "close": 0x88}.items()
    },
    "reserved bit of a later part": (framed(TEXT, b"{", fin=False) + raw(0x80 | 0x40, 0x80), 1002),
    # 4: reserved opcodes
    **{f"opcode {code}": (raw(0x80 | code, 0x80), 1002) for code in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)},
    "opcode amid parts": (framed(TEXT, b"{", fin=False) + raw(0x83, 0x80), 1002),
    # 5: fragments
    "continuation of nothing": (framed(CONT, b"x"), 1002),
    "continuation of nothing, to be continued": (framed(CONT, b"x", fin=False), 1002),
    "continuation of what has ended": (
        parts(TEXT, b'{"type": "send_', b'message"}') + framed(CONT, b"x"),
        1002,
    ),
    "text within text": (framed(TEXT, b"{", fin=False) + framed(TEXT, b"}"), 1002),
    "text within text, to be continued": (
        framed(TEXT, b"{", fin=False) + framed(TEXT, b"}", fin=False),
        1002,
    ),
    "binary within text": (framed(TEXT, b"{", fin=False) + framed(BINARY, b"}"), 1002),
    # the mask
    "text without a mask": (raw(0x81, 0x02, b"{}"), 1002),
    "ping without a mask": (raw(0x89, 0x00), 1002),
    "close without a mask": (raw(0x88, 0x02, b"\x03\xe8"), 1002),
    # 6: UTF-8
    **{
        f"UTF-8: {name}": (framed(TEXT, b'"' + data + b'"'), 1007)
        for name, data in {
            "a continuation byte": b"\x80",
            "one that ends early": b"\xce",
            "overlong /, two bytes": b"\xc0\xaf",
            "overlong /, three bytes": b"\xe0\x80\xaf",
            "overlong /, four bytes": b"\xf0\x80\x80\xaf",
            "overlong NUL": b"\xc0\x80",
            "a high surrogate": b"\xed\xa0\x80",
            "a low surrogate": b"\xed\xbf\xbf",
            "a pair of surrogates": b"\xed\xa0\x80\xed\xb0\x80",
            "beyond U+10FFFF": b"\xf4\x90\x80\x80",
            "five bytes": b"\xf8\x88\x80\x80\x80",
            "six bytes": b"\xfc\x84\x80\x80\x80\x80",
            "0xFE": b"\xfe",
            "0xFF": b"\xff",
        }.items()
    },
    "UTF-8: cut at the end of the message": (parts(TEXT, asking("x")[:-2], "κ".encode()[:1]), 1007),
    "UTF-8: wrong over two parts": (parts(TEXT, b'"\xce', b'x"'), 1007),
    # 7: close frames
    "close of one byte": (framed(CLOSE, b"\x03"), 1002),
    "close with a reason that is no UTF-8": (framed(CLOSE, b"\x03\xe8\xce\xba\xe1\xbd"), 1007),
    **{
        f"close {code}": (framed(CLOSE, code.to_bytes(2)), 1002)
        for code in (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)
    },
    # 9: limits, refused by what a frame says of itself
    "one byte too many, in its head": (raw(0x82, 0xFF, (FRAME_LIMIT + 1).to_bytes(8)), 1009),
    "a length of four gibibytes": (raw(0x82, 0xFF, (2**32).to_bytes(8)), 1009),
    "the greatest length": (raw(0x82, 0xFF, (2**63 - 1).to_bytes(8)), 1009),
    "a length with the highest bit": (raw(0x82, 0xFF, (2**64 - 1).to_bytes(8)), 1009),
    "one byte too many, in parts": (
        framed(BINARY, b"x" * FRAME_LIMIT, fin=False) + framed(CONT, b"x", fin=False),
        1009,
    ),
}


class TestWhatIsAnswered:
    @pytest.mark.parametrize("case", ANSWERED)
    async def test_at_once(self, line: Line, case: str) -> None:
        sent, expected = ANSWERED[case]
        line.writer.write(sent)
        assert await answers(line, len(expected)) == expected
        line.writer.write(asked("last"))
        assert await answers(line, 1) == ["last"], "and nothing else"

    @pytest.mark.parametrize("case", ANSWERED)
    async def test_in_pieces(self, line: Line, case: str) -> None:
        """The pieces have one byte, or a prime number of bytes for long inputs, so that they end anywhere in a frame."""
        sent, expected = ANSWERED[case]
        step = 1 if len(sent) < 5000 else 997
        for at in range(0, len(sent), step):
            line.writer.write(sent[at : at + step])
            await asyncio.sleep(0)
        assert await answers(line, len(expected)) == expected
        line.writer.write(asked("last"))
        assert await answers(line, 1) == ["last"]


class TestWhatNobodyMaySend:
    @pytest.mark.parametrize("case", CLOSED)
    async def test_it_is_told_why_and_nothing_after_that(self, house: House, line: Line, case: str) -> None:
        sent, code = CLOSED[case]
        line.writer.write(sent)
        assert await line.until_close() == []
        assert line.close is not None
        assert line.close[0] == code
        line.writer.write(framed(CLOSE, code.to_bytes(2)))
        assert await rest(line) == b""

    @pytest.mark.parametrize("case", CLOSED)
    async def test_what_came_before_it_is_answered(self, way: str, line: Line, case: str) -> None:
        """uvicorn's class forgets the frames that came in one packet with a bad one."""
        sent, code = CLOSED[case]
        line.writer.write(asked(1) + sent + framed(PING, b"late") + asked(2))
        heard = await line.until_close()
        assert line.close is not None
        assert line.close[0] == code
        if way == "handed over":
            assert [each.get("id") for each in heard] == [1]
            assert await rest(line) == b"", "and no reset that overtakes the close"


class TestClosing:
    @pytest.mark.parametrize(
        "data",
        [
            b"",
            *(
                code.to_bytes(2)
                for code in (1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 3999, 4000, 4999)
            ),
            (1000).to_bytes(2) + "κόσμε".encode(),
            (1000).to_bytes(2) + b"x" * 123,
        ],
    )
    async def test_a_close_is_answered_with_the_same_and_nothing_after_it(
        self, line: Line, data: bytes
    ) -> None:
        line.writer.write(framed(CLOSE, data) + framed(PING, b"late") + asked(1) + framed(CLOSE, data))
        async with asyncio.timeout(30):
            assert await line.frame() == (CLOSE, data)
        with suppress(ConnectionResetError):  # where something that it sent was not read
            assert await rest(line) == b""

    async def test_what_was_asked_before_it_comes_first(self, line: Line) -> None:
        line.writer.write(framed(PING, b"a") + framed(CLOSE))
        async with asyncio.timeout(30):
            assert await line.frame() == (PONG, b"a")
            assert await line.frame() == (CLOSE, b"")
        assert await rest(line) == b""

    async def test_the_library_takes_a_close_amid_parts_for_a_mistake(self, line: Line) -> None:
        """RFC 6455, 5.4, allows it, and Autobahn's case 7.1.5 wants it answered: `websockets` says 1002."""
        line.writer.write(framed(TEXT, b"{", fin=False) + framed(CLOSE, b"\x03\xe8"))
        await line.until_close()
        assert line.close is not None
        assert line.close[0] == 1002
        assert await rest(line) == b""

    async def test_the_library_counts_a_ping_amid_parts_as_one_of_them(self, line: Line) -> None:
        """`websockets` holds a control frame to what its message has left: none here."""
        line.writer.write(framed(BINARY, b"x" * FRAME_LIMIT, fin=False) + framed(PING, b"a"))
        await line.until_close()
        assert line.close is not None
        assert line.close[0] == 1009


class TestHandshake:
    @pytest.mark.parametrize(
        ("changed", "status"),
        [
            ({"Sec-WebSocket-Key": None}, 400),
            ({"Sec-WebSocket-Key": "short"}, 400),
            ({"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZSB0aGF0IGlzIHRvbyBsb25n"}, 400),
            ({"Sec-WebSocket-Version": None}, 400),
            # RFC 6455, 4.4, wants it told which version there is; `websockets` does not tell
            ({"Sec-WebSocket-Version": "8"}, 400),
            ({"Sec-WebSocket-Version": "14"}, 400),
            ({"Upgrade": "h2c"}, 426),
            ({"Upgrade": None}, 426),
            ({"Connection": "keep-alive"}, 426),
            ({"Host": None}, 400),
        ],
    )
    async def test_it_is_refused(self, house: House, changed: dict[str, str | None], status: int) -> None:
        line = await house.dial()
        line.writer.write(handshake(f"/chats/{await house.chat('Ann')}/ws", changed))
        head = (await line.head()).lower()
        assert int(head.split()[1]) == status
        assert ("\r\nupgrade: websocket\r\n" in head) == (status == 426)

    async def test_only_get_asks_for_one(self, house: House) -> None:
        line = await house.dial()
        line.writer.write(handshake(f"/chats/{await house.chat('Ann')}/ws", method="POST"))
        assert int((await line.head()).split()[1]) == 405

    @pytest.mark.parametrize("path", ["/chats/x/ws", "/chats//ws", "/nowhere"])
    async def test_there_is_no_such_socket(self, house: House, path: str) -> None:
        line = await house.dial()
        line.writer.write(handshake(path))
        head = (await line.head()).lower()
        assert head.split()[1] == "403"
        assert "\r\nx-content-type-options: nosniff\r\n" in head
        assert await rest(line) == b"", "as the original answered"

    async def test_a_foreign_page_is_told_why(
        self, house: House, way: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        line = await house.dial()
        with caplog.at_level(logging.INFO, "access"):
            line.writer.write(handshake("/ws", {"Origin": "https://evil.example", "X-Request-ID": "r1"}))
            status, *headers = (await line.head()).strip().split("\r\n")
            body = await rest(line)
        assert status.split()[1] == "403"
        said = dict(header.lower().split(": ", 1) for header in headers)
        assert said["content-type"] == "application/json"
        assert said["content-length"] == str(len(body))
        assert said["x-request-id"] == "r1"
        assert {name.lower(): value.lower() for name, value in SAFE_HEADERS.items()}.items() <= said.items()
        assert orjson.loads(body)["error"]["code"] == "FOREIGN_PAGE"
        faults = ["ASGI callable returned without completing handshake."] if way == "plain loop" else []
        assert [record.getMessage() for record in caplog.records] == ["GET /ws 403", *faults]

    @pytest.mark.parametrize(
        "changed",
        [
            {},
            {"Upgrade": "WebSocket", "Connection": "keep-alive, upgrade"},
            {
                "Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits, x-webkit-deflate-frame"
            },
            {"Sec-WebSocket-Protocol": "chat, superchat"},
            {"Origin": "https://server"},
        ],
    )
    async def test_it_is_accepted_with_nothing_added(
        self, house: House, changed: dict[str, str | None]
    ) -> None:
        line = await house.dial()
        line.writer.write(handshake(f"/chats/{await house.chat('Ann')}/ws", changed))
        status, *headers = (await line.head()).strip().split("\r\n")
        assert status == "HTTP/1.1 101 Switching Protocols"
        said = dict(header.lower().split(": ", 1) for header in headers)
        assert said["sec-websocket-accept"] == "s3pplmbitxaq9kygzzhzrbk+xoo="
        assert (said["upgrade"], said["connection"]) == ("websocket", "upgrade")
        assert not {"sec-websocket-extensions", "sec-websocket-protocol"} & set(said)
        line.writer.write(raw(0xC1, 0x80))
        await line.until_close()
        assert line.close is not None
        assert line.close[0] == 1002, "a compressed frame, which was not agreed on"


class TestHalfOpen:
    async def test_who_will_say_no_more_is_gone(self, house: House) -> None:
        chat = await house.chat("Ann", "Bob")
        ann, bob = await house.enter("Ann", chat), await house.enter("Bob", chat)
        assert (await ann.hear())["type"] == "user_joined"
        bob.write(TEXT, b"{", fin=False)
        bob.writer.write_eof()
        assert await rest(bob) == b""
        assert (await ann.hear())["type"] == "user_disconnected"

    async def test_within_a_frame_too(self, house: House) -> None:
        chat = await house.chat("Ann", "Bob")
        ann, bob = await house.enter("Ann", chat), await house.enter("Bob", chat)
        assert (await ann.hear())["type"] == "user_joined"
        bob.writer.write(asked(1, 300)[:200])
        bob.writer.write_eof()
        assert await rest(bob) == b""
        assert (await ann.hear())["type"] == "user_disconnected"
