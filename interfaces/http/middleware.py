"""
Middleware around every request: plain ASGI, so that nothing is buffered and WebSockets pass through untouched.

From the outside in: the request's name and its line in the log, security headers, CORS, the answer to unforeseen errors,
and the size limit of bodies.
"""

import asyncio
import logging
import re
from collections.abc import Callable, Collection
from typing import Final
from urllib.parse import quote

from attrs import define, field, frozen
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from interfaces.http.envelope import Refusal
from interfaces.http.problem import refused_as_wished, request_id

access: Final = logging.getLogger("access")
log: Final = logging.getLogger(__name__)

REQUEST_ID: Final = "x-request-id"
_PLAIN: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")

SYSTEM_ERROR: Final = Refusal(500, "SYSTEM_ERROR", "Internal server error")

SAFE_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}
"""For answers that say nothing else: most carry somebody's data or tokens, and none is a page to be framed."""

CLIENT_LEFT: Final = 499
"""A status for the log alone, as in nginx: the client went away before it was answered."""


class BodyTooLarge(Exception):
    pass


@frozen
class Traced:
    """
    Names each request, tells the client the name in ``X-Request-ID``, and logs one line about the answer.

    A name that the request came with is kept if it is short and plain. Query strings, which may hold tokens, and bodies
    are never logged.
    """

    app: ASGIApp
    new_id: Callable[[], str]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get(REQUEST_ID, "")
        name = given if _PLAIN.fullmatch(given) else self.new_id()
        scope.setdefault("state", {})["request_id"] = name
        if scope["type"] == "websocket":
            await self.app(scope, receive, send)
        else:
            await self._serve(scope, receive, send, name)

    async def _serve(self, scope: Scope, receive: Receive, send: Send, name: str) -> None:
        status = CLIENT_LEFT
        loop = asyncio.get_running_loop()
        start = loop.time()

        async def named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[REQUEST_ID] = name
            await send(message)

        try:
            await self.app(scope, receive, named)
        finally:
            method, path = scope["method"], _path_as_sent(scope)
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
                    "milliseconds": round((loop.time() - start) * 1000, 1),
                    "client": client[0] if client else None,
                },
            )


def _path_as_sent(scope: Scope) -> str:
    # Decoded it could hold line breaks, and with them lines of its own in the log.
    raw = scope.get("raw_path")
    return raw.partition(b"?")[0].decode("latin-1") if raw else quote(scope["path"])


@frozen
class Safe:
    """
    Gives every answer the headers that keep browsers from guessing, framing, leaking and storing, unless it has its own.

    ``hsts`` is for how many seconds browsers shall use nothing but HTTPS (RFC 6797); 0 says nothing about it.
    """

    app: ASGIApp
    hsts: int = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def safe(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SAFE_HEADERS.items():
                    headers.setdefault(name, value)
                if self.hsts:
                    headers.setdefault("Strict-Transport-Security", f"max-age={self.hsts}")
            await send(message)

        await self.app(scope, receive, safe)


@define
class Cors:
    """
    Cross-origin requests with credentials for the origins that are named, answered exactly as the original messenger did.

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
    added: Collection[str] = ("Idempotency-Key", "If-None-Match", "X-Request-ID")
    """Request headers that the original did not know. A preflight that asks for one of them is told of it."""
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
    """Headers that scripts may read where the answer has them; `X-Request-ID`, which `Traced` adds later, always."""
    max_age: int = 600
    _known_headers: frozenset[str] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._known_headers = frozenset(header.lower() for header in (*self.headers, *self.added))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Headers(scope=scope)
        origin = request.get("origin")
        if origin is None:
            await self.app(scope, receive, send)
        elif scope["method"] == "OPTIONS" and "access-control-request-method" in request:
            await self._preflight(origin, request)(scope, receive, send)
        else:
            await self.app(scope, receive, self._allowing(origin, send))

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
    """Answers unforeseen errors with 500 and no details; the log has the traceback."""

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
                raise  # half an answer is out: the server must cut the connection, or it would look complete
            refusal = SYSTEM_ERROR.with_extra(requestId=name)
            await refused_as_wished(scope, refusal)(scope, receive, send)


@frozen
class UnderPublicPath:
    """
    Tells the application that browsers see a path before its own, which a proxy takes off (``root_path`` of ASGI).

    Addresses that are made of the request's own, as those of a next page, then begin with it.
    """

    app: ASGIApp
    path: str = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.path and scope["type"] != "lifespan":
            scope["root_path"] = self.path
            scope["path"] = f"{self.path}{scope['path']}"
        await self.app(scope, receive, send)


@frozen
class BodyLimit:
    """
    Raises `BodyTooLarge` in whatever reads a body of more than ``most`` bytes; a declared length is believed at once.
    """

    app: ASGIApp
    most: int

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "")
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
