"""
The console script `messenger`.

Signals come first: a process that is asked to end while it still imports, as in a container it well may be, ends at once
and in order.
"""

import sys

from config.stopping import Stopped, hear_signals


def main() -> None:
    """`messenger serve` hears signals from here on; other commands are interrupted as programs usually are."""
    if "serve" not in sys.argv[1:2]:
        _command_line()
        return
    hear_signals()
    try:
        _command_line()
    except Stopped:
        sys.exit(0)


def _command_line() -> None:
    from logging import NullHandler, getLogger  # noqa: PLC0415  # after signals are heard, here and below

    from config.commands import commands  # noqa: PLC0415
    from config.start import serve  # noqa: PLC0415
    from interfaces.cli.main import command_line  # noqa: PLC0415

    # until `serve` sets them up, logs go nowhere: what a command has to say, it says
    getLogger().addHandler(NullHandler())
    command_line(commands(serve))()


if __name__ == "__main__":
    main()
