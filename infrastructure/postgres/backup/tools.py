"""Finds PostgreSQL's client programs and runs them."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import IO, Final

from attrs import field, frozen
from psycopg.conninfo import make_conninfo

from infrastructure.postgres.driver.target import parse
from infrastructure.postgres.server.embedded import CannotStartPostgres, find_binaries

PROGRAMS: Final = ("pg_dump", "pg_restore")

INSTALLED: Final = (("/usr/lib/postgresql", "*/bin"), ("/usr", "pgsql-*/bin"))
"""The folders, with patterns, in which Debian and Red Hat install the programs of each version."""

KEPT: Final = ("PATH", "HOME", "LD_LIBRARY_PATH", "TMPDIR")
"""The variables that the programs get: those of the messenger include secrets, and libpq's describe other databases."""


class NoTools(Exception):
    """There are no client programs of a fitting version. The message says what to install, in one line."""


class ToolFailed(Exception):
    """A program ended with an error. The message is the last line that it wrote to standard error."""


@frozen(kw_only=True)
class Tools:
    folder: Path
    version: int
    """The major version."""

    def command(self, program: str, *arguments: str) -> list[str]:
        return [str(self.folder / program), *arguments]


def find_tools(least: int, folders: Callable[[], Iterator[Path]] | None = None) -> Tools:
    """
    Returns programs of the major version ``least`` or newer: those of the embedded PostgreSQL if they are new enough, or
    else installed ones.

    Raises:
        NoTools: There are none.
    """
    for folder in (folders or _folders)():
        version = _version(folder)
        if version is not None and version >= least:
            return Tools(folder=folder, version=version)
    raise NoTools(
        f"pg_dump and pg_restore of PostgreSQL {least} or newer are needed, which are not installed here: install the client"
        f" programs (on Debian the package postgresql-client-{least})"
    )


def _folders() -> Iterator[Path]:
    with suppress(CannotStartPostgres):
        yield find_binaries()
    for root, pattern in INSTALLED:
        yield from sorted(Path(root).glob(pattern), reverse=True)
    if found := shutil.which(PROGRAMS[0]):
        yield Path(found).parent


def _version(folder: Path) -> int | None:
    """Returns the major version of the programs in a folder, or None if some are missing or do not run."""
    if not all(os.access(folder / program, os.X_OK) for program in PROGRAMS):
        return None
    try:
        shown = subprocess.run(
            [str(folder / PROGRAMS[0]), "--version"],
            capture_output=True,
            text=True,
            env=_environment(),
            check=False,
        )
    except OSError:
        return None
    found = re.search(r"\(PostgreSQL\) (\d+)", shown.stdout)
    return int(found[1]) if found else None


def _environment() -> dict[str, str]:
    return {name: os.environ[name] for name in KEPT if name in os.environ} | {"LC_ALL": "C"}


@contextmanager
def connection_parameters(url: str, application_name: str) -> Iterator[tuple[str, Mapping[str, str]]]:
    """
    Yields a connection string without secrets, and the variables that carry them: other users of the machine can read
    command lines.
    """
    parameters = {**parse(url).libpq, "application_name": application_name}
    secrets = {}
    if password := parameters.pop("password", ""):
        secrets["PGPASSWORD"] = password
    passphrase = parameters.pop("sslpassword", "")
    if not passphrase:
        yield make_conninfo(**parameters), secrets
        return
    with tempfile.NamedTemporaryFile("w", prefix="messenger-", suffix=".conf") as service:
        service.write(f"[messenger]\nsslpassword={passphrase}\n")
        service.flush()
        yield make_conninfo(**parameters, service="messenger"), {**secrets, "PGSERVICEFILE": service.name}


@frozen
class Running:
    """A program that is running. Its standard error is read by a thread, so that the program never waits for a reader."""

    process: subprocess.Popen[bytes]
    hear: Callable[[str], None] = field(default=lambda _: None)
    lines: list[str] = field(factory=list)

    @property
    def stdout(self) -> IO[bytes]:
        assert self.process.stdout is not None
        return self.process.stdout

    def listen(self) -> None:
        assert self.process.stderr is not None
        for raw in self.process.stderr:
            line = raw.decode(errors="replace").strip()
            self.hear(line)
            self.lines.append(line)
            del self.lines[:-20]

    @property
    def complaint(self) -> str:
        errors = [line for line in self.lines if "error:" in line or "fatal:" in line]
        line = (errors or self.lines or ["it said nothing"])[0 if errors else -1]
        return re.sub(r"^\S+: (?:error|fatal): ", "", line)


@contextmanager
def running(
    command: Sequence[str],
    environment: Mapping[str, str] | None = None,
    hear: Callable[[str], None] = lambda _: None,
) -> Iterator[Running]:
    """
    Runs a program for the block, which reads its output. ``hear`` gets each line of its standard error. The program is killed
    if the block raises.

    Raises:
        ToolFailed: The program ended with an error.
    """
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**_environment(), **(environment or {})},
        process_group=0,  # Ctrl-C reaches this process alone, which then kills the program
    ) as process:
        run = Running(process, hear)
        listening = Thread(target=run.listen, daemon=True)
        listening.start()
        try:
            yield run
            code = process.wait()
        except BaseException:
            process.kill()
            raise
        finally:
            listening.join()
    if code != 0:
        raise ToolFailed(run.complaint)
