"""
Cursors: places that clients keep and send back. A cursor is opaque to clients, and signed, so that a forged one is refused.
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime
from typing import Final, Generic, TypeVar
from uuid import UUID

import orjson
from attrs import AttrsInstance, asdict, frozen
from cattrs import Converter

from application.errors import Unavailable

V = TypeVar("V", bound=AttrsInstance)

MAC_SIZE: Final = 16
"""Bytes of HMAC-SHA-256."""

CURSOR_LIMIT: Final = 7000
"""
The maximum length in characters, so that the line of a request stays below the 8 KiB that proxies accept. A place names the
transactions in progress; this is enough for about a thousand.
"""


class InvalidCursor(Exception):
    """The text is not a cursor of this kind, or was signed with another key."""


@frozen
class CursorCodec(Generic[V]):
    """Writes values as cursors. A cursor is signed together with ``name``, and can only be read under the same name."""

    key: bytes
    kind: type[V]
    name: str

    def write(self, value: V) -> str:
        """
        Raises:
            Unavailable: It would be too long to be sent back, because too many transactions are in progress at the moment.
        """
        content = orjson.dumps(asdict(value))
        cursor = urlsafe_b64encode(self._mac(content) + content).rstrip(b"=").decode()
        if len(cursor) > CURSOR_LIMIT:
            raise Unavailable("too many transactions in progress for a cursor")
        return cursor

    def read(self, cursor: str) -> V:
        """
        Raises:
            InvalidCursor: It was not written by `write` under this name.
        """
        try:
            return self._read(cursor)
        except Exception as error:  # an invalid cursor may fail at any step of decoding
            raise InvalidCursor from error

    def _read(self, cursor: str) -> V:
        if len(cursor) > CURSOR_LIMIT:
            raise ValueError
        raw = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        mac, content = raw[:MAC_SIZE], raw[MAC_SIZE:]
        if not hmac.compare_digest(mac, self._mac(content)):
            raise ValueError
        return _converter.structure(orjson.loads(content), self.kind)

    def _mac(self, content: bytes) -> bytes:
        return hmac.digest(self.key, self.name.encode() + b"\0" + content, "sha256")[:MAC_SIZE]


_converter: Final = Converter()
_converter.register_structure_hook(datetime, lambda value, _: datetime.fromisoformat(value))
_converter.register_structure_hook(UUID, lambda value, _: UUID(value))
