"""
Middleware as plain ASGI, so that nothing is buffered and WebSockets pass through unchanged.

From the outside in: request id and access log, security headers, CORS, the answer to unexpected errors, the size limit of
bodies, and the public path.

A layer that only passes on is a plain function that returns what the next one does: each coroutine in between would be gone
through whenever the request goes on after a wait.
"""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Final
from urllib.parse import quote

from attrs import define, field, frozen
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from domain.session import Origin
from interfaces import whereabouts
from interfaces.http.envelope import Refusal
from interfaces.http.problem import refusal_response, request_id
from interfaces.whereabouts import Whereabouts

access: Final = logging.getLogger("access")
log: Final = logging.getLogger(__name__)

REQUEST_ID: Final = b"x-request-id"
_PLAIN: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")

SYSTEM_ERROR: Final = Refusal(500, "SYSTEM_ERROR", "Internal server error")

SAFE_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}
"""The defaults for all answers: most carry personal data or tokens, and none is a page to be framed."""

ANSWER: Final = frozenset({"http.response.start", "websocket.http.response.start"})
"""The messages that begin an answer: to a request, or to a handshake that is refused."""

CLIENT_LEFT: Final = 499
"""A status for log and metrics only, as in nginx: the client disconnected before it was answered."""


class BodyTooLarge(Exception):
    pass


@frozen
class Traced:
    """
    Gives each request an id, returns it to the client in ``X-Request-ID``, and logs one line about the answer.

    An id that the client sent is kept if it has at most 64 letters, digits, dots, dashes and underscores. Query strings,
    which may contain tokens, and bodies are never logged. Requests for the paths in ``unlogged`` get no line.
    """

    app: ASGIApp
    new_id: Callable[[], str]
    unlogged: Collection[str] = ()

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] == "lifespan":
            return self.app(scope, receive, send)
        given, user_agent = _first(scope, REQUEST_ID), _first(scope, b"user-agent")
        name = given if given and _PLAIN.fullmatch(given) else self.new_id()
        scope.setdefault("state", {})["request_id"] = name
        client = scope.get("client")
        origin = Origin(user_agent=user_agent, address=client[0] if client else None)
        whereabouts.present.set(Whereabouts(request_id=name, origin=origin))
        return self._serve(scope, receive, send, name)

    async def _serve(self, scope: Scope, receive: Receive, send: Send, name: str) -> None:
        # Of handshakes only those that are refused have a line: the log tells of sockets elsewhere.
        status = CLIENT_LEFT if scope["type"] == "http" else None
        loop = asyncio.get_running_loop()
        start = loop.time()

        async def named(message: Message) -> None:
            nonlocal status
            if message["type"] in ANSWER:
                status = message["status"]
                others = [line for line in message.get("headers", ()) if line[0] != REQUEST_ID]
                message["headers"] = [*others, (REQUEST_ID, name.encode())]
            await send(message)

        try:
            await self.app(scope, receive, named)
        finally:
            if status is not None and scope["path"] not in self.unlogged:
                _log_answer(scope, name, status, loop.time() - start)


def _first(scope: Scope, wanted: bytes) -> str | None:
    """Returns a header as `Headers.get` does, which takes several times as long for one that is not there."""
    for name, value in scope["headers"]:
        if name == wanted:
            return str(value, "latin-1")
    return None


def _log_answer(scope: Scope, name: str, status: int, seconds: float) -> None:
    method, path = scope.get("method", "GET"), _path_as_sent(scope)
    client = scope.get("client")
    access.info(
        "%s %s %d",
        method,
        path,
        status,
        extra={
            "request_id": name,
            "method": method,
            "path": path,
            "status": status,
            "milliseconds": round(seconds * 1000, 1),
            "client": client[0] if client else None,
        },
    )


def _path_as_sent(scope: Scope) -> str:
    # Decoded, the path could contain line breaks, and so forge lines of the log.
    raw = scope.get("raw_path")
    return raw.partition(b"?")[0].decode("latin-1") if raw else quote(scope["path"])


@frozen
class SecurityHeaders:
    """
    Adds `SAFE_HEADERS` to every answer that does not set them itself, also to a refused handshake.

    ``hsts`` is the number of seconds during which browsers must use HTTPS only (RFC 6797); 0 sends no such header. With
    ``below`` it holds for the names below ours, too.
    """

    app: ASGIApp
    hsts: int = 0
    below: bool = False
    _added: Sequence[tuple[bytes, bytes]] = field(init=False)

    def __attrs_post_init__(self) -> None:
        policy = f"max-age={self.hsts}{'; includeSubDomains' if self.below else ''}"
        added = {**SAFE_HEADERS, **({"Strict-Transport-Security": policy} if self.hsts else {})}
        lines = [(name.lower().encode(), value.encode()) for name, value in added.items()]
        object.__setattr__(self, "_added", lines)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return

        async def safe(message: Message) -> None:
            if message["type"] in ANSWER:
                given = list(message.get("headers", ()))
                names = {name.lower() for name, _ in given}
                message["headers"] = given + [line for line in self._added if line[0] not in names]
            await send(message)

        await self.app(scope, receive, safe)


@define
class Cors:
    """
    Allows cross-origin requests with credentials from ``origins``, with the same answers as the original messenger.

    Starlette's own middleware would refuse preflights for private networks, which the original allowed.
    """

    app: ASGIApp
    origins: Collection[str]
    methods: Collection[str] = ("GET", "POST", "OPTIONS", "DELETE", "PATCH", "PUT")
    headers: Collection[str] = (
        "Accept",
        "Accept-Language",
        "Access-Control-Allow-Headers",
        "Access-Control-Allow-Origin",
        "Authorization",
        "Content-Language",
        "Content-Type",
        "Set-Cookie",
    )
    added: Collection[str] = ("Idempotency-Key", "If-None-Match", "Last-Event-ID", "X-Request-ID")
    """Request headers that the original did not have. A preflight is answered with those of them that it asks for."""
    exposed: Collection[str] = (
        "Allow",
        "ETag",
        "Link",
        "Location",
        "RateLimit",
        "RateLimit-Policy",
        "Retry-After",
        "WWW-Authenticate",
    )
    """Headers that scripts may read if the answer has them. `X-Request-ID`, which `Traced` adds later, is always exposed."""
    max_age: int = 600
    _known_headers: frozenset[str] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._known_headers = frozenset(header.lower() for header in (*self.headers, *self.added))

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != "http":
            return self.app(scope, receive, send)
        origin = _first(scope, b"origin")
        if origin is None:
            return self.app(scope, receive, send)
        request = Headers(scope=scope)
        if scope["method"] == "OPTIONS" and "access-control-request-method" in request:
            return self._preflight(origin, request)(scope, receive, send)
        return self.app(scope, receive, self._allowing(origin, send))

    def _preflight(self, origin: str, request: Headers) -> Response:
        asked = request.get("access-control-request-headers", "").split(",")
        wanted = {name.strip().lower() for name in asked} - {""}
        added = [name for name in self.added if name.lower() in wanted]
        headers = {
            "Vary": "Origin",
            "Access-Control-Allow-Methods": ", ".join(self.methods),
            "Access-Control-Max-Age": str(self.max_age),
            "Access-Control-Allow-Headers": ", ".join((*self.headers, *added)),
            "Access-Control-Allow-Credentials": "true",
        }
        wrong = []
        if origin in self.origins:
            headers["Access-Control-Allow-Origin"] = origin
        else:
            wrong.append("origin")
        if request["access-control-request-method"] not in self.methods:
            wrong.append("method")
        if not wanted <= self._known_headers:
            wrong.append("headers")
        if wrong:
            return PlainTextResponse(f"Disallowed CORS {', '.join(wrong)}", 400, headers)
        return PlainTextResponse("OK", headers=headers)

    def _allowing(self, origin: str, send: Send) -> Send:
        async def allow(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Access-Control-Allow-Credentials"] = "true"
                if origin in self.origins:
                    headers["Access-Control-Allow-Origin"] = origin
                    headers.add_vary_header("Origin")
                    shown = [name for name in self.exposed if name in headers]
                    headers["Access-Control-Expose-Headers"] = ", ".join([*shown, "X-Request-ID"])
            await send(message)

        return allow


@frozen
class LastResort:
    """Answers unexpected errors with 500 and without details; the log has the traceback."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        has_begun = False

        async def noting(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self.app(scope, receive, noting)
        except ClientDisconnect:
            pass
        except Exception:
            name = request_id(scope)
            log.exception("%s %s failed", scope["method"], _path_as_sent(scope), extra={"request_id": name})
            if has_begun:
                raise  # part of the answer was sent: the server must cut the connection, or it would look complete
            refusal = SYSTEM_ERROR.with_extra(requestId=name)
            await refusal_response(scope, refusal)(scope, receive, send)


@frozen
class UnderPublicPath:
    """
    Sets ``root_path`` of ASGI to the path that a proxy strips from requests.

    Addresses that are derived from that of the request, such as the link to a next page, then begin with it.
    """

    app: ASGIApp
    path: str = ""

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if self.path and scope["type"] != "lifespan":
            scope["root_path"] = self.path
            scope["path"] = f"{self.path}{scope['path']}"
        return self.app(scope, receive, send)


@frozen
class BodyLimit:
    """Raises `BodyTooLarge` on reading a body of more than ``most`` bytes, at once if ``Content-Length`` declares more."""

    app: ASGIApp
    most: int

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        declared = _first(scope, b"content-length") or ""
        is_too_large = declared.isdecimal() and int(declared[:20]) > self.most
        received = 0

        async def measured() -> Message:
            nonlocal received
            if is_too_large:
                raise BodyTooLarge
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.most:
                raise BodyTooLarge
            return message

        await self.app(scope, measured, send)
