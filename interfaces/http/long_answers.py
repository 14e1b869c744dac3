"""Answers that take long by intention: they end when the client goes, and when the server begins to stop."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final, Protocol

from starlette.requests import Request
from starlette.types import Receive

LONG_ANSWER: Final = "messenger.long_answer"
"""The ASGI extension of `interfaces.http.protocol`: a `LongAnswer`."""

WAITED: Final = "waited"
"""The attribute of a request's state with the seconds that it waited by intention, which are no measure of the server."""


def note_wait(request: Request, seconds: float) -> None:
    """Records that the answer to a request waited so long by intention."""
    setattr(request.state, WAITED, getattr(request.state, WAITED, 0.0) + seconds)


class LongAnswer(Protocol):
    """The connection on which an answer is being written."""

    @property
    def is_held_up(self) -> bool:
        """Whether what was written waits for the client to read it."""
        ...

    async def writable(self) -> None:
        """Waits until the client has read most of what was written, or has gone."""
        ...

    def when_stopping(self, stop: Callable[[], None]) -> None:
        """Calls ``stop`` when the server begins to stop, if the answer is not complete by then."""
        ...

    def abort(self) -> None:
        """Closes the connection at once. The client sees an incomplete answer."""
        ...


def long_answer(request: Request) -> LongAnswer | None:
    """Returns None under servers without the extension."""
    found: LongAnswer | None = request.scope.get("extensions", {}).get(LONG_ANSWER)
    return found


@asynccontextmanager
async def ending(
    request: Request, *, gone: Callable[[], None], stopping: Callable[[], None]
) -> AsyncIterator[None]:
    """Calls ``gone`` when the client has gone, and ``stopping`` when the server begins to stop."""
    if answer := long_answer(request):
        answer.when_stopping(stopping)
    watching = asyncio.create_task(_watch(request.receive, gone))
    try:
        yield
    finally:
        watching.cancel()


async def _watch(receive: Receive, gone: Callable[[], None]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    gone()
