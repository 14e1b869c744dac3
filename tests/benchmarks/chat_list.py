"""
The chats of a member of ten, a hundred and a thousand, with last messages, names and what is unread:

    python -m tests.benchmarks.chat_list [--others 10000] [--rounds 3] [--seconds 1]

Two ways, taking turns on one database and on the same kind of connection:

- at once: `list_chats`, as the server is put together;
- row by row: for each chat a statement for the chat, its members, its last message, when that was read, what is unread,
  and the names of its owner and of who spoke last.
"""

import argparse
import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from attrs import frozen
from sqlalchemy import func, select

from domain.ids import ProfileId
from infrastructure.postgres import views
from infrastructure.postgres.driver.reads import ReadPool, prepared
from infrastructure.postgres.pages import CHAT, CHATS
from infrastructure.postgres.schema.account_tables import profile
from infrastructure.postgres.schema.chat_tables import chat, member, message, reading, receipt
from infrastructure.postgres.views import READER, PostgresViews
from tests.benchmarks.filling import Grown, fill, people
from tests.benchmarks.house import database, migrated
from tests.benchmarks.stored import cpu_of_postgres
from tests.system.postgres import Postgres

SIZES = (10, 100, 1000)

THE_CHAT = prepared(select(chat).where(chat.c.chat_id == CHAT))
MEMBERS = prepared(select(func.count()).where(member.c.chat_id == CHAT, member.c.left_at.is_(None)))
LAST = prepared(select(message).where(message.c.chat_id == CHAT).order_by(message.c.seq.desc()).limit(1))
READ = prepared(
    select(func.min(receipt.c.read_at)).where(
        receipt.c.chat_id == CHAT, receipt.c.to_seq >= views.START, receipt.c.from_seq <= views.START
    )
)
UNREAD = prepared(
    select(func.count())
    .select_from(message.join(reading, reading.c.chat_id == message.c.chat_id))
    .where(
        message.c.chat_id == CHAT,
        reading.c.profile_id == READER,
        message.c.seq > reading.c.mark,
        message.c.sender_id != READER,
        ~select(receipt)
        .where(
            receipt.c.chat_id == message.c.chat_id,
            receipt.c.profile_id == READER,
            receipt.c.to_seq >= message.c.seq,
            receipt.c.from_seq <= message.c.seq,
        )
        .exists(),
    )
)
PERSON = prepared(select(profile).where(profile.c.profile_id == READER))


@frozen
class Cost:
    p50: float
    python: float
    postgres: float
    """Seconds; the last two of CPU."""

    def __str__(self) -> str:
        return (
            f"p50 {self.p50 * 1e3:8.2f} ms; CPU: Python {self.python * 1e3:7.2f} ms"
            f" + PostgreSQL {self.postgres * 1e3:7.2f} ms"
        )


async def row_by_row(pictures: ReadPool, reader: ProfileId) -> list[tuple[Any, ...]]:
    """What unread counts and names come to, for comparison."""
    found = []
    async with pictures.open() as picture:
        for own in await picture.rows(CHATS, reader=reader, most=None, skip=0):
            chat_id = own["chat_id"]
            the_chat = await picture.row(THE_CHAT, chat=chat_id)
            await picture.row(MEMBERS, chat=chat_id)
            last = await picture.row(LAST, chat=chat_id)
            unread = await picture.row(UNREAD, chat=chat_id, reader=reader)
            assert the_chat
            assert last
            assert unread
            await picture.row(READ, chat=chat_id, start=last["seq"])
            await picture.row(PERSON, reader=the_chat["owner_id"])
            sender = await picture.row(PERSON, reader=last["sender_id"])
            assert sender
            found.append((chat_id, last["seq"], unread["count_1"], sender["last_name"]))
    return sorted(found)


async def at_once(pictures: ReadPool, reader: ProfileId) -> list[tuple[Any, ...]]:
    chats = await PostgresViews(pictures).list_chats(reader)
    return sorted(
        (one.id, one.last_seq, one.unread_count, one.last_message.sender.last_name)
        for one in chats
        if one.last_message
    )


Way = Callable[[ReadPool, ProfileId], Awaitable[list[tuple[Any, ...]]]]


async def cost(way: Way, pictures: ReadPool, reader: ProfileId, postgres: Postgres, seconds: float) -> Cost:
    await way(pictures, reader)
    took: list[float] = []
    python, database = time.process_time(), cpu_of_postgres(postgres)
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        began = time.perf_counter()
        await way(pictures, reader)
        took.append(time.perf_counter() - began)
    python, database = time.process_time() - python, cpu_of_postgres(postgres) - database
    return Cost(statistics.median(took), python / len(took), database / len(took))


def middle(costs: Sequence[Cost]) -> Cost:
    return sorted(costs, key=lambda each: each.p50)[len(costs) // 2]


def grow(postgres: Postgres, others: int) -> list[ProfileId]:
    """One reader for each size, who has as many chats."""
    with postgres.connect("messenger") as connection:
        crowd, readers = people(connection, 1000), people(connection, len(SIZES))
        chats = []
        for number in range(max(SIZES) + others):
            mine = [reader for reader, size in zip(readers, SIZES, strict=True) if number < size]
            members = [*(crowd[(number + each) % 1000] for each in range(4)), *mine]
            grown = Grown(
                name=f"chat {number}",
                messages=20 + number % 40,
                members=members,
                steps=(1, 3, 20),
                read=0.5,
                singly=5,
            )
            chats.append(grown)
        fill(connection, chats)
    return [ProfileId(reader) for reader in readers]


async def statements(postgres: Postgres, url: str, reader: ProfileId) -> int:
    """Counts statements in the log of the server, without those that begin and end transactions."""
    pictures = ReadPool(url)
    await at_once(pictures, reader)
    since = len(postgres.log())
    await at_once(pictures, reader)
    await pictures.close()
    return sum(said.verb not in {"BEGIN", "END"} for said in postgres.statements(since))


async def measure(postgres: Postgres, url: str, options: argparse.Namespace) -> None:
    readers = grow(postgres, options.others)
    pictures = ReadPool(url, deadline=60)
    for size, reader in zip(SIZES, readers, strict=True):
        ways: dict[str, Way] = {"at once": at_once, "row by row": row_by_row}
        assert await at_once(pictures, reader) == await row_by_row(pictures, reader)
        costs: dict[str, list[Cost]] = {name: [] for name in ways}
        for _ in range(options.rounds):
            for name, way in ways.items():
                costs[name].append(await cost(way, pictures, reader, postgres, options.seconds))
        quick, slow = middle(costs["at once"]), middle(costs["row by row"])
        print(f"{size} chats")
        print(f"     at once: {quick}; {quick.p50 / slow.p50:.3f} of row by row")
        print(f"  row by row: {slow}")
    await pictures.close()
    with postgres.connect() as connection:
        connection.execute("ALTER DATABASE messenger SET log_statement = 'all'")
    counted = [await statements(postgres, url, reader) for reader in readers]
    print(f"statements at once, for {', '.join(map(str, SIZES))} chats: {', '.join(map(str, counted))}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--others", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1)
    options = parser.parse_args()
    with database() as postgres:
        url = migrated(postgres)
        asyncio.run(measure(postgres, url, options))


if __name__ == "__main__":
    main()
