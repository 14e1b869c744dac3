"""
``kill -9`` of the messenger and of PostgreSQL in the middle of a thousand sends: nothing acknowledged is lost, nothing is
stored twice, no number is left out.

The same body, by the same checker, finds two mutants: a database that answers COMMIT before it is on disk, and a
messenger that answers its senders before COMMIT.
"""

import asyncio
import itertools
import random
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from attrs import define, field
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tests.system.client import ChatSocket, Device, Visit, dial
from tests.system.ledger import Ledger, Said, Stored, faults
from tests.system.postgres import DATABASE, Postgres
from tests.system.server import Server
from tests.system.strike import Striker, Victim

HANGS = 600.0
"""Seconds after which a whole trial hangs."""

WINDOW = 12
"""Sends without an answer that each sender has under way."""

MUTANTS = Path(__file__).with_name("mutants")


@define(eq=False)
class Sender:
    """
    One socket after the other, sending what it has to say with `WINDOW` sends under way. What got no answer that
    settles it is sent again under its nonce, before anything new, until it is acknowledged.
    """

    device: Device
    chat_id: str
    ledger: Ledger
    todo: deque[Said]
    more: Callable[[], Said | None]
    """Called when ``todo`` is empty. It gives something else to say, or None if enough was said."""
    waiting: dict[str, Said] = field(factory=dict)
    """Sent on the socket that is open now, in this order."""

    def has_work(self) -> bool:
        if not self.todo and (said := self.more()):
            self.todo.append(said)
        return bool(self.todo or self.waiting)

    async def run(self) -> None:
        while self.has_work():
            # What the last socket took with it comes first, in its order.
            self.todo.extendleft(reversed(self.waiting.values()))
            self.waiting.clear()
            try:
                async with dial(self.device.ws_url, self.chat_id, compression=None) as socket:
                    await self.greet(socket)
                    await self.converse(socket)
            except (ConnectionClosed, InvalidHandshake, OSError):
                await asyncio.sleep(0.1)

    async def greet(self, socket: ChatSocket) -> None:
        await socket.send("auth", token=self.device.token)
        await socket.expect("auth_success")
        await socket.expect("chat_history")

    async def converse(self, socket: ChatSocket) -> None:
        while self.has_work():
            while len(self.waiting) < WINDOW and self.has_work() and self.todo:
                said = self.todo.popleft()
                self.waiting[said.nonce] = said
                self.ledger.send(said)
                await socket.send("send_message", text=said.text, nonce=said.nonce)
            frame = await socket.next()
            match frame["type"]:
                case "message_ack":
                    self.ledger.ack(frame)
                    self.waiting.pop(frame["nonce"], None)
                case "error":
                    assert frame["code"] in {"outcome_unknown", "unavailable", "overloaded"}, frame
                    self.todo.appendleft(self.waiting.pop(frame["nonce"]))
                    await asyncio.sleep(min(frame.get("retry_after", 0), 0.1))
                case "new_message":
                    self.ledger.hear(frame)


@define(eq=False)
class Trial:
    """
    Four chats, two people sending into each, and somebody who kills. On a busy machine a kill takes long, so people say
    more than ``sends`` until the last kill is done.
    """

    server: Server
    postgres: Postgres
    database: str
    victim: Victim
    sends: int
    kills: int
    ledger: Ledger = field(factory=Ledger)
    chats: list[str] = field(factory=list)
    senders: list[Sender] = field(factory=list)
    striker: Striker = field(init=False)
    is_over: bool = False
    """Whether the last kill is done."""

    def __attrs_post_init__(self) -> None:
        chance = random.Random(self.sends)
        self.striker = Striker(self.server, self.postgres, self.under_way, chance)

    async def run(self) -> None:
        async with Visit(self.server.url, self.server.ws_url) as visit:
            people = [await visit.user(number) for number in (1, 2, 3)]
            for number in range(4):
                self.chats.append(await people[0].create_chat(f"chat {number}", *people[1:]))
            pairs = [
                (people[(n + side) % 3], chat_id) for n, chat_id in enumerate(self.chats) for side in (0, 1)
            ]
            share = self.sends // len(pairs)
            self.senders = [
                Sender(
                    device,
                    chat_id,
                    self.ledger,
                    deque(Said(chat_id, f"{number}/{count}") for count in range(share)),
                    partial(self.more, chat_id, number, itertools.count(share)),
                )
                for number, (device, chat_id) in enumerate(pairs)
            ]
            async with asyncio.timeout(HANGS), asyncio.TaskGroup() as group:
                for sender in self.senders:
                    group.create_task(sender.run())
                group.create_task(self.aim())

    def more(self, chat_id: str, number: int, counted: Iterator[int]) -> Said | None:
        return None if self.is_over else Said(chat_id, f"{number}/{next(counted)}")

    def under_way(self) -> set[str]:
        return {nonce for sender in self.senders for nonce in sender.waiting}

    async def aim(self) -> None:
        for number in range(self.kills):
            await self.ledger.milestone(self.sends * (number + 1) // (self.kills + 2)).wait()
            await self.striker.strike(self.victim)
            await self.striker.restart(self.victim)
        self.is_over = True

    def in_the_database(self) -> dict[str, list[Stored]]:
        with self.postgres.connect(self.database) as connection:
            return {
                chat_id: [
                    Stored(str(message_id), seq, text)
                    for message_id, seq, text in connection.execute(
                        "SELECT message_id, seq, body FROM message WHERE chat_id = %s ORDER BY seq", [chat_id]
                    )
                ]
                for chat_id in self.chats
            }

    async def in_the_history(self) -> dict[str, list[Stored]]:
        async with Visit(self.server.url, self.server.ws_url) as visit:
            reader = await visit.user(3, "reader")
            return {
                chat_id: [Stored(m["id"], m["seq"], m["text"]) for m in await reader.history(chat_id)]
                for chat_id in self.chats
            }


TRIALS = 6
"""How many trials have to miss a fault that nearly each of them finds."""

MakeServer = Callable[..., Server]
MakePostgres = Callable[..., Postgres]


def trial(
    make_server: MakeServer,
    postgres: Postgres,
    victim: Victim,
    *,
    sends: int,
    kills: int,
    **settings: str,
) -> Trial:
    server = make_server(settings={"DATABASE_URL": postgres.url(DATABASE), **settings})
    server.start()
    return Trial(server, postgres, DATABASE, victim, sends, kills)


@pytest.mark.parametrize("victim", ["server", "postgres"])
async def test_five_kills_lose_nothing(
    victim: Victim, make_server: MakeServer, make_postgres: MakePostgres
) -> None:
    ran = trial(make_server, make_postgres(lived_in=True), victim, sends=500, kills=5)
    await ran.run()
    stored = ran.in_the_database()

    assert len(ran.striker.taken) == 5
    assert min(ran.striker.taken) > 0, ran.striker.taken
    assert ran.ledger.acks.keys() == ran.ledger.sent.keys()
    assert len(ran.ledger.sent) >= 500
    assert faults(ran.ledger, stored) == []
    assert await ran.in_the_history() == stored


NO_FLUSH_MEANWHILE = {"wal_writer_delay": "10s", "wal_writer_flush_after": "1GB"}
"""Nothing writes the log but who waits for it."""


def lose_what_is_not_flushed(postgres: Postgres, database: str) -> None:
    """Makes transactions of messages end without waiting for the disk, whatever the messenger asks for."""
    with postgres.connect(database) as connection:
        connection.execute(
            """
            CREATE FUNCTION hurry() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN PERFORM set_config('synchronous_commit', 'off', true); RETURN NULL; END $$;
            CREATE TRIGGER hurry BEFORE INSERT ON message FOR EACH STATEMENT EXECUTE FUNCTION hurry();
            """
        )


async def await_a_finding(begin: Callable[[], Trial], *kinds: str) -> None:
    """On a busy machine a kill may come just after what was answered is stored: then there is another trial."""
    found: set[str] = set()
    for _ in range(TRIALS):
        ran = begin()
        await ran.run()
        found |= {fault.split(":")[0] for fault in faults(ran.ledger, ran.in_the_database())}
        if found & {*kinds}:
            return
    raise AssertionError(found)


async def test_a_database_that_answers_before_the_disk_is_found_out(
    make_server: MakeServer, make_postgres: MakePostgres
) -> None:
    def begin() -> Trial:
        postgres = make_postgres(lived_in=True, **NO_FLUSH_MEANWHILE)
        ran = trial(make_server, postgres, "postgres", sends=600, kills=1)
        lose_what_is_not_flushed(postgres, ran.database)
        return ran

    await await_a_finding(begin, "lost", "moved")


async def test_a_database_that_is_set_to_hurry_is_told_to_wait(
    make_server: MakeServer, make_postgres: MakePostgres
) -> None:
    """The same setting from outside loses nothing: the messenger asks for the disk itself."""
    postgres = make_postgres(lived_in=True, synchronous_commit="off", **NO_FLUSH_MEANWHILE)
    ran = trial(make_server, postgres, "postgres", sends=600, kills=1)
    await ran.run()
    assert min(ran.striker.taken) > 0
    assert faults(ran.ledger, ran.in_the_database()) == []


@pytest.mark.parametrize("victim", ["server", "postgres"])
async def test_a_messenger_that_answers_before_the_commit_is_found_out(
    victim: Victim, make_server: MakeServer, make_postgres: MakePostgres
) -> None:
    mutant = str(MUTANTS / "answers_early")

    def begin() -> Trial:
        postgres = make_postgres(lived_in=True)
        return trial(make_server, postgres, victim, sends=600, kills=2, PYTHONPATH=mutant)

    await await_a_finding(begin, "lost", "moved", "vanished")
