"""
Stored messages per second at the use case: a hundred senders, each into a chat of its own, one message under way each.

    python -m tests.benchmarks.stored [--seconds 5] [--rounds 3] [--senders 100] [--chats 100]

Three ways, taking turns on one database:

- gathered: `send_message` as the server is put together, one lane;
- one each: the same use case, a transaction for each message, over sixteen lanes;
- pgbench: the same statements for one message a transaction, from sixteen clients in C.
"""

import argparse
import asyncio
import os
import re
import statistics
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from itertools import count
from pathlib import Path
from uuid import UUID, uuid4

from attrs import frozen
from dependency_injector.providers import Singleton
from typing_extensions import override

from application.actor import Actor
from application.chats.create import CreateChat
from application.messages.send import Postponed, SendMessage, SendMessages
from application.views import ProfileView
from config.adapters import make_batch_connection
from config.asgi import opened
from config.container import Application, PostgresAdapters
from config.features.messages import sending
from config.settings.groups import Jwt, Limits, Settings
from config.settings.readers import Environment
from domain.chat import About
from domain.ids import AccountId, ChatId, ProfileId, SessionId
from domain.message import Body, Nonce
from infrastructure.announcing import Announcing
from infrastructure.postgres.driver.batches import PLANS, BatchConnection
from infrastructure.postgres.posting import KEEP, LOCK, READ, PostgresPostings
from infrastructure.stored_events import MESSAGE_SENT
from infrastructure.system.ids import SystemIds
from tests.benchmarks.house import cpu_seconds, database
from tests.system.postgres import Postgres, binaries

CLIENTS = 16
TEXT = "x" * 200

Send = Callable[[Actor, SendMessage], Awaitable[object]]


@frozen
class Round:
    rate: float
    python: float
    """CPU microseconds a message, the client's in C for pgbench."""
    postgres: float

    def __str__(self) -> str:
        return f"{self.rate:>9,.0f} messages/s; CPU a message: {self.python:4.0f} us + PostgreSQL {self.postgres:4.0f} us"


def cpu_of_postgres(postgres: Postgres) -> float:
    assert postgres.pid is not None
    return cpu_seconds(postgres.pid)


def middle_of(rounds: Sequence[Round]) -> Round:
    """Returns the round with the median rate."""
    return sorted(rounds, key=lambda one: one.rate)[len(rounds) // 2]


async def in_python(
    send: Send, people: list[tuple[Actor, ChatId]], postgres: Postgres, seconds: float
) -> Round:
    stored = 0
    until = time.perf_counter() + seconds

    async def talk(actor: Actor, chat_id: ChatId) -> None:
        nonlocal stored
        while time.perf_counter() < until:
            command = SendMessage(chat_id=chat_id, body=Body(TEXT), nonce=Nonce(uuid4().hex))
            await send(actor, command)
            stored += 1

    began, cpu, database_cpu = time.perf_counter(), time.process_time(), cpu_of_postgres(postgres)
    await asyncio.gather(*(talk(actor, chat_id) for actor, chat_id in people))
    took = time.perf_counter() - began
    python, spent = time.process_time() - cpu, cpu_of_postgres(postgres) - database_cpu
    return Round(stored / took, python / stored * 1e6, spent / stored * 1e6)


def one_each(lanes: list[BatchConnection], application: Application) -> Send:
    free: asyncio.Queue[SendMessages] = asyncio.Queue()
    ports = application.ports()
    for lane in lanes:
        begin = Announcing(PostgresPostings(lane).begin, ports.updates)
        free.put_nowait(sending(ports, begin, interval=timedelta()))

    async def send(actor: Actor, command: SendMessage) -> object:
        use = await free.get()
        try:
            while True:
                (answer,) = await use([(actor, command)])
                if not isinstance(answer, Postponed):
                    return answer
        finally:
            free.put_nowait(use)

    return send


def script(chats: int) -> str:
    """One message a transaction, in the statements of the write path, into one of the chats."""

    def said(statement: str, *values: str) -> str:
        return " ".join((statement.strip() % values).split())

    chat = author = "ARRAY[lpad(to_hex(:n::bigint), 32, '0')::uuid]"  # see `Numbered`
    nonce, now = "ARRAY['c:' || :nonce::text]::text[]", "ARRAY[now()]::timestamptz[]"
    seq, position = "ARRAY[:last_seq::bigint + 1]::bigint[]", "ARRAY[:last_position::bigint + 1]::bigint[]"
    messages = (chat, seq, "ARRAY[gen_random_uuid()]", position, author, nonce, f"ARRAY['{TEXT}']", now)
    readings = (chat, author, "ARRAY[1]::bigint[]")
    return "\n".join(
        [
            f"\\set n random(1, {chats})",
            "\\set nonce random(1, 9000000000000000000)",
            "BEGIN;",
            said(LOCK, chat) + " \\gset",
            said(READ, chat, author, nonce, nonce) + ";",
            said(KEEP, *messages, str(MESSAGE_SENT), chat, seq, position, now, *readings) + ";",
            "COMMIT;",
        ]
    )


def by_pgbench(postgres: Postgres, chats: int, seconds: float) -> Round:
    settings = " ".join(f"-c {name}={value}" for name, value in PLANS.items())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "one.sql"
        path.write_text(script(chats))
        cpu, before = cpu_of_postgres(postgres), os.times()
        ran = subprocess.run(
            [
                str(binaries() / "pgbench"),
                *("--no-vacuum", "--protocol=prepared", f"--client={CLIENTS}", "--jobs=2"),
                *(f"--time={max(1, round(seconds))}", "--host=127.0.0.1", f"--port={postgres.port}"),
                *("--username=postgres", f"--file={path}", "messenger"),
            ],
            env={"PGOPTIONS": settings, "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            check=False,
        )
        after = os.times()
    assert ran.returncode == 0, ran.stderr
    told = dict(
        re.findall(r"^(tps|number of transactions actually processed)\W+([\d.]+)", ran.stdout, re.MULTILINE)
    )
    transactions = float(told["number of transactions actually processed"])
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return Round(
        float(told["tps"]), spent / transactions * 1e6, (cpu_of_postgres(postgres) - cpu) / transactions * 1e6
    )


class Numbered(SystemIds):
    """Chats with the ids 1, 2, 3 ..., and owners of the same, so that a script can name them by arithmetic."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = count(1)

    @override
    def chat(self) -> ChatId:
        return ChatId(UUID(int=next(self.numbers)))


async def make_people(application: Application, senders: int, chats: int) -> list[tuple[Actor, ChatId]]:
    """Senders are the owners of their chats: accounts play no part in this."""
    actors = [
        Actor(
            account_id=AccountId(uuid4()),
            session_id=SessionId(uuid4()),
            email="bench@example.com",
            profile=ProfileView(id=ProfileId(UUID(int=number))),
        )
        for number in range(1, chats + 1)
    ]
    create = application.messenger().chats.create
    made = [await create(actor, CreateChat(about=About("bench", None))) for actor in actors]
    return [(actors[n % chats], made[n % chats].id) for n in range(senders)]


async def measure(postgres: Postgres, options: argparse.Namespace) -> dict[str, list[Round]]:
    settings = Settings(
        environment=Environment.LOCAL,
        jwt=Jwt(secret="no token is made here, but there must be a key"),
        limits=Limits(sends=100_000_000),  # asked, and never met
    )
    url = postgres.create("messenger")
    application = Application(adapters=PostgresAdapters(settings=settings, url=url, ids=Singleton(Numbered)))
    rounds: dict[str, list[Round]] = {"gathered": [], "one each": [], "pgbench": []}
    async with opened(application, settings):
        posting = application.sending()
        running = asyncio.create_task(posting.run())
        people = await make_people(application, options.senders, options.chats)
        lanes = [make_batch_connection(settings, url, patient=True) for _ in range(CLIENTS)]
        gathered, single = application.messenger().messages.send, one_each(lanes, application)
        await in_python(gathered, people, postgres, 1)
        await in_python(single, people, postgres, 1)
        for _ in range(options.rounds):
            rounds["gathered"].append(await in_python(gathered, people, postgres, options.seconds))
            rounds["one each"].append(await in_python(single, people, postgres, options.seconds))
            rounds["pgbench"].append(by_pgbench(postgres, options.chats, options.seconds))
        for lane in lanes:
            await lane.close()
        await posting.close()
        await running
    return rounds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--senders", type=int, default=100)
    parser.add_argument("--chats", type=int, default=100)
    options = parser.parse_args()
    with database() as postgres:
        rounds = asyncio.run(measure(postgres, options))
    first = statistics.median(each.rate for each in rounds["gathered"])
    for name, each in rounds.items():
        middle = middle_of(each)
        print(f"{name:>9}: {middle} (gathered is {first / middle.rate:.1f} x)")


if __name__ == "__main__":
    main()
