"""
One worker and two on the same machine, and what a bus adds to a delivery.

    python -m tests.benchmarks.workers [--listeners 400] [--senders 4] [--rate 0] [--seconds 5] [--rounds 3] [--updates 1000]

With ``--rate`` that many messages are sent a second, so that one worker and two do the same work.

One worker and two take turns, each on a database of its own in the same PostgreSQL. Each sender sends its next message when it
has heard its last one; nobody is bound to a core. The load comes from one process: in C where MESSENGER_TOOLS names its folder, else in
Python. On a machine of two cores what is comparable is what a delivery costs, and deliveries per second only say how much the
load left.

The latency of a bus is that from publishing an update to hearing it in another process, one under way at a time; both ends
are in this process.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from uuid import uuid4

from domain.ids import ChatId
from tests.benchmarks.fan_out import Figures, Rival, Trial, median, seated
from tests.benchmarks.house import Installation, database, quantile
from tests.benchmarks.tools import Tools, compiled
from tests.benchmarks.wire import run
from tests.contracts.buses import Medium, Notified, OverNats, change, processes
from tests.nats import NatsServer
from tests.system.postgres import Postgres
from tests.system.server import Server

WORKERS = (1, 2)


@contextmanager
def installed(postgres: Postgres, workers: int) -> Iterator[Installation]:
    url = postgres.create(f"messenger{workers}")
    settings = {"DATABASE_URL": url, "API_WORKERS": str(workers)}
    server = Server(postgres.folder.with_name(f"server{workers}"), settings, is_a_program=True)
    server.start()
    try:
        yield Installation(server, postgres, url)
    finally:
        server.stop()


def measured(built: Installation, workers: int, tools: Tools | None, options: argparse.Namespace) -> Figures:
    seats, _ = run(seated(built, 1, options.listeners))
    with built.postgres.connect(f"messenger{workers}") as connection:

        def stored() -> int:
            row = connection.execute("SELECT coalesce(sum(last_seq), 0) FROM chat_head").fetchone()
            assert row is not None
            return int(row[0])

        rival = Rival(name=str(workers), port=built.server.port, pid=built.pid, stored=stored)
        trial = Trial(built, seats, options.senders, options.rate, options.seconds)
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--listeners", type=int, default=400)
    parser.add_argument("--senders", type=int, default=4)
    parser.add_argument("--rate", type=float, default=0)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--updates", type=int, default=1000)
    options = parser.parse_args()
    with (
        compiled() as tools,
        database() as postgres,
        tempfile.TemporaryDirectory(prefix="messenger-bench-") as folder,
    ):
        nats = NatsServer(Path(folder))
        nats.start()
        try:
            for name, medium in (("NOTIFY", Notified(postgres.create("bus"))), ("NATS", OverNats(nats))):
                half, most = run(added(medium, options.updates))
                print(f"{name:>8}: p50 {half:.2f} ms, p99 {most:.2f} ms from process to process")
        finally:
            nats.stop()
        rounds: dict[int, list[Figures]] = {workers: [] for workers in WORKERS}
        with ExitStack() as stack:
            built = {each: stack.enter_context(installed(postgres, each)) for each in WORKERS}
            for _ in range(options.rounds):
                for workers in WORKERS:
                    rounds[workers].append(measured(built[workers], workers, tools, options))
    print(
        "workers  messages/s  deliveries/s  deliveries/CPU s  CPU us a message: server  database  p50 ms  p99 ms"
    )
    middle = {}
    for workers, each in rounds.items():
        one = middle[workers] = median(each)
        print(
            f"{workers:>7} {one.rate:>11,.0f} {one.rate * options.listeners:>13,.0f} {one.told:>17,.0f}"
            f" {one.server:>25,.0f} {one.database:>9,.0f} {one.half:>7.1f} {one.most:>7.1f}"
        )
    more, fewer = middle[2], middle[1]
    print(
        f"two workers : one = {more.rate / fewer.rate:.2f} in deliveries/s, {more.told / fewer.told:.2f} in a CPU second"
    )


if __name__ == "__main__":
    main()
