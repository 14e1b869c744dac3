"""What every storage promises of chats that are purged."""

import asyncio
from datetime import datetime, timedelta

import pytest

from application.actor import Actor
from application.chats.delete import DeleteChat, DeleteChatHandler
from application.chats.purge import PurgeDeletedChatsHandler
from application.ports.views import Newest
from application.views import HistoryPage
from domain.chat import Chat
from domain.chat_errors import ChatNotFound
from domain.ids import ChatId, Position
from tests.contracts.talk import Talk, actor, open_chat
from tests.storages import SharedStorage
from tests.strategies import START
from tests.world import TickingClock

MONTH = timedelta(days=30)


async def delete(storage: SharedStorage, owner: Actor, chat_id: ChatId, at: datetime = START) -> None:
    handler = DeleteChatHandler(begin=storage.begin, clock=TickingClock(at))
    await handler(owner, DeleteChat(chat_id=chat_id))


async def purge_all(storage: SharedStorage, rows: int = 1000, *, after: timedelta = MONTH) -> int:
    """How many passes it took."""
    clock = TickingClock(START + MONTH + timedelta(days=1))
    purge = PurgeDeletedChatsHandler(deleted_chats=storage.deleted_chats, clock=clock, keep=after, rows=rows)
    passes = 0
    while await purge():
        passes += 1
        assert passes < 1000
    return passes


async def talked(storage: SharedStorage, messages: int) -> tuple[Actor, Actor, Chat]:
    """A chat with so many messages, half of them read."""
    ann, ben = actor("Ann"), actor("Ben")
    chat = await open_chat(storage.begin, ann, ben)
    talk = Talk(storage)
    sent = [await talk.say(ann, chat.id, f"number {number}") for number in range(messages)]
    await talk.read(ben, chat.id, sent[messages // 2].message.id)
    return ann, ben, chat


async def test_nothing_is_left_of_a_chat_but_that_it_was(storage: SharedStorage) -> None:
    ann, ben, chat = await talked(storage, 5)
    other_ann, _, other = await talked(storage, 5)
    await delete(storage, ann, chat.id)
    before = await storage.views.log(chat.id, Position(0), 100)
    assert len(before) == 5
    await purge_all(storage)
    assert list(await storage.views.log(chat.id, Position(0), 100)) == []
    async with storage.begin() as work:
        kept = await work.chats.lock(chat.id)
        assert (kept.last_seq, kept.last_position, kept.member_count) == (5, 5, 0)
        assert kept.deleted_at is not None
        for who in (ann, ben):
            assert await work.chats.find_member(chat.id, who.profile_id) is None
    for who in (ann, ben):
        with pytest.raises(ChatNotFound):
            await storage.views.history(who.profile_id, chat.id, Newest(), 10)
        assert list(await storage.views.list_chats(who.profile_id)) == []
    page: HistoryPage = await storage.views.history(other_ann.profile_id, other.id, Newest(), 10)
    assert page.total_count == 5


@pytest.mark.parametrize("rows", [1, 3, 7])
async def test_it_goes_in_slices(storage: SharedStorage, rows: int) -> None:
    ann, _, chat = await talked(storage, 6)
    await delete(storage, ann, chat.id)
    passes = await purge_all(storage, rows)
    # messages and log at the least
    assert passes >= 12 // rows
    assert list(await storage.views.log(chat.id, Position(0), 100)) == []


async def test_what_was_deleted_lately_stays(storage: SharedStorage) -> None:
    ann, _, chat = await talked(storage, 2)
    await delete(storage, ann, chat.id)
    assert await purge_all(storage, after=2 * MONTH) == 0
    assert len(await storage.views.log(chat.id, Position(0), 100)) == 2


async def test_a_chat_that_is_held_is_left_out_and_others_are_not(storage: SharedStorage) -> None:
    ann, _, held = await talked(storage, 2)
    ben, _, free = await talked(storage, 2)
    await delete(storage, ann, held.id)
    await delete(storage, ben, free.id)
    async with storage.begin() as work:
        await work.chats.lock(held.id)
        async with asyncio.timeout(60):
            await purge_all(storage)
    assert len(await storage.views.log(held.id, Position(0), 100)) == 2
    assert list(await storage.views.log(free.id, Position(0), 100)) == []
    await purge_all(storage)
    assert list(await storage.views.log(held.id, Position(0), 100)) == []


async def test_however_many_are_held_those_after_them_have_their_turn(storage: SharedStorage) -> None:
    """They were deleted earlier, so that they are looked at first."""
    eve = actor("Eve")
    held = [(await open_chat(storage.begin, eve)).id for _ in range(25)]
    for chat_id in held:
        await delete(storage, eve, chat_id)
    ann, _, free = await talked(storage, 2)
    await delete(storage, ann, free.id, START + timedelta(hours=1))
    async with storage.begin() as work:
        for chat_id in sorted(held):
            await work.chats.lock(chat_id)
        async with asyncio.timeout(60):
            await purge_all(storage)
    assert list(await storage.views.log(free.id, Position(0), 100)) == []


async def test_several_purge_at_once(storage: SharedStorage) -> None:
    for _ in range(3):
        ann, _, chat = await talked(storage, 3)
        await delete(storage, ann, chat.id)
    await asyncio.gather(*(purge_all(storage, 2) for _ in range(4)))
    assert await purge_all(storage) == 0


async def test_readers_of_everything_new_are_not_confused(storage: SharedStorage) -> None:
    ann, _, chat = await talked(storage, 3)
    await delete(storage, ann, chat.id)
    cursor = await storage.changes.now()
    await purge_all(storage)
    news = await storage.changes.since(cursor)
    assert (dict(news.moved), list(news.personal), list(news.read)) == ({}, [], [])
    owner, _, other = await talked(storage, 1)
    news = await storage.changes.since(news.cursor)
    assert dict(news.moved) == {other.id: 1}
    assert owner.profile_id in {event.profile_id for event in news.personal}
