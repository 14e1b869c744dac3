"""
Writes long pages of history in parts, as fast as the client reads them.

A page may have megabytes. For a slow client only the current part is kept in memory, and the rest is read from storage
again when it is needed. The `seq` of a message never changes, so that no message is missed or repeated.
"""

from collections import deque
from typing import Final

import orjson
from attrs import define

from application.views import HistoryPage, MessageView
from domain.ids import Seq
from interfaces.wire import frames
from interfaces.wire.parts import PART_BYTES, SHORT, ReadAfter, read_rest
from interfaces.ws.framing import Part
from interfaces.ws.outbox import Outbox

HEAD: Final = b'{"type":"chat_history","messages":['


@define(eq=False)
class LongPage:
    """A page to be written in parts. Messages are removed when they are written, or when the client does not read."""

    views: deque[MessageView]
    before: Seq
    """The `seq` before the first message of the page."""
    last: Seq
    total_count: int
    unread_count: int

    @classmethod
    def of(cls, page: HistoryPage, unread_count: int) -> "LongPage | None":
        """Returns None if the page is short enough to be written at once."""
        if sum(len(view.message.body.text) for view in page.messages) <= SHORT:
            return None
        before = Seq(page.messages[0].message.seq - 1)
        return cls(
            deque(page.messages), before, page.messages[-1].message.seq, page.total_count, unread_count
        )


async def write_page(outbox: Outbox, page: LongPage, read_after: ReadAfter) -> int:
    """
    Writes a page as one WebSocket message of several frames (RFC 6455, section 5.4), behind the frames that wait already.
    Returns the bytes that were written.

    Raises:
        DomainError, ApplicationError: The rest of the page could not be read. The message stays incomplete.
    """
    counts = orjson.dumps({"total_count": page.total_count, "unread_count": page.unread_count})
    position, part, written, is_whole = page.before, bytearray(HEAD), 0, False
    if not outbox.is_empty:
        page.views.clear()  # they are read again when it is the turn of the page
    await outbox.begin_parts()
    try:
        while position < page.last:
            if not page.views:
                more = await read_rest(read_after, position, page.last)
                page.views.extend(view for view in more.messages if view.message.seq <= page.last)
            view = page.views.popleft()
            position = view.message.seq
            part += orjson.dumps(frames.message_fields(view))
            part += b"," if position < page.last else b"]," + counts[1:]
            is_last = position == page.last
            if is_last or len(part) >= PART_BYTES:
                if outbox.is_held_up:
                    page.views.clear()  # they are read again when the client continues
                    await outbox.writable()
                if outbox.closing is not None:
                    break
                outbox.write_part(Part(bytes(part), is_first=not written, is_last=is_last))
                written += len(part)
                part, is_whole = bytearray(), is_last
    finally:
        outbox.end_parts(is_cut_off=written > 0 and not is_whole)
    return written
