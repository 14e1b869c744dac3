"""Pings and the end of sockets that do not answer, in a time of its own."""

import asyncio
from collections import Counter
from collections.abc import Coroutine, Sequence
from itertools import pairwise
from typing import Any, cast

import pytest
from attrs import Factory, define
from typing_extensions import override
from websockets.datastructures import Headers
from websockets.frames import Opcode
from websockets.http11 import Request
from websockets.protocol import CONNECTING

from interfaces.ws.heartbeats import PER_TURN, SHARE, Heartbeats, Keepalive
from interfaces.ws.protocol import IDLE_FRAMES, SocketProtocol
from tests.interfaces.ws.house import framed
from tests.interfaces.ws.test_plain_frames import loop, opened
from tests.simulation.loop import SimulatedLoop

__all__ = ["loop"]

INTERVAL, TIMEOUT = 25.0, 15.0
GATHERED = TIMEOUT * SHARE


@define(eq=False)
class Client:
    """A socket whose client answers its pings, or the first ``answers`` of them."""

    answers: int = 1_000_000
    is_read: bool = True
    pinged: list[float] = Factory(list)
    turns: list[int] = Factory(list)
    """Which turns of the event loop it was pinged in."""
    ended: list[float] = Factory(list)
    keepalive: Keepalive | None = None

    def ping(self, frame: bytes) -> None:
        simulated = asyncio.get_running_loop()
        assert isinstance(simulated, SimulatedLoop)
        self.pinged.append(simulated.time())
        self.turns.append(simulated.steps)
        assert frame[:2] == b"\x89\x04"
        if len(self.pinged) <= self.answers:
            assert self.keepalive is not None
            assert self.keepalive.is_answered_by(frame[2:])

    def end_unanswered(self) -> None:
        if self.is_read:
            self.ended.append(asyncio.get_running_loop().time())
            assert self.keepalive is not None
            self.keepalive.stop()


def in_its_time(work: Coroutine[Any, Any, None]) -> Sequence[str]:
    """Returns the errors that nobody caught."""
    simulated = SimulatedLoop(0)
    try:
        simulated.run_until_complete(work)
        return simulated.complaints
    finally:
        simulated.close()


def live(
    seconds: float, *clients: Client, timeout: float = TIMEOUT, apart: float = 0.0, stops: float | None = None
) -> None:
    """Lets time pass after the clients have come, one after the other. The first one goes after ``stops`` seconds."""

    async def run() -> None:
        heartbeats = Heartbeats(INTERVAL, timeout)
        for client in clients:
            client.keepalive = heartbeats.begin(client)
            await asyncio.sleep(apart)
        if stops is not None:
            assert clients[0].keepalive is not None
            asyncio.get_running_loop().call_later(stops, clients[0].keepalive.stop)
        await asyncio.sleep(seconds)

    assert not in_its_time(run())


def test_who_answers_is_pinged_again_and_again_and_never_later_than_promised() -> None:
    client = Client()
    live(1000, client)
    times = [0.0, *client.pinged]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert len(gaps) >= 1000 / INTERVAL - 1
    assert all(INTERVAL - 2 * GATHERED <= gap <= INTERVAL for gap in gaps)
    assert not client.ended


@pytest.mark.parametrize("timeout", [TIMEOUT, 40.0], ids=["soon", "longer than the interval"])
def test_who_does_not_answer_is_ended_in_time_and_not_before(timeout: float) -> None:
    client = Client(answers=2)
    live(300, client, timeout=timeout)
    assert len(client.pinged) >= 3
    (ended,) = client.ended
    assert timeout <= ended - client.pinged[2] <= timeout * (1 + SHARE) + GATHERED


def test_an_unanswered_ping_is_not_followed_by_another() -> None:
    client = Client(answers=0)
    live(60, client, timeout=50.0)
    assert len(client.pinged) == 1


def test_who_is_not_read_is_waited_for() -> None:
    client = Client(answers=0, is_read=False)
    live(300, client)
    assert client.ended == []
    assert len(client.pinged) == 1


def test_and_ended_when_it_is_read_and_has_not_answered() -> None:
    client = Client(answers=0, is_read=False)

    async def run() -> None:
        client.keepalive = Heartbeats(INTERVAL, TIMEOUT).begin(client)
        await asyncio.sleep(100)
        client.is_read = True
        await asyncio.sleep(TIMEOUT * (1 + 2 * SHARE))

    assert not in_its_time(run())
    assert len(client.ended) == 1


@define(eq=False)
class Broken(Client):
    """A socket whose first ping fails after it was written, and whose first end fails."""

    failures: int = 0

    @override
    def ping(self, frame: bytes) -> None:
        super().ping(frame)
        if len(self.pinged) == 1:
            raise OSError("written")

    @override
    def end_unanswered(self) -> None:
        self.failures += 1
        if self.failures == 1:
            raise OSError("ended")
        super().end_unanswered()


def test_an_error_at_one_socket_is_seen_and_costs_the_others_nothing() -> None:
    silent, broken, others = Broken(answers=0), Broken(), [Client(), Client()]

    async def run() -> None:
        heartbeats = Heartbeats(INTERVAL, TIMEOUT)
        for client in (others[0], silent, broken, others[1]):
            client.keepalive = heartbeats.begin(client)
        await asyncio.sleep(100)

    told = in_its_time(run())
    assert [line.partition("OSError")[2] for line in told] == ["('written')", "('written')", "('ended')"]
    assert [len(client.pinged) for client in (*others, broken, silent)] == [4, 4, 4, 1]
    assert len(silent.ended) == 1, "the second attempt ends it"


def test_who_has_gone_is_neither_pinged_nor_ended() -> None:
    client, other = Client(answers=0), Client()
    live(100, client, other, stops=INTERVAL + 1)
    assert len(client.pinged) == 1
    assert client.ended == []
    assert len(other.pinged) >= 3
    gone = Client()
    live(100, gone, stops=0)
    assert gone.pinged == []


def test_those_who_came_within_a_second_are_pinged_together() -> None:
    clients = [Client() for _ in range(3 * PER_TURN)]
    live(INTERVAL + 10, *clients, apart=GATHERED / len(clients) / 2)
    assert len({client.pinged[0] for client in clients}) <= 2


def test_few_are_pinged_in_one_turn() -> None:
    clients = [Client() for _ in range(3 * PER_TURN)]
    live(INTERVAL, *clients)
    assert sorted(Counter(client.turns[0] for client in clients).values()) == [PER_TURN] * 3


def test_only_the_answer_to_the_last_ping_counts() -> None:
    keepalive = Keepalive(Client())
    assert not keepalive.is_answered_by(b"")
    keepalive = Keepalive(cast(Any, type("Silent", (), {"ping": lambda self, frame: None})()))
    keepalive.ping(b"0001", b"")
    assert not keepalive.is_answered_by(b"0000")
    assert keepalive.waits
    assert keepalive.is_answered_by(b"0001")
    assert not keepalive.is_answered_by(b"0001")


def test_a_client_that_only_answers_pings_is_never_taken_for_a_flood(
    loop: asyncio.AbstractEventLoop,
) -> None:
    socket, wire = opened(SocketProtocol, loop)
    socket._keepalive = Keepalive(socket)
    for number in range(2 * IDLE_FRAMES):
        payload = number.to_bytes(4)
        socket._keepalive.ping(payload, b"ping")
        socket.data_received(framed(Opcode.PONG, payload))
    assert set(wire.done) == {b"ping"}
    for _ in range(IDLE_FRAMES):
        socket.data_received(framed(Opcode.PONG, b"?"))
    assert socket.close_sent
    assert socket.close_timer is not None
    socket.close_timer.cancel()


@pytest.mark.parametrize("is_plain", [True, False], ids=["answered here", "answered by the library"])
def test_uvicorn_does_not_ping_as_well(loop: asyncio.AbstractEventLoop, is_plain: bool) -> None:
    """Its setting has a default. It would not be told of pongs, and close the sockets that send them."""
    socket, wire = opened(SocketProtocol, loop)
    assert socket.ping_interval
    socket.handshake_complete = False
    headers = {
        "Host": "server",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13",
    }
    socket._key = headers["Sec-WebSocket-Key"].encode() if is_plain else None
    socket.conn.state = CONNECTING
    socket.scope = cast(Any, {"client": None, "path": "/", "query_string": b""})
    socket.response = socket.conn.accept(Request("/", Headers(headers)))
    loop.run_until_complete(socket.send({"type": "websocket.accept"}))
    assert socket.handshake_complete
    assert b"".join(cast(list[bytes], wire.done)).startswith(b"HTTP/1.1 101 ")
    assert socket.ping_timer is None
