"""A plain handshake is answered as the library would answer it."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.datastructures import Headers
from websockets.http11 import Request
from websockets.server import ServerProtocol

from interfaces.ws.handshake import accepted, plain_key

Fields = Sequence[tuple[bytes, bytes]]

KEY = (b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ==")
VERSION = (b"sec-websocket-version", b"13")
UPGRADE, CONNECTION = (b"upgrade", b"websocket"), (b"connection", b"Upgrade")
PLAIN = [UPGRADE, CONNECTION, KEY, VERSION]


def by_library(fields: Fields) -> bytes | None:
    """Returns the answer of the library without its date, or None if it refuses."""
    named = Headers([(name.decode(), value.decode()) for name, value in fields])
    answer = ServerProtocol().accept(Request("/ws", named))
    if answer.status_code != 101:
        return None
    del answer.headers["Date"]
    return answer.serialize()


def test_the_answer_is_that_of_the_library_and_of_the_standard() -> None:
    key = plain_key(PLAIN, has_extensions=False)
    assert key is not None
    assert accepted(key, []) == by_library(PLAIN)
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in accepted(key, [])  # RFC 6455, 1.3
    assert accepted(key, [(b"date", b"today")]).endswith(b"\r\ndate: today\r\n\r\n")


def test_browsers_write_the_connection_in_their_way() -> None:
    assert plain_key([UPGRADE, KEY, VERSION, (b"connection", b"keep-alive, Upgrade")], has_extensions=True)


@pytest.mark.parametrize(
    "fields",
    [
        PLAIN[1:],
        [UPGRADE, KEY, VERSION],
        [UPGRADE, CONNECTION, VERSION],
        [UPGRADE, CONNECTION, KEY],
        [*PLAIN, KEY],
        [*PLAIN, VERSION],
        [*PLAIN, (b"origin", b"https://a.example"), (b"origin", b"https://b.example")],
        [*PLAIN, (b"sec-websocket-protocol", b"chat")],
        [*PLAIN, (b"sec-websocket-extensions", b"permessage-deflate")],
        [UPGRADE, CONNECTION, VERSION, (b"sec-websocket-key", b"short")],
        [UPGRADE, CONNECTION, VERSION, (b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZR==")],
        [UPGRADE, CONNECTION, KEY, (b"sec-websocket-version", b"8")],
        [(b"upgrade", b"websocket, h2c"), CONNECTION, KEY, VERSION],
        [UPGRADE, (b"connection", b"close"), KEY, VERSION],
    ],
)
def test_everything_else_is_left_to_the_library(fields: Fields) -> None:
    assert plain_key(fields, has_extensions=True) is None


def test_extensions_matter_only_if_the_server_has_some() -> None:
    fields = [*PLAIN, (b"sec-websocket-extensions", b"permessage-deflate")]
    assert plain_key(fields, has_extensions=False) == KEY[1]


fields = st.sampled_from(
    [
        *PLAIN,
        (b"upgrade", b"WebSocket"),
        (b"upgrade", b"websocket/1"),
        (b"connection", b"upgrade,"),
        (b"connection", b"keep-alive, upgrade"),
        (b"sec-websocket-key", b"a" * 21 + b"w=="),
        (b"sec-websocket-key", b"a" * 24),
        (b"sec-websocket-version", b" 13"),
        (b"sec-websocket-protocol", b""),
        (b"origin", b"null"),
        (b"cookie", b"a=b"),
    ]
)


@given(st.lists(fields, max_size=7))
def test_what_is_answered_the_library_answers_alike(fields: Fields) -> None:
    if key := plain_key(fields, has_extensions=False):
        assert accepted(key, []) == by_library(fields)
