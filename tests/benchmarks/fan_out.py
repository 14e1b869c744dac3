"""
Deliveries per CPU second of the messenger: real `new_message` frames, stored in PostgreSQL first.

    python -m tests.benchmarks.fan_out [--listeners 1000] [--chats 1] [--rate 20] [--seconds 5]

One chat of all listeners, or many chats that share them. Whoever measures has the other CPU, and reads as cheaply as Python
can; with many listeners it is the measuring side that is at its limit, so that what counts is the messenger's own CPU.
"""

import argparse
import asyncio
import time
from pathlib import Path

from tests.benchmarks.house import House, house, quantile
from tests.benchmarks.wire import Wire, enter, framed
from tests.system.client import Visit


def resident(pid: int) -> int:
    """kB that belong to this process alone or its share of what it has with others."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


async def measure(house: House, listeners: int, chats: int, rate: float, seconds: float) -> None:
    heard = 0
    latencies: list[float] = []
    sent_at: dict[bytes, float] = {}

    def hear(payload: bytes) -> None:
        nonlocal heard
        if b'"new_message"' in payload[:40]:
            heard += 1
            at = payload.find(b"stamp ") + 6
            latencies.append(time.perf_counter() - sent_at[payload[at : payload.find(b" ", at)]])

    assert house.server.process is not None
    pid = house.server.process.pid
    async with Visit(house.server.url, house.server.ws_url) as visit:
        people = [await visit.user(number) for number in (1, 2, 3)]
        ids = [await people[0].create_chat(f"fan {number}", *people[1:]) for number in range(chats)]
        wires: list[Wire] = [
            await enter(house.server.port, ids[number % chats], people[number % 3].token, hear)
            for number in range(min(100, listeners))
        ]
        await asyncio.sleep(1)
        before, cpu = resident(pid), house.cpu_seconds()[0]
        began = time.perf_counter()
        wires += [
            await enter(house.server.port, ids[number % chats], people[number % 3].token, hear)
            for number in range(len(wires), listeners)
        ]
        connected = time.perf_counter() - began
        new = max(1, listeners - 100)
        connecting = (house.cpu_seconds()[0] - cpu) / new
        await asyncio.sleep(2)
        memory = (resident(pid) - before) / new

        count, heard = 0, 0
        latencies.clear()
        cpu, began = house.cpu_seconds()[0], time.perf_counter()
        while (now := time.perf_counter()) < began + seconds:
            sent_at[b"%d" % count] = now
            text = f"stamp {count} " + "x" * 180
            wires[count % chats].say(framed({"type": "send_message", "text": text, "nonce": f"f{count}"}))
            count += 1
            await asyncio.sleep(max(0.0, began + count / rate - time.perf_counter()))
        expected = count * listeners // chats
        async with asyncio.timeout(30):
            while heard < expected:  # noqa: ASYNC110 - counted in a callback for each frame
                await asyncio.sleep(0.05)
        spent = house.cpu_seconds()[0] - cpu
        for wire in wires:
            wire.close()
    print(
        f"{listeners} listeners in {chats} chats, {rate:g} messages/s: {heard} deliveries, none lost,"
        f" {heard / spent:,.0f} per CPU second;"
        f" heard after p50 {quantile(latencies, 0.5) * 1e3:.1f} ms, p99 {quantile(latencies, 0.99) * 1e3:.1f} ms;"
        f" a connection costs {memory:.1f} kB and {connecting * 1e3:.2f} ms CPU, {new / connected:.0f} a second"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--listeners", type=int, default=1000)
    parser.add_argument("--chats", type=int, default=1)
    parser.add_argument("--rate", type=float, default=20)
    parser.add_argument("--seconds", type=float, default=5)
    options = parser.parse_args()
    with house() as built:
        asyncio.run(measure(built, options.listeners, options.chats, options.rate, options.seconds))


if __name__ == "__main__":
    main()
