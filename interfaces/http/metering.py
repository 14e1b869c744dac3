"""Counts requests and what they are answered, and serves the metrics to clients that present the token."""

import asyncio
from collections.abc import Awaitable, Callable
from hmac import compare_digest
from http import HTTPStatus
from typing import Final

from attrs import Factory, frozen
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from application.meter import Meter
from interfaces.http.authentication import ASKING, find_bearer
from interfaces.http.long_answers import WAITED
from interfaces.http.middleware import CLIENT_LEFT
from interfaces.http.options import HttpOptions
from interfaces.http.routes import Endpoint
from interfaces.pace import Pace

EVENT_STREAM: Final = "text/event-stream"

UNMATCHED: Final = "none"
"""The ``route`` label of requests that match no route: their paths would create an unbounded number of series."""


@frozen
class Metered:
    app: ASGIApp
    meter: Meter
    pace: Pace = Factory(Pace)
    """Is charged with answers to people who are signed in, event streams excepted, and with what limits refuse them."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status = CLIENT_LEFT
        ended: float | None = None
        answered = 0
        loop = asyncio.get_running_loop()
        began = loop.time()

        async def noting(message: Message) -> None:
            nonlocal status, ended, answered
            if message["type"] == "http.response.start":
                status = message["status"]
                if Headers(scope=message).get("content-type", "").startswith(EVENT_STREAM):
                    ended = loop.time()  # a stream goes on for hours: how long says nothing about the server
            elif ended is None:
                answered += len(message.get("body", b""))
            await send(message)

        try:
            await self.app(scope, receive, noting)
        finally:
            route = getattr(scope.get("route"), "path", UNMATCHED)
            seconds = (ended or loop.time()) - began - scope.get("state", {}).get(WAITED, 0.0)
            self.meter.request_answered(scope["method"], route, status, seconds)
            if asking := scope.get(ASKING):
                self.pace.charge(asking, answered)
                if status == HTTPStatus.TOO_MANY_REQUESTS:
                    self.pace.charge_refused(asking)


@frozen
class Metrics:
    """``/metrics`` on the messenger's own port, for scrapers that present ``token`` as a bearer token."""

    text: Callable[[], Awaitable[bytes]]
    media_type: str
    token: str
    options: HttpOptions

    def routes(self) -> list[Endpoint]:
        return [Endpoint("GET", f"{self.options.prefix}/metrics", self.show)]

    async def show(self, request: Request) -> Response:
        presented = find_bearer(request.headers)
        if presented is None or not compare_digest(presented.encode(), self.token.encode()):
            raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"})
        return Response(await self.text(), media_type=self.media_type)
