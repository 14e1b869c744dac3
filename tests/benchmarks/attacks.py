"""
Measures the delay that each attack causes for everybody else, with the limits of a fresh installation.

    python -m tests.benchmarks.attacks [ATTACK ...] [--before 6] [--control 6] [--settle 5] [--during 15] [--after 60]

It prints a table in Markdown. All attacks take less than 28 minutes. Where one fails, its row says why, and the rest is
measured with a new messenger.

The others are 500 sockets in 50 chats, in which somebody says something 200 times a second, and a person who reads a page of
history ten times a second. A row tells the p99 of deliveries and of that page three times: before, while the attacker
strikes a listener that is not the messenger (the control), and while it strikes the messenger. The ratios are those of the last
to both others. The target is missed where neither is below 1.2, or the memory at the end is 1.1 times what it was. What the control has above the first is the machine's part: the attacker shares a CPU with the measuring
process, and strikes the listener as often as it can.

The messenger and PostgreSQL have one CPU, and the measuring process has the other. The attacker is one address and one account, in a
process that runs on the measuring CPU when nothing else wants it (SCHED_IDLE), and so does the listener of the control. How
often it strikes in a second is told, of the listener and of the messenger, so that an attacker that cannot keep up is seen.
Memory is the messenger's resident set before, at most, and ``--after`` seconds after the attack. ``--scale`` multiplies the
attacker's connections. With ``--rounds`` each part is measured so many times in turn, and medians are told. The first ``--settle``
seconds of an attack are not measured: in these the attacker uses up what limits let it save.
"""

import argparse
import asyncio
import http.client
import json
import os
import random
import statistics
import sys
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final, cast

import httpx
import psutil
from attrs import define, evolve, field, frozen
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


@asynccontextmanager
async def asking(port: int, token: str, chat: str, took: list[float]) -> AsyncIterator[None]:
    """Somebody who asks ten times a second."""
    path = f"/chats/{chat}/history/?limit=1"
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:

        async def ask() -> None:
            while True:
                began = time.perf_counter()
                with suppress(httpx.HTTPError):
                    await client.get(path, headers={"Authorization": f"Bearer {token}"})
                took.append(time.perf_counter() - began)
                await asyncio.sleep(0.1)

        task = asyncio.create_task(ask())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})


def p99(took: list[float]) -> float:
    return quantile(took, 0.99) * 1000 if took else float("inf")


@frozen
class Span:
    """The p99 of deliveries and of pages in milliseconds, the most memory in MiB, and strikes a second."""

    delivered: float
    asked: float
    memory: float
    strikes: float = 0.0

    @classmethod
    def median(cls, spans: list["Span"]) -> "Span":
        return cls(
            statistics.median(each.delivered for each in spans),
            statistics.median(each.asked for each in spans),
            max(each.memory for each in spans),
            statistics.median(each.strikes for each in spans),
        )


STARTS_WITHIN: Final = 60.0
"""Seconds in which an attacking process strikes for the first time."""


@define(eq=False)
class Attacker:
    """The attacking process. It prints how often it has struck, four times a second."""

    process: asyncio.subprocess.Process
    struck: int = 0
    _began: asyncio.Event = field(factory=asyncio.Event)
    _reading: asyncio.Task[None] = field(init=False)

    @classmethod
    @asynccontextmanager
    async def striking(cls, name: str, target: Target, scale: float) -> AsyncIterator["Attacker"]:
        known = [target.port, target.token, target.chat, target.victims]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.benchmarks.attacks", "--strike", name, "--scale", str(scale)),
            env={**os.environ, "ATTACK_TARGET": json.dumps(known)},
            stdout=asyncio.subprocess.PIPE,
        )
        attacker = cls(process)
        attacker._reading = asyncio.create_task(attacker._read())
        try:
            async with asyncio.timeout(STARTS_WITHIN):
                await attacker._began.wait()
            yield attacker
        finally:
            process.kill()
            await process.wait()
            attacker._reading.cancel()
            await asyncio.wait({attacker._reading})

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.struck = int(line)
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

    async def watch(self, seconds: float, attacker: Attacker | None = None) -> Span:
        self.others.took.clear()
        self.asked.clear()
        began, struck, at_most = time.monotonic(), attacker.struck if attacker else 0, 0.0
        while time.monotonic() < began + seconds:
            at_most = max(at_most, self.memory())
            await asyncio.sleep(0.25)
        strikes = (attacker.struck - struck) / (time.monotonic() - began) if attacker else 0.0
        return Span(p99(self.others.took), p99(self.asked), at_most, strikes)

    async def struck(self, name: str, target: Target, settle: float, seconds: float) -> Span:
        async with Attacker.striking(name, target, self.given.scale) as attacker:
            await asyncio.sleep(settle)
            return await self.watch(seconds, attacker)

    async def row(self, name: str, target: Target) -> "Row":
        given, logged = self.given, len(self.house.server.log())
        at_first = self.memory()
        before, control, during = [], [], []
        for _ in range(given.rounds):
            before.append(await self.watch(given.before))
            async with dropping(name) as port:
                control.append(await self.struck(name, evolve(target, port=port), 1.0, given.control))
            during.append(await self.struck(name, target, given.settle, given.during))
        await asyncio.sleep(given.after)
        return Row(
            name,
            Span.median(before),
            Span.median(control),
            Span.median(during),
            at_first,
            self.memory(),
            tuple(lines(self.house.server.log()[logged:])),
        )


RATIO: Final = 1.2
"""The target: the p99 is below this many times what it was before, or in the control."""

KEPT: Final = 1.1
"""The target: at the end the memory is below this many times what it was before."""

COLUMNS: Final = (
    "attack",
    "p99 before, control, during (ms)",
    "to before",
    "to control",
    "page: p99 before, control, during (ms)",
    "to before",
    "to control",
    "strikes a second: messenger, control",
    "MiB before, at most, at the end",
    "log",
    "missed",
)


@frozen
class Row:
    """One line of the table: the delay that an attack caused for others, its memory, and what was logged."""

    name: str
    before: Span
    control: Span
    during: Span
    memory_at_first: float
    memory_at_last: float
    log: tuple[str, ...] = ()

    @property
    def missed(self) -> list[str]:
        """The targets that are not met."""
        missed = []
        for what, three in (("p99", self._delivered), ("page", self._asked)):
            before, control, during = three
            if not during < RATIO * max(before, control):
                missed.append(what)
        if self.memory_at_last > KEPT * self.memory_at_first:
            missed.append("memory")
        return missed

    @property
    def _delivered(self) -> tuple[float, float, float]:
        return self.before.delivered, self.control.delivered, self.during.delivered

    @property
    def _asked(self) -> tuple[float, float, float]:
        return self.before.asked, self.control.asked, self.during.asked

    def markdown(self) -> str:
        cells = [self.name]
        for before, control, during in (self._delivered, self._asked):
            cells += [
                f"{before:.1f}, {control:.1f}, {during:.1f}",
                f"{during / before:.1f}",
                f"{during / control:.1f}",
            ]
        memory = (self.memory_at_first, self.during.memory, self.memory_at_last)
        cells += [
            f"{self.during.strikes:,.0f}, {self.control.strikes:,.0f}",
            ", ".join(f"{each:.0f}" for each in memory),
            "; ".join(f"`{each}`" for each in self.log) or "none",
            ", ".join(self.missed) or "none",
        ]
        return line_of(cells)


def line_of(cells: Sequence[str]) -> str:
    """A line of a table in Markdown."""
    return f"| {' | '.join(each.replace('|', '/') for each in cells)} |"


async def prepared(house: Installation, visit: Visit, others: list[Device]) -> tuple[Target, Device, str]:
    """
    The attacker with a chat of long messages, and somebody among the others who asks. All threads that hash have done so, because
    each keeps its 19 MiB from its first password on.
    """
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


async def strike_and_tell(name: str, target: Target, scale: float) -> None:
    async def tell() -> None:
        while True:
            print(one_client.struck, flush=True)
            await asyncio.sleep(0.25)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(tell())
        tasks.create_task(strike(name, target, scale))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("attacks", nargs="*", metavar="ATTACK", help=", ".join(NAMES))
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--before", type=float, default=6.0)
    parser.add_argument("--control", type=float, default=6.0)
    parser.add_argument("--during", type=float, default=15.0)
    parser.add_argument(
        "--settle", type=float, default=5.0, help="seconds from the first strike to the measuring"
    )
    parser.add_argument("--after", type=float, default=60.0)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--descriptors", type=int, default=2048)
    parser.add_argument("--strike", choices=NAMES, help=argparse.SUPPRESS)
    parser.add_argument("--drop", type=int, metavar="PORT", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if unknown := set(given.attacks) - set(NAMES):
        parser.error(f"no such attack: {', '.join(unknown)}")
    if given.drop:
        give_way()
        run(drop(given.attacks[0], given.drop))
        return
    if given.strike:
        give_way()
        port, token, chat, victims = json.loads(os.environ["ATTACK_TARGET"])
        run(strike_and_tell(given.strike, Target(port, token, chat, tuple(victims)), given.scale))
        return
    limited = ("prlimit", f"--nofile={given.descriptors}:{given.descriptors}")
    # nothing behind the name of a setting means its default

    def measure(names: list[str]) -> None:
        with house(limited, JWT_SECRET_KEY=SECRET, **dict.fromkeys(NO_LIMITS, "")) as started:
            run(measure_some(started, given, names))

    measure_all(given.attacks or NAMES, measure, lambda line: print(line, flush=True))


if __name__ == "__main__":
    main()
