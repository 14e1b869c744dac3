"""
Stored and told: what a message costs that many listen to, beside what one writes first and beside a server in C that only
tells.

    python -m tests.benchmarks.fan_out [--chats 1] [--listeners 1000] [--senders 8] [--rate 0] [--seconds 3] [--rounds 3]

Each sender sends its next message when it has heard its last one; or all together send ``--rate`` a second. Every socket
has authenticated, every message is stored in PostgreSQL, each listener must hear each message once. The servers share
one CPU and take turns.
"""

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

import psycopg
from attrs import astuple, frozen

from tests.benchmarks.house import Installation, child, cpu_seconds, house, quantile
from tests.benchmarks.tools import Tools, compiled, told
from tests.benchmarks.wire import Wire, enter, enter_all, framed, run
from tests.ports import free_port
from tests.system.client import Device, Visit

WARM = 1.0

ENTERING = 16
"""Sockets that come in at the same time; more would wait longer than a slow server lets them."""

MARKED = "{mark} {pad:155}"
"""200 characters; wsload knows its own by the mark."""

SAID = '{"type":"send_message","text":"' + MARKED + '","nonce":"{uuid}"}'


@frozen
class Figures:
    """The figures of one round, with CPU time in microseconds a message."""

    rate: float
    told: float
    """Deliveries per CPU second of the server."""
    server: float
    database: float
    half: float
    """Milliseconds until half of the deliveries have come."""
    most: float


@frozen
class Seat:
    """A socket that is to be."""

    chat_id: str
    token: str


@frozen(kw_only=True)
class Rival:
    name: str
    port: int
    pid: int
    stored: Callable[[], int] | None = None
    """How many messages so far; None: it stores nothing, and asks nobody who they are."""
    said: str = SAID
    in_order: bool = True


@frozen
class Trial:
    house: Installation
    seats: Sequence[Seat]
    """Chat by chat."""
    senders: int
    rate: float
    seconds: float

    @property
    def listeners(self) -> int:
        """In one chat."""
        return sum(seat.chat_id == self.seats[0].chat_id for seat in self.seats)

    def by_wsload(self, tools: Tools, rival: Rival) -> Figures:
        pace = [f"--rate={self.rate}"] if self.rate else ["--closed"]
        if rival.stored is None:
            lines = [(f"/{seat.chat_id}", "", seat.chat_id) for seat in self.seats]
            ready = ["--plain"]
        else:
            lines = [
                (f"/chats/{seat.chat_id}/ws", f'{{"type":"auth","token":"{seat.token}"}}', seat.chat_id)
                for seat in self.seats
            ]
            ready = ["--ready=chat_history"]
        load = tools.wsload(
            lines,
            *(*pace, *ready, f"--senders={self.senders}", f"--template={rival.said}", "--match=new_message"),
            *(f"--port={rival.port}", f"--server-pid={rival.pid}"),
            *(f"--warmup={WARM}", f"--duration={self.seconds}", f"--inflight={ENTERING}"),
        )
        database = 0.0
        if rival.stored is not None:
            before = rival.stored()
            while rival.stored() == before and load.poll() is None:
                time.sleep(0.05)
            time.sleep(WARM / 2)  # from here on it sends for longer than we look
            before, cpu = rival.stored(), self.house.cpu_seconds()[1]
            time.sleep(self.seconds)
            database = (self.house.cpu_seconds()[1] - cpu) / max(1, rival.stored() - before)
        heard = told(load)
        assert heard["ready"] == len(self.seats), heard
        assert heard["lost"] == heard["duplicates"] == heard["disconnects"] == 0, heard
        assert not rival.in_order or heard["rooms_diff_order"] == 0, heard
        return Figures(
            rate=heard["sent_per_s"],
            told=heard["deliveries_per_server_cpu_s"],
            server=heard["server_cpu_s"] / heard["sent"] * 1e6,
            database=database * 1e6,
            half=heard["latency_ms"]["p50"],
            most=heard["latency_ms"]["p99"],
        )

    async def by_python(self, rival: Rival) -> Figures:
        """The same without wsload. Latency is that of the senders' own messages."""
        assert rival.stored is not None
        heard, sent, over = 0, 0, False
        said_at: dict[bytes, float] = {}
        latencies: list[float] = []

        def say(wire: Wire) -> None:
            nonlocal sent
            said_at[b"%d" % sent] = time.perf_counter()
            wire.say(
                framed({"type": "send_message", "text": f"{sent} ".ljust(200, "x"), "nonce": f"{sent:036}"})
            )
            sent += 1

        def hear(payload: bytes) -> None:
            nonlocal heard
            heard += b'"new_message"' in payload[:40]

        def hears_itself(number: int) -> Callable[[bytes], None]:
            def hear_own(payload: bytes) -> None:
                hear(payload)
                at = payload.find(b'"text":"') + 8
                name = payload[at : payload.find(b" ", at)]
                if name in mine:
                    mine.discard(name)
                    latencies.append(time.perf_counter() - said_at[name])
                    if not (over or self.rate):
                        speak()

            mine: set[bytes] = set()

            def speak() -> None:
                mine.add(b"%d" % sent)
                say(wires[number])

            speakers.append(speak)
            return hear_own

        speakers: list[Callable[[], None]] = []
        apart = len(self.seats) // self.senders
        hearers = [
            hears_itself(number) if number % apart == 0 and number // apart < self.senders else hear
            for number in range(len(self.seats))
        ]
        ways = (
            enter(rival.port, seat.chat_id, seat.token, hear)
            for seat, hear in zip(self.seats, hearers, strict=True)
        )
        wires = await enter_all(ways, ENTERING)

        async def speak_for(seconds: float) -> None:
            began = time.perf_counter()
            due = 0
            while (past := time.perf_counter() - began) < seconds:
                while self.rate and due < past * self.rate:
                    speakers[due % len(speakers)]()
                    due += 1
                await asyncio.sleep(min(seconds - past, 1 / self.rate if self.rate else seconds))

        for speak in speakers:
            speak()
        await speak_for(WARM)
        latencies.clear()
        began, before = time.perf_counter(), rival.stored()
        cpu, database = cpu_seconds(rival.pid), self.house.cpu_seconds()[1]
        await speak_for(self.seconds)
        took, stored = time.perf_counter() - began, rival.stored() - before
        cpu, database = cpu_seconds(rival.pid) - cpu, self.house.cpu_seconds()[1] - database
        over = True
        async with asyncio.timeout(30):
            while heard < sent * self.listeners:  # noqa: ASYNC110 - counted in a callback for each frame
                await asyncio.sleep(0.05)
        for wire in wires:
            wire.close()
        half, most = (quantile(latencies, at) * 1e3 for at in (0.5, 0.99))
        told = stored * self.listeners / cpu
        return Figures(stored / took, told, cpu / stored * 1e6, database / stored * 1e6, half, most)


@contextmanager
def rivals(built: Installation, tools: Tools | None, size: int) -> Iterator[list[Rival]]:
    """``size`` is that of the messenger's frames, without their head."""

    def counted(database: str, query: str) -> Callable[[], int]:
        connection = stack.enter_context(built.postgres.connect(database))

        def stored() -> int:
            row = connection.execute(query.encode()).fetchone()
            assert row is not None
            return int(row[0])

        return stored

    with ExitStack() as stack:
        heads = "SELECT coalesce(sum(last_seq), 0) FROM chat_head"
        all_of_them = [
            Rival(
                name="messenger",
                port=built.server.port,
                pid=built.pid,
                stored=counted("messenger", heads),
            )
        ]
        built.postgres.create("naive")
        where = psycopg.conninfo.make_conninfo(
            host="127.0.0.1", port=built.postgres.port, user="postgres", dbname="naive"
        )
        port = free_port()
        command = [sys.executable, "-m", "tests.benchmarks.naive", str(port), where]
        pid = stack.enter_context(child(command, port))
        ids = counted("naive", "SELECT last_value FROM naive_id_seq")
        all_of_them.append(Rival(name="naive", port=port, pid=pid, stored=ids, in_order=False))
        if tools is not None:
            head, tail = '{"type":"new_message","text":"{mark} ', '"}'
            padding = size - len(head) - len(tail) - len("0" * 44) + len("{mark}")
            said = head + f"{{pad:{padding}}}" + tail
            for name, joined in (("C", False), ("C, joined", True)):
                port = free_port()
                pid = stack.enter_context(child(tools.cserver(port, joined=joined), port))
                all_of_them.append(Rival(name=name, port=port, pid=pid, said=said))
        yield all_of_them


async def seated(built: Installation, chats: int, listeners: int) -> tuple[list[Seat], int]:
    """Who will listen where; and the size of a frame that they will hear."""
    async with Visit(built.server.url, built.server.ws_url) as visit:
        people = [await visit.user(number) for number in (1, 2, 3)]
        ids = [await people[0].create_chat(f"fan {number}", *people[1:]) for number in range(chats)]
        size = await frame_size(built, people[0], ids[0])
    return [Seat(id, people[n % 3].token) for id in ids for n in range(listeners)], size


async def frame_size(built: Installation, who: Device, chat_id: str) -> int:
    heard: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def hear(payload: bytes) -> None:
        if b'"new_message"' in payload[:40]:
            heard.set_result(len(payload))

    wire = await enter(built.server.port, chat_id, who.token, hear)
    wire.say(framed({"type": "send_message", "text": "x" * 200, "nonce": "x" * 36}))
    size = await heard
    wire.close()
    return size


def show(rounds: dict[str, list[Figures]]) -> None:
    print(f"{'':>10} messages/s  deliveries/CPU s  CPU us a message: server  database  p50 ms  p99 ms")
    middle = {name: median(each) for name, each in rounds.items()}
    for name, each in middle.items():
        print(
            f"{name:>10} {each.rate:>10,.0f} {each.told:>17,.0f} {each.server:>25,.0f} {each.database:>9,.0f}"
            f" {each.half:>7.1f} {each.most:>7.1f}"
        )
    ours = middle.pop("messenger")
    for name, each in middle.items():
        line = f"messenger : {name} = {ours.told / each.told:.2f} in deliveries per CPU second"
        if each.database:
            cost = (each.server + each.database) / (ours.server + ours.database)
            line += f", {ours.rate / each.rate:.2f} in messages/s, 1/{cost:.1f} in CPU a message"
        print(line)


def median(rounds: Sequence[Figures]) -> Figures:
    """Returns the median of each figure by itself."""
    return Figures(*(statistics.median(each) for each in zip(*map(astuple, rounds), strict=True)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--chats", type=int, default=1)
    parser.add_argument("--listeners", type=int, default=1000, help="in each chat")
    parser.add_argument("--senders", type=int, help="one in each chat, or eight in one")
    parser.add_argument(
        "--rate", type=float, default=0, help="messages a second; 0: as fast as they are heard"
    )
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    senders = options.senders or (options.chats if options.chats > 1 else 8)
    with compiled() as tools, house() as built:
        seats, size = run(seated(built, options.chats, options.listeners))
        trial = Trial(built, seats, senders, options.rate, options.seconds)
        with rivals(built, tools, size) as all_of_them:
            rounds: dict[str, list[Figures]] = {rival.name: [] for rival in all_of_them}
            for _ in range(options.rounds):
                for rival in all_of_them:
                    one = trial.by_wsload(tools, rival) if tools else run(trial.by_python(rival))
                    rounds[rival.name].append(one)
    print(f"{options.chats} chats of {options.listeners}, {senders} senders, frames of {size} bytes")
    show(rounds)


if __name__ == "__main__":
    main()
