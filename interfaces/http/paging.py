"""Pages of lists: reads cursors, and links to the next page."""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final, Generic, TypeVar
from uuid import UUID

import orjson
from attrs import asdict, frozen
from cattrs import Converter
from starlette.requests import Request
from starlette.responses import Response

from application.errors import Unavailable
from application.paging import BadPlace, Page, Paging, Place
from interfaces.http.envelope import next_link, polled
from interfaces.wire.codec import ListQuery
from interfaces.wire.faults import CURSOR_INVALID, CURSOR_OR_SKIP
from interfaces.wire.validation import FieldFault, RequestInvalid

T = TypeVar("T")
P = TypeVar("P", bound=Place)

MAC_SIZE: Final = 16
"""Bytes of HMAC-SHA-256."""

CURSOR_LIMIT: Final = 7000
"""
The maximum length in characters, so that the line of a request stays below the 8 KiB that proxies accept. A place in a list
of chats names the transactions in progress; this is enough for about a thousand.
"""


@frozen
class Listing(Generic[P]):
    """
    One list of one reader, and its cursors.

    A cursor is a place in the list, signed together with ``name``. A forged cursor is refused, and so is one that was
    issued for another list or to another reader.
    """

    key: bytes
    place: type[P]
    name: str
    """A name that is different for every list and every reader."""

    def cursor(self, place: P) -> str:
        """
        Write the cursor that goes on after ``place``.

        Raises:
            Unavailable: It would be too long to be sent back, because too many transactions are in progress at the moment.
        """
        content = orjson.dumps(asdict(place))
        cursor = urlsafe_b64encode(self._mac(content) + content).rstrip(b"=").decode()
        if len(cursor) > CURSOR_LIMIT:
            raise Unavailable("too many transactions in progress for a cursor")
        return cursor

    def after(self, asked: ListQuery) -> P | None:
        """
        Read the place at which the last page ended.

        Raises:
            RequestInvalid: The cursor is not one of this list, or ``skip`` was sent with it.
        """
        if asked.cursor is None:
            return None
        if asked.skip:
            raise RequestInvalid((FieldFault(("query", "skip"), CURSOR_OR_SKIP, asked.skip),))
        try:
            return self._read(asked.cursor)
        except Exception as error:  # an invalid cursor may fail at any step of decoding
            raise _invalid(asked) from error

    def _read(self, cursor: str) -> P:
        if len(cursor) > CURSOR_LIMIT:
            raise ValueError
        raw = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        mac, content = raw[:MAC_SIZE], raw[MAC_SIZE:]
        if not hmac.compare_digest(mac, self._mac(content)):
            raise ValueError
        return _converter.structure(orjson.loads(content), self.place)

    def _mac(self, content: bytes) -> bytes:
        return hmac.digest(self.key, self.name.encode() + b"\0" + content, "sha256")[:MAC_SIZE]


async def listed(
    request: Request,
    listing: Listing[P],
    asked: ListQuery,
    read: Callable[[Paging[P]], Awaitable[Page[T, P]]],
    as_json: Callable[[T], object],
    **query: str,
) -> Response:
    """
    Answer with a page of a list and a ``Link`` to the next one, which carries ``query`` besides its cursor.

    Raises:
        RequestInvalid: The cursor is not one of this list.
    """
    paging = Paging(limit=asked.limit, skip=asked.skip, after=listing.after(asked))
    try:
        page = await read(paging)
    except BadPlace as error:
        raise _invalid(asked) from error
    data = [as_json(item) for item in page.items]
    if page.next is None:
        return polled(request, data)
    following: dict[str, str | int] = {**query, "cursor": listing.cursor(page.next)}
    if asked.limit is not None:
        following["limit"] = asked.limit
    return polled(request, data, next_link(request, following))


def _invalid(asked: ListQuery) -> RequestInvalid:
    return RequestInvalid((FieldFault(("query", "cursor"), CURSOR_INVALID, asked.cursor),))


_converter: Final = Converter()
_converter.register_structure_hook(datetime, lambda value, _: datetime.fromisoformat(value))
_converter.register_structure_hook(UUID, lambda value, _: UUID(value))
