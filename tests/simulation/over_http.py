"""The way to `/events/` and `/sync/` of a node, without a server in between."""

import asyncio
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import orjson
from attrs import define, field, frozen
from starlette.applications import Starlette
from starlette.requests import Request
from typing_extensions import override

from application.errors import ApplicationError
from domain.errors import DomainError
from interfaces.http.authentication import PACE
from interfaces.http.events import Events
from interfaces.http.long_answers import LONG_ANSWER
from interfaces.http.sync import Synchronisation
from interfaces.pace import Pace
from interfaces.wire.frames import Frame
from interfaces.wire.places import Places
from interfaces.ws.closing import Close, CloseCode
from tests.interfaces.http import event_client
from tests.simulation.frames import Fields
from tests.simulation.network import Line

APP = Starlette()
"""What requests find their settings in. Accounts have no pace here, as on the simulated sockets."""
setattr(APP.state, PACE, Pace())


def request(
    path: str, token: str, query: Fields, receive: Any, last_id: str | None = None, **more: Any
) -> Any:
    headers = [(b"authorization", f"Bearer {token}".encode())]
    if last_id is not None:
        headers.append((b"last-event-id", last_id.encode()))
    return {
        "type": "http",
        "method": "GET",
        "path": path,
        "query_string": urlencode(query).encode(),
        "headers": headers,
        "app": APP,
        **more,
    }


@frozen
class Cursors:
    """Reads what clients only keep. ``key`` is the one that the messenger signs cursors with."""

    key: bytes

    def epoch_of(self, cursor: str) -> str:
        return Places(self.key).read_part(cursor).epoch

    def is_on_the_way(self, cursor: str) -> bool:
        """False behind the last part of a walk, from where it may be asked again for what came since."""
        return Places(self.key).read_part(cursor).chat_id is not None


def written(since: Any) -> tuple[dict[str, str], bool]:
    """What the ``since`` of an ``auth`` frame is in a query, and whether the cursor alone says it."""
    if since is None:
        return {}, False
    if not (isinstance(since, dict) and isinstance(cursor := since.get("cursor"), str)):
        return {"since": "nonsense"}, True
    seen = since.get("seen")
    if seen:
        return {
            "since": cursor,
            "seen": ",".join(f"{chat}:{position}" for chat, position in seen.items()),
        }, False
    return {"since": cursor}, True


@define(eq=False)
class EventLine(Line):
    """A stream of events. What comes out at the client's end is frames and a close, as from a socket."""

    takes_requests: bool = False
    _events: event_client.Events = field(init=False, factory=event_client.Events)
    _stop: Callable[[], None] | None = field(init=False, default=None)

    def listen(self, events: Events, token: str, since: Any, *, by_header: bool) -> "asyncio.Task[None]":
        """``by_header``: says where it goes on by ``Last-Event-ID``, where that is enough."""
        query, is_cursor_alone = written(since)
        last_id = query.pop("since") if by_header and is_cursor_alone else None
        extensions = {LONG_ANSWER: self} if self.handed_over else {}
        scope = request("/events/", token, query, self._incoming.get, last_id, extensions=extensions)
        self._incoming.put_nowait({"type": "http.request"})
        self._task = asyncio.create_task(self._serve(events, scope))
        return self._task

    async def _serve(self, events: Events, scope: Any) -> None:
        asking = Request(scope, self._incoming.get, self._send)
        try:
            answer = await events.listen(asking)
            await answer(scope, self._incoming.get, self._send)
        except (ApplicationError, DomainError) as error:
            is_for_now = error.code in {"unavailable", "overloaded"}
            self.finish(Close(CloseCode.TRY_LATER if is_for_now else CloseCode.POLICY, error.code))
        if not self._is_closing:
            self._abort()  # the answer ended without its last event

    # As a `LongAnswer`

    def when_stopping(self, stop: Callable[[], None]) -> None:
        self._stop = stop

    def abort(self) -> None:
        self._abort()

    @override
    def shut(self, code: int) -> None:
        if self._stop is None:
            super().shut(code)
        else:
            self._stop()

    @override
    def _lose(self) -> None:
        if not self._is_over:
            self._incoming.put_nowait({"type": "http.disconnect"})
        super()._lose()

    @override
    async def _send(self, event: Any) -> None:
        if self._is_over or event["type"] == "http.response.start":
            return  # as a server does once its client has gone
        for frame, last_id in self._events.feed(event["body"]):
            if frame["type"] == "end":
                self.finish(Close(frame["code"], frame["reason"]))
                return
            if frame["type"] in {"resumed", "cursor"}:
                assert last_id == frame["cursor"], "the id is the cursor that the frame tells"
            self.write(Frame(orjson.dumps(frame)))
        await self._writable.wait()


async def synchronised(sync: Synchronisation, token: str, query: Fields) -> Any:
    """
    The data of an answer.

    Raises:
        ApplicationError, DomainError: It was refused.
    """

    async def receive() -> Any:
        await asyncio.get_running_loop().create_future()

    scope = request("/sync/", token, query, receive)
    answer = await sync.read(Request(scope, receive))
    return orjson.loads(bytes(answer.body))["data"]
