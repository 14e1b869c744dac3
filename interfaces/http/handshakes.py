"""Refusals of WebSocket handshakes, which are answers of HTTP (the WebSocket Denial Response extension of ASGI)."""

from collections.abc import Awaitable
from typing import Final

from attrs import frozen
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from interfaces.browsers import ForeignPage, Pages
from interfaces.http.envelope import Refusal
from interfaces.http.errors import SINGLE_ERRORS
from interfaces.http.problem import refusal_response

DENIAL: Final = "websocket.http.response"
"""The ASGI extension by which a server sends such an answer."""

BEFORE_HANDSHAKE: Final[Message] = {"type": "websocket.close", "code": 1008, "reason": ""}
"""Refuses a handshake under any server: with 403, and nothing else."""


async def refuse(scope: Scope, receive: Receive, send: Send, refusal: Refusal) -> None:
    """Refuse a request or a handshake, which is answered like a request if the server can do that."""
    if scope["type"] == "websocket" and DENIAL not in scope.get("extensions", {}):
        await send(BEFORE_HANDSHAKE)
    else:
        await refusal_response(scope, refusal)(scope, receive, send)


@frozen
class SocketsOfPages:
    """Middleware that refuses WebSocket handshakes from foreign pages before anything else is done."""

    app: ASGIApp
    pages: Pages

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] == "websocket" and not self.pages.accept(scope):
            return refuse(scope, receive, send, SINGLE_ERRORS[ForeignPage])
        return self.app(scope, receive, send)


@frozen
class UnknownSockets:
    """
    Middleware that refuses handshakes at paths where no socket is with 403 and an empty body, as the original did, and
    with the headers that all answers have.
    """

    app: ASGIApp

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != "websocket" or DENIAL not in scope.get("extensions", {}):
            return self.app(scope, receive, send)
        return self._answered(scope, receive, send)

    async def _answered(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_answered = False

        async def answering(message: Message) -> None:
            nonlocal is_answered
            if message["type"] == "websocket.close" and not is_answered:
                await Response(status_code=403)(scope, receive, send)
            else:
                await send(message)
            is_answered = True

        await self.app(scope, receive, answering)
