"""The console script as a child process, in a folder of its own."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from attrs import frozen
from psycopg import sql

from infrastructure.postgres.server.embedded import OWNER, EmbeddedPostgres

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = "from config.main import main; main()"

Messenger = Callable[..., "subprocess.Popen[str]"]


def children_of(folder: Path) -> list[int]:
    found = []
    for process in psutil.process_iter():
        try:
            if Path(process.cwd()).is_relative_to(folder):
                found.append(process.pid)
        except (psutil.Error, OSError):
            continue
    return found


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="messenger-test-") as name:
        yield Path(name)


@pytest.fixture
def messenger(folder: Path) -> Iterator[Messenger]:
    children = []

    def start(
        *arguments: str, ignore_sigint: bool = False, program: str = PROGRAM, **settings: str
    ) -> "subprocess.Popen[str]":
        environ = {
            name: os.environ[name] for name in ("PATH", "LANG", "LD_LIBRARY_PATH") if name in os.environ
        }
        command = [sys.executable, "-c", program, *arguments]
        if ignore_sigint:  # as a shell does it for what it starts in the background
            command = ["sh", "-c", 'trap "" INT; exec "$@"', "sh", *command]
        child = subprocess.Popen(
            command,
            cwd=folder,
            env=environ | {"PYTHONPATH": str(ROOT)} | settings,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        children.append(child)
        return child

    yield start
    for child in children:
        child.kill()
        child.communicate()
    until = time.monotonic() + 60
    while children_of(folder):  # the embedded database of a killed messenger ends a moment later
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.fixture
def serving(messenger: Messenger, unused_tcp_port: int) -> Callable[..., "subprocess.Popen[str]"]:
    """A messenger in LOCAL that answers already."""

    def start(**more: Any) -> "subprocess.Popen[str]":
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
    with tempfile.TemporaryDirectory(prefix="messenger-strict-") as folder:
        hba = Path(folder) / "hba.conf"
        hba.write_text(f"local all {OWNER} trust\nlocal all all scram-sha-256\n")
        hba.chmod(0o644)
        Path(folder).chmod(0o755)
        embedded = EmbeddedPostgres(var_dir=Path(folder), options={"fsync": "off", "hba_file": str(hba)})
        embedded.start()
        server = StrictServer(embedded)
        server.run(
            sql.SQL("CREATE ROLE ann LOGIN CREATEDB PASSWORD 'right'"),
            sql.SQL("CREATE DATABASE here OWNER ann"),
        )
        yield server
        embedded.stop()
