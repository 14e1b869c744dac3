"""What the benchmarks share: a messenger on a database of its own, both as children, and what they cost."""

import os
import signal
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import psutil
from attrs import frozen
from sqlalchemy import create_engine

from infrastructure.postgres.schema.migrate import upgrade
from tests.system.postgres import Postgres
from tests.system.server import PATIENCE, Server

SERVER_CPU, CLIENT_CPU = 0, 1

PINNED = ("taskset", "--cpu-list", str(SERVER_CPU))


@frozen
class Installation:
    server: Server
    postgres: Postgres
    url: str
    """The address of the messenger's database."""

    @property
    def pid(self) -> int:
        assert self.server.process is not None
        return self.server.process.pid

    def cpu_seconds(self) -> tuple[float, float]:
        """Spent so far, by the messenger and by PostgreSQL."""
        assert self.postgres.pid is not None
        return cpu_seconds(self.pid), cpu_seconds(self.postgres.pid)


def cpu_seconds(pid: int) -> float:
    """Spent so far by a process and all that it ever started: the kernel adds what has ended to its parent."""
    root = psutil.Process(pid)
    while True:
        assert root.is_running(), pid
        with suppress(psutil.NoSuchProcess):  # one that ends meanwhile is its parent's the next time
            times = [process.cpu_times() for process in (root, *root.children(recursive=True))]
            return float(
                sum(each.user + each.system + each.children_user + each.children_system for each in times)
            )


def resident(pid: int) -> int:
    """kB that belong to this process alone or its share of what it has with others; nothing of the kernel's."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


@contextmanager
def database() -> Iterator[Postgres]:
    with tempfile.TemporaryDirectory(prefix="messenger-bench-") as folder:
        postgres = Postgres(Path(folder) / "postgres")
        postgres.start()
        try:
            yield postgres
        finally:
            postgres.stop()


NO_LIMITS: Final = dict.fromkeys(
    (
        "LIMIT_SENDS_PER_ACCOUNT_AND_MINUTE",
        "LIMIT_MARKS_PER_ACCOUNT_AND_MINUTE",
        "LIMIT_TYPING_PER_ACCOUNT_AND_MINUTE",
        "LIMIT_CONNECTS_PER_ACCOUNT_AND_MINUTE",
        "LIMIT_SYNCS_PER_ACCOUNT_AND_MINUTE",
        "LIMIT_NEW_CHATS_PER_ACCOUNT_AND_HOUR",
        "LIMIT_ADDED_PEOPLE_PER_ACCOUNT_AND_HOUR",
    ),
    "100000000",
) | dict.fromkeys(
    (
        "WS_PER_SESSION",
        "WS_PER_ACCOUNT",
        "API_REQUESTS_PER_ACCOUNT_AND_SECOND",
        "API_REQUESTS_PER_NETWORK_AND_SECOND",
        "API_SIGN_INS_PER_NETWORK_AND_SECOND",
    ),
    "0",
)
"""A few accounts, and one address, stand for many people: limits are asked, and refuse nothing."""


def migrated(postgres: Postgres) -> str:
    """Makes the messenger's database, without a messenger. Returns its address."""
    url = postgres.create("messenger")
    engine = create_engine(url)
    with engine.begin() as connection:
        upgrade(connection)
    engine.dispose()
    return url


@contextmanager
def house(command: Sequence[str] = (), /, **settings: str) -> Iterator[Installation]:
    """Runs the messenger on one CPU and the measuring process on the other. ``command`` are words in front of the messenger's."""
    with database() as postgres:
        url = postgres.create("messenger")
        server = Server(
            postgres.folder.with_name("server"),
            {"DATABASE_URL": url, **NO_LIMITS, **settings},
            [*PINNED, *command],
        )
        server.start()
        mine = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {CLIENT_CPU})
        try:
            yield Installation(server, postgres, url)
        finally:
            os.sched_setaffinity(0, mine)
            server.stop()


@contextmanager
def child(command: Sequence[str], port: int) -> Iterator[int]:
    """Another server on the messenger's CPU. Its process id, once it listens."""
    process = subprocess.Popen([*PINNED, *command])
    try:
        until = time.monotonic() + PATIENCE
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
            except ConnectionRefusedError:
                assert process.poll() is None, command
                assert time.monotonic() < until, command
                time.sleep(0.02)
            else:
                break
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)


def quantile(values: Sequence[float], at: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * at))]


def spread(values: Sequence[float]) -> str:
    """The median, and between which values it lies."""
    return f"{statistics.median(values):,.0f} ({min(values):,.0f} to {max(values):,.0f})"
