"""Places for reading are shared by owner: one with many requests delays others by no more than a request."""

import asyncio
from collections import Counter
from collections.abc import Hashable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infrastructure.postgres.driver.reads import Prepared, ReadPool
from infrastructure.postgres.driver.room import FairRoom
from tests.postgres import PostgresServer


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def queued(
    room: FairRoom, owners: Sequence[str | None]
) -> tuple[list[str | None], list["asyncio.Task[None]"]]:
    """Asks for all of them, and returns who has had a place, which grows."""
    served: list[str | None] = []

    async def take(owner: str | None) -> None:
        await room.take(owner)
        served.append(owner)

    tasks = []
    for owner in owners:
        tasks.append(asyncio.create_task(take(owner)))
        await settled()
    return served, tasks


async def test_owners_take_turns() -> None:
    room = FairRoom(2, share=2)
    served, tasks = await queued(room, ["a"] * 6 + ["b", "c", "b", None])
    assert served == ["a", "a"]
    for _ in range(8):
        room.give_back(served[-1] if len(served) < 3 else served[len(served) - 2])
        await settled()
    assert served[2:7] == ["a", "b", "c", None, "a"]
    await asyncio.gather(*tasks)


async def test_one_owner_never_has_all_places() -> None:
    room = FairRoom(3)
    assert room.share == 2
    served, tasks = await queued(room, ["a"] * 5)
    assert served == ["a", "a"]
    assert room.take_at_once("b"), "the third place is for somebody else"
    room.give_back("b")
    await settled()
    assert served == ["a", "a"]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert room.waiting == 0


async def test_what_is_nobodys_may_have_all() -> None:
    room = FairRoom(3)
    served, _ = await queued(room, [None] * 3)
    assert served == [None] * 3
    assert not room.take_at_once("a")


async def test_a_place_that_comes_with_the_end_of_waiting_is_given_on() -> None:
    room = FairRoom(1)
    served, (_, waiting, next_one) = await queued(room, ["a", "b", "c"])
    room.give_back("a")
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await next_one
    assert served == ["a", "c"]


@given(
    size=st.integers(1, 4),
    steps=st.lists(st.tuples(st.sampled_from(["take", "give", "leave"]), st.sampled_from(["a", "b", None]))),
)
def test_places_are_neither_lost_nor_made(size: int, steps: list[tuple[str, str | None]]) -> None:
    async def run() -> None:
        room = FairRoom(size)
        held: Counter[Hashable] = Counter()
        tasks: list[tuple[str | None, asyncio.Task[None]]] = []

        async def take(owner: str | None) -> None:
            await room.take(owner)
            held[owner] += 1

        for step, owner in steps:
            if step == "take":
                tasks.append((owner, asyncio.create_task(take(owner))))
            elif step == "give" and held[owner]:
                held[owner] -= 1
                room.give_back(owner)
            elif step == "leave":
                for asked, task in tasks:
                    if asked == owner and not task.done():
                        task.cancel()
                        break
            await settled()
            assert room.free + sum(held.values()) == size
            assert all(count <= room.share for who, count in held.items() if who is not None)
            if room.free and room.waiting:
                assert all(held[who] == room.share for who, task in tasks if not task.done())
        for _, task in tasks:
            task.cancel()
        await asyncio.gather(*(task for _, task in tasks), return_exceptions=True)

    asyncio.run(run())


async def test_a_reader_waits_for_turns_and_not_for_all_reads_of_another(
    postgres_server: PostgresServer,
) -> None:
    """On real connections: the second reader comes last, and is answered while no read of the first can end."""
    name = postgres_server.fresh_database()
    pool = ReadPool(postgres_server.url(name), size=2)
    statement = Prepared(
        "SELECT %(reader)s::text, CASE WHEN %(reader)s::text = 'a' THEN pg_advisory_xact_lock_shared(1) END",
        {},
    )
    answered: list[str] = []

    async def read(reader: str) -> None:
        await pool.rows(statement, reader=reader)
        answered.append(reader)

    with postgres_server.connect(name) as holder:
        holder.execute("SELECT pg_advisory_lock(1)")
        *first, last = (asyncio.create_task(read(reader)) for reader in ["a"] * 40 + ["b"])
        await last
        assert answered == ["b"]
    await asyncio.gather(*first)
    assert answered == ["b", *["a"] * 40]
    await pool.close()
    postgres_server.drop_database(name)
