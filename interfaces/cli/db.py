import sys
from collections.abc import Callable, Sequence
from typing import Annotated

import typer
from attrs import frozen

from application.checkup import Examined, Finding
from application.importing.imported import Imported
from interfaces.cli.looks import FOUND_SOMETHING, WRONG, confirm, fail, progress, say, show, told

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@frozen(kw_only=True)
class DumpSummary:
    """The contents of a dump in numbers."""

    rows: int
    tables: int
    revision: str
    made_at: str
    """ISO 8601 in UTC."""
    size: int
    """Bytes."""

    def __str__(self) -> str:
        size = f"{self.size / 1e6:.1f} MB" if self.size >= 1e5 else f"{self.size / 1e3:.1f} kB"
        return f"{self.rows} rows of {self.tables} tables at revision {self.revision} ({size})"


@frozen(kw_only=True)
class Database:
    """The operations on the database. Each raises `CommandRefused` if it cannot be done."""

    name: Callable[[], str]
    """Returns a readable name of the database, without a password."""
    create: Callable[[], bool]
    """Returns False if the database already exists."""
    migrate: Callable[[str], tuple[str, str]]
    """Migrates to a revision, or to the newest ones with ``heads``; returns the revisions before and after."""
    fill: Callable[[], None]
    drop: Callable[[bool], bool]
    """Takes whether to cut off other connections. Returns False if there was no database."""
    check: Callable[[bool, Callable[[int, int], None]], Examined]
    """Takes whether to repair, and a callback for the progress (done, total)."""
    import_original: Callable[[str, str | None, Callable[[int, int], None]], Imported]
    """Takes the source's URL, its password if the URL has none, and a callback for the progress (done, total)."""
    adopt: Callable[[], tuple[str, int]]
    """Returns the new generation and base."""
    dump: Callable[[str, Callable[[int, int], None]], DumpSummary]
    """Takes the new file, or ``-`` for standard output, and a callback for the progress (done, total)."""
    restore: Callable[[str, bool, Callable[[int, int], None]], DumpSummary]
    """Takes the file, or ``-`` for standard input, whether to replace data, and a callback for the progress (done, total)."""
    distribution: Callable[[], Sequence[str]]
    """Returns the statements that divide the tables over the nodes of a Citus cluster."""
    distribute: Callable[[Callable[[int, int], None]], int]
    """Divides the tables, and returns how many were not divided yet."""
    may_fill: Callable[[], bool]
    """Returns whether the environment permits example people, whose password is published."""


def db_commands(database: Callable[[], Database]) -> typer.Typer:
    line = typer.Typer(
        no_args_is_help=True, help="Create, migrate, fill, check, dump, restore and remove the database."
    )

    @line.command()
    def create() -> None:
        """Create the database. An existing database stays unchanged."""
        with told():
            made = database().create()
            say(f"{_capital(database().name())} {'is created' if made else 'exists already'}.", "green")

    @line.command()
    def migrate(
        revision: Annotated[
            str, typer.Option(help="Migrate to this revision instead of the newest.")
        ] = "heads",
    ) -> None:
        """Migrate the tables to the schema of this version. Starting the messenger does the same."""
        with told():
            before, after = database().migrate(revision)
            say(
                f"{database().name()}: {'already at' if before == after else f'from {before} to'} {after}.",
                "green",
            )

    @line.command()
    def fill() -> None:
        """Add example people, chats and messages, and the reference lists. Can be repeated. LOCAL only."""
        with told():
            database().fill()
            say(f"{_capital(database().name())} has its examples.", "green")

    @line.command()
    def drop(
        *,
        yes: Yes = False,
        force: Annotated[bool, typer.Option("--force", help="Cut off other connections.")] = False,
    ) -> None:
        """Remove the database with everything in it."""
        with told():
            confirm(f"Remove {database().name()} with everything in it?", yes=yes)
            was_there = database().drop(force)
            say(f"{_capital(database().name())} {'is removed' if was_there else 'was not there'}.", "green")

    @line.command()
    def reset(
        *,
        yes: Yes = False,
        force: Annotated[bool, typer.Option("--force", help="Cut off other connections.")] = False,
    ) -> None:
        """Remove the database and create it again, in LOCAL with the examples."""
        with told():
            confirm(f"Remove {database().name()} with everything in it, and create it again?", yes=yes)
            database().drop(force)
            database().create()
            _, revision = database().migrate("heads")
            if database().may_fill():
                database().fill()
            say(f"{_capital(database().name())} is new, at {revision}.", "green")

    @line.command()
    def check(
        *,
        repair: Annotated[
            bool, typer.Option("--repair", help="Repair what can be repaired, while the messenger runs.")
        ] = False,
    ) -> None:
        """
        Compare counters and numbers with the data that they summarize: unread messages, heads, both logs, lists of chats.
        Exits with 3 if something is wrong and was not repaired.
        """
        with told():
            with progress("Checking") as tell:
                examined = database().check(repair, tell)
            _report(examined, repair=repair)

    @line.command()
    def dump(
        file: Annotated[
            str, typer.Argument(help="The new file, or - for standard output.", show_default=False)
        ],
    ) -> None:
        """
        Dump everything into a file, which only this user can read. The messenger may run meanwhile: the dump is of one moment.
        """
        with told():
            with progress("Dumping") as tell:
                made = database().dump(file, tell)
            where = "standard output" if file == "-" else file
            say(f"{_capital(database().name())} is dumped to {where}: {made}.", "green", stderr=file == "-")

    @line.command()
    def restore(
        file: Annotated[
            str, typer.Argument(help="A file of `db dump`, or - for standard input.", show_default=False)
        ],
        *,
        replace: Annotated[
            bool, typer.Option("--replace", help="Replace the data that the database has.")
        ] = False,
        yes: Yes = False,
    ) -> None:
        """
        Restore a dump into the database, and begin a new line of history: clients load their chats again. Every node must be
        stopped. If anything fails, the database stays as it was.
        """
        with told():
            if replace:
                if file == "-" and not yes:
                    fail("Standard input carries the dump and cannot answer a question: give --yes.", WRONG)
                confirm(f"Replace everything in {database().name()} by {file}?", yes=yes)
            with progress("Restoring") as tell:
                restored = database().restore(file, replace, tell)
            say(f"{_capital(database().name())} is restored to {restored.made_at}: {restored}.", "green")
            say(
                "Clients load their chats again. `messenger serve` or `messenger db migrate` migrates the tables if needed."
            )

    @line.command()
    def adopt(*, yes: Yes = False) -> None:
        """
        Begin a new line of history after a restore. Every node must be stopped. Clients load their chats again, and miss
        nothing that is written from then on.
        """
        with told():
            confirm(
                f"Begin a new line of history on {database().name()}? Every node must be stopped.", yes=yes
            )
            generation, base = database().adopt()
            say(f"{_capital(database().name())} is adopted: generation {generation}, base {base}.", "green")

    @line.command()
    def distribute(
        *,
        only_print: Annotated[
            bool, typer.Option("--print", help="Print the SQL, and change nothing.")
        ] = False,
        yes: Yes = False,
    ) -> None:
        """
        Divide the tables over the Citus cluster whose coordinator the settings name. Every node must be stopped, and start again
        with DATABASE_DIVIDED=true (docs/scaling.md).
        """
        with told():
            if only_print:
                for statement in database().distribution():
                    say(f"{statement};")
                return
            confirm(f"Divide the tables of {database().name()}? Every node must be stopped.", yes=yes)
            with progress("Dividing") as tell:
                count = database().distribute(tell)
            say(f"{_capital(database().name())} is divided: {count} tables were placed.", "green")
            say("Set DATABASE_DIVIDED=true on every node.")

    @line.command(name="import")
    def import_original(
        source: Annotated[str, typer.Argument(help="postgresql://user@host/name")],
        *,
        password_stdin: Annotated[
            bool, typer.Option("--password-stdin", help="Read the password from standard input.")
        ] = False,
    ) -> None:
        """
        Import everything from a database of the original messenger: accounts with their passwords, profiles, chats,
        messages and read marks. That database is only read. A repeated import adds what is new there; an interrupted
        import continues.
        """
        with told():
            password = sys.stdin.readline().rstrip("\r\n") if password_stdin else None
            with progress("Importing") as tell:
                imported = database().import_original(source, password, tell)
            for note in imported.notes:
                say(note)
            say(
                f"{_capital(database().name())} has {imported.people} new people, {imported.chats} new chats,"
                f" {imported.messages} new messages and {imported.marks} new read marks.",
                "green",
            )

    return line


def _report(examined: Examined, *, repair: bool) -> None:
    _list("Repaired:", examined.repaired)
    _list("Wrong:", examined.remaining)
    say(f"{examined.chats} chats and {examined.profiles} profiles were checked.")
    if not examined.remaining:
        say("Everything is consistent.", "green")
        return
    can_be = sum(finding.can_be_repaired for finding in examined.remaining)
    hint = "" if repair or not can_be else f", of which --repair can repair {can_be}"
    fail(f"{len(examined.remaining)} wrong{hint}.", FOUND_SOMETHING)


def _list(title: str, findings: Sequence[Finding]) -> None:
    if findings:
        say(title, "bold")
        show(
            ("what", "where", "found", "expected"),
            [(each.what, each.where, each.found, each.expected) for each in findings],
        )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
