"""
What an idle connection to the socket of all chats costs in memory, by the number of its chats.

    python -m tests.benchmarks.idle_all_chats [--chats 10 1000] [--connections 200] [--people 10]

All people are in all chats. The first connection of each comes before the measurement, so that what a chat costs by itself is
not counted. Memory is the process's own, without the kernel's buffers.
"""

import argparse
import asyncio

from tests.benchmarks.house import Installation, cpu_seconds, house, resident
from tests.benchmarks.idle import SETTLED
from tests.benchmarks.people import SECRET, crowd
from tests.benchmarks.wire import Wire, enter_all, enter_all_chats, run


async def measure(house: Installation, chats: int, connections: int, people: int) -> float:
    """Returns the kB that one connection takes."""
    async with crowd(house.url, people, chats, people) as them:

        async def sit(number: int) -> Wire:
            token = them.people[number % people].token
            return await enter_all_chats(house.server.port, token, lambda _: None)

        wires = await enter_all((sit(number) for number in range(people)), 8)
        await asyncio.sleep(SETTLED)
        memory, cpu = resident(house.pid), cpu_seconds(house.pid)
        wires += await enter_all((sit(number) for number in range(connections)), 8)
        spent = cpu_seconds(house.pid) - cpu
        await asyncio.sleep(SETTLED)
        each = (resident(house.pid) - memory) / connections
        lost = sum(wire.transport is None or wire.transport.is_closing() for wire in wires)
        for wire in wires:
            wire.close()
    assert not lost, f"{lost} connections are gone"
    print(
        f"{chats} chats: {each:.1f} kB a connection; coming in: {spent / connections * 1e3:.1f} ms CPU each"
    )
    return each


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--chats", type=int, nargs="+", default=[10, 1000])
    parser.add_argument("--connections", type=int, default=200)
    parser.add_argument("--people", type=int, default=10)
    options = parser.parse_args()
    taken = {}
    for chats in options.chats:
        with house(JWT_SECRET_KEY=SECRET) as built:
            taken[chats] = run(measure(built, chats, options.connections, options.people))
    few, many = min(taken), max(taken)
    if few < many:
        print(f"{(taken[many] - taken[few]) * 1024 / (many - few):.0f} bytes a chat")


if __name__ == "__main__":
    main()
