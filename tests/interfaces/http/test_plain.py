"""Plain requests and their answers are the same with and without h11."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interfaces.http.heads import Head, read_head
from interfaces.http.plain import PlainExchange

Headers = Sequence[tuple[bytes, bytes]]


def request(method: bytes, connection: bytes | None, body: bytes) -> bytes:
    lines = [b"%b /a HTTP/1.1" % method, b"Host: messenger.example"]
    if connection:
        lines.append(b"Connection: " + connection)
    if body:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join([*lines, b"", b""])


def exchange(data: bytes) -> PlainExchange:
    head = read_head(data)
    assert head is not None
    assert head.is_request
    return PlainExchange.of(head)


def asked(data: bytes) -> h11.Connection:
    """A connection of h11 that has read the head."""
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(data)
    assert isinstance(connection.next_event(), h11.Request)
    return connection


def states(conn: PlainExchange | h11.Connection) -> tuple[Any, Any]:
    return conn.our_state, conn.their_state


def rest_of_request(
    conn: PlainExchange | h11.Connection, pieces: Sequence[bytes]
) -> tuple[bytes, bool, bytes]:
    """Reads the rest of a request. Returns the body so far, whether it is complete, and the bytes after it."""
    body, is_whole = b"", False
    for piece in (b"", *pieces):
        if piece:
            conn.receive_data(piece)
        while not is_whole and (event := conn.next_event()) is not h11.NEED_DATA:
            if isinstance(event, h11.Data):
                body += bytes(event.data)
            else:
                assert isinstance(event, h11.EndOfMessage)
                is_whole = True
    return body, is_whole, conn.trailing_data[0] if is_whole else b""


def by_h11(conn: h11.Connection, status: int, headers: Headers, parts: Sequence[bytes]) -> bytes:
    written = [conn.send(h11.Response(status_code=status, headers=[*headers], reason=b"x"))]
    written += [conn.send(h11.Data(data=part)) for part in parts]
    return b"".join(each or b"" for each in (*written, conn.send(h11.EndOfMessage())))


def plainly(conn: PlainExchange, status: int, headers: Headers, parts: Sequence[bytes]) -> bytes:
    return b"".join((conn.head(status, headers), *map(conn.body, parts), conn.end()))


def understood(method: bytes, answer: bytes) -> tuple[int, set[tuple[bytes, bytes]], bytes, Any]:
    """Reads an answer as a client does. Returns its status, headers and body, and the state in which it leaves the server."""
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method=method, target=b"/a", headers=[(b"Host", b"messenger.example")]))
    client.send(h11.EndOfMessage())
    client.receive_data(answer)
    response = client.next_event()
    assert isinstance(response, h11.Response)
    body = b""
    while isinstance(event := client.next_event(), h11.Data):
        body += bytes(event.data)
    assert isinstance(event, h11.EndOfMessage)
    headers = {(name, value.lower() if name == b"connection" else value) for name, value in response.headers}
    return response.status_code, headers, body, client.their_state


methods = st.sampled_from([b"GET", b"HEAD", b"POST", b"DELETE"])
connections = st.sampled_from([None, b"keep-alive", b"close"])
others = st.lists(
    st.sampled_from(
        [(b"content-type", b"text/plain"), (b"ETag", b'"1"'), (b"x", b"a, b"), (b"connection", b"close")]
    ),
    max_size=3,
    unique_by=lambda each: each[0],
)


@given(
    methods,
    connections,
    st.sampled_from([200, 204, 304, 404, 503]),
    others,
    st.lists(st.binary(max_size=5), max_size=3),
    st.booleans(),
    st.booleans(),
)
def test_answers(
    method: bytes,
    connection: bytes | None,
    status: int,
    others: Headers,
    parts: Sequence[bytes],
    has_length: bool,
    is_read_first: bool,
) -> None:
    if status in {204, 304} or method == b"HEAD":
        given_parts: Sequence[bytes] = []
    else:
        given_parts = parts
    length = sum(map(len, parts))
    headers = [*others, (b"content-length", b"%d" % length)] if has_length and status != 204 else others
    data = request(method, connection, b"")
    plain, real = exchange(data), asked(data)
    if is_read_first:
        assert rest_of_request(plain, []) == rest_of_request(real, []) == (b"", True, b"")
    answer = plainly(plain, status, headers, given_parts)
    assert understood(method, answer) == understood(method, by_h11(real, status, headers, given_parts))
    if not is_read_first:
        rest_of_request(plain, [])
        rest_of_request(real, [])
    assert states(plain) == states(real)


@given(connections, st.binary(max_size=40), st.binary(max_size=5), st.lists(st.integers(0, 45), max_size=4))
def test_bodies(connection: bytes | None, body: bytes, ahead: bytes, cuts: Sequence[int]) -> None:
    sent = body + ahead
    pieces = [sent[start:end] for start, end in pairwise([0, *sorted(cuts)])]
    data = request(b"POST", connection, body)
    plain, real = exchange(data), asked(data)
    assert rest_of_request(plain, pieces) == rest_of_request(real, pieces)
    assert states(plain) == states(real)


def begin(conn: PlainExchange, headers: Headers = ()) -> PlainExchange:
    conn.head(200, headers)
    return conn


@pytest.mark.parametrize(
    "wrong",
    [
        lambda conn: conn.head(200, [(b"a", b"b\r\nc: d")]),
        lambda conn: conn.head(200, [(b"a\r\nb", b"c")]),
        lambda conn: conn.head(200, [(b"a: b", b"c")]),
        lambda conn: conn.head(200, [(b"", b"c")]),
        lambda conn: conn.head(200, [(b"a", b"\0")]),
        lambda conn: conn.head(200, [(b"a", b"b\nc: d")]),
        lambda conn: conn.head(200, [(b"Transfer-Encoding", b"chunked")]),
        lambda conn: begin(conn, [(b"content-length", b"2")]).body(b"abc"),
        lambda conn: begin(conn, [(b"content-length", b"2")]).end(),
        lambda conn: begin(conn).send(h11.Data(data=b"")),
    ],
)
def test_what_no_answer_may_be_is_refused(wrong: Callable[[PlainExchange], object]) -> None:
    with pytest.raises(h11.LocalProtocolError):
        wrong(exchange(request(b"GET", None, b"")))


def test_only_close_ends_the_connection() -> None:
    for fields, state in (({}, h11.DONE), ({b"connection": b"close"}, h11.MUST_CLOSE)):
        conn = begin(PlainExchange.of(Head(b"GET", b"/", fields)), [(b"content-length", b"0")])
        assert isinstance(conn.next_event(), h11.EndOfMessage)
        assert conn.next_event() is h11.PAUSED
        conn.end()
        assert states(conn) == (state, state)
