from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from interfaces.http.described import description_of
from interfaces.http.errors import Refusals

Handler = Callable[[Request], Awaitable[Response]]


class Endpoint(Route):
    """
    One method on one path. HEAD is a method of its own, which next to nothing here has: the original answers it with 405.

    ``refusals`` are what this route says in its own words, see `interfaces.http.errors`.
    """

    def __init__(self, method: str, path: str, handler: Handler, refusals: Refusals | None = None) -> None:
        super().__init__(path, handler, methods=[method])
        self.method = method
        self.methods = {method}
        self.refusals = refusals or {}
        self.described = description_of(handler)
        self.name_of_handler = handler.__qualname__
