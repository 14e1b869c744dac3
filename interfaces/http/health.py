from typing import Final

from attrs import frozen
from starlette.requests import Request
from starlette.responses import Response

from application.errors import Unavailable
from application.messenger import Messenger
from interfaces.http.described import HEALTH, described
from interfaces.http.envelope import bare, success
from interfaces.http.options import HttpOptions
from interfaces.http.routes import Endpoint
from interfaces.wire import answers

OK: Final[answers.Health] = {"health": "ok"}

UNAVAILABLE: Final = "database unavailable"


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

    @described(
        summary="Whether storage answers, in the original messenger's shape",
        tag=HEALTH,
        answer=answers.Health,
        is_public=True,
        is_stored=False,
        otherwise={
            500: {
                "type": "object",
                "properties": {"status": {"const": "error"}, "error": {"const": UNAVAILABLE}},
                "required": ["status", "error"],
            }
        },
    )
    async def check(self, _: Request) -> Response:
        try:
            await self.messenger.probe()
        except Unavailable:
            return bare({"status": "error", "error": UNAVAILABLE}, 500)  # a text, no object: kept
        return success(OK)

    @described(
        summary="Whether the process answers: if not, restart it",
        tag=HEALTH,
        answer=answers.Health,
        is_public=True,
        is_stored=False,
    )
    async def is_alive(self, _: Request) -> Response:
        return success(OK)

    @described(
        summary="Whether what it depends on answers too: if not, send it no requests",
        tag=HEALTH,
        answer=answers.Health,
        is_public=True,
    )
    async def is_ready(self, _: Request) -> Response:
        await self.messenger.probe()
        return success(OK)
