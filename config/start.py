"""
Implements `messenger serve`: reads the settings, starts the server and stops it.

An error that prevents the start is reported in one line that names the setting and the cause. Checked are first the
settings, then the ports, then the database. Nothing is written before the ports are known to be free.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from logging import getLogger
from socket import socket
from typing import Final

from config import asgi
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

LAST_CALL_SECONDS: Final = 0.2
"""The same when stopping has taken too long already."""

DATABASE_SHARE: Final = 0.7
"""The share of the remaining time after which the embedded database is killed, so that there is time to say so."""

LOOPBACK: Final = ("127.", "::1", "localhost")


def serve(local: bool) -> None:
    """Serves until a signal. With ``local`` the environment is LOCAL unless the settings name one."""
    try:
        settings = load(os.environ, DOTENV, defaults={"ENVIRONMENT": "LOCAL"} if local else {})
    except WrongSettings as wrong:
        refuse(wrong, WRONG_START)
    lines, out = set_up(settings), Lines(sys.stdout.fileno(), most_waiting=MOST_PRINTED)
    # From here on nothing that prints can fail or block, whatever is behind the descriptors.
    sys.stdout, sys.stderr = (
        Printed(out.write, sys.stdout.fileno()),
        Printed(lines.write, sys.stderr.fileno()),
    )
    stopping = Stopping(settings.api.shutdown_seconds)
    stopping.last_acts.append(lambda: lines.close(LAST_CALL_SECONDS))
    stopping.watch()
    hear_signals(stopping.must_end)
    code = _code(settings, stopping, lines, out)
    ignore_signals()
    for each in (out, lines):
        each.close(min(LAST_WORDS_SECONDS, stopping.seconds_left / 3))
    # The interpreter would wait for threads that still work, and those may wait for a frozen disk.
    os._exit(code)


def _code(settings: Settings, stopping: Stopping, lines: Lines, out: Lines) -> int:
    """Serves, and returns the exit code."""
    try:
        _serve(settings, stopping, out)
    except Stopped:
        pass
    except (CannotStart, CannotListen, CannotStartPostgres, UnusableDatabase) as error:
        lines.write(refusal(error, settings))
        return WRONG_START
    except BackgroundFailed:
        return FAILED
    except Exception:
        log.exception("stopped by an error")
        return FAILED
    log.info("stopped")
    return 0 if stopping.is_in_order else NOT_IN_ORDER


def _serve(settings: Settings, stopping: Stopping, out: Lines) -> None:
    api = settings.api
    place = Place(host=api.host, port=api.port, host_setting="API_HOST", port_setting="API_SERVICE_PORT")
    sockets, metrics = place.bind(), _metrics_sockets(settings)
    if settings.local and not api.host.startswith(LOOPBACK):
        log.warning(
            "LOCAL accepts connections from other machines, and the password of its example people is published",
            extra={"host": api.host},
        )
    try:
        with _database(settings, stopping) as url:
            asgi.run(settings, url, place, sockets, metrics, stopping, show=out.write)
    finally:
        close([*sockets, *metrics])


@contextmanager
def _database(settings: Settings, stopping: Stopping) -> Iterator[str]:
    """Yields the URL of the database. The embedded one runs until the block ends."""
    if settings.database.url is not None:
        yield settings.database.url
        return
    postgres = EmbeddedPostgres(var_dir=settings.var_dir)
    stopping.last_acts.insert(0, postgres.kill)
    try:
        url = postgres.start()
        postgres.keep()
        yield url
    finally:
        # Another Ctrl-C would interrupt the stopping of the database server.
        ignore_signals()
        stopping.must_end()
        if not postgres.stop(DATABASE_SHARE * stopping.seconds_left):
            stopping.is_in_order = False


def _metrics_sockets(settings: Settings) -> Sequence[socket]:
    operation = settings.operation
    if operation.metrics_port is None:
        return ()
    return Place(
        host=operation.metrics_host,
        port=operation.metrics_port,
        host_setting="METRICS_HOST",
        port_setting="METRICS_PORT",
    ).bind()
