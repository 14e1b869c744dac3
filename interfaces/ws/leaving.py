"""
Sends clients away before the node stops.

All of them are asked at once, and leave when they like within the time that they are given. Those that stay are closed one
after the other in the second half of that time, so that the nodes to which they go do not get all of them in one moment.
"""

import asyncio
import math
from collections.abc import Sequence
from typing import Final

from interfaces.ws.closing import CloseCode
from interfaces.ws.connection import Connection

TOLD_AT_ONCE: Final = 100
"""Clients that are told without a break, so that the others do not wait."""


async def send_away(connections: Sequence[Connection], seconds: float) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    for number, connection in enumerate(connections, 1):
        connection.go_away(math.floor(seconds))
        if number % TOLD_AT_ONCE == 0:
            await asyncio.sleep(0)
    half = seconds / 2
    for number, connection in enumerate(connections):
        due = began + half + half * number / len(connections)
        await asyncio.sleep(max(due - loop.time(), 0))
        connection.close(CloseCode.RESTART, "the server stops")
