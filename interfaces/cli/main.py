"""The command line: its commands, options and texts. The functions that do the work are passed in as `Commands`."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer
from attrs import frozen

from interfaces.cli.db import Database, db_commands
from interfaces.cli.looks import say, show, told
from interfaces.cli.users import Users, user_commands


@frozen(kw_only=True)
class EffectiveSetting:
    """A setting with its value and where the value came from. Does not contain the value of a secret."""

    name: str
    value: str
    source: str


@frozen(kw_only=True)
class Commands:
    """
    The functions behind the commands. Each raises `CommandRefused` if it cannot be done. None is called, and nothing that
    it needs is imported, before its command runs.
    """

    version: Callable[[], str]
    """Returns one line about this build."""
    serve: Callable[[bool, str | None], None]
    """Takes whether the environment is LOCAL unless the settings name one, and the number of workers if it is given."""
    database: Callable[[], Database]
    users: Callable[[], Users]
    create_module: Callable[[str], Sequence[Path]]
    """Takes the name of a module and returns the files that were created."""
    try_mail: Callable[[str], str]
    """Takes an address, sends a letter to it, and returns a sentence about the result."""
    settings: Callable[[], Sequence[EffectiveSetting]]


def command_line(commands: Commands) -> typer.Typer:
    line = typer.Typer(
        name="messenger",
        help="A messenger backend.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,  # they show local variables, secrets among them
    )

    def show_version(asked: bool) -> None:
        if asked:
            say(commands.version())
            raise typer.Exit

    @line.callback()
    def messenger(
        *,
        version: Annotated[
            bool,
            typer.Option(
                "--version", help="Show the version and exit.", callback=show_version, is_eager=True
            ),
        ] = False,
    ) -> None:
        """Commands exit with 0 when done, 1 when not, 2 on wrong usage or settings, 3 when `db check` found something."""

    @line.command()
    def serve(
        *,
        local: Annotated[
            bool, typer.Option("--local", help="ENVIRONMENT is LOCAL unless the settings say otherwise.")
        ] = False,
        workers: Annotated[
            str | None,
            typer.Option(
                "--workers", metavar="N", help="Processes that share the port, or auto: one for each core."
            ),
        ] = None,
    ) -> None:
        """Run the server until a signal stops it."""
        commands.serve(local, workers)

    line.add_typer(db_commands(commands.database), name="db")
    line.add_typer(user_commands(commands.users), name="user")
    line.add_typer(_module_commands(commands.create_module), name="module")
    line.add_typer(_mail_commands(commands.try_mail), name="mail")

    @line.command()
    def settings() -> None:
        """Show the settings in force, and where each value came from. Secrets are not shown."""
        with told():
            rows = [(each.name, each.value, each.source) for each in commands.settings()]
            show(("name", "value", "from"), rows)

    return line


def _module_commands(create_module: Callable[[str], Sequence[Path]]) -> typer.Typer:
    line = typer.Typer(no_args_is_help=True, help="Modules: features that can be switched off.")

    @line.command()
    def create(
        name: Annotated[
            str, typer.Argument(help="A noun in the plural: notes, bookmarks.", show_default=False)
        ],
    ) -> None:
        """Create the files of a feature in all layers: domain, use cases, port, both storages, routes, a migration, tests."""
        with told():
            for path in create_module(name):
                say(str(path))
            switch = f"Add {name.removesuffix('_module')} to MODULES_SECTION_ENABLED_MODULES to switch it on."
            say(f"{switch} `make diagram` draws its table into docs/database.md.", "green")

    return line


def _mail_commands(try_mail: Callable[[str], str]) -> typer.Typer:
    line = typer.Typer(no_args_is_help=True, help="Test the sending of letters.")

    @line.command("try")
    def try_(
        address: Annotated[str, typer.Argument(help="The recipient.", show_default=False)],
    ) -> None:
        """Send a test letter through the configured mail server."""
        with told():
            say(try_mail(address), "green")

    return line
