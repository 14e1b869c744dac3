import sys
from collections.abc import Callable, Sequence
from typing import Annotated

import typer
from attrs import frozen

from application.importing.import_original import Imported
from application.ports.checkup import Examined, Finding
from interfaces.cli.looks import FOUND_SOMETHING, complain, confirm, progress, say, show, told

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@frozen(kw_only=True)
class Database:
    """What can be done to the database. Each raises `Refused` where it was not done."""

    name: Callable[[], str]
    """As people know it, without a password."""
    create: Callable[[], bool]
    """False: it was there."""
    migrate: Callable[[str], tuple[str, str]]
    """To a revision or ``head``: the one before, and the one now."""
    fill: Callable[[], None]
    drop: Callable[[bool], bool]
    """True: whoever is connected is cut off. Answers False where there was none."""
    check: Callable[[bool, Callable[[int, int], None]], Examined]
    """Whether to repair, and whom to tell how far it is."""
    import_original: Callable[[str, str | None, Callable[[int, int], None]], Imported]
    """From the database at a URL, with a password that the URL does not show; calls back with how much is done."""
    adopt: Callable[[], tuple[str, int]]
    """The new generation and base."""
    may_fill: Callable[[], bool]
    """Whether this is the place for people whose password everybody knows."""


def db_commands(database: Database) -> typer.Typer:
    line = typer.Typer(no_args_is_help=True, help="The database: make it, fill it, look after it.")

    @line.command()
    def create() -> None:
        """Make the database. Where it is there already, nothing happens."""
        with told():
            made = database.create()
            say(f"{_capital(database.name())} {'is made' if made else 'was there already'}.", "green")

    @line.command()
    def migrate(
        revision: Annotated[str, typer.Option(help="Up to this one instead of the newest.")] = "head",
    ) -> None:
        """Bring the tables to what this version needs. Starting the messenger does the same."""
        with told():
            before, after = database.migrate(revision)
            say(
                f"{database.name()}: {'already at' if before == after else f'from {before} to'} {after}.",
                "green",
            )

    @line.command()
    def fill() -> None:
        """Add people, chats and messages to try things with, and the reference lists. Again changes nothing. LOCAL only."""
        with told():
            database.fill()
            say(f"{_capital(database.name())} has its examples.", "green")

    @line.command()
    def drop(
        *,
        yes: Yes = False,
        force: Annotated[bool, typer.Option("--force", help="Cut off whoever is connected.")] = False,
    ) -> None:
        """Remove the database with everything in it."""
        with told():
            confirm(f"Remove {database.name()} with everything in it?", yes=yes)
            was_there = database.drop(force)
            say(f"{_capital(database.name())} {'is removed' if was_there else 'was not there'}.", "green")

    @line.command()
    def reset(
        *,
        yes: Yes = False,
        force: Annotated[bool, typer.Option("--force", help="Cut off whoever is connected.")] = False,
    ) -> None:
        """Remove the database and make it anew, in LOCAL with its examples."""
        with told():
            confirm(f"Remove {database.name()} with everything in it, and make it anew?", yes=yes)
            database.drop(force)
            database.create()
            _, revision = database.migrate("head")
            if database.may_fill():
                database.fill()
            say(f"{_capital(database.name())} is new, at {revision}.", "green")

    @line.command()
    def check(
        *,
        repair: Annotated[
            bool, typer.Option("--repair", help="Set right what can be, while everybody goes on.")
        ] = False,
    ) -> None:
        """
        Compare what is counted and numbered with what it is counted from: unread messages, heads, both logs, lists of
        chats. Exits with 3 where something is wrong and stays so.
        """
        with told():
            with progress("Looking") as tell:
                examined = database.check(repair, tell)
            _report(examined, repair=repair)

    @line.command()
    def adopt(*, yes: Yes = False) -> None:
        """
        After a restore, with every node stopped: begin a new line of history. Clients load their chats anew, and nothing
        that is written from now on can pass them by.
        """
        with told():
            confirm(f"Begin a new line of history on {database.name()}? Every node must be stopped.", yes=yes)
            generation, base = database.adopt()
            say(f"{_capital(database.name())} is adopted: generation {generation}, base {base}.", "green")

    @line.command(name="import")
    def import_original(
        source: Annotated[str, typer.Argument(help="postgresql://user@host/name")],
        *,
        password_stdin: Annotated[
            bool, typer.Option("--password-stdin", help="Read the password from standard input.")
        ] = False,
    ) -> None:
        """
        Bring in everything from a database of the original messenger: accounts with their passwords, profiles, chats,
        messages and read marks. That database is only read. Importing again adds what is new there; an import that was
        interrupted goes on.
        """
        with told():
            password = sys.stdin.readline().rstrip("\r\n") if password_stdin else None
            with progress("Importing") as tell:
                imported = database.import_original(source, password, tell)
            for note in imported.notes:
                say(note)
            say(
                f"{_capital(database.name())} has {imported.people} new people, {imported.chats} new chats,"
                f" {imported.messages} new messages and {imported.marks} new read marks.",
                "green",
            )

    return line


def _report(examined: Examined, *, repair: bool) -> None:
    _list("Set right:", examined.repaired)
    _list("Wrong:", examined.remaining)
    say(f"{examined.chats} chats and {examined.profiles} profiles were looked at.")
    if not examined.remaining:
        say("Everything is as it should be.", "green")
        return
    can_be = sum(finding.can_be_repaired for finding in examined.remaining)
    hint = "" if repair or not can_be else f", of which --repair sets {can_be} right"
    complain(f"{len(examined.remaining)} wrong{hint}.", FOUND_SOMETHING)


def _list(title: str, findings: Sequence[Finding]) -> None:
    if findings:
        say(title, "bold")
        show(
            ("what", "where", "found", "expected"),
            [(each.what, each.where, each.found, each.expected) for each in findings],
        )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
