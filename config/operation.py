"""Metrics and the detailed health check, for operators."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from pathlib import Path
from socket import socket
from typing import Any, Final

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from application.meter import Meter
from config.build import this_build
from config.container import Application, PostgresAdapters
from config.crew import Orders
from config.server import SideServer
from config.settings.groups import Operation, Settings
from infrastructure.metered import measure_loop_lag
from infrastructure.postgres.driver.state import batches_state, engine_state, reads_state
from infrastructure.prometheus.meter import MEDIA_TYPE, PrometheusMeter
from infrastructure.prometheus.summing import SharedFigures
from interfaces.http.health import Details
from interfaces.http.metering import Metrics
from interfaces.http.options import HttpOptions

Running = Callable[[], Coroutine[Any, Any, None]]

LEAST_DISK: Final = 64 * 1024 * 1024
"""In bytes. With less, PostgreSQL is about to stop."""


def make_meter(adapters: PostgresAdapters) -> PrometheusMeter:
    """A meter that also tells which build this is, and how its database connections are used."""
    meter, build = PrometheusMeter(), this_build()
    meter.describe_build(version=build.version, revision=build.revision, python=build.python)
    pools = {
        "work": lambda: engine_state(adapters.engine()),
        "reads": lambda: reads_state(adapters.read_pool()),
        "batches": lambda: batches_state(
            adapters.posting_connection(),
            adapters.patient_posting_connection(),
            adapters.marking_connection(),
        ),
    }
    if (replica := adapters.replica()) is not None:
        pools["replica"] = lambda: reads_state(replica.pool)
        meter.watch_pages(lambda: {"replica": replica.reads, "primary": replica.passed_by})
    meter.watch_pools(pools)
    return meter


def lag_measuring(operation: Operation, meter: Meter) -> list[Callable[[], Coroutine[Any, Any, None]]]:
    """The background task that measures the event loop's lag; none if nobody can read the metrics."""
    if not isinstance(meter, PrometheusMeter) or not (operation.metrics_port or operation.metrics_token):
        return []
    return [lambda: measure_loop_lag(meter.loop_lagged)]


Text = Callable[[], Awaitable[bytes]]
"""Returns the metrics of all processes."""


def metrics_text(meter: Meter, orders: Orders | None) -> tuple[Text | None, list[Running]]:
    """
    The metrics of this process, or of all workers if it is one of several, and what has to run for it; None if nothing is
    measured.
    """
    if not isinstance(meter, PrometheusMeter):
        return None, []
    figures = meter
    if orders is None:

        async def text() -> bytes:
            return figures.text()

        return text, []
    shared = SharedFigures(figures.text, orders.figures[orders.number], orders.figures)
    return shared.text, [shared.run]


def metrics_routes(operation: Operation, text: Text | None, options: HttpOptions) -> Sequence[BaseRoute]:
    """`/metrics` on the messenger's own port, for clients with the token; no route if no token is set."""
    if operation.metrics_token is None or text is None:
        return ()
    return Metrics(text, MEDIA_TYPE, operation.metrics_token, options).routes()


def metrics_server(sockets: Sequence[socket], text: Text | None) -> SideServer | None:
    """`/metrics` on a port of its own, which only the scraper should reach; None without ``sockets``."""
    if not sockets or text is None:
        return None
    told = text

    async def show(_: Request) -> Response:
        return Response(await told(), media_type=MEDIA_TYPE)

    return SideServer(
        uvicorn.Config(
            Starlette(routes=[Route("/metrics", show)]),
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=1,
        ),
        sockets,
    )


def health_details(application: Application, settings: Settings) -> Details:
    messenger, build = application.messenger(), this_build()

    async def disk() -> None:
        await asyncio.to_thread(_check_disk, settings.var_dir)

    return Details(
        version=build.version,
        revision=build.revision,
        now=application.ports().clock.now,
        checks={"database": messenger.probe, "cursor": messenger.feed.changes.now, "disk": disk},
        timeout=settings.operation.check_seconds,
    )


def _check_disk(folder: Path) -> None:
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    if shutil.disk_usage(nearest).free < LEAST_DISK:
        raise OSError("the disk is nearly full")
