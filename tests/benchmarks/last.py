"""
When the last of many listeners in one chat hears a message, on an otherwise idle server.

    python -m tests.benchmarks.last [--listeners 1000] [--count 300] [--rounds 3]

One message is under way at a time. The measuring process reads all sockets with one loop in Python, on the other
CPU: its time is part of the figure.
"""

import argparse
import asyncio
import statistics
import time

from tests.benchmarks.house import Installation, house, quantile
from tests.benchmarks.wire import Wire, enter, enter_all, framed, run
from tests.system.client import Visit

PAUSE = 0.02


async def measure(
    house: Installation, listeners: int, count: int, rounds: int
) -> list[tuple[list[float], list[float]]]:
    """Seconds until the first and until the last has heard it, by rounds."""
    heard = 0
    first = 0.0
    everybody: asyncio.Future[None]

    def hear(payload: bytes) -> None:
        nonlocal heard, first
        if b'"new_message"' in payload[:40]:
            heard += 1
            if heard == 1:
                first = time.perf_counter()
            elif heard == listeners:
                everybody.set_result(None)

    async with Visit(house.server.url, house.server.ws_url) as visit:
        people = [await visit.user(number) for number in (1, 2, 3)]
        chat_id = await people[0].create_chat("last", *people[1:])
        wires: list[Wire] = await enter_all(
            enter(house.server.port, chat_id, people[number % 3].token, hear) for number in range(listeners)
        )
        measured = []
        for turn in range(rounds):
            firsts, lasts = [], []
            for number in range(count):
                heard, everybody = 0, asyncio.get_running_loop().create_future()
                frame = framed({"type": "send_message", "text": "x" * 200, "nonce": f"{turn} {number}"})
                began = time.perf_counter()
                wires[number % listeners].say(frame)
                await everybody
                firsts.append(first - began)
                lasts.append(time.perf_counter() - began)
                await asyncio.sleep(PAUSE)
            measured.append((firsts, lasts))
        for wire in wires:
            wire.close()
    return measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--listeners", type=int, default=1000)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with house() as built:
        rounds = run(measure(built, options.listeners, options.count, options.rounds))
    for name, each in zip(("first", "last"), zip(*rounds, strict=True), strict=True):
        half, most = (statistics.median(quantile(one, at) * 1e3 for one in each) for at in (0.5, 0.99))
        print(f"the {name} of {options.listeners} hears it after: p50 {half:.1f} ms, p99 {most:.1f} ms")


if __name__ == "__main__":
    main()
