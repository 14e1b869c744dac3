"""
Stored messages per second through the whole server: a hundred sockets, each sending into its own chat.

    python -m tests.benchmarks.sockets [--seconds 5] [--senders 100] [--window 1 4]

A message counts when its acknowledgement is here. With a window of one a sender waits for it before the next.
"""

import argparse
import asyncio
import statistics
import time

from tests.benchmarks.house import Installation, house
from tests.benchmarks.wire import Wire, enter, framed
from tests.system.client import Visit

TEXT = "x" * 200


async def measure(
    house: Installation, senders: int, window: int, seconds: float
) -> tuple[float, float, float]:
    """Messages a second, and the CPU microseconds that one cost the messenger and PostgreSQL."""
    acknowledged = 0
    over = False
    wires: list[Wire] = []
    async with Visit(house.server.url, house.server.ws_url) as visit:
        people = [await visit.user(number) for number in (1, 2, 3)]
        for number in range(senders):
            person = people[number % 3]
            chat_id = await person.create_chat(f"bench {number}")
            count = 0

            def hear(payload: bytes, number: int = number) -> None:
                nonlocal acknowledged, count
                if b'"message_ack"' in payload[:40]:
                    acknowledged += 1
                    count += 1
                    if not over:
                        wires[number].say(framed({"type": "send_message", "text": TEXT, "nonce": f"{count}"}))

            wires.append(await enter(house.server.port, chat_id, person.token, hear))
        for wire in wires:
            for each in range(window):
                wire.say(framed({"type": "send_message", "text": TEXT, "nonce": f"first {each}"}))
        await asyncio.sleep(1)  # warm
        began, so_far, cpu = time.perf_counter(), acknowledged, house.cpu_seconds()
        await asyncio.sleep(seconds)
        over = True
        took, stored, spent = time.perf_counter() - began, acknowledged - so_far, house.cpu_seconds()
        for wire in wires:
            wire.close()
    server, postgres = ((after - before) / stored * 1e6 for before, after in zip(cpu, spent, strict=True))
    return stored / took, server, postgres


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--senders", type=int, default=100)
    parser.add_argument("--window", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with house() as built:
        for window in options.window:
            rounds = [
                asyncio.run(measure(built, options.senders, window, options.seconds))
                for _ in range(options.rounds)
            ]
            rate, server, postgres = (statistics.median(each) for each in zip(*rounds, strict=True))
            print(
                f"{options.senders} senders, {window} under way each: {rate:,.0f} messages/s;"
                f" CPU a message: messenger {server:.0f} us, PostgreSQL {postgres:.0f} us"
            )


if __name__ == "__main__":
    main()
