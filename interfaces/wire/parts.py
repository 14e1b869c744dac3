"""Divides long pages of history into parts, for HTTP and sockets alike, and reads the rest of a page again after it was dropped."""

from collections.abc import Awaitable, Callable
from typing import Final

from application.errors import Unavailable
from application.views import HistoryPage
from domain.ids import Seq

PART_BYTES: Final = 64 * 1024
"""Bytes of an answer that are written at once. The next part is written when the client has read most of the last one."""

SHORT: Final = PART_BYTES // 4
"""Characters of text up to which a page is written at once."""

READ_AGAIN: Final = 10
"""Messages that are read at once after the rest of a page was dropped from memory."""

ReadAfter = Callable[[Seq, int], Awaitable[HistoryPage]]
"""Reads the messages after a `seq`, up to a number of them."""


async def read_rest(read_after: ReadAfter, after: Seq, last: Seq) -> HistoryPage:
    """
    Reads the next messages of a page whose last one is ``last``. What is read may have messages behind that, too.

    Raises:
        DomainError, ApplicationError: They could not be read, or are not there any more.
    """
    page = await read_after(after, READ_AGAIN)
    if not page.rows or page.rows[0].seq > last:
        raise Unavailable("messages of the page are missing")
    return page
