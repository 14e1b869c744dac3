"""
Long pages of history, written in parts as fast as the client reads them.

A page may have megabytes. While a client does not read, the rest of its page is dropped, and it is read from storage again
when the client continues. The `seq` of a message never changes, so that no message is missed or repeated.
"""

import logging
from collections import deque
from collections.abc import AsyncIterator, Mapping
from typing import Final

import orjson
from attrs import define
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from application.errors import ApplicationError
from application.views import HistoryPage, MessageRow
from domain.errors import DomainError
from domain.ids import ChatId, Seq
from interfaces.http.envelope import MEDIA_TYPE, NOT_KEPT, success, tagged
from interfaces.http.long_answers import LongAnswer, long_answer
from interfaces.wire import codec
from interfaces.wire.parts import PART_BYTES, SHORT, ReadAfter, read_rest

log: Final = logging.getLogger(__name__)


def history_answer(
    request: Request, page: HistoryPage, tag: str, headers: Mapping[str, str], read_after: ReadAfter
) -> Response:
    """
    Answer with a page. ``read_after`` reads its messages again: those after a `seq`, up to a number of them.

    A page that is written in parts has no `ETag`, because a part that is read later may show newer names and receipts.
    """
    if sum(len(row.text) for row in page.rows) <= SHORT:
        return success(codec.history_json(page), {**headers, **tagged(tag)})
    headers = {**headers, **NOT_KEPT}
    if request.method == "HEAD":
        return success(codec.history_json(page), headers)
    rest = _Rest.of(page, read_after)
    return StreamingResponse(rest.written(long_answer(request)), 200, headers, MEDIA_TYPE)


@define(eq=False)
class _Rest:
    """The part of a page that is still to be written."""

    chat_id: ChatId
    rows: deque[MessageRow]
    """The next messages. Those behind them are read when these are written."""
    senders: dict[str, orjson.Fragment]
    head: bytes
    before: int
    """The `seq` before the next message."""
    last: int
    read_after: ReadAfter

    @classmethod
    def of(cls, page: HistoryPage, read_after: ReadAfter) -> "_Rest":
        counts = codec.dumps({"status": "success", "data": codec.history_counts(page)})
        return cls(
            chat_id=page.chat_id,
            rows=deque(page.rows),
            senders=dict(codec.encoded_senders(page)),
            head=counts.removesuffix(b"}}") + b',"entities":[',
            before=page.numbers[0] - 1,
            last=page.numbers[-1],
            read_after=read_after,
        )

    async def written(self, answer: LongAnswer | None) -> AsyncIterator[bytes]:
        """Yields the parts of the answer. It stays incomplete if the rest cannot be read."""
        part = bytearray(self.head)
        try:
            while self.before < self.last:
                await self._wait(answer)
                while self.before < self.last and len(part) < PART_BYTES:
                    row = await self._next()
                    part += codec.dumps(codec.row_json(self.chat_id, row, self.senders[row.sender_id]))
                    part += b"," if row.seq < self.last else b"]}}"
                    self.before = row.seq
                yield bytes(part)
                part.clear()
        except (DomainError, ApplicationError) as error:
            log.warning("a page of history could not be finished", extra={"reason": error.code})
            if answer is None:
                raise
            answer.abort()

    async def _wait(self, answer: LongAnswer | None) -> None:
        """Waits until the client reads. Meanwhile nothing of the page is held."""
        if answer is not None and answer.is_held_up:
            self.rows.clear()
            await answer.writable()

    async def _next(self) -> MessageRow:
        if not self.rows:
            more = await read_rest(self.read_after, Seq(self.before), Seq(self.last))
            self.rows.extend(row for row in more.rows if row.seq <= self.last)
            self.senders.update(codec.encoded_senders(more))
        return self.rows.popleft()
