"""
Compares one worker with two on the same machine, and measures the latency of each bus.

    python -m tests.benchmarks.workers [--listeners 400] [--senders 4] [--rate 0] [--seconds 5] [--rounds 3] [--updates 1000]
    python -m tests.benchmarks.workers --share 0.25 [--seconds 5] [--rounds 3]

With ``--rate`` that many messages are sent a second, so that one worker and two do the same work.

One worker and two take turns, each on a database of its own in the same PostgreSQL. Each sender sends its next message when it
has heard its last one; nobody is bound to a core. The load comes from one process: in C where MESSENGER_TOOLS names its folder, else in
Python. On a machine of two cores what is comparable is what a delivery costs, and deliveries per second only say how much the
load left.

With ``--share`` the kernel gives each worker the same part of a core. If that is so little that the load and PostgreSQL
have what they want, two workers have twice what one has, as on a machine with cores of their own, and deliveries per second can be
compared. Two loads are measured: many chats of ten, and one room. "of the shares" says which part of what they had the workers
used; where it is far below 100 %, something else was the bound, and the ratio says nothing.

The latency of a bus is that from publishing an update to hearing it in another process, one under way at a time; both ends
are in this process.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final
from uuid import uuid4

import psutil
from attrs import frozen

from domain.ids import ChatId
from tests.benchmarks.fan_out import Figures, Rival, Seat, Trial, median
from tests.benchmarks.house import NO_LIMITS, Installation, database, quantile
from tests.benchmarks.shares import CannotShare, Kernel
from tests.benchmarks.tools import Tools, compiled
from tests.benchmarks.wire import run
from tests.contracts.buses import Medium, Notified, OverNats, change, processes
from tests.nats import NatsServer
from tests.system.client import Visit
from tests.system.postgres import Postgres
from tests.system.server import Server

WORKERS: Final = (1, 2)


@frozen
class Load:
    chats: int
    listeners: int
    """In each chat."""
    senders: int
    """In all chats together."""


SHARED: Final[Mapping[str, Load]] = {"chats of ten": Load(160, 10, 160), "one room": Load(1, 400, 64)}
"""The loads that are measured with ``--share``. They have so many senders that each worker always has something to do."""


@contextmanager
def installed(postgres: Postgres, workers: int) -> Iterator[Installation]:
    url = postgres.create(f"messenger{workers}")
    settings = {"DATABASE_URL": url, "API_WORKERS": str(workers), **NO_LIMITS}
    server = Server(postgres.folder.with_name(f"server{workers}"), settings, is_a_program=True)
    server.start()
    if workers > 1:
        server.await_log("all workers listen")
    try:
        yield Installation(server, postgres, url)
    finally:
        server.stop()


def serving(built: Installation, workers: int) -> list[int]:
    """The processes that serve: the only one, or the children of one that serves nobody."""
    parent = psutil.Process(built.pid)
    return [built.pid] if workers == 1 else [child.pid for child in parent.children()]


async def seated(built: Installation, loads: Mapping[str, Load]) -> dict[str, list[Seat]]:
    """Makes the chats of each load, and returns who will listen where."""
    async with Visit(built.server.url, built.server.ws_url) as visit:
        people = [await visit.user(number) for number in (1, 2, 3)]
        found = {}
        for name, load in loads.items():
            ids = [await people[0].create_chat(f"{name} {n}", *people[1:]) for n in range(load.chats)]
            found[name] = [Seat(id, people[n % 3].token) for id in ids for n in range(load.listeners)]
    return found


def measured(
    built: Installation,
    workers: int,
    tools: Tools | None,
    seats: Sequence[Seat],
    senders: int,
    options: argparse.Namespace,
) -> Figures:
    with built.postgres.connect(f"messenger{workers}") as connection:

        def stored() -> int:
            row = connection.execute("SELECT coalesce(sum(last_seq), 0) FROM chat_head").fetchone()
            assert row is not None
            return int(row[0])

        rival = Rival(name=str(workers), port=built.server.port, pid=built.pid, stored=stored)
        trial = Trial(built, seats, senders, options.rate, options.seconds)
        return trial.by_wsload(tools, rival) if tools else run(trial.by_python(rival))


async def added(medium: Medium, count: int) -> tuple[float, float]:
    """Milliseconds at the middle and for 99 of 100."""
    found = []
    async with processes(medium, 2) as (one, other):
        chat = ChatId(uuid4())
        heard = asyncio.Event()
        other.bus.subscribe(lambda _: heard.set())
        for position in range(1, count + 1):
            heard.clear()
            began = time.perf_counter()
            one.bus.publish([change(chat, position)])
            await heard.wait()
            found.append((time.perf_counter() - began) * 1e3)
    return quantile(found, 0.5), quantile(found, 0.99)


def show_buses(postgres: Postgres, updates: int) -> None:
    with tempfile.TemporaryDirectory(prefix="messenger-bench-") as folder:
        nats = NatsServer(Path(folder))
        nats.start()
        try:
            for name, medium in (("NOTIFY", Notified(postgres.create("bus"))), ("NATS", OverNats(nats))):
                half, most = run(added(medium, updates))
                print(f"{name:>8}: p50 {half:.2f} ms, p99 {most:.2f} ms from process to process")
        finally:
            nats.stop()


def show(name: str, load: Load, rounds: Mapping[int, Sequence[Figures]], share: float | None) -> None:
    print(f"{name}: {load.chats} x {load.listeners} listeners, {load.senders} senders")
    print(
        "workers  messages/s  deliveries/s  deliveries/CPU s  CPU us a message: server  database  p50 ms  p99 ms"
        + ("  of the shares" if share else "")
    )
    middle = {}
    for workers, each in rounds.items():
        one = middle[workers] = median(each)
        used = f" {one.rate * one.server / 1e6 / (share * workers):>14.0%}" if share else ""
        print(
            f"{workers:>7} {one.rate:>11,.0f} {one.rate * load.listeners:>13,.0f} {one.told:>17,.0f}"
            f" {one.server:>25,.0f} {one.database:>9,.0f} {one.half:>7.1f} {one.most:>7.1f}{used}"
        )
    more, fewer = middle[2], middle[1]
    print(
        f"two workers : one = {more.rate / fewer.rate:.2f} in deliveries/s, {more.told / fewer.told:.2f} in a CPU second"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--listeners", type=int, default=400)
    parser.add_argument("--senders", type=int, default=4)
    parser.add_argument("--rate", type=float, default=0)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--updates", type=int, default=1000)
    parser.add_argument("--share", type=float, help="the part of a core that each worker has")
    options = parser.parse_args()
    loads = SHARED if options.share else {"one room": Load(1, options.listeners, options.senders)}
    rounds: dict[str, dict[int, list[Figures]]] = {
        name: {workers: [] for workers in WORKERS} for name in loads
    }
    with compiled() as tools, database() as postgres, ExitStack() as stack:
        if options.share is None:
            show_buses(postgres, options.updates)
        built = {each: stack.enter_context(installed(postgres, each)) for each in WORKERS}
        seats = {workers: run(seated(each, loads)) for workers, each in built.items()}
        if options.share is not None:
            pids = [pid for workers, each in built.items() for pid in serving(each, workers)]
            try:
                stack.enter_context(Kernel().shares(options.share, pids))
            except CannotShare as error:
                print(
                    f"--share needs control groups of the kernel that this process may make: {error}",
                    file=sys.stderr,
                )
                return 1
        for _ in range(options.rounds):
            for name, load in loads.items():
                for workers in WORKERS:
                    figures = measured(
                        built[workers], workers, tools, seats[workers][name], load.senders, options
                    )
                    rounds[name][workers].append(figures)
    for name, load in loads.items():
        show(name, load, rounds[name], options.share)
    return 0


if __name__ == "__main__":
    sys.exit(main())
