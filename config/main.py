"""
The console script `messenger`.

Signal handlers are installed before anything else is imported: process 1 of a container ignores a signal without a handler,
and a command that is stopped still stops the embedded database.
"""

import sys
from collections.abc import Callable

from config.signals import Stopped, end_by, hear_signals, leave_at_signals


def main() -> None:
    """Runs a command. A signal ends it in order: `messenger serve` with 0, others with 128 and the number of the signal."""
    serves = sys.argv[1:2] == ["serve"]
    leave_at_signals(lambda number: 0 if serves else 128 + number)
    run = _command_line()
    if serves:  # it hears signals itself, once it opens something
        run()
        return
    hear_signals()
    try:
        run()
    except Stopped as stopped:
        end_by(stopped)


def _command_line() -> Callable[[], object]:
    from config.streams import open_standard_streams  # noqa: PLC0415  # after signals are handled, here and below

    open_standard_streams()

    from config.quick_imports import quick_imports  # noqa: PLC0415

    with quick_imports():
        from logging import NullHandler, getLogger  # noqa: PLC0415

        from config.commands import commands  # noqa: PLC0415
        from interfaces.cli.main import command_line  # noqa: PLC0415

    # Nothing is logged until `serve` sets up logging: commands print what they have to say.
    getLogger().addHandler(NullHandler())
    return command_line(commands())


if __name__ == "__main__":
    main()
