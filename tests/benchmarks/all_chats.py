"""
What a client of a thousand chats costs, over each transport: opening, and resuming after one missed message.

    python -m tests.benchmarks.all_chats [--chats 1000] [--rounds 3]

Bytes are those that the client gets (of a socket without the heads of its frames), statements those of reads, with the one
that looks the session up. Seconds are medians, from the first byte sent until everything has come, in one process with
the messenger. The cursor is measured in characters.
"""

import argparse
import asyncio
import statistics
import time
from typing import Any

import orjson
from attrs import frozen

from config.container import PostgresAdapters, close_connections
from tests.all_chats import Device, House, opened
from tests.benchmarks.house import database, migrated
from tests.statements import counted
from tests.world import SETTINGS

TRANSPORTS = ("ws", "sync", "events")


@frozen
class Cost:
    size: int
    statements: int
    seconds: float

    def __str__(self) -> str:
        return f"{self.size:>8,} bytes  {self.statements:>3} statements  {self.seconds * 1000:>7.1f} ms"


async def cost(device: Device, since: Any) -> Cost:
    device.picture.frames.clear()
    device.received = 0
    with counted() as count:
        began = time.perf_counter()
        await device.come(since=since)
        seconds = time.perf_counter() - began
        assert device.close is None, device.close
        await device.go()
    size = device.received or sum(len(orjson.dumps(frame)) for frame in device.picture.frames)
    return Cost(size, count.statements, seconds)


async def measure(house: House, chats: int, rounds: int) -> None:
    ann, bob = [await house.world.person(name) for name in ("Ann", "Bob")]
    made = [await house.world.chat(ann.actor, bob.actor) for _ in range(chats)]
    for number, chat in enumerate(made):
        await house.world.say(ann.actor, chat, f"message {number}", nonce=f"{number}")
    devices = [Device(house, bob, over) for over in TRANSPORTS]
    for device in devices:
        openings, resumes = [], []
        for number in range(rounds):
            openings.append(await cost(device, None))
            await house.world.say(ann.actor, made[number], "missed", nonce=f"{device.over} {number}")
            resumes.append(await cost(device, {"cursor": device.picture.cursor}))
            assert len(device.of("new_message")) == 1
        for name, costs in (("opening", openings), ("resuming", resumes)):
            seconds = statistics.median(each.seconds for each in costs)
            print(f"{device.over:>6} {name:>9}: {Cost(costs[-1].size, costs[-1].statements, seconds)}")
    print(f"cursor: {len(devices[0].picture.cursor or '')} characters")


async def run(url: str, chats: int, rounds: int) -> None:
    adapters = PostgresAdapters(settings=SETTINGS, url=url)
    try:
        async with opened(adapters, interval=3600) as house:
            await measure(house, chats, rounds)
    finally:
        await close_connections(adapters)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chats", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    with database() as postgres:
        url = migrated(postgres)
        asyncio.run(run(url, asked.chats, asked.rounds))


if __name__ == "__main__":
    main()
