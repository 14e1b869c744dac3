"""Reads that answer many people are bounded, and leave connections for what a single request needs."""

import asyncio
from collections.abc import AsyncIterator, Hashable, Mapping, Sequence
from contextlib import suppress
from typing import Any, cast
from uuid import uuid4

import psycopg
import pytest

from application.errors import Unavailable
from application.ports.own_changes import Lost, Missed
from domain.ids import AccountId, ChatId, ProfileId, SessionId
from infrastructure.postgres.driver.arrays import Bigint
from infrastructure.postgres.driver.reads import SLICE, Prepared, ReadPool, sliced
from infrastructure.postgres.driver.together import HEAVIEST
from infrastructure.postgres.own_changes import FEW_PERSONAL, PostgresOwnChanges
from infrastructure.postgres.views import PostgresViews
from tests.postgres import PostgresServer
from tests.statements import counted

PATIENCE = 60.0
"""Seconds after which a test fails that waits for something."""

IN_CHATS = """
WITH made AS (SELECT gen_random_uuid() AS chat FROM generate_series(1, %(chats)s)),
heads AS (
    INSERT INTO chat_head (chat_id, last_seq, last_position, first_position, member_count, tx)
    SELECT chat, 0, 0, 1, 1, 1 FROM made
), readings AS (
    INSERT INTO reading (chat_id, profile_id, mark, less, tx) SELECT chat, %(person)s, 0, 0, 1 FROM made
), own AS (
    INSERT INTO profile_chat (profile_id, chat_id, joined_at) SELECT %(person)s, chat, now() FROM made
)
INSERT INTO chat (chat_id, kind, name, owner_id, created_at, updated_at)
SELECT chat, 'group', 'a group', %(person)s, now(), now() FROM made
"""

TOLD = """
WITH now AS (SELECT base + pg_current_xact_id()::text::bigint AS tx FROM origin),
head AS (
    INSERT INTO profile_head (profile_id, last_position, first_position, tx)
    SELECT %(person)s, %(entries)s, 1, tx FROM now
)
INSERT INTO profile_log (profile_id, position, kind, chat_id, payload, tx)
SELECT %(person)s, n, %(kind)s, gen_random_uuid(),
    jsonb_build_object('v', 1, 'at', to_char(TIMESTAMP '2020-01-01' + n * INTERVAL '1 second', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"')),
    tx
FROM now, generate_series(1, %(entries)s) n
"""

ADDED, UNKNOWN = 1, 99


SIGNED_IN = """
WITH person AS (
    INSERT INTO profile (profile_id, account_id, first_name) VALUES (%(account)s, %(account)s, 'person ' || %(number)s)
), owner AS (
    INSERT INTO account (account_id, email, created_at) VALUES (%(account)s, %(number)s || '@example.com', now())
)
INSERT INTO session (
    account_id, session_id, profile_id, fingerprint, access_id, refresh_id, issued_at, access_expires_at,
    refresh_expires_at, created_at, last_used_at, ended_at
)
SELECT %(account)s, %(account)s, %(account)s, 'device', '', '', now(), now(), now(), now(), now(),
    CASE WHEN %(ended)s THEN now() END
"""
"""The ids of the account, of its session and of its profile are the same."""


@pytest.fixture
async def pool(messenger_database: str) -> AsyncIterator[ReadPool]:
    pool = ReadPool(messenger_database, wait=PATIENCE, deadline=PATIENCE)
    yield pool
    await pool.close()


@pytest.fixture
def own(pool: ReadPool) -> PostgresOwnChanges:
    return PostgresOwnChanges(pool)


def people(beside: psycopg.Connection[Any], *chats: int) -> list[ProfileId]:
    made = [ProfileId(uuid4()) for _ in chats]
    for person, count in zip(made, chats, strict=True):
        beside.execute(IN_CHATS, {"person": person, "chats": count})
    return made


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_shared_reads_that_take_long_leave_connections_for_sessions(
    pool: ReadPool, own: PostgresOwnChanges, beside: psycopg.Connection[Any]
) -> None:
    views = PostgresViews(pool)
    here = await own.here()
    with beside.transaction():
        beside.execute("LOCK TABLE profile_chat, chat, chat_head IN ACCESS EXCLUSIVE MODE")
        asked: list[asyncio.Task[Any]] = []
        for _ in range(3):
            one = ProfileId(uuid4())
            asked += [
                asyncio.create_task(views.snapshot(one, ChatId(uuid4()), 0)),
                asyncio.create_task(own.chats_of(one)),
                asyncio.create_task(own.since(one, here)),
            ]
            await settled()
        assert pool.in_use == pool.size * 2 // 3
        async with asyncio.timeout(PATIENCE):
            assert await views.live_session(AccountId(uuid4()), SessionId(uuid4())) is None
        assert pool.in_use == pool.size * 2 // 3
        assert not any(task.done() for task in asked)
    found = await asyncio.gather(*asked, return_exceptions=True)
    assert [isinstance(each, Missed) for each in found[2::3]] == [True] * 3


async def test_a_read_returns_the_chats_of_as_many_as_are_not_too_much(
    own: PostgresOwnChanges, beside: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    chats = [HEAVIEST + 300, 600, 3, 600, 3]
    them = people(beside, *chats)
    count_of = dict(zip(them, chats, strict=True))
    here = await own.here()
    reads: list[int] = []

    for together in (own._chats, own._missed):
        read = together._read

        async def noted(kind: Hashable, asked: Sequence[Any], read: Any = read) -> Mapping[Any, Any]:
            # of the chats readers are asked, of what was missed pairs of a reader and a cursor
            reads.append(sum(count_of[each[0] if isinstance(each, tuple) else each] for each in asked))
            return await read(kind, asked)  # type: ignore[no-any-return]  # of either

        monkeypatch.setattr(together, "_read", noted)
    in_chats = await asyncio.gather(*(own.chats_of(person) for person in them))
    assert [len(set(each)) for each in in_chats] == chats
    missed = await asyncio.gather(*(own.since(person, here) for person in them))
    assert [isinstance(each, Missed) and {one.chat_id for one in each.standings} for each in missed] == [
        set(each) for each in in_chats
    ]
    assert reads == [606, 600, HEAVIEST + 300] * 2


async def test_different_cursors_share_a_read_and_nothing_is_counted_that_is_known(
    own: PostgresOwnChanges, beside: psycopg.Connection[Any]
) -> None:
    one, other = people(beside, 2, 3)
    early = await own.here()
    beside.execute(TOLD, {"person": other, "entries": 1, "kind": ADDED})
    late = await own.here()
    assert early != late
    with counted() as count:
        found = await asyncio.gather(own.since(one, early, 2), own.since(other, late, 3))
    assert [isinstance(each, Missed) and (len(each.standings), len(each.personal)) for each in found] == [
        (2, 0),
        (3, 0),
    ]
    assert count.statements == 3, "where storage is, the chats and the own logs"


async def test_cursors_with_different_running_transactions_share_a_read(
    own: PostgresOwnChanges,
    beside: psycopg.Connection[Any],
    postgres_server: PostgresServer,
) -> None:
    one, other, third = people(beside, 1, 1, 1)
    with postgres_server.connect(beside.info.dbname) as unfinished:
        with unfinished.transaction():
            for person in (one, other):
                unfinished.execute(TOLD, {"person": person, "entries": 1, "kind": ADDED})
            beside.execute(TOLD, {"person": third, "entries": 1, "kind": ADDED})
            early = await own.here()
        late = await own.here()
    assert len(early.place.split("-")) >= 2, "a transaction is running there"
    with counted() as count:
        found = await asyncio.gather(
            own.since(one, early, 1), own.since(other, late, 1), own.since(third, early, 1)
        )
    assert [isinstance(each, Missed) and len(each.personal) for each in found] == [1, 0, 0]
    assert count.statements == 3


class Emptied:
    """A pool whose database is being restored: its tables are there, and have no rows."""

    async def shared_rows(self, *_: object, **__: object) -> Sequence[Any]:
        return []


async def test_a_database_that_is_being_restored_does_not_answer() -> None:
    with pytest.raises(Unavailable):
        await PostgresOwnChanges(cast(ReadPool, Emptied())).here()


async def test_sessions_that_are_asked_for_at_once_share_reads(
    pool: ReadPool, beside: psycopg.Connection[Any]
) -> None:
    views = PostgresViews(pool)
    accounts = [AccountId(uuid4()) for _ in range(30)]
    for number, account in enumerate(accounts):
        beside.execute(SIGNED_IN, {"account": account, "number": number, "ended": number == 7})
    with counted() as count:
        found = await asyncio.gather(*(views.live_session(each, SessionId(each)) for each in accounts))
        stranger = await views.live_session(accounts[0], SessionId(accounts[1]))
    emails = [None if each is None else each.email for each in found]
    assert emails == [None if number == 7 else f"{number}@example.com" for number in range(30)]
    assert [each and each.profile.first_name for each in found[:2]] == ["person 0", "person 1"]
    assert stranger is None
    assert count.statements < 6


async def test_the_event_loop_is_given_back_while_much_is_decoded(pool: ReadPool) -> None:
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0)

    numbers = Prepared("SELECT n FROM generate_series(1, %(count)s) n", {})
    (found,) = await pool.exchange(numbers.asked(count=Bigint.of(3 * SLICE + 1)))
    between, sizes, ticking = [], [], asyncio.create_task(tick())
    async for rows in sliced(found):
        sizes.append(len(rows))
        between.append(ticks)
    ticking.cancel()
    with suppress(asyncio.CancelledError):
        await ticking
    assert sizes == [SLICE, SLICE, SLICE, 1]
    assert len(set(between)) == 4, "another task runs between two slices"


async def test_who_was_told_much_is_told_all_and_in_order(
    own: PostgresOwnChanges, beside: psycopg.Connection[Any]
) -> None:
    entries = [FEW_PERSONAL, FEW_PERSONAL + 1, 100, 1, 10_001]
    them = people(beside, *[1] * len(entries))
    here = await own.here()
    for person, count in zip(them, entries, strict=True):
        beside.execute(TOLD, {"person": person, "entries": count, "kind": ADDED})
    *missed, too_far = await asyncio.gather(*(own.since(person, here) for person in them))
    assert too_far is Lost.TOO_FAR
    for person, count, each in zip(them, entries, missed, strict=False):
        assert isinstance(each, Missed)
        assert len(each.personal) == count
        assert {event.profile_id for event in each.personal} == {person}
        moments = [event.at for event in each.personal]
        assert moments == sorted(moments)
        assert len(each.standings) == 1


async def test_what_cannot_be_decoded_fails_for_one(
    own: PostgresOwnChanges, beside: psycopg.Connection[Any]
) -> None:
    them = people(beside, 1, 1, 1)
    here = await own.here()
    beside.execute(TOLD, {"person": them[1], "entries": 1, "kind": UNKNOWN})
    one, failed, other = await asyncio.gather(
        *(own.since(person, here) for person in them), return_exceptions=True
    )
    assert isinstance(failed, KeyError)
    assert isinstance(one, Missed)
    assert isinstance(other, Missed)
