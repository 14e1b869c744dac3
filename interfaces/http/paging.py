"""Pages of lists: reads cursors, and links to the next page."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from attrs import frozen
from starlette.requests import Request
from starlette.responses import Response

from application.paging import BadPlace, Page, Paging, Place
from interfaces.http.envelope import next_link, polled
from interfaces.slices import encoded
from interfaces.wire.codec import ListQuery
from interfaces.wire.cursors import CursorCodec, InvalidCursor
from interfaces.wire.faults import CURSOR_INVALID, CURSOR_OR_SKIP
from interfaces.wire.validation import FieldFault, RequestInvalid

T = TypeVar("T")
P = TypeVar("P", bound=Place)


@frozen
class Listing(CursorCodec[P]):
    """
    One list of one reader, and its cursors.

    A cursor is a place in the list. ``name`` is different for every list and every reader, so that a cursor that was issued
    for another list or to another reader is refused, like a forged one.
    """

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
            return self.read(asked.cursor)
        except InvalidCursor as error:
            raise _invalid(asked) from error


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
    data = await encoded(as_json, page.items)
    if page.next is None:
        return polled(request, data)
    following: dict[str, str | int] = {**query, "cursor": listing.write(page.next)}
    if asked.limit is not None:
        following["limit"] = asked.limit
    return polled(request, data, next_link(request, following))


def _invalid(asked: ListQuery) -> RequestInvalid:
    return RequestInvalid((FieldFault(("query", "cursor"), CURSOR_INVALID, asked.cursor),))
