"""`messenger db dump` and `messenger db restore`."""

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import BinaryIO, Final, cast

import psycopg

from config.build import this_build
from config.running import run_until_signal
from infrastructure.postgres.backup.dump import dump
from infrastructure.postgres.backup.files import new_file
from infrastructure.postgres.backup.manifest import BadDump, Manifest, read_manifest
from infrastructure.postgres.backup.restore import HasData, InUse, NotAsDumped, restore
from infrastructure.postgres.backup.tools import NoTools, ToolFailed
from infrastructure.postgres.driver.engine import close_engine, make_engine
from infrastructure.postgres.server.adoption import adopt
from infrastructure.system.clock import SystemClock
from infrastructure.system.ids import SystemIds
from interfaces.cli.db import DumpSummary
from interfaces.cli.looks import NOT_DONE, WRONG, CommandRefused

STANDARD: Final = "-"
"""Stands for standard input or output instead of a file."""

ADOPTION_SECONDS: Final = 3600.0

Progress = Callable[[int, int], None]


def dump_database(server: AbstractContextManager[str], name: str, progress: Progress) -> DumpSummary:
    """
    ``server`` yields the URL of the database. It is not started for a file that cannot be written.

    Raises:
        CommandRefused: The file cannot be written, or the dump failed. There is no file then.
    """
    with _explained(name, "Standard output"), _destination(name) as to, server as url:
        made_at = f"{SystemClock().now():%Y-%m-%dT%H:%M:%SZ}"
        return _summary(dump(url, to, made_at=made_at, messenger=this_build().version, progress=progress))


def restore_database(
    server: AbstractContextManager[str],
    name: str,
    create: Callable[[str], object],
    *,
    replace: bool,
    progress: Progress,
) -> DumpSummary:
    """
    Restores and adopts. ``server`` yields the URL of the database, which ``create`` makes if it does not exist. Neither is
    called for a file that cannot be restored.

    Raises:
        CommandRefused: The file cannot be read, or does not fit the database, which is unchanged.
    """
    with _explained(name, "Standard input"), _source(name) as file:
        with file.open("rb") as opened:
            manifest = read_manifest(opened)
        with server as url:
            create(url)
            restore(url, file, manifest, replace=replace, progress=progress)
            run_until_signal(_adopt(url))
        return _summary(manifest)


async def _adopt(url: str) -> None:
    engine = make_engine(url, deadline=ADOPTION_SECONDS)
    try:
        await adopt(engine, SystemIds().fresh(), deadline=ADOPTION_SECONDS)
    finally:
        await close_engine(engine)


def _summary(manifest: Manifest) -> DumpSummary:
    return DumpSummary(
        rows=manifest.rows,
        tables=len(manifest.tables),
        revision=", ".join(manifest.revisions),
        made_at=manifest.made_at,
        size=manifest.size,
    )


@contextmanager
def _destination(name: str) -> Iterator[BinaryIO]:
    if name != STANDARD:
        with new_file(Path(name)) as file:
            yield file
        return
    if sys.stdout.isatty():
        raise CommandRefused("Standard output is a terminal: redirect it, or name a file.", WRONG)
    yield sys.stdout.buffer
    sys.stdout.buffer.flush()


@contextmanager
def _source(name: str) -> Iterator[Path]:
    """Standard input is kept in a temporary file, because the manifest at its end is checked before anything is changed."""
    if name != STANDARD:
        yield Path(name)
        return
    with tempfile.NamedTemporaryFile(prefix="messenger-", suffix=".dump") as kept:
        shutil.copyfileobj(sys.stdin.buffer, cast(BinaryIO, kept))
        kept.flush()
        yield Path(kept.name)


@contextmanager
def _explained(name: str, standard: str) -> Iterator[None]:
    """Turns the errors of dumps and restores into messages for people. ``standard`` is what `STANDARD` stands for."""
    called = standard if name == STANDARD else name
    try:
        yield
    except NoTools as why:
        raise CommandRefused(f"{why}.", WRONG) from None
    except BadDump as why:
        raise CommandRefused(f"{called} {why}.") from None
    except HasData as table:
        raise CommandRefused(
            f"The database has data (in the table {table}): give --replace to have it replaced by the dump."
        ) from None
    except InUse:
        raise CommandRefused("Other programs are connected: stop the messenger first.") from None
    except NotAsDumped as why:
        raise CommandRefused(f"Nothing was changed: {why}.") from None
    except ToolFailed as why:
        raise CommandRefused(f"Not done: {why}") from None
    except psycopg.Error as error:
        text = (error.diag.message_primary or str(error)).strip().splitlines()
        raise CommandRefused(
            f"Nothing was changed: {text[0] if text else 'the database refuses'}", NOT_DONE
        ) from None
    except FileExistsError:
        raise CommandRefused(f"{name} is there already: choose another name.") from None
    except BrokenPipeError:
        raise CommandRefused("The reader of standard output has closed it.") from None
    except OSError as error:
        raise CommandRefused(f"{called} cannot be used: {error.strerror or error}.") from None
