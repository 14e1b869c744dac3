"""
What connections cost that do nothing: memory of the messenger, CPU for pings, tasks.

    python -m tests.benchmarks.idle [--connections 1000 10000] [--listeners 10] [--seconds 50]

Each has authenticated and listens to one of many chats. Memory is the process's own, without the kernel's buffers; the
first hundred connections come before the measurement, so that what they load for all is not counted. ``--seconds`` should
be some heartbeats: two are asked of each connection in 50 seconds. CPU is given beside that of the same server with
nobody on it.
"""

import argparse
import asyncio
import time

from tests.benchmarks.house import Installation, cpu_seconds, house, resident
from tests.benchmarks.wire import Wire, enter, enter_all, run
from tests.system.client import Device, Visit

FIRST = 100
SETTLED = 3.0
"""Seconds after which what connecting took has been given back."""


async def busy(pid: int, seconds: float) -> float:
    """The share of a CPU that it takes."""
    began, before = time.perf_counter(), cpu_seconds(pid)
    await asyncio.sleep(seconds)
    return (cpu_seconds(pid) - before) / (time.perf_counter() - began)


async def measure(
    house: Installation, connections: int, listeners: int, seconds: float
) -> tuple[float, float]:
    """Returns the kB of one connection, and the share of a CPU that all of them take."""
    pid = house.pid
    async with Visit(house.server.url, house.server.ws_url) as visit:
        people = [await visit.user(number) for number in (1, 2, 3)]
        chats = [
            await people[0].create_chat(f"idle {number}", *people[1:])
            for number in range(-(-connections // listeners))
        ]

        async def sit(number: int) -> Wire:
            who: Device = people[number % 3]
            return await enter(house.server.port, chats[number // listeners], who.token, lambda _: None)

        alone = await busy(pid, min(10.0, seconds))
        wires = await enter_all(sit(number) for number in range(FIRST))
        await asyncio.sleep(SETTLED)
        memory, cpu, began = resident(pid), cpu_seconds(pid), time.perf_counter()
        wires += await enter_all(sit(number) for number in range(FIRST, connections))
        new, took = connections - FIRST, time.perf_counter() - began
        spent = cpu_seconds(pid) - cpu
        await asyncio.sleep(SETTLED)
        each = (resident(pid) - memory) / new
        together = await busy(pid, seconds)
        lost = sum(wire.transport is None or wire.transport.is_closing() for wire in wires)
        for wire in wires:
            wire.close()
        await asyncio.sleep(SETTLED)
    assert not lost, f"{lost} of {connections} are gone"
    print(
        f"{connections} connections in {len(chats)} chats: {each:.1f} kB each;"
        f" CPU {together:.2%} of one over {seconds:g} s ({alone:.2%} with nobody);"
        f" coming in: {new / took:,.0f} a second, {spent / new * 1e3:.2f} ms CPU each"
    )
    return each, together - alone


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--connections", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--listeners", type=int, default=10, help="in one chat")
    parser.add_argument("--seconds", type=float, default=50)
    options = parser.parse_args()
    for connections in options.connections:
        with house() as built:
            run(measure(built, connections, options.listeners, options.seconds))


if __name__ == "__main__":
    main()
