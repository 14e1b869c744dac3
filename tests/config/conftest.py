"""The messenger as a child process, in a folder of its own."""

import multiprocessing
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from io import TextIOWrapper
from pathlib import Path
from typing import Any, TextIO

import psycopg
import pytest
from attrs import define, frozen
from psycopg import sql

from infrastructure.postgres.server.embedded import OWNER, EmbeddedPostgres
from tests.clusters import copy_cluster, lived_in, new_cluster
from tests.scratch import processes_in, scratch_folder
from tests.system import forked

ROOT = Path(__file__).resolve().parents[2]


@define(eq=False)
class Child:
    """A process with pipes at its output. Has as much of `subprocess.Popen` as the tests use."""

    process: subprocess.Popen[bytes] | forked.Forked
    stdout: TextIO
    stderr: TextIO

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def returncode(self) -> int | None:
        return self.process.returncode

    def poll(self) -> int | None:
        return self.process.poll()

    def wait(self, timeout: float | None = None) -> int:
        return self.process.wait(timeout)

    def send_signal(self, number: int) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        self.process.kill()

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Returns all that was not read yet of both outputs, when the process has ended."""
        read: dict[TextIO, str] = {}
        readers = [
            threading.Thread(target=lambda stream=stream: read.update({stream: stream.read()}), daemon=True)
            for stream in (self.stdout, self.stderr)
        ]
        for reader in readers:
            reader.start()
        self.wait(timeout)
        for reader in readers:
            reader.join()
        return read[self.stdout], read[self.stderr]


Messenger = Callable[..., Child]


def children_of(folder: Path) -> list[int]:
    return [process.pid for process in processes_in(folder)]


@pytest.fixture
def folder() -> Iterator[Path]:
    with scratch_folder("messenger-test-") as folder:
        yield folder


@pytest.fixture
def messenger(folder: Path) -> Iterator[Messenger]:
    """
    Starts the messenger in ``folder``. It is forked from a process that has imported it (see `tests.system.forked`), unless
    a test gives a ``program`` to run instead.
    """
    children: list[Child] = []

    def start(*arguments: str, ignore_sigint: bool = False, program: str = "", **settings: str) -> Child:
        environ = {
            name: os.environ[name] for name in ("PATH", "LANG", "LD_LIBRARY_PATH") if name in os.environ
        }
        environ |= {"PYTHONPATH": str(ROOT)} | settings
        if program:
            child = started([sys.executable, "-c", program, *arguments], folder, environ)
        else:
            child = forked_off(arguments, folder, environ, ignores_sigint=ignore_sigint)
        children.append(child)
        return child

    yield start
    for child in children:
        child.kill()
        child.wait()
        child.stdout.close()
        child.stderr.close()


def started(command: list[str], folder: Path, environ: dict[str, str]) -> Child:
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    return Child(process, TextIOWrapper(process.stdout, "utf-8"), TextIOWrapper(process.stderr, "utf-8"))


def forked_off(
    words: tuple[str, ...], folder: Path, environ: dict[str, str], *, ignores_sigint: bool
) -> Child:
    ours, theirs = zip(*(multiprocessing.Pipe(duplex=False) for _ in range(2)), strict=True)
    process = forked.start(
        words,
        folder=folder,
        environment=environ,
        stdout=theirs[0],
        stderr=theirs[1],
        ignores_sigint=ignores_sigint,
    )
    files = []
    for end in ours:
        files.append(os.fdopen(os.dup(end.fileno()), encoding="utf-8"))
        end.close()
    for end in theirs:  # so that reading ends when the process does
        end.close()
    return Child(process, *files)


@pytest.fixture
def serving(messenger: Messenger, folder: Path, unused_tcp_port: int) -> Callable[..., Child]:
    """A messenger in LOCAL that answers already, on an embedded database on which it has started before."""
    copy_cluster(lived_in(), folder / "var" / "postgres")

    def start(**more: Any) -> Child:
        settings = {"ENVIRONMENT": "LOCAL", "API_HOST": "127.0.0.1", "API_SERVICE_PORT": str(unused_tcp_port)}
        child = messenger("serve", **(settings | more))
        until = time.monotonic() + 120
        while True:
            try:
                socket.create_connection(("127.0.0.1", unused_tcp_port), timeout=1).close()
            except OSError:
                assert child.poll() is None, child.communicate()[1]
                assert time.monotonic() < until
                time.sleep(0.05)
            else:
                return child

    return start


@frozen
class StrictServer:
    """A server that asks for passwords of everybody but the owner."""

    embedded: EmbeddedPostgres

    def address(self, database: str, user: str, password: str) -> str:
        folder = str(self.embedded.socket_dir).replace("/", "%2F")
        return f"postgresql://{user}:{password}@/{database}?host={folder}&port={self.embedded.port}"

    def run(self, *statements: sql.SQL | sql.Composed, database: str = "postgres") -> None:
        with psycopg.connect(
            host=str(self.embedded.socket_dir),
            port=self.embedded.port,
            user=OWNER,
            dbname=database,
            autocommit=True,
        ) as connection:
            for statement in statements:
                connection.execute(statement)


@pytest.fixture(scope="module")
def strict() -> Iterator[StrictServer]:
    with scratch_folder("messenger-strict-") as folder:
        hba = folder / "hba.conf"
        hba.write_text(f"local all {OWNER} trust\nlocal all all scram-sha-256\n")
        hba.chmod(0o644)
        embedded = EmbeddedPostgres(var_dir=folder, options={"fsync": "off", "hba_file": str(hba)})
        copy_cluster(new_cluster(), embedded.data_dir)
        embedded.start()
        try:
            server = StrictServer(embedded)
            server.run(
                sql.SQL("CREATE ROLE ann LOGIN CREATEDB PASSWORD 'right'"),
                sql.SQL("CREATE DATABASE here OWNER ann"),
            )
            yield server
        finally:
            embedded.stop()
