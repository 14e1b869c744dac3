"""Plain heads are read as h11 reads them, and all others are left to h11."""

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interfaces.http.heads import Head, read_head

HOST = b"Host: messenger.example"
KEY = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
HANDSHAKE = [HOST, b"Upgrade: websocket", b"Connection: Upgrade", KEY, b"Sec-WebSocket-Version: 13"]
REQUEST = [HOST, b"Accept: */*", b"Connection: keep-alive", b"Content-Length: 12"]


def head(*lines: bytes, first: bytes = b"GET /ws?a=%20b HTTP/1.1", end: bytes = b"\r\n") -> bytes:
    return end.join([first, *lines, b"", b""])


Read = tuple[bytes, bytes, list[tuple[bytes, bytes]]]


def by_h11(data: bytes) -> Read | None:
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(data)
    try:
        event = connection.next_event()
    except h11.RemoteProtocolError:
        return None
    if not isinstance(event, h11.Request):
        return None
    assert event.http_version == b"1.1"
    return event.method, event.target, list(event.headers)


def as_h11(read: Head) -> Read:
    return read.method, read.target, list(read.fields.items())


def test_a_plain_handshake_is_read() -> None:
    found = read_head(head(*HANDSHAKE))
    assert found is not None
    assert as_h11(found) == by_h11(head(*HANDSHAKE))
    assert found.target == b"/ws?a=%20b"
    assert found.fields[b"sec-websocket-version"] == b"13"
    assert (found.is_handshake, found.is_request) == (True, False)


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE"])
def test_a_plain_request_is_read(method: bytes) -> None:
    data = head(*REQUEST, first=b"%b /livez HTTP/1.1" % method)
    found = read_head(data)
    assert found is not None
    assert as_h11(found) == by_h11(data)
    assert (found.is_handshake, found.is_request) == (False, True)


@pytest.mark.parametrize(
    ("lines", "is_handshake", "is_request"),
    [
        ([HOST], False, True),
        ([HOST, b"Connection: close"], False, True),
        ([HOST, b"Connection: Close"], False, False),
        ([HOST, b"Connection: keep-alive, TE"], False, False),
        ([HOST, b"Content-Length: 0"], False, True),
        ([HOST, b"Content-Length: -1"], False, False),
        ([HOST, b"Content-Length: 1, 1"], False, False),
        ([HOST, b"Content-Length: 1234567890123456"], False, False),
        ([HOST, b"Transfer-Encoding: chunked"], False, False),
        ([HOST, b"Expect: 100-continue"], False, False),
        ([HOST, b"Upgrade: h2c"], False, False),
        ([*HANDSHAKE, b"Content-Length: 0"], False, False),
        ([*HANDSHAKE, b"Transfer-Encoding: chunked"], False, False),
    ],
)
def test_what_a_plain_head_is_the_beginning_of(
    lines: list[bytes], is_handshake: bool, is_request: bool
) -> None:
    found = read_head(head(*lines))
    assert found is not None
    assert (found.is_handshake, found.is_request) == (is_handshake, is_request)


def test_a_handshake_is_a_get() -> None:
    found = read_head(head(*HANDSHAKE, first=b"POST /ws HTTP/1.1"))
    assert found is not None
    assert not found.is_handshake


@pytest.mark.parametrize(
    "data",
    [
        head(*HANDSHAKE[1:]),
        head(*HANDSHAKE, HOST),
        head(*HANDSHAKE, b"HOST: other.example"),
        head(*REQUEST, b"content-length: 12"),
        head(*REQUEST, first=b"OPTIONS / HTTP/1.1"),
        head(*REQUEST, first=b"get / HTTP/1.1"),
        head(*HANDSHAKE, first=b"GET /ws HTTP/1.0"),
        head(*HANDSHAKE, first=b"GET http://other.example/ws HTTP/1.1"),
        head(*HANDSHAKE, first=b"GET /ws  HTTP/1.1"),
        head(*HANDSHAKE, end=b"\n"),
        head(*HANDSHAKE, b" folded"),
        head(*HANDSHAKE, b"Empty:"),
        head(*HANDSHAKE, b"Space : a"),
        head(*HANDSHAKE, b"Tab: a\tb"),
        head(*HANDSHAKE, "Wide: \u00e9".encode()),
        head(*HANDSHAKE)[:-2],
        head(*HANDSHAKE) + b"more",
        head(*HANDSHAKE, b"Null: a\0b"),
    ],
)
def test_everything_else_is_left_to_h11(data: bytes) -> None:
    assert read_head(data) is None


pieces = st.sampled_from(
    [
        *HANDSHAKE,
        *REQUEST,
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


@given(
    st.sampled_from([HANDSHAKE, REQUEST]).flatmap(st.permutations),
    st.lists(pieces, max_size=2),
    st.integers(0, 200),
    noise,
)
def test_what_is_read_h11_reads_alike(
    plain: list[bytes], more: list[bytes], place: int, between: bytes
) -> None:
    whole = head(*plain, *more)
    for data in (whole, whole[:place] + between + whole[place:]):
        if found := read_head(data):
            assert as_h11(found) == by_h11(data)
