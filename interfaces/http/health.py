from attrs import frozen
from starlette.requests import Request
from starlette.responses import Response

from application.errors import Unavailable
from application.messenger import Messenger
from interfaces.http.envelope import bare, success
from interfaces.http.options import HttpOptions
from interfaces.http.routes import Endpoint

OK = {"health": "ok"}


@frozen
class Health:
    """
    ``/healthcheck/`` as in the original messenger. ``/livez``: the process answers, do not restart it. ``/readyz``: what
    it depends on answers too, send it requests.
    """

    messenger: Messenger
    options: HttpOptions

    def routes(self) -> list[Endpoint]:
        prefix = self.options.prefix
        return [
            Endpoint("GET", f"{prefix}/healthcheck/", self.check),
            Endpoint("GET", f"{prefix}/livez", self.is_alive),
            Endpoint("GET", f"{prefix}/readyz", self.is_ready),
        ]

    async def check(self, _: Request) -> Response:
        try:
            await self.messenger.probe()
        except Unavailable:
            return bare({"status": "error", "error": "database unavailable"}, 500)  # a text, no object: kept
        return success(OK)

    async def is_alive(self, _: Request) -> Response:
        return success(OK)

    async def is_ready(self, _: Request) -> Response:
        await self.messenger.probe()
        return success(OK)
