"""
The console script `messenger`.

Signal handlers are installed first, so that a process that is stopped while it still imports ends at once and in order.
"""

import sys

from config.stopping import Stopped, hear_signals


def main() -> None:
    """Runs a command. `messenger serve` handles signals from here on; other commands keep the usual handlers."""
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

    # Nothing is logged until `serve` sets up logging: commands print what they have to say.
    getLogger().addHandler(NullHandler())
    command_line(commands(serve))()


if __name__ == "__main__":
    main()
