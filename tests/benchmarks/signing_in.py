"""
What fifty people who sign in at once cost everybody else: `/livez` and delivery, idle and while they do.

    python -m tests.benchmarks.signing_in [--people 50] [--seconds 5]
"""

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable

import httpx

from tests.benchmarks.house import Installation, house, quantile
from tests.benchmarks.wire import enter, framed
from tests.system.client import Visit

PAUSE = 0.01
"""Seconds between two measurements."""


async def sampled(once: Callable[[], Awaitable[object]], seconds: float) -> list[float]:
    """How long it took, again and again."""
    took = []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        began = time.perf_counter()
        await once()
        took.append(time.perf_counter() - began)
        await asyncio.sleep(PAUSE)
    return took


async def measure(house: Installation, people: int, seconds: float) -> dict[str, list[float]]:
    loop = asyncio.get_running_loop()
    measured = {}
    async with (
        Visit(house.server.url, house.server.ws_url) as visit,
        httpx.AsyncClient(base_url=house.server.url) as http,
    ):
        anna, boris = await visit.user(1), await visit.user(2)
        chat_id = await anna.create_chat("signing in", boris)
        delivery: asyncio.Future[None] = loop.create_future()
        number = 0

        def hear(payload: bytes) -> None:
            if b'"new_message"' in payload[:40]:
                delivery.set_result(None)

        says = await enter(house.server.port, chat_id, anna.token, lambda _: None)
        hears = await enter(house.server.port, chat_id, boris.token, hear)

        async def deliver() -> None:
            nonlocal delivery, number
            delivery, number = loop.create_future(), number + 1
            says.say(framed({"type": "send_message", "text": "x" * 200, "nonce": f"{number}"}))
            await delivery

        async def live() -> None:
            assert (await http.get("/livez")).status_code == httpx.codes.OK

        async def sign_in_forever(number: int) -> None:
            body = {"email": "user3@example.com", "password": "admin", "fingerprint": f"bench {number}"}
            async with httpx.AsyncClient(base_url=house.server.url, timeout=60) as other:
                while True:
                    answer = await other.post("/accounts/sign-in/", json=body)
                    assert answer.status_code in {httpx.codes.OK, httpx.codes.SERVICE_UNAVAILABLE}

        for state in ("idle", "signing in"):
            crowd = [asyncio.create_task(sign_in_forever(each)) for each in range(people * (state != "idle"))]
            await asyncio.sleep(1)
            for name, once in (("livez", live), ("delivery", deliver)):
                measured[f"{name}, {state}"] = await sampled(once, seconds)
            for task in crowd:
                task.cancel()
            await asyncio.gather(*crowd, return_exceptions=True)
        says.close()
        hears.close()
    return measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--people", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=5)
    options = parser.parse_args()
    with house() as built:
        measured = asyncio.run(measure(built, options.people, options.seconds))
    for name, took in measured.items():
        print(f"{name:>20}: p50 {quantile(took, 0.5) * 1e3:.2f} ms, p99 {quantile(took, 0.99) * 1e3:.2f} ms")


if __name__ == "__main__":
    main()
