"""
Measures the delay that each attack causes for everybody else, with the limits of a fresh installation.

    python -m tests.benchmarks.attacks [ATTACK ...] [--rounds 8] [--window 3] [--settle 2] [--after 60]

It prints a table in Markdown. An attack takes about two minutes, and ``--after`` seconds more.

The others are 500 sockets in 50 chats, in which somebody says something 200 times a second, and a person who reads a page of
history 40 times a second. Windows of three kinds take turns: the attacker rests, it strikes a listener that is not the messenger
(the control), and it strikes the messenger. The first ``--settle`` seconds after each change are not measured: in these the attacker
connects, and uses up what limits let it save. What the windows of a kind measured is taken together, because single windows
without any attack differ by a factor of two. A row tells the p99 of deliveries and of the page of each kind. The p99 of deliveries
in the three windows of each round goes to the standard error, where one sees what else the machine did.

A ratio of two p99 has an interval behind it, which holds 90 of 100 such ratios of as many windows that are drawn again and again
from those that there are. "Noise" is the ratio of every second window without an attack to the others. The target is met if the
whole interval of the ratio to one of the other kinds is below 1.2, missed if neither interval reaches below it, and undecided
otherwise; and it is missed where the memory at the end is 1.1 times what it was. What the control has above the first is the
machine's part.

The messenger and PostgreSQL have one CPU, and the measuring process has the other. The attacker is one address and one account, in a
process that runs on the measuring CPU when nothing else wants it (SCHED_IDLE), and so does the listener of the control. How
often it strikes in a second is told, of the listener and of the messenger, so that an attacker that cannot keep up is seen. A strike is
what it hands to its own kernel; the CPU of the messenger and PostgreSQL together tells what is made of it.
Memory is the messenger's resident set before, at most, and ``--after`` seconds after the attack. ``--scale`` multiplies the
attacker's connections.
"""

import argparse
import asyncio
import http.client
import json
import os
import random
import re
import statistics
import sys
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import chain
from multiprocessing import get_context
from multiprocessing.context import ForkProcess
from typing import Final, cast

import httpx
import psutil
from attrs import astuple, define, evolve, field, frozen
from typing_extensions import override

from tests.benchmarks import one_client
from tests.benchmarks.house import CLIENT_CPU, NO_LIMITS, SERVER_CPU, Installation, house, quantile
from tests.benchmarks.one_client import ATTACKER, Attack, Others, count_strike, lines, talking
from tests.benchmarks.people import SECRET
from tests.benchmarks.wire import Wire, enter, framed, run
from tests.ports import free_port
from tests.system.client import Device, Visit

ATTACKING_ACCOUNT: Final = "api-test@example.com"
"""The others are all people of the examples but this one."""

LONG: Final = "x" * 4000

UNSENT: Final = 64 * 1024
"""Bytes that an attacking socket may have waiting. Above it nothing more is sent, because the messenger does not read."""


@frozen
class Target:
    """What the attacking process knows."""

    port: int
    token: str
    chat: str
    """A chat of the attacker's, with long messages."""
    victims: tuple[str, ...]
    """Profiles to put into groups."""

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def client(self) -> httpx.AsyncClient:
        transport = httpx.AsyncHTTPTransport(local_address=ATTACKER)
        return httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", transport=transport, timeout=30)


Strike = Callable[[Target, int], Awaitable[None]]
"""An attack with so many connections, until it is cancelled."""


async def _forever(once: Callable[[], Awaitable[object]], connections: int, pause: float = 0.0) -> None:
    async def one() -> None:
        while True:
            with suppress(OSError, httpx.HTTPError, EOFError, AssertionError):
                await once()
                count_strike()
            await asyncio.sleep(pause * (0.5 + random.random()) if pause else 0)

    await asyncio.gather(*(one() for _ in range(connections)))


async def guess(target: Target, connections: int) -> None:
    """Wrong passwords for accounts that do not exist, each of which is hashed."""
    async with target.client() as client:

        async def once() -> None:
            body = {"email": f"who{random.random()}@example.com", "password": "wrong"}
            await client.post("/accounts/sign-in/", json=body)

        await _forever(once, connections, 0.05)


async def letters(target: Target, connections: int) -> None:
    async with target.client() as client:

        async def once() -> None:
            body = {"email": f"who{random.random()}@example.com"}
            await client.post("/accounts/password/reset/", json=body)

        await _forever(once, connections, 0.05)


async def groups(target: Target, connections: int) -> None:
    """Groups around everybody else."""
    async with target.client() as client:

        async def once() -> None:
            body = {"name": "Join us", "members": target.victims}
            await client.post("/chats/", json=body, headers=target.headers)

        await _forever(once, connections, 0.05)


async def history_over_http(target: Target, connections: int) -> None:
    """Pages of history that nobody reads."""
    path = f"/chats/{target.chat}/history/?limit=200"
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {target.token}\r\n\r\n"
    await one_client.attack(target.port, Attack(connections, request.encode(), is_read=False))


async def on_sockets(target: Target, connections: int, frame: bytes, *, is_read: bool, pause: float) -> None:
    """Sockets of one account that each send a frame, or several at once, again and again as long as they are taken."""

    async def one() -> None:
        wire: Wire | None = None
        while True:
            with suppress(OSError, AssertionError, asyncio.InvalidStateError):
                if wire is None or wire.transport is None or wire.transport.is_closing():
                    await asyncio.sleep(random.random())
                    wire = await enter(target.port, target.chat, target.token, lambda _: None)
                    if not is_read and wire.transport is not None:
                        wire.transport.pause_reading()
                if wire.transport is not None and wire.transport.get_write_buffer_size() < UNSENT:
                    wire.say(frame)
                    count_strike()
            await asyncio.sleep(pause * (0.5 + random.random()))

    await asyncio.gather(*(one() for _ in range(connections)))


def storm(frame: dict[str, object], *, is_read: bool = True, pause: float = 0.1) -> Strike:
    sent = framed(dict(frame))
    return lambda target, connections: on_sockets(target, connections, sent, is_read=is_read, pause=pause)


PINGS: Final = bytes((0x89, 0x80, 0, 0, 0, 0)) * 900 + framed({"type": "nothing"})
"""Nearly as many pings as the messenger takes without a message among them."""

PARTS: Final = (
    bytes((0x01, 0x81, 0, 0, 0, 0))
    + b"x"
    + (bytes((0x00, 0x81, 0, 0, 0, 0)) + b"x") * 20_000
    + bytes((0x80, 0x80, 0, 0, 0, 0))
)
"""A message in parts of one byte."""


def sent_again(frames: bytes) -> Strike:
    return lambda target, connections: on_sockets(target, connections, frames, is_read=True, pause=0.005)


async def flood(target: Target, connections: int) -> None:
    """Messages as fast as they are taken."""
    await on_sockets(
        target, connections, framed({"type": "send_message", "text": "x" * 200}), is_read=True, pause=0.005
    )


SIGNED_IN: Final[dict[str, tuple[int, Strike]]] = {
    "hashing places": (70, guess),
    "letters": (20, letters),
    "groups without consent": (10, groups),
    "unread history, HTTP": (60, history_over_http),
    "unread history, sockets": (100, storm({"type": "get_chat_history", "limit": 100}, is_read=False)),
    "big frames": (20, storm({"type": "send_message", "text": "x" * 60_000}, pause=0.01)),
    "counts": (500, storm({"type": "get_unread_count"})),
    "messages on one socket": (1, flood),
    "messages on fifty": (50, flood),
    "pings on fifty": (50, sent_again(PINGS)),
    "messages in parts on fifty": (50, sent_again(PARTS)),
}
"""Connections, and what they do."""

WITHOUT_ACCOUNT: Final = one_client.ATTACKS

NAMES: Final = (*WITHOUT_ACCOUNT, *SIGNED_IN)


async def strike(name: str, target: Target, scale: float) -> None:
    if name in WITHOUT_ACCOUNT:
        kind = WITHOUT_ACCOUNT[name]
        await one_client.attack(
            target.port, evolve(kind, connections=max(1, round(kind.connections * scale)))
        )
    else:
        connections, use = SIGNED_IN[name]
        await use(target, max(1, round(connections * scale)))


# The control


@define(eq=False)
class Dropping(asyncio.Protocol):
    """
    Reads and drops. It answers what an attacker waits for before it goes on: handshakes, so that sockets can strike, and requests
    of httpx, which it refuses. With ``ends_after`` it closes each connection behind so many bytes.
    """

    ends_after: int = 0
    _read: int = 0
    _is_socket: bool = False
    _has_entered: bool = False
    _transport: asyncio.Transport | None = None

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    @override
    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        self._read += len(data)
        if self._is_socket:
            if not self._has_entered:
                self._has_entered = True
                self._transport.write(_told({"type": "auth_success", "epoch": "", "position": 0}))
                self._transport.write(_told({"type": "chat_history"}))
        elif b"Upgrade: websocket" in data:
            self._is_socket = True
            self._transport.write(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
        elif self.ends_after:
            if self._read >= self.ends_after:
                self._transport.close()
        elif data.startswith(b"POST /") and b"python-httpx" in data:
            self._transport.write(b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n")


def _told(fields: dict[str, object]) -> bytes:
    """A short text frame, as a server sends it."""
    payload = json.dumps(fields, separators=(",", ":")).encode()
    assert len(payload) < 126, payload
    return bytes((0x81, len(payload))) + payload


async def drop(name: str, port: int) -> None:
    kind = WITHOUT_ACCOUNT.get(name)
    ends_after = len(kind.sent) if kind is not None and kind.again else 0
    server = await asyncio.get_running_loop().create_server(
        lambda: Dropping(ends_after), "127.0.0.1", port, backlog=2048
    )
    print("listening", flush=True)
    await server.serve_forever()


def give_way() -> None:
    """Runs on the measuring CPU, and only when nobody else wants it."""
    os.sched_setaffinity(0, {CLIENT_CPU})
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


# Measuring


PAGES: Final = 40
"""Pages that are read in a second, at most: more would wait for the pace of the account."""


async def ask_for_page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> None:
    """
    Asks for a page over a connection that is kept, at less cost than httpx has: what it takes the measuring process would be
    measured.
    """
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200 "):
        raise OSError(head)
    size = re.search(rb"(?i)content-length: (\d+)", head)
    assert size is not None, head
    await reader.readexactly(int(size[1]))


@asynccontextmanager
async def asking(port: int, token: str, chat: str, took: list[float]) -> AsyncIterator[None]:
    """Reads a page `PAGES` times a second, as long as the answers come so fast."""
    head = ("Host: localhost", f"Authorization: Bearer {token}", "", "")
    request = "\r\n".join((f"GET /chats/{chat}/history/?limit=1 HTTP/1.1", *head)).encode()

    async def ask() -> None:
        while True:
            with suppress(OSError, EOFError):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                try:
                    while True:
                        began = time.perf_counter()
                        await ask_for_page(reader, writer, request)
                        took.append(time.perf_counter() - began)
                        await asyncio.sleep(1 / PAGES)
                finally:
                    writer.close()
            took.append(float("inf"))  # it was refused, or the connection ended
            await asyncio.sleep(0.1)

    task = asyncio.create_task(ask())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


@define(eq=False)
class Measured:
    """The measurements of all windows of one kind. Each list has one item for each window, in their order."""

    delivered: list[list[float]] = field(factory=list)
    asked: list[list[float]] = field(factory=list)
    """Seconds that each delivery, and each page, took."""
    memory: list[float] = field(factory=list)
    """The most memory in MiB."""
    strikes: list[float] = field(factory=list)
    """Strikes a second."""
    cpu: list[float] = field(factory=list)
    """The share of a CPU that the messenger and PostgreSQL took together."""


def p99(windows: Iterable[Sequence[float]]) -> float:
    """The p99 of all windows together, in milliseconds."""
    return quantile([*chain.from_iterable(windows)] or [float("inf")], 0.99) * 1000


DRAWS: Final = 500
"""The number of random draws from which an interval is computed."""


@frozen
class Ratio:
    """The ratio of two p99, and the interval that holds 90 of 100 ratios of windows that are drawn from the same ones."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, windows: Sequence[Sequence[float]], others: Sequence[Sequence[float]]) -> "Ratio":
        chance = random.Random(0)  # the same windows have the same interval

        def draw(some: Sequence[Sequence[float]]) -> float:
            return p99(chance.choices(some, k=len(some)))

        drawn = [_divide(draw(windows), draw(others)) for _ in range(DRAWS)]
        return cls(_divide(p99(windows), p99(others)), quantile(drawn, 0.05), quantile(drawn, 0.95))

    @override
    def __str__(self) -> str:
        return f"{self.value:.2f} ({self.low:.2f} to {self.high:.2f})"


def _divide(p99_of_some: float, p99_of_others: float) -> float:
    """Returns the ratio of two p99. It is infinite if nothing was delivered in the windows of the first."""
    return float("inf") if p99_of_some == float("inf") else p99_of_some / p99_of_others


STARTS_WITHIN: Final = 60.0
"""Seconds in which an attacking process strikes for the first time."""


@define(eq=False)
class Attacker:
    """The attacking process. It strikes the port that it is told to, and prints four times a second how often it has."""

    process: asyncio.subprocess.Process
    struck: int = 0
    _port: int = 0
    """The port that it strikes, or 0 while it rests."""
    _began: asyncio.Event = field(factory=asyncio.Event)

    @classmethod
    @asynccontextmanager
    async def ready(cls, name: str, target: Target, scale: float) -> AsyncIterator["Attacker"]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.benchmarks.attacks", "--strike", name, "--scale", str(scale)),
            env={**os.environ, "ATTACK_TARGET": json.dumps(astuple(target))},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        attacker = cls(process)
        reading = asyncio.create_task(attacker._read())
        try:
            yield attacker
        finally:
            assert process.stdin is not None
            process.stdin.close()
            await process.wait()
            reading.cancel()
            await asyncio.wait({reading})

    async def strike(self, port: int) -> None:
        """Returns when it has struck for the first time."""
        self._began.clear()
        self._tell(port)
        async with asyncio.timeout(STARTS_WITHIN):
            await self._began.wait()

    def rest(self) -> None:
        """Closes all connections, and does nothing until the next strike."""
        self._tell(0)

    def _tell(self, port: int) -> None:
        assert self.process.stdin is not None
        self._port = port
        self.process.stdin.write(b"%d\n" % port)

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            port, struck = map(int, line.split())
            if port == self._port:
                self.struck = struck
                self._began.set()


@asynccontextmanager
async def dropping(name: str) -> AsyncIterator[int]:
    """The listener of the control, in a process of its own. Its port."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.benchmarks.attacks", "--drop", str(port), name),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(STARTS_WITHIN):
            await process.stdout.readline()
        yield port
    finally:
        process.kill()
        await process.wait()


@define(eq=False)
class Measuring:
    """Measures attacks on one messenger, one after the other."""

    house: Installation
    others: Others
    asked: list[float]
    given: argparse.Namespace

    def memory(self) -> float:
        """The messenger's resident set in MiB, which can be read at next to no cost."""
        return float(psutil.Process(self.house.pid).memory_info().rss / 2**20)

    async def watch(self, attacker: Attacker, measured: Measured) -> None:
        """Adds a window."""
        await asyncio.sleep(self.given.settle)
        self.others.took.clear()
        self.asked.clear()
        began, struck, at_most = time.monotonic(), attacker.struck, 0.0
        spent = sum(self.house.cpu_seconds())
        while time.monotonic() < began + self.given.window:
            at_most = max(at_most, self.memory())
            await asyncio.sleep(0.25)
        took = time.monotonic() - began
        measured.delivered.append(self.others.took.copy())
        measured.asked.append(self.asked.copy())
        measured.memory.append(at_most)
        measured.strikes.append((attacker.struck - struck) / took)
        measured.cpu.append((sum(self.house.cpu_seconds()) - spent) / took)

    async def row(self, name: str, target: Target) -> "Row":
        row = Row(name, self.memory())
        logged = len(self.house.server.log())
        async with (
            dropping(name) as port,
            Attacker.ready(name, target, self.given.scale) as attacker,
        ):
            for _ in range(self.given.rounds):
                await self.watch(attacker, row.rest)
                await attacker.strike(port)
                await self.watch(attacker, row.control)
                await attacker.strike(target.port)
                await self.watch(attacker, row.attack)
                attacker.rest()
                print([round(p99(each.delivered[-1:]), 1) for each in row.kinds], file=sys.stderr, flush=True)
        await asyncio.sleep(self.given.after)
        row.memory_at_last = self.memory()
        row.log = tuple(lines(self.house.server.log()[logged:]))
        return row


RATIO: Final = 1.2
"""The target: the p99 is below this many times what it is without an attack, or in the control."""

KEPT: Final = 1.1
"""The target: at the end the memory is below this many times what it was before."""

COLUMNS: Final = (
    "attack",
    "p99 at rest, control, attack (ms)",
    "to rest",
    "to control",
    "noise",
    "page: p99 at rest, control, attack (ms)",
    "to rest",
    "to control",
    "noise",
    "strikes a second: messenger, control",
    "CPU at rest, control, attack",
    "MiB before, at most, at the end",
    "log",
    "not met",
)


@define(eq=False)
class Row:
    """One line of the table: the delay that an attack caused for others, its memory, and what was logged."""

    name: str
    memory_at_first: float
    memory_at_last: float = 0.0
    log: tuple[str, ...] = ()
    rest: Measured = field(factory=Measured)
    control: Measured = field(factory=Measured)
    attack: Measured = field(factory=Measured)

    @property
    def kinds(self) -> tuple[Measured, Measured, Measured]:
        return self.rest, self.control, self.attack

    def markdown(self) -> str:
        cells, unmet = [self.name], []
        for what, (rest, control, attack) in (
            ("p99", tuple(each.delivered for each in self.kinds)),
            ("page", tuple(each.asked for each in self.kinds)),
        ):
            ratios = Ratio.of(attack, rest), Ratio.of(attack, control)
            noise = Ratio.of(rest[1::2], rest[::2])
            cells.append(", ".join(f"{p99(each):.1f}" for each in (rest, control, attack)))
            cells += map(str, (*ratios, noise))
            if verdict := judge(ratios):
                unmet.append(f"{what} {verdict}")
        if self.memory_at_last > KEPT * self.memory_at_first:
            unmet.append("memory missed")
        memory = (self.memory_at_first, max(self.attack.memory), self.memory_at_last)
        cells += [
            ", ".join(f"{statistics.mean(each.strikes):,.0f}" for each in (self.attack, self.control)),
            ", ".join(f"{statistics.mean(each.cpu):.0%}" for each in self.kinds),
            ", ".join(f"{each:.0f}" for each in memory),
            "; ".join(f"`{each}`" for each in self.log) or "none",
            ", ".join(unmet) or "none",
        ]
        return line_of(cells)


def judge(ratios: Sequence[Ratio]) -> str:
    """Says whether the target is missed, or cannot be told; nothing if it is met in comparison with one of the other kinds."""
    if any(each.high < RATIO for each in ratios):
        return ""
    return "missed" if all(each.low >= RATIO for each in ratios) else "undecided"


def line_of(cells: Sequence[str]) -> str:
    """A line of a table in Markdown."""
    return f"| {' | '.join(each.replace('|', '/') for each in cells)} |"


async def prepared(house: Installation, visit: Visit, others: list[Device]) -> tuple[Target, Device, str]:
    """
    The attacker with a chat of long messages, and somebody among the others who asks. All threads that hash have done so, because
    each takes 19 MiB for its first password, and many requests were under way at once, three times: their objects take 31 MiB
    the first time, 11 the second and 3 the third, which Python keeps for later ones.
    """
    for address in one_client.CROWDS:
        await one_client.ask_together(house.server.port, address)
    attacker, *_ = await asyncio.gather(
        *(visit.sign_in(ATTACKING_ACCOUNT, f"device {number}") for number in range(4))
    )
    chat = await attacker.create_chat("long")
    for number in range(200):
        text = f"{number}{LONG}"[:4000]
        answer = await attacker.http.post(f"/chats/{chat}/messages/", json={"text": text})
        assert answer.status_code == http.client.OK, answer.text
    victims = tuple(str(other.profile_id) for other in others)
    asker = others[0]
    own = await asker.create_chat("own")
    return Target(house.server.port, attacker.token, chat, victims), asker, own


def keep_beside(house: Installation) -> None:
    """Keeps PostgreSQL on the messenger's CPU, because on the other one it would delay the process that measures."""
    assert house.postgres.pid is not None
    root = psutil.Process(house.postgres.pid)
    for process in (root, *root.children(recursive=True)):
        process.cpu_affinity([SERVER_CPU])


async def measure_some(house: Installation, given: argparse.Namespace, names: list[str]) -> None:
    """Measures the first of the attacks, and then the next, and takes each away from ``names`` when it begins."""
    keep_beside(house)
    asked: list[float] = []
    async with talking(house) as others, Visit(house.server.url, house.server.ws_url) as visit:
        people = [await visit.user(number, "asker") for number in (1, 2, 3)]
        target, asker, own = await prepared(house, visit, people)
        async with asking(house.server.port, asker.token, own, asked):
            await asyncio.sleep(3.0)
            measuring = Measuring(house, others, asked, given)
            while names:
                row = await measuring.row(names.pop(0), target)
                print(row.markdown(), flush=True)


def measure_all(
    names: Sequence[str], measure: Callable[[list[str]], None], tell: Callable[[str], None]
) -> None:
    """
    Measures each attack. ``measure`` takes each away from its list when it begins. Where one fails, the others are measured by
    the next call, which has a messenger of its own.
    """
    left = list(names)
    tell(line_of(COLUMNS))
    tell(line_of(["---"] * len(COLUMNS)))
    while left:
        before = len(left)
        try:
            measure(left)
        except Exception as error:  # noqa: BLE001 - the others are measured all the same
            traceback.print_exc()
            if len(left) == before:
                left.pop(0)  # it failed before the first attack began
            failed = names[-len(left) - 1]
            tell(line_of([failed, *["-"] * (len(COLUMNS) - 3), f"failed: {error!r}", "all"]))


def strike_and_tell(name: str, target: Target, scale: float) -> None:
    async def tell() -> None:
        while True:
            if one_client.struck:
                print(target.port, one_client.struck, flush=True)
            await asyncio.sleep(0.25)

    async def both() -> None:
        await asyncio.gather(tell(), strike(name, target, scale))

    run(both())


def strike_as_told(name: str, target: Target, scale: float) -> None:
    """
    Strikes the port that a line of the standard input names, until the next line; 0 means to rest. Each strike is a process of its
    own, with which all its connections end.
    """
    striking: ForkProcess | None = None
    for line in sys.stdin:
        if striking is not None:
            striking.kill()
            striking.join()
            striking = None
        if port := int(line):
            given = name, evolve(target, port=port), scale
            striking = get_context("fork").Process(target=strike_and_tell, args=given, daemon=True)
            striking.start()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("attacks", nargs="*", metavar="ATTACK", help=", ".join(NAMES))
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--window", type=float, default=3.0, help="seconds that are measured at a time")
    parser.add_argument(
        "--settle", type=float, default=2.0, help="seconds from the first strike to the measuring"
    )
    parser.add_argument("--after", type=float, default=60.0)
    parser.add_argument("--descriptors", type=int, default=2048)
    parser.add_argument("--strike", choices=NAMES, help=argparse.SUPPRESS)
    parser.add_argument("--drop", type=int, metavar="PORT", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.rounds < 2:
        parser.error("two rounds are the fewest that can be compared")
    if unknown := set(given.attacks) - set(NAMES):
        parser.error(f"no such attack: {', '.join(unknown)}")
    if given.drop:
        give_way()
        run(drop(given.attacks[0], given.drop))
        return
    if given.strike:
        give_way()
        strike_as_told(given.strike, Target(*json.loads(os.environ["ATTACK_TARGET"])), given.scale)
        return
    limited = ("prlimit", f"--nofile={given.descriptors}:{given.descriptors}")
    # nothing behind the name of a setting means its default

    def measure(names: list[str]) -> None:
        with house(limited, JWT_SECRET_KEY=SECRET, **dict.fromkeys(NO_LIMITS, "")) as started:
            run(measure_some(started, given, names))

    measure_all(given.attacks or NAMES, measure, lambda line: print(line, flush=True))


if __name__ == "__main__":
    main()
