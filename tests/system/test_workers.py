"""Several processes of the messenger on one port, on the embedded database."""

import asyncio
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress

import httpx
import psutil

from tests.ports import free_port
from tests.system.client import ChatSocket, Device, Visit
from tests.system.metrics import scrape
from tests.system.server import PATIENCE, Server

MakeServer = Callable[..., Server]


def workers(server: Server) -> dict[int, psutil.Process]:
    """The running workers by their process id."""
    assert server.process is not None
    found = {}
    for each in psutil.Process(server.process.pid).children():
        with suppress(psutil.Error):  # one that has just ended
            if "config.worker" in each.cmdline():
                found[each.pid] = each
    return found


def sockets_of(server: Server) -> dict[int, int]:
    """How many connections of clients each worker holds."""
    return {
        pid: sum(
            each.status == psutil.CONN_ESTABLISHED and each.laddr.port == server.port
            for each in process.net_connections("tcp")
        )
        for pid, process in workers(server).items()
    }


async def on_both(server: Server, stack: AsyncExitStack, user: Device, chat: str) -> list[ChatSocket]:
    """Opens sockets of a chat until each worker has one. There are connections for HTTP already."""
    before = sockets_of(server)
    opened: list[ChatSocket] = []
    while any(now <= before[pid] for pid, now in sockets_of(server).items()):
        opened.append(await stack.enter_async_context(user.dial(chat)))
    assert len(opened) >= 2
    return opened


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.02)


async def test_two_workers_are_one_messenger_and_end_with_their_parent(make_server: MakeServer) -> None:
    settings = {
        "API_WORKERS": "2",
        "METRICS_PORT": str(free_port()),
        "AUTH_WRONG_PASSWORDS_PER_HOUR": "5",
    }
    pair = make_server(settings=settings)
    pair.start()
    await until(lambda: len(workers(pair)) == 2)
    async with Visit(pair.url, pair.ws_url) as visit, AsyncExitStack() as stack:
        ann, bob, carl = [await visit.user(number) for number in (1, 2, 3)]
        chat = await ann.create_chat("Workers", bob, carl)
        listening = await on_both(pair, stack, bob, chat)
        talking = await stack.enter_async_context(ann.dial(chat))
        said = [str(number) for number in range(20)]
        for text in said:
            await talking.say(text, nonce=text)
        for socket in listening:
            heard = await socket.take("new_message", len(said))
            assert [frame["message"]["text"] for frame in heard] == said
        found = await scrape(pair)
        assert found["messenger_sockets"] == len(listening) + 1
        assert found["messenger_frames_received_total"] == len(said) + 1 + len(listening)

        await presence_is_told_by_both(carl, chat, listening)
        await a_limit_is_used_up_on_both(pair, visit)
        assert (await bob.http.post("/accounts/sign-out/")).status_code == 200
        for socket in listening:
            assert await socket.closed() == (4401, "session ended")

        # one dies: the other goes on, and the parent starts another
        before = workers(pair)
        victim = next(iter(before))
        before[victim].kill()
        await until(lambda: len(workers(pair)) == 2 and victim not in workers(pair))
        await until(lambda: pair.log().count("listening on") >= 3)
        async with ann.dial(chat) as again:
            await again.say("after", nonce="after")
    log = pair.log()
    assert "a worker has ended" in log
    assert "worker=0" in log
    assert "worker=1" in log

    # the parent dies: no worker is left without it
    left = [*workers(pair).values()]
    pair.kill()
    _, alive = psutil.wait_procs(left, PATIENCE)
    assert not alive
    await until(lambda: not pair.leftovers())


async def presence_is_told_by_both(carl: Device, chat: str, listening: list[ChatSocket]) -> None:
    for socket in listening:
        socket.minds_presence = True
    async with carl.dial(chat):
        for socket in listening:
            await socket.until("user_joined", user_id=carl.profile_id)
    for socket in listening:
        await socket.until("user_disconnected", user_id=carl.profile_id)
        socket.minds_presence = False


async def a_limit_is_used_up_on_both(server: Server, visit: Visit) -> None:
    body = {"email": "user3@example.com", "password": "not this", "fingerprint": "x"}
    http = await visit.anonymous()
    answers = [(await http.post("/accounts/sign-in/", json=body)).status_code for _ in range(6)]
    assert answers[-1] == 429
    refused = 0
    async with asyncio.timeout(PATIENCE):
        while refused < 10:  # in a row: each connection may be to either
            async with httpx.AsyncClient(base_url=server.url) as fresh:
                code = (await fresh.post("/accounts/sign-in/", json=body)).status_code
                refused = refused + 1 if code == 429 else 0


async def test_a_signal_drains_all_and_a_second_one_ends_it(make_server: MakeServer) -> None:
    server = make_server(settings={"API_WORKERS": "2", "API_DRAIN_SECONDS": "300"})
    server.start()
    await until(lambda: len(workers(server)) == 2)
    assert server.process is not None
    server.process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(PATIENCE):
        leaving = 0
        while leaving < 10:  # in a row: each connection may be to either
            async with httpx.AsyncClient(base_url=server.url) as http:
                leaving = leaving + 1 if (await http.get("/readyz")).status_code == 503 else 0
                assert (await http.get("/livez")).status_code == 200
    server.interrupt()
    assert server.process.poll() == 0
    assert not server.leftovers()
