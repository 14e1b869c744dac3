"""The console script `messenger`: settings, logs, a database, and what the command line asks for."""

import os
import signal
import sys
from logging import NullHandler, getLogger
from pathlib import Path
from types import FrameType
from typing import NoReturn

from config import asgi
from config.commands import commands
from config.logging import set_up
from config.settings.groups import Settings
from config.settings.load import WrongSettings, load
from infrastructure.postgres.driver.errors import UnusableDatabase
from infrastructure.postgres.server.embedded import CannotStartPostgres, EmbeddedPostgres
from interfaces.cli.main import command_line

log = getLogger(__name__)

WRONG_START = 2
"""The exit code for settings that cannot hold and a database that cannot start."""


def main() -> None:
    # until `serve` sets them up, logs go nowhere: what a command has to say, it says
    getLogger().addHandler(NullHandler())
    command_line(commands(serve))()


def serve() -> None:
    try:
        settings = load(os.environ, Path(".env"))
    except WrongSettings as wrong:
        _refuse(wrong)
    lines = set_up(settings)
    # Uvicorn puts these back when it has stopped and raises the signal again. By default SIGTERM would then end the
    # process on the spot, and SIGINT is ignored where a shell started us in the background.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    try:
        _serve(settings)
    except _Stopped:
        log.info("stopped")
    except (CannotStartPostgres, UnusableDatabase) as error:
        lines.close()
        _refuse(error)
    except Exception:
        log.exception("stopped by an error")
        lines.close()
        sys.exit(1)
    lines.close()


def _serve(settings: Settings) -> None:
    if settings.database.url is not None:
        asgi.run(settings, settings.database.url)
        return
    postgres = EmbeddedPostgres(var_dir=settings.var_dir)
    try:
        asgi.run(settings, postgres.start())
    finally:
        # Once more Ctrl-C would leave the server to itself in the middle of its stop.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        postgres.stop()


def _refuse(why: Exception) -> NoReturn:
    sys.stderr.write(f"{why}\n")
    sys.exit(WRONG_START)


class _Stopped(BaseException):
    """A signal asked for the end; passes by everything that catches errors."""


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise _Stopped


if __name__ == "__main__":
    main()
