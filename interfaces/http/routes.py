"""Routes of the HTTP interface, and the answers for paths and methods that have none."""

import re
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from operator import itemgetter
from typing import Any, Final

from attrs import Factory, define
from starlette._utils import get_route_path
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Match, Route, Router, WebSocketRoute
from starlette.types import Receive, Scope, Send

from interfaces.http.described import description_of
from interfaces.http.envelope import Refusal, quoted
from interfaces.http.errors import Refusals
from interfaces.http.problem import refusal_response

Handler = Callable[[Request], Awaitable[Response]]

PAGES: Final = "pages"
"""The attribute of the state of the application that decides which pages it accepts, see `interfaces.browsers.Pages`."""

UPGRADE_REQUIRED: Final = Refusal(
    426,
    "UPGRADE_REQUIRED",
    "A WebSocket is served here, and the request came without the headers `Upgrade: websocket` and"
    " `Connection: Upgrade`. A proxy in between must pass both of them on",
    {"Upgrade": "websocket", "Connection": "Upgrade"},
)


class Endpoint(Route):
    """
    One method on one path. GET includes HEAD (RFC 9110, 9.3.2).

    ``refusals`` are the entries of the error table that this route overrides, see `interfaces.http.errors`. With
    ``needs_own_page``, here or in the description of the handler, requests of foreign pages are refused before the handler
    is called (`interfaces.browsers`).
    """

    def __init__(
        self,
        method: str,
        path: str,
        handler: Handler,
        refusals: Refusals | None = None,
        *,
        needs_own_page: bool = False,
    ) -> None:
        super().__init__(path, handler, methods=[method])
        self.method = method
        self.refusals = refusals or {}
        self.described = description_of(handler)
        self.needs_own_page = needs_own_page or bool(self.described and self.described.needs_own_page)
        self.name_of_handler = handler.__qualname__

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.methods and scope["method"] not in self.methods:
            raise HTTPException(405, headers={"Allow": ", ".join(allowed_at(scope))})
        if self.needs_own_page:
            getattr(scope["app"].state, PAGES).check(scope)
        await self.app(scope, receive, send)


def match_whole_paths(routes: Iterable[BaseRoute]) -> None:
    """
    Make routes match whole paths only.

    Starlette ends its expressions with ``$``, which also matches before a line break at the end. A proxy that filters by
    path would then see another path than the one that is served.
    """
    for route in routes:
        if isinstance(route, Route | WebSocketRoute):
            route.path_regex = re.compile(route.path_regex.pattern.removesuffix("$") + r"\Z")


class Directory:
    """
    Finds the route of a request by the parts of its path. Looking through all routes in turn, as Starlette does, takes as long
    as all middleware together.

    The first route that fits is taken, as by Starlette, and everything else is left to it: sockets, the wrong method, no route.
    """

    def __init__(self, router: Router) -> None:
        self._router = router
        self._root = _Part()
        self._others: list[tuple[int, BaseRoute]] = []  # whose paths are not looked up by their parts
        for number, route in enumerate(router.routes):
            if isinstance(route, Route) and ":" not in route.path:
                self._root.add(route.path.split("/"), number, route)
            elif not isinstance(route, WebSocketRoute):
                self._others.append((number, route))

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Coroutine[Any, Any, None]:
        found = self.find(scope) if scope["type"] == "http" else None
        if found is None:
            return self._router.app(scope, receive, send)
        route, more = found
        scope.update(more, route=route, router=self._router)
        return route.handle(scope, receive, send)

    def find(self, scope: Scope) -> tuple[BaseRoute, Scope] | None:
        """Returns the route of a request, and what it adds to the scope."""
        for _, route in self._routes_at(get_route_path(scope)):
            match, more = route.matches(scope)
            if match is Match.FULL:
                return route, more
        return None

    def _routes_at(self, path: str) -> list[tuple[int, BaseRoute]]:
        """Returns the routes that may fit a path, in their order."""
        parts = [self._root]
        for name in path.split("/"):
            parts = [
                child
                for part in parts
                for child in (part.children.get(name), part.children.get(None))
                if child is not None
            ]
            if not parts:
                break
        found = [route for part in parts for route in part.routes] + self._others
        return sorted(found, key=itemgetter(0)) if len(parts) > 1 or self._others else found


@define(eq=False)
class _Part:
    """The routes whose paths begin alike."""

    children: dict[str | None, "_Part"] = Factory(dict)
    """By the next part of the path; None leads to those that have a parameter there."""
    routes: list[tuple[int, BaseRoute]] = Factory(list)
    """Those that end here, each with its place among all."""

    def add(self, names: Sequence[str], number: int, route: BaseRoute) -> None:
        if not names:
            self.routes.append((number, route))
            return
        first, *rest = names
        child = self.children.setdefault(None if "{" in first else first, _Part())
        child.add(rest, number, route)


def allowed_at(scope: Scope) -> list[str]:
    """Return every method of the path, sorted, for ``Allow`` (RFC 9110, 15.5.6)."""
    methods: set[str] = set()
    for route in scope["app"].routes:
        if isinstance(route, Route) and route.matches(scope)[0] is not Match.NONE:
            methods |= route.methods or set()
    return sorted(methods)


def upgrades(sockets: Iterable[BaseRoute]) -> list[Endpoint]:
    """Return an endpoint for the path of each WebSocket that answers plain HTTP requests with 426."""
    return [
        Endpoint("GET", each.path, ask_for_upgrade) for each in sockets if isinstance(each, WebSocketRoute)
    ]


async def ask_for_upgrade(request: Request) -> Response:
    return refusal_response(request.scope, UPGRADE_REQUIRED)


def redirect_slashes(router: Router) -> None:
    """
    Redirect a path without a route to the same path with or without a slash at its end, if that has one.

    Starlette does the same, but takes the host of ``Location`` from the ``Host`` header, which a client can choose and a
    proxy may have replaced. Here ``Location`` is a path without a host.
    """

    async def look_elsewhere(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not (elsewhere := _other_spelling(router, scope)):
            await router.not_found(scope, receive, send)
            return
        query = scope["query_string"].decode("latin-1")
        location = quoted(elsewhere)
        await RedirectResponse(f"{location}?{query}" if query else location)(scope, receive, send)

    router.redirect_slashes = False
    router.default = look_elsewhere


def _other_spelling(router: Router, scope: Scope) -> str | None:
    path = scope["path"]
    other = path.rstrip("/") if path.endswith("/") else f"{path}/"
    there = {**scope, "path": other}
    is_there = any(route.matches(there)[0] is not Match.NONE for route in router.routes)
    return other if is_there else None
