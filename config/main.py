"""
The console script `messenger`.

Signal handlers are installed before anything else is imported: process 1 of a container ignores a signal without a handler,
and a command that is stopped still stops the embedded database.
"""

import os
import sys

from config.signals import Stopped, end_by, hear_signals


def main() -> None:
    """Runs a command. A signal ends it in order: `messenger serve` with 0, others with 128 and the number of the signal."""
    hear_signals()
    try:
        _command_line()
    except Stopped as stopped:
        if sys.argv[1:2] == ["serve"]:
            # Nothing is open yet, and the interpreter would take a third of a second to forget its modules.
            os._exit(0)
        end_by(stopped)


def _command_line() -> None:
    from config.streams import open_standard_streams  # noqa: PLC0415  # after signals are handled, here and below

    open_standard_streams()

    from config.quick_imports import quick_imports  # noqa: PLC0415

    with quick_imports():
        from logging import NullHandler, getLogger  # noqa: PLC0415

        from config.commands import commands  # noqa: PLC0415
        from interfaces.cli.main import command_line  # noqa: PLC0415

    # Nothing is logged until `serve` sets up logging: commands print what they have to say.
    getLogger().addHandler(NullHandler())
    command_line(commands())()


if __name__ == "__main__":
    main()
