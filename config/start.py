"""
Implements `messenger serve`: reads the settings, starts the server and stops it.

An error that prevents the start is reported in one line that names the setting and the cause. Checked are first the
settings, then the ports, then the database. Nothing is written before the ports are known to be free.
"""

import asyncio
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from logging import LogRecord, getLogger
from socket import socket
from typing import Final, NoReturn

from config import asgi
from config.crew import WORKERS_SHARE, Crew, Orders, WorkerFailed
from config.listening import CannotListen, Place, close
from config.logging import Lines, set_up
from config.refusals import CannotStart, refusal
from config.server import BackgroundFailed
from config.settings.groups import Settings
from config.settings.load import load
from config.settings.texts import DOTENV, WrongSettings
from config.signals import Stopped, hear_signals, ignore_signals
from config.stopping import NOT_IN_ORDER, Stopping, refuse
from config.streams import Printed
from infrastructure.postgres.driver.errors import UnusableDatabase
from infrastructure.postgres.server.embedded import CannotStartPostgres, EmbeddedPostgres

log: Final = getLogger(__name__)

FAILED: Final = 1
WRONG_START: Final = 2
"""The exit code for an error that prevents the start."""

MOST_PRINTED: Final = 1000
"""In lines. Beyond that, what is printed is dropped while nobody reads it."""

LAST_WORDS_SECONDS: Final = 1.0
"""How long the last lines may take to be written."""

LAST_CALL_SECONDS: Final = 0.1
"""The same when stopping has taken too long already."""

DATABASE_SHARE: Final = 0.7
"""The share of the remaining time after which the embedded database is killed, so that there is time to say so."""

LEAST_CONNECTIONS: Final = 50
CONNECTIONS_BESIDE_POOL: Final = 15
"""More than the dozen that a worker opens besides its pool."""

LOOPBACK: Final = ("127.", "::1", "localhost")


def serve(local: bool, workers: str | None = None) -> None:
    """
    Serves until a signal. With ``local`` the environment is LOCAL unless the settings name one. ``workers`` wins over
    the setting.
    """
    environ = {**os.environ, **({"API_WORKERS": workers} if workers else {})}
    try:
        settings = load(environ, DOTENV, defaults={"ENVIRONMENT": "LOCAL"} if local else {})
    except WrongSettings as wrong:
        refuse(wrong, WRONG_START)
    lines, out = _streams(settings)
    _end(
        settings, settings.api.shutdown_seconds, lines, out, lambda stopping: _serve(settings, stopping, out)
    )


def work(orders: Orders) -> None:
    """Serves as one of several workers, until the parent says otherwise."""
    settings = orders.settings
    lines, out = _streams(settings)
    lines.addFilter(partial(_name_worker, orders.number))

    def serve_as_told(stopping: Stopping) -> None:
        sockets = [socket(fileno=each) for each in orders.sockets]
        metrics = [socket(fileno=each) for each in orders.metrics_sockets]
        try:
            asgi.run(
                settings,
                orders.database_url,
                orders.place,
                sockets,
                metrics,
                stopping,
                show=out.write,
                orders=orders,
            )
        finally:
            close([*sockets, *metrics])

    _end(settings, WORKERS_SHARE * settings.api.shutdown_seconds, lines, out, serve_as_told)


def _name_worker(number: int, record: LogRecord) -> bool:
    record.worker = number
    return True


def _streams(settings: Settings) -> tuple[Lines, Lines]:
    """Sets up the log and the output. From here on nothing that prints can fail or block."""
    out = Lines(sys.stdout.fileno(), most_waiting=MOST_PRINTED)
    lines = set_up(settings, after=out)
    sys.stdout, sys.stderr = (
        Printed(out.write, sys.stdout.fileno()),
        Printed(lines.write, sys.stderr.fileno()),
    )
    return lines, out


def _end(
    settings: Settings, seconds: float, lines: Lines, out: Lines, serve: Callable[[Stopping], None]
) -> NoReturn:
    """Serves, and ends the process with the exit code that says how it went."""
    stopping = Stopping(seconds)
    stopping.last_acts.append(lambda: lines.close(LAST_CALL_SECONDS))
    stopping.watch()
    hear_signals(stopping.must_end)
    code = _code(settings, stopping, lines, serve)
    ignore_signals()
    for each in (out, lines):
        each.close(min(LAST_WORDS_SECONDS, stopping.seconds_left / 3))
    # The interpreter would wait for threads that still work, and those may wait for a frozen disk.
    os._exit(code)


def _code(settings: Settings, stopping: Stopping, lines: Lines, serve: Callable[[Stopping], None]) -> int:
    """Serves, and returns the exit code."""
    try:
        serve(stopping)
    except Stopped:
        pass
    except (CannotStart, CannotListen, CannotStartPostgres, UnusableDatabase) as error:
        lines.write(refusal(error, settings))
        return WRONG_START
    except BackgroundFailed:
        return FAILED
    except WorkerFailed as failed:
        return failed.code or FAILED
    except Exception:
        log.exception("stopped by an error")
        return FAILED
    log.info("stopped")
    return 0 if stopping.is_in_order else NOT_IN_ORDER


def _serve(settings: Settings, stopping: Stopping, out: Lines) -> None:
    api = settings.api
    place = Place(host=api.host, port=api.port, host_setting="API_HOST", port_setting="API_SERVICE_PORT")
    metrics_place = _metrics_place(settings)
    sockets, metrics = place.bind(), metrics_place.bind() if metrics_place else ()
    if settings.local and not api.host.startswith(LOOPBACK):
        log.warning(
            "LOCAL accepts connections from other machines, and the password of its example people is published",
            extra={"host": api.host},
        )
    try:
        with _database(settings, stopping) as url:
            if api.workers == 1:
                asgi.run(settings, url, place, sockets, metrics, stopping, show=out.write)
                return
            asgi.prepare(settings, url, stopping)
            close([*sockets, *metrics])  # they have shown that the ports are free
            crew = Crew(
                settings=settings,
                database_url=url,
                place=place,
                metrics_place=metrics_place,
                stopping=stopping,
                when_started=lambda: out.write(asgi.invitation(settings)) if settings.local else None,
            )
            asyncio.run(crew.run())
    finally:
        close([*sockets, *metrics])


def most_connections(settings: Settings) -> int:
    """Returns how many connections the embedded database must accept, so that the pools of all workers fit."""
    per_worker = settings.database.pool_size + CONNECTIONS_BESIDE_POOL
    return max(LEAST_CONNECTIONS, per_worker * settings.api.workers)


@contextmanager
def _database(settings: Settings, stopping: Stopping) -> Iterator[str]:
    """Yields the URL of the database. The embedded one runs until the block ends."""
    if settings.database.url is not None:
        yield settings.database.url
        return
    postgres = EmbeddedPostgres(
        var_dir=settings.var_dir,
        options={"max_connections": str(most_connections(settings))},
        stop_seconds=lambda: DATABASE_SHARE * stopping.seconds_left,
    )
    stopping.last_acts.insert(0, postgres.kill)
    try:
        url = postgres.start()
        postgres.keep()
        yield url
    finally:
        # Another Ctrl-C would interrupt the stopping of the database server.
        ignore_signals()
        stopping.must_end()
        if not postgres.stop():
            stopping.is_in_order = False


def _metrics_place(settings: Settings) -> Place | None:
    operation = settings.operation
    if operation.metrics_port is None:
        return None
    return Place(
        host=operation.metrics_host,
        port=operation.metrics_port,
        host_setting="METRICS_HOST",
        port_setting="METRICS_PORT",
    )
