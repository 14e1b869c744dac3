"""The command line's words and looks. What a command does, it is given."""

from collections.abc import Callable

import typer


def command_line(*, serve: Callable[[], None]) -> typer.Typer:
    line = typer.Typer(
        name="messenger",
        help="A messenger backend.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,  # they show local variables, secrets among them
    )
    line.callback()(_messenger)
    line.command("serve", help="Run the server until it is told to stop.")(serve)
    return line


def _messenger() -> None:
    """Makes a group of what would otherwise be one command without a name."""
