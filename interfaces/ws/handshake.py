"""
Answers plain handshakes (RFC 6455, section 4.2).

The library answers all others: those that ask for a subprotocol, repeat a header, or write one in an unusual way.
"""

import base64
import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import Final

from websockets.utils import GUID

UPGRADES: Final = frozenset({b"upgrade", b"keep-alive, upgrade"})
"""The header ``Connection`` as programs and browsers write it, in small letters."""

BODY_HEADERS: Final = frozenset({b"content-length", b"transfer-encoding"})
"""Headers of a request with a body. Such a request is no plain handshake."""

_KEY: Final = re.compile(rb"[A-Za-z0-9+/]{21}[AQgw]==")
_GUID: Final = GUID.encode()


def plain_key(headers: Sequence[tuple[bytes, bytes]], *, has_extensions: bool) -> bytes | None:
    """
    Returns the key of a plain handshake, or None if the library has to answer. Names of headers are in small letters.
    ``has_extensions`` tells whether the server offers extensions, about which client and library then agree.
    """
    named = dict(headers)
    key = named.get(b"sec-websocket-key", b"")
    is_plain = (
        len(named) == len(headers)
        and named.get(b"upgrade", b"").lower() == b"websocket"
        and named.get(b"connection", b"").lower() in UPGRADES
        and named.get(b"sec-websocket-version") == b"13"
        and b"sec-websocket-protocol" not in named
        and not (has_extensions and b"sec-websocket-extensions" in named)
    )
    return key if is_plain and _KEY.fullmatch(key) else None


def accepted(key: bytes, added: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Returns the answer that accepts a plain handshake, with the headers ``added``."""
    proof = base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())
    lines = [
        b"HTTP/1.1 101 Switching Protocols",
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Accept: " + proof,
        *(b"%s: %s" % each for each in added),
    ]
    return b"\r\n".join([*lines, b"", b""])
