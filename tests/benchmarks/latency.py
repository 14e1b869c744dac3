"""
From a send to its delivery at another socket, on an idle server, beside a bare commit on the same database.

    python -m tests.benchmarks.latency [--count 2000]

One message is under way at a time. Sends and commits take turns, a hundred of each.
"""

import argparse
import asyncio
import time

from tests.benchmarks.house import Installation, house, quantile
from tests.benchmarks.wire import enter, framed
from tests.system.client import Visit

TURN = 100


async def measure(house: Installation, count: int) -> tuple[list[float], list[float], list[float]]:
    """Seconds to the acknowledgement, to the delivery, of a commit."""
    acked, delivered, commits = [], [], []
    loop = asyncio.get_running_loop()
    async with Visit(house.server.url, house.server.ws_url) as visit:
        anna, boris = await visit.user(1), await visit.user(2)
        chat_id = await anna.create_chat("latency", boris)
        ack: asyncio.Future[float] = loop.create_future()
        delivery: asyncio.Future[float] = loop.create_future()

        def hear_ack(payload: bytes) -> None:
            if b'"message_ack"' in payload[:40]:
                ack.set_result(time.perf_counter())

        def hear_message(payload: bytes) -> None:
            if b'"new_message"' in payload[:40]:
                delivery.set_result(time.perf_counter())

        says = await enter(house.server.port, chat_id, anna.token, hear_ack)
        hears = await enter(house.server.port, chat_id, boris.token, hear_message)
        with house.postgres.connect("messenger") as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS bare (n bigint PRIMARY KEY, text text)")
            connection.execute("TRUNCATE bare")
            for number in range(count):
                ack, delivery = loop.create_future(), loop.create_future()
                began = time.perf_counter()
                says.say(framed({"type": "send_message", "text": "x" * 200, "nonce": f"{number}"}))
                acked.append(await ack - began)
                delivered.append(await delivery - began)
                if number % TURN == TURN - 1:
                    for row in range(number - TURN, number):
                        began = time.perf_counter()
                        connection.execute("INSERT INTO bare VALUES (%s, %s)", [row, "x" * 200])
                        commits.append(time.perf_counter() - began)
        says.close()
        hears.close()
    return acked[TURN:], delivered[TURN:], commits[TURN:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--count", type=int, default=2000)
    options = parser.parse_args()
    with house() as built:
        acked, delivered, commits = asyncio.run(measure(built, options.count))
    for name, values in (("acknowledged", acked), ("delivered", delivered), ("bare commit", commits)):
        half, most = (quantile(values, at) * 1e3 for at in (0.5, 0.99))
        ratio = half / (quantile(commits, 0.5) * 1e3)
        print(f"{name:>13}: p50 {half:.2f} ms, p99 {most:.2f} ms, {ratio:.1f} bare commits")


if __name__ == "__main__":
    main()
