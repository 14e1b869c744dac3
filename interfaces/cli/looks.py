"""The output of the command line: formatted for people on a terminal, and for programs without one."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

NOT_DONE: Final = 1
WRONG: Final = 2
"""Wrong usage, wrong settings, or no database to work on."""
FOUND_SOMETHING: Final = 3


class CommandRefused(Exception):
    """A command was not executed. The text explains why to the operator; ``code`` is the exit code."""

    def __init__(self, text: str, code: int = NOT_DONE) -> None:
        super().__init__(text)
        self.code = code


def say(text: str, style: str = "", *, stderr: bool = False) -> None:
    """Prints a sentence, to standard error if standard output carries data."""
    Console(stderr=stderr, soft_wrap=True, highlight=False).print(Text(text, style))


def fail(text: str, code: int) -> NoReturn:
    Console(stderr=True, soft_wrap=True, highlight=False).print(Text(text, "red"))
    raise typer.Exit(code)


@contextmanager
def told() -> Iterator[None]:
    """Prints a `CommandRefused` of the block to standard error, and exits with its code."""
    try:
        yield
    except CommandRefused as refused:
        fail(str(refused), refused.code)


def show(headings: Sequence[str], rows: Sequence[Sequence[object]], *, title: str = "") -> None:
    """Prints a table. Without a terminal, prints lines of fields separated by tabs, without title and headings."""
    console = Console(highlight=False)
    cells = [["" if value is None else str(value) for value in row] for row in rows]
    if not console.is_terminal:
        for row in cells:
            sys.stdout.write("\t".join(row) + "\n")
        return
    table = Table(*headings, title=title or None, box=None, header_style="bold", pad_edge=False)
    for row in cells:
        table.add_row(*map(Text, row))
    console.print(table)


def confirm(question: str, *, yes: bool) -> None:
    """Asks a question unless ``yes`` is given. Ends the command if the answer is no."""
    if not yes and not typer.confirm(question):
        fail("Nothing was changed.", NOT_DONE)


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Shows a progress bar on a terminal. Yields a function that takes the amounts done and in total."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
