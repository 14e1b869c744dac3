"""What the benchmarks share: a messenger on a database of its own, both as children, and what they cost."""

import os
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil
from attrs import frozen

from tests.system.postgres import Postgres
from tests.system.server import Server

SERVER_CPU, CLIENT_CPU = 0, 1


@frozen
class House:
    server: Server
    postgres: Postgres

    def cpu_seconds(self) -> tuple[float, float]:
        """Spent so far, by the messenger and by PostgreSQL; by processes that live."""
        assert self.server.process is not None
        assert self.postgres.pid is not None
        spent = []
        for pid in (self.server.process.pid, self.postgres.pid):
            root = psutil.Process(pid)
            times = [process.cpu_times() for process in (root, *root.children(recursive=True))]
            spent.append(sum(each.user + each.system for each in times))
        return spent[0], spent[1]


@contextmanager
def database() -> Iterator[Postgres]:
    with tempfile.TemporaryDirectory(prefix="messenger-bench-") as folder:
        postgres = Postgres(Path(folder) / "postgres")
        postgres.start()
        try:
            yield postgres
        finally:
            postgres.stop()


@contextmanager
def house(**settings: str) -> Iterator[House]:
    """The messenger on one CPU, whoever measures it on the other."""
    with database() as postgres:
        url = postgres.create("messenger")
        pin = ["taskset", "--cpu-list", str(SERVER_CPU)]
        server = Server(postgres.folder.with_name("server"), {"DATABASE_URL": url, **settings}, pin)
        server.start()
        mine = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {CLIENT_CPU})
        try:
            yield House(server, postgres)
        finally:
            os.sched_setaffinity(0, mine)
            server.stop()


def quantile(values: Sequence[float], at: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * at))]


def spread(values: Sequence[float]) -> str:
    """The median, and between which values it lies."""
    return f"{statistics.median(values):,.0f} ({min(values):,.0f} to {max(values):,.0f})"
