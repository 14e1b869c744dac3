"""
Reads plain heads: those of usual requests and WebSocket handshakes.

Parsing its head is a good part of what a small request costs, and of what thousands of clients cost that come back at once. Here the
usual heads are read by two expressions that are much stricter than HTTP. All others are left to h11, which reads alike what is
read here.
"""

import re
from collections.abc import Mapping
from typing import Final

from attrs import frozen

from interfaces.ws.handshake import BODY_HEADERS

_NAME: Final = rb"[-A-Za-z0-9]+"
_VALUE: Final = rb"[!-~](?:[ -~]*[!-~])?"
_FIELD: Final = re.compile(rb"(%b): (%b)\r\n" % (_NAME, _VALUE))
_HEAD: Final = re.compile(
    rb"(GET|HEAD|POST|PUT|PATCH|DELETE) (/[!-~]*) HTTP/1\.1\r\n((?:%b: %b\r\n)+)\r\n" % (_NAME, _VALUE)
)
_LENGTH: Final = re.compile(rb"[0-9]{1,15}")

CLOSE: Final = b"close"
_PLAIN_CONNECTION: Final = frozenset({b"keep-alive", b"Keep-Alive", CLOSE})

_UNUSUAL: Final = frozenset({b"transfer-encoding", b"expect", b"upgrade", b"http2-settings"})
"""Headers with which a request is not plain."""


@frozen
class Head:
    method: bytes
    target: bytes
    fields: Mapping[bytes, bytes]
    """Values by name in small letters, in the order in which they came. Each name came once."""

    @property
    def body_length(self) -> int:
        """The length of the body in bytes, for a head that `is_request`."""
        return int(self.fields.get(b"content-length", 0))

    @property
    def is_handshake(self) -> bool:
        """True if the head belongs to a GET request that has a WebSocket key and no body."""
        names = self.fields.keys()
        return self.method == b"GET" and b"sec-websocket-key" in names and not names & BODY_HEADERS

    @property
    def is_request(self) -> bool:
        """
        True if the length of the request's body is known, and if the request neither changes the protocol nor waits for the
        server before it sends the body.
        """
        connection, length = self.fields.get(b"connection"), self.fields.get(b"content-length")
        return (
            not self.fields.keys() & _UNUSUAL
            and (connection is None or connection in _PLAIN_CONNECTION)
            and (length is None or _LENGTH.fullmatch(length) is not None)
        )


def read_head(data: bytes) -> Head | None:
    """Returns a whole plain head, or None for anything else."""
    if not (matched := _HEAD.fullmatch(data)):
        return None
    method, target, lines = matched.groups()
    found = _FIELD.findall(lines)
    fields = {name.lower(): value for name, value in found}
    # What a header means that comes twice is for h11 to say.
    if len(fields) < len(found) or b"host" not in fields:
        return None
    return Head(method, target, fields)
