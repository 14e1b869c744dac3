"""
The console script `messenger`.

Signals are handled first: a process that gets SIGTERM while it still imports, which happens in containers, then ends at
once and cleanly.
"""

import sys

from config.stopping import Stopped, hear_signals


def main() -> None:
    """Handles signals for `messenger serve`. Other commands keep Python's default handling."""
    if "serve" not in sys.argv[1:2]:
        _command_line()
        return
    hear_signals()
    try:
        _command_line()
    except Stopped:
        sys.exit(0)


def _command_line() -> None:
    from logging import NullHandler, getLogger  # noqa: PLC0415  # after signals are handled, here and below

    from config.commands import commands  # noqa: PLC0415
    from config.start import serve  # noqa: PLC0415
    from interfaces.cli.main import command_line  # noqa: PLC0415

    # only `serve` sets up logs; other commands print their results
    getLogger().addHandler(NullHandler())
    command_line(commands(serve))()


if __name__ == "__main__":
    main()
