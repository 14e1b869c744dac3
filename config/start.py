"""
Implements `messenger serve`: reads the settings, starts the server and stops it.

An error that prevents the start is reported in one line that names the setting and the cause. Checked are first the
settings, then the ports, then the database. Nothing is written before the ports are known to be free.
"""

import os
import sys
from collections.abc import Sequence
from logging import getLogger
from pathlib import Path
from socket import socket
from typing import Final

from config import asgi
from config.listening import CannotListen, Place, close
from config.logging import set_up
from config.refusals import CannotStart, refusal
from config.server import BackgroundFailed
from config.settings.groups import Settings
from config.settings.load import WrongSettings, load
from config.stopping import Stopped, Stopping, hear_signals, ignore_signals, refuse
from infrastructure.postgres.driver.errors import UnusableDatabase
from infrastructure.postgres.server.embedded import CannotStartPostgres, EmbeddedPostgres

log: Final = getLogger(__name__)

DOTENV: Final = Path(".env")

FAILED: Final = 1
WRONG_START: Final = 2
"""The exit code for an error that prevents the start."""

LOOPBACK: Final = ("127.", "::1", "localhost")


def serve(local: bool) -> None:
    """Serves until a signal. With ``local`` the environment is LOCAL unless the settings name one."""
    try:
        settings = load(os.environ, DOTENV, defaults={"ENVIRONMENT": "LOCAL"} if local else {})
    except WrongSettings as wrong:
        refuse(wrong, WRONG_START)
    lines = set_up(settings)
    stopping = Stopping(settings.api.shutdown_seconds, last_words=lines.close)
    hear_signals(stopping.must_end)
    code, why = 0, ""
    try:
        _serve(settings, stopping)
    except Stopped:
        log.info("stopped")
    except (CannotStart, CannotListen, CannotStartPostgres, UnusableDatabase) as error:
        code, why = WRONG_START, refusal(error, settings)
    except BackgroundFailed:
        code = FAILED
    except Exception:
        log.exception("stopped by an error")
        code = FAILED
    stopping.ended()
    lines.close()
    if why:
        refuse(why, code)
    sys.exit(code)


def _serve(settings: Settings, stopping: Stopping) -> None:
    api = settings.api
    place = Place(host=api.host, port=api.port, host_setting="API_HOST", port_setting="API_SERVICE_PORT")
    sockets, metrics = place.bind(), _metrics_sockets(settings)
    if settings.local and not api.host.startswith(LOOPBACK):
        log.warning(
            "LOCAL accepts connections from other machines, and the password of its example people is published",
            extra={"host": api.host},
        )
    try:
        if settings.database.url is not None:
            asgi.run(settings, settings.database.url, place, sockets, metrics, stopping)
            return
        postgres = EmbeddedPostgres(var_dir=settings.var_dir)
        try:
            asgi.run(settings, postgres.start(), place, sockets, metrics, stopping)
        finally:
            # Another Ctrl-C would interrupt the stopping of the database server.
            ignore_signals()
            stopping.ended()
            postgres.stop(max(api.shutdown_seconds, 1.0))
    finally:
        close([*sockets, *metrics])


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
