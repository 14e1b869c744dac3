import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Final

from attrs import Factory, frozen
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from application.errors import Unavailable
from application.messenger import Messenger
from interfaces.http.described import HEALTH, described
from interfaces.http.envelope import bare, success
from interfaces.http.options import HttpOptions
from interfaces.http.routes import Endpoint
from interfaces.throttled import ThrottledWarning
from interfaces.wire import answers
from interfaces.wire.codec import Json

OK: Final[answers.HealthReport] = {"health": "ok"}

UNAVAILABLE: Final = "database unavailable"

LIVE: Final = "/livez"
READY: Final = "/readyz"

LEAVING_SECONDS: Final = 5.0
"""``Retry-After`` of a node that is shutting down, in seconds: the earliest time at which it could be back."""


def probe_paths(options: HttpOptions) -> frozenset[str]:
    """The paths that machines ask for every few seconds."""
    below = ("/healthcheck/", "/healthcheck/detailed", "/metrics", LIVE, READY)
    return frozenset({LIVE, READY, *(f"{options.prefix}{path}" for path in below)})


@frozen(kw_only=True)
class Details:
    """The contents of the detailed health check."""

    version: str
    revision: str | None
    """The revision of the sources; None if it is unknown."""
    now: Callable[[], datetime]
    checks: Mapping[str, Callable[[], Awaitable[object]]]
    """Checks by name. A check raises when something is wrong; the answer omits its text, which may contain hosts and paths."""
    timeout: float = 5.0
    """Seconds after which a check has failed."""


@frozen
class Health:
    """``/healthcheck/`` as in the original messenger, and a detailed health check if it is switched on."""

    messenger: Messenger
    options: HttpOptions
    details: Details | None = None

    def routes(self) -> list[Endpoint]:
        at = f"{self.options.prefix}/healthcheck/"
        routes = [Endpoint("GET", at, self.check)]
        if self.details is not None:
            routes.append(Endpoint("GET", f"{at}detailed", self.check_in_detail))
        return routes

    @described(
        summary="Tell whether storage answers, in the original messenger's format",
        description="Its error is a text, not an object. Orchestrators take `/livez` and `/readyz` instead.",
        tag=HEALTH,
        answer=answers.HealthReport,
        is_public=True,
        is_stored=False,
        otherwise={
            500: {
                "type": "object",
                "properties": {
                    "status": {"const": "error", "description": "Always `error`"},
                    "error": {"const": UNAVAILABLE, "description": "What went wrong"},
                },
                "required": ["status", "error"],
            }
        },
    )
    async def check(self, _: Request) -> Response:
        try:
            await self.messenger.probe()
        except Unavailable:
            # In the original, ``error`` is a text here, not an object.
            return bare({"status": "error", "error": UNAVAILABLE}, 500)
        return success(OK)

    async def check_in_detail(self, _: Request) -> Response:
        assert self.details is not None, "else there is no such route"
        names = list(self.details.checks)
        found = await asyncio.gather(*(self._look(self.details, name) for name in names))
        is_well = all(one["status"] == "ok" for one in found)
        report = {
            "status": "ok" if is_well else "error",
            "timestamp": self.details.now().replace(tzinfo=None).isoformat(),
            "version": self.details.version,
            "revision": self.details.revision,
            "checks": dict(zip(names, found, strict=True)),
        }
        if is_well:
            return success(report)
        return bare(
            {"status": "error", "error": {"code": "UNHEALTHY", "message": "Unhealthy", **report}}, 503
        )

    async def _look(self, details: Details, name: str) -> Json:
        loop = asyncio.get_running_loop()
        began = loop.time()
        status = "ok"
        try:
            async with asyncio.timeout(details.timeout):
                await details.checks[name]()
        except Exception:  # noqa: BLE001 - a check may fail in any way
            status = "error"
        return {"status": status, "milliseconds": round((loop.time() - began) * 1000, 1)}


@frozen
class Probes:
    """
    Probes for orchestrators and load balancers.

    ``/livez`` succeeds while the process answers and need not be restarted. ``/readyz`` succeeds while its database also
    accepts writes and the process is not shutting down, so that it may be sent requests. They stay where they are when the
    interface has a prefix, and are below the prefix too.
    """

    messenger: Messenger
    options: HttpOptions
    is_leaving: Callable[[], bool]
    leaving: ThrottledWarning = Factory(
        lambda: ThrottledWarning("The process is stopping: /readyz answers 503", seconds=60.0)
    )

    def routes(self) -> list[BaseRoute]:
        routes: list[BaseRoute] = [
            Endpoint("GET", LIVE, self.is_alive),
            Endpoint("GET", READY, self.is_ready),
        ]
        if prefix := self.options.prefix:
            routes += [
                Route(f"{prefix}{LIVE}", self.is_alive, methods=["GET"]),
                Route(f"{prefix}{READY}", self.is_ready, methods=["GET"]),
            ]
        return routes

    @described(
        summary="Tell whether the process answers: if not, restart it",
        description="Asks nothing but the process itself.",
        tag=HEALTH,
        answer=answers.HealthReport,
        is_public=True,
        is_stored=False,
    )
    async def is_alive(self, _: Request) -> Response:
        return success(OK)

    @described(
        summary="Tell whether the process and its database answer: if not, send it no requests",
        description="Also 503 while the process is shutting down.",
        tag=HEALTH,
        answer=answers.HealthReport,
        is_public=True,
    )
    async def is_ready(self, _: Request) -> Response:
        if self.is_leaving():
            self.leaving.warn()
            raise Unavailable("leaving", retry_after=LEAVING_SECONDS)
        await self.messenger.probe()
        return success(OK)
