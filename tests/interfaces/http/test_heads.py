"""What is read of a handshake's head without h11 is what h11 reads."""

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interfaces.http.heads import read_handshake

HOST = b"Host: messenger.example"
KEY = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
PLAIN = [HOST, b"Upgrade: websocket", b"Connection: Upgrade", KEY, b"Sec-WebSocket-Version: 13"]


def head(*lines: bytes, first: bytes = b"GET /ws?a=%20b HTTP/1.1", end: bytes = b"\r\n") -> bytes:
    return end.join([first, *lines, b"", b""])


def by_h11(data: bytes) -> tuple[bytes, list[tuple[bytes, bytes]]] | None:
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(data)
    try:
        event = connection.next_event()
    except h11.RemoteProtocolError:
        return None
    if not isinstance(event, h11.Request):
        return None
    assert (event.method, event.http_version) == (b"GET", b"1.1")
    return event.target, list(event.headers)


def test_a_plain_handshake_is_read() -> None:
    found = read_handshake(head(*PLAIN))
    assert found is not None
    assert (found.target, found.headers) == by_h11(head(*PLAIN))
    assert found.target == b"/ws?a=%20b"
    assert dict(found.headers)[b"sec-websocket-version"] == b"13"


@pytest.mark.parametrize(
    "data",
    [
        head(HOST),
        head(*PLAIN[1:]),
        head(*PLAIN, HOST),
        head(*PLAIN, b"HOST: other.example"),
        head(*PLAIN, b"Content-Length: 0"),
        head(*PLAIN, b"Transfer-Encoding: chunked"),
        head(*PLAIN, first=b"POST /ws HTTP/1.1"),
        head(*PLAIN, first=b"GET /ws HTTP/1.0"),
        head(*PLAIN, first=b"GET http://other.example/ws HTTP/1.1"),
        head(*PLAIN, first=b"GET /ws  HTTP/1.1"),
        head(*PLAIN, end=b"\n"),
        head(*PLAIN, b" folded"),
        head(*PLAIN, b"Empty:"),
        head(*PLAIN, b"Space : a"),
        head(*PLAIN, b"Tab: a\tb"),
        head(*PLAIN, "Wide: \u00e9".encode()),
        head(*PLAIN)[:-2],
        head(*PLAIN) + b"more",
        head(*PLAIN, b"Null: a\0b"),
    ],
)
def test_everything_else_is_left_to_h11(data: bytes) -> None:
    assert read_handshake(data) is None


pieces = st.sampled_from(
    [
        *PLAIN,
        b"A: b",
        b"a:b",
        b"a:  b c ",
        b"Cookie: a=b; c=d: e",
        b"X-_: 1",
        b"",
        b" x",
        b"A: \x80",
        b"A: \r\nB: c",
    ]
)
noise = st.binary(max_size=3)


@given(st.permutations(PLAIN), st.lists(pieces, max_size=2), st.integers(0, 200), noise)
def test_what_is_read_h11_reads_alike(
    plain: list[bytes], more: list[bytes], place: int, between: bytes
) -> None:
    whole = head(*plain, *more)
    for data in (whole, whole[:place] + between + whole[place:]):
        if found := read_handshake(data):
            assert (found.target, found.headers) == by_h11(data)
