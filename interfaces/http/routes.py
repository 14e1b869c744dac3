"""The routes of the HTTP interface, and what is answered where a path or a method has none."""

import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Final
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Match, Route, Router, WebSocketRoute
from starlette.types import Receive, Scope, Send

from interfaces.http.described import description_of
from interfaces.http.envelope import Refusal
from interfaces.http.errors import Refusals
from interfaces.http.problem import refused_as_wished

Handler = Callable[[Request], Awaitable[Response]]

UPGRADE_REQUIRED: Final = Refusal(
    426,
    "UPGRADE_REQUIRED",
    "A WebSocket is served here, and the request came without the headers `Upgrade: websocket` and"
    " `Connection: Upgrade`. A proxy in between must pass both of them on",
    {"Upgrade": "websocket", "Connection": "Upgrade"},
)


class Endpoint(Route):
    """
    One method on one path; where the method is GET, also HEAD (RFC 9110, 9.3.2).

    ``refusals`` are what this route says in its own words, see `interfaces.http.errors`.
    """

    def __init__(self, method: str, path: str, handler: Handler, refusals: Refusals | None = None) -> None:
        super().__init__(path, handler, methods=[method])
        self.method = method
        self.refusals = refusals or {}
        self.described = description_of(handler)
        self.name_of_handler = handler.__qualname__

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.methods and scope["method"] not in self.methods:
            raise HTTPException(405, headers={"Allow": ", ".join(allowed_at(scope))})
        await self.app(scope, receive, send)


def match_whole_paths(routes: Iterable[BaseRoute]) -> None:
    """
    Make routes match whole paths only.

    Starlette ends its expressions with ``$``, which also matches before a line break at the end: whoever filters by path
    in front of the server would see another path than the one that is served.
    """
    for route in routes:
        if isinstance(route, Route | WebSocketRoute):
            route.path_regex = re.compile(route.path_regex.pattern.removesuffix("$") + r"\Z")


def allowed_at(scope: Scope) -> list[str]:
    """Every method of the path, in alphabetical order: what ``Allow`` must name (RFC 9110, 15.5.6)."""
    methods: set[str] = set()
    for route in scope["app"].routes:
        if isinstance(route, Route) and route.matches(scope)[0] is not Match.NONE:
            methods |= route.methods or set()
    return sorted(methods)


def upgrades(sockets: Iterable[BaseRoute]) -> list[Endpoint]:
    """For the path of each WebSocket an endpoint that tells plain HTTP requests what they lack."""
    return [
        Endpoint("GET", each.path, ask_for_upgrade) for each in sockets if isinstance(each, WebSocketRoute)
    ]


async def ask_for_upgrade(request: Request) -> Response:
    return refused_as_wished(request.scope, UPGRADE_REQUIRED)


def lead_to_slashes(router: Router) -> None:
    """
    Redirect a path that has no route, but would have one with or without a slash at its end, as Starlette does.

    ``Location`` is a path without a host: Starlette makes one of the ``Host`` header, which a client may choose, and a
    proxy may have replaced.
    """

    async def look_elsewhere(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not (elsewhere := _other_spelling(router, scope)):
            await router.not_found(scope, receive, send)
            return
        query = scope["query_string"].decode("latin-1")
        location = quote(elsewhere, safe="/:@!$&'()*+,;=~")
        await RedirectResponse(f"{location}?{query}" if query else location)(scope, receive, send)

    router.redirect_slashes = False
    router.default = look_elsewhere


def _other_spelling(router: Router, scope: Scope) -> str | None:
    path = scope["path"]
    other = path.rstrip("/") if path.endswith("/") else f"{path}/"
    there = {**scope, "path": other}
    is_there = any(route.matches(there)[0] is not Match.NONE for route in router.routes)
    return other if is_there else None
