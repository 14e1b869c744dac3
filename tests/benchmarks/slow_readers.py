"""
What readers of a chat who read slowly cost those who read at once.

    python -m tests.benchmarks.slow_readers [--readers 100] [--slow 100] [--rate 20] [--seconds 10] [--rounds 3]

Messages of 4,000 letters of two bytes each are said in one chat. A row for each round: what a delivery to a reader takes, without
and with the slow ones, who are a process of their own, take 16 kB in a second, and come back when the server has closed their
socket. The same is then done with slow ones who read at once, because reading costs the measuring CPU too.
"""

import argparse
import asyncio
import os
import random
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from attrs import define, field

from tests.benchmarks.house import Installation, house, quantile
from tests.benchmarks.people import SECRET, crowd
from tests.benchmarks.wire import Wire, enter, enter_all, framed, run

TEXT: Final = "ж" * 4000

BYTES_A_SECOND: Final = 16_384


@define(eq=False)
class Readers:
    said: float = 0.0
    took: list[float] = field(factory=list)

    def hear(self, payload: bytes) -> None:
        if b'"new_message"' in payload[:40]:
            self.took.append(time.perf_counter() - self.said)


async def talk(readers: Readers, wire: Wire, rate: float, seconds: float) -> list[float]:
    """Says something now and then. Returns what deliveries took."""
    readers.took.clear()
    began = time.perf_counter()
    for number in range(round(rate * seconds)):
        readers.said = time.perf_counter()
        wire.say(framed({"type": "send_message", "text": TEXT, "nonce": f"{began} {number}"}))
        await asyncio.sleep(max(0.0, began + (number + 1) / rate - time.perf_counter()))
    await asyncio.sleep(0.5)
    return readers.took.copy()


async def read_slowly(port: int, chat_id: str, token: str) -> None:
    """Reads on one socket after another: the server closes those of slow readers."""
    while True:
        with suppress(OSError, AssertionError, asyncio.InvalidStateError):
            wire = await enter(port, chat_id, token, lambda _: None)
            assert wire.transport is not None
            wire.transport.pause_reading()
            raw: socket.socket = wire.transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BYTES_A_SECOND // 2)
            copy = raw.dup()
            copy.setblocking(False)
            with copy:
                is_open = True
                while is_open:
                    await asyncio.sleep(0.5 + random.random() / 10)
                    with suppress(BlockingIOError):
                        is_open = bool(copy.recv(BYTES_A_SECOND // 2))
            wire.cut()
        await asyncio.sleep(1.0)


async def read_at_once(port: int, chat_id: str, token: str) -> None:
    await enter(port, chat_id, token, lambda _: None)
    await asyncio.sleep(3600)


WAYS: Final[dict[str, Callable[[int, str, str], Awaitable[None]]]] = {
    "slowly": read_slowly,
    "at once": read_at_once,
}


async def be(way: str, count: int, port: int, chat_id: str, token: str) -> None:
    await asyncio.gather(*(WAYS[way](port, chat_id, token) for _ in range(count)))


async def measure(built: Installation, given: argparse.Namespace) -> None:
    line = "{:28} {:>8} {:>8} {:>8} {:>10}"
    print(line.format("ms", "p50", "p99", "most", "deliveries"))
    async with crowd(built.url, 3, 1, 3) as them:
        port, chat_id, readers = built.server.port, str(them.chats[0]), Readers()
        wires = await enter_all(
            enter(port, chat_id, them.people[number % 2].token, readers.hear)
            for number in range(given.readers)
        )

        async def row(name: str) -> None:
            took = await talk(readers, wires[0], given.rate, given.seconds)
            half, most = (quantile(took, at) * 1000 for at in (0.5, 0.99))
            print(line.format(name, f"{half:.1f}", f"{most:.1f}", f"{max(took) * 1000:.1f}", len(took)))

        for _ in range(given.rounds):
            await row("alone")
            for way in WAYS:
                words = [
                    "--be",
                    way,
                    "--slow",
                    str(given.slow),
                    "--at",
                    str(port),
                    chat_id,
                    them.people[2].token,
                ]
                others = await asyncio.create_subprocess_exec(
                    "nice", "-n", "15", sys.executable, "-m", "tests.benchmarks.slow_readers", *words,
                    env=dict(os.environ),
                )  # fmt: skip
                try:
                    await asyncio.sleep(3.0)
                    await row(f"beside {given.slow} who read {way}")
                finally:
                    others.kill()
                    await others.wait()
                await asyncio.sleep(1.0)
        for wire in wires:
            wire.close()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--readers", type=int, default=100)
    parser.add_argument("--slow", type=int, default=100)
    parser.add_argument("--rate", type=float, default=20)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--be", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--at", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.be:
        port, chat_id, token = given.at
        run(be(given.be, given.slow, int(port), chat_id, token))
        return
    with house(JWT_SECRET_KEY=SECRET) as built:
        run(measure(built, given))


if __name__ == "__main__":
    main()
