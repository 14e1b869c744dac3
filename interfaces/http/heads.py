"""
Reads the heads of plain WebSocket handshakes.

When thousands of clients come back at once, parsing their heads is a good part of the work. Here the usual ones are read by
two expressions that are much stricter than HTTP. All others are left to h11, which reads alike what is read here.
"""

import re
from collections.abc import Sequence
from typing import Final

from attrs import frozen

from interfaces.ws.handshake import BODY_HEADERS

_NAME: Final = rb"[-A-Za-z0-9]+"
_VALUE: Final = rb"[!-~](?:[ -~]*[!-~])?"
_FIELD: Final = re.compile(rb"(%b): (%b)\r\n" % (_NAME, _VALUE))
_HEAD: Final = re.compile(rb"GET (/[!-~]*) HTTP/1\.1\r\n((?:%b: %b\r\n)+)\r\n" % (_NAME, _VALUE))
_KEYS: Final = (b"\nSec-WebSocket-Key: ", b"\nsec-websocket-key: ")


@frozen
class Head:
    target: bytes
    headers: Sequence[tuple[bytes, bytes]]
    """Names are in small letters."""


def read_handshake(data: bytes) -> Head | None:
    """Returns the whole head of a plain handshake, or None for anything else."""
    if not any(key in data for key in _KEYS) or not (matched := _HEAD.fullmatch(data)):
        return None
    target, fields = matched.groups()
    headers = [(name.lower(), value) for name, value in _FIELD.findall(fields)]
    names = {name for name, _ in headers}
    # What a header means that comes twice is for h11 to say.
    if len(names) < len(headers) or b"host" not in names or names & BODY_HEADERS:
        return None
    return Head(target, headers)
