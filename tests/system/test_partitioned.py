"""Two nodes of which one is cut off from NATS without noticing: that costs a delay, and the log heals it."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.black_hole import BlackHole
from tests.nats import NatsServer
from tests.system.client import ChatSocket, Visit
from tests.system.conftest import SECRET
from tests.system.postgres import DATABASE, Postgres
from tests.system.server import Server
from tests.system.test_workers import until


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[NatsServer]:
    folder = tmp_path / "nats"
    folder.mkdir()
    server = NatsServer(folder)
    server.start()
    yield server
    server.stop()


async def told(here: ChatSocket, there: ChatSocket, texts: list[str]) -> float:
    """Says everything here. Returns the seconds until the last of it is heard there, in order."""
    began = time.monotonic()
    for text in texts:
        await here.say(text, nonce=text)
    heard = [frame["message"]["text"] for frame in await there.take("new_message", len(texts))]
    assert heard == texts
    return time.monotonic() - began


async def test_a_node_that_nats_does_not_reach_hears_a_little_later(
    make_postgres: Callable[..., Postgres],
    make_server: Callable[..., Server],
    nats: NatsServer,
    record_property: Callable[[str, object], None],
) -> None:
    url = make_postgres(lived_in=True).url(DATABASE)
    async with BlackHole(nats.port).running() as hole, AsyncExitStack() as stack:
        nodes = []
        for port in (nats.port, hole.port):
            settings = {
                "DATABASE_URL": url,
                "JWT_SECRET_KEY": SECRET,
                "BUS": "nats",
                "NATS_SERVERS": f"nats://127.0.0.1:{port}",
                "DATABASE_DEADLINE_SECONDS": "60",
            }
            nodes.append(make_server(settings=settings))
            await asyncio.to_thread(nodes[-1].start)
        visits = [await stack.enter_async_context(Visit(node.url, node.ws_url)) for node in nodes]
        ann, bob = [await visit.user(number) for number, visit in enumerate(visits, 1)]
        chat = await ann.create_chat("Partitioned", bob)
        here, there = await ann.open(chat), await bob.open(chat)
        await told(here, there, ["before"])
        await told(there, here, ["and back"])
        await there.settle()
        await here.settle()
        async with hole.shut():
            before = hole.passed
            away = await told(here, there, [f"to the one behind {n}" for n in range(10)])
            back = await told(there, here, [f"from the one behind {n}" for n in range(10)])
            assert hole.passed == before
            record_property("seconds until all ten were heard, to and from the node behind", (away, back))
            await until(lambda: "was lost" in nodes[1].log())
        await until(lambda: hole.passed > before)
        await told(here, there, ["afterwards"])
        await told(there, here, ["and back again"])
