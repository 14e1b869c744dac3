"""What every storage promises to readers that must not miss anything."""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from uuid import uuid4

import pytest
from attrs import Factory, define
from hypothesis import given, settings
from hypothesis import strategies as st

from application.ports.changes import Cursor, News, ReadRange
from application.ports.storage import UnitOfWork
from domain.chat import About, Chat
from domain.events import ChatAdded, PersonalEvent
from domain.ids import ChatId, Position, ProfileId, Seq
from tests.contracts.conftest import Rig
from tests.contracts.talk import Talk, actor, open_chat, saying
from tests.storages import SharedStorage
from tests.strategies import START


def nothing(news: News) -> bool:
    return not (news.moved or news.personal or news.read)


async def test_what_lies_behind_a_cursor(storage: SharedStorage) -> None:
    talk, ann, bob = Talk(storage), actor(), actor()
    start = await storage.changes.now()
    chat, other = await open_chat(storage.begin, ann, bob), await open_chat(storage.begin, ann)
    before = await storage.changes.since(start)
    assert {event.chat_id for event in before.personal if isinstance(event, ChatAdded)} == {chat.id, other.id}
    assert before.moved == {}, "a chat's log begins after it exists"

    await talk.send(*[saying(ann, chat.id) for _ in range(3)])
    said = await talk.say(ann, chat.id)
    read = await talk.read(bob, chat.id, said.message.id)
    assert read is not None
    await talk.say(bob, chat.id)
    news = await storage.changes.since(before.cursor)
    assert news.moved == {chat.id: 5}, "the greatest new position of each log that grew"
    assert list(news.personal) == []
    assert list(news.read) == [
        ReadRange(chat_id=chat.id, reader_id=bob.profile_id, from_seq=Seq(1), to_seq=Seq(4), at=read.at)
    ]
    assert nothing(await storage.changes.since(news.cursor))
    assert nothing(await storage.changes.since(await storage.changes.now()))


async def test_a_cursor_can_be_asked_again(storage: SharedStorage) -> None:
    talk, ann = Talk(storage), actor()
    chat = await open_chat(storage.begin, ann)
    cursor = await storage.changes.now()
    await talk.say(ann, chat.id)
    assert (await storage.changes.since(cursor)).moved == {chat.id: 1}
    await talk.say(ann, chat.id)
    assert (await storage.changes.since(cursor)).moved == {chat.id: 2}


async def test_a_cursor_of_another_history(storage: SharedStorage) -> None:
    here = await storage.changes.now()
    await open_chat(storage.begin, actor())
    news = await storage.changes.since(Cursor(epoch="elsewhere", place=here.place))
    assert nothing(news)
    assert news.cursor.epoch == here.epoch
    assert nothing(await storage.changes.since(news.cursor))


async def test_a_range_is_recalled_as_it_was_told(storage: SharedStorage) -> None:
    talk, ann, bob, eve = Talk(storage), actor(), actor(), actor()
    chat = await open_chat(storage.begin, ann, bob, eve)
    events = [await talk.say(who, chat.id) for who in (ann, bob, eve, bob, ann)]
    await talk.read(bob, chat.id, events[0].message.id)
    cursor = await storage.changes.now()
    read = await talk.read(bob, chat.id, events[4].message.id)
    (range_,) = (await storage.changes.since(cursor)).read
    assert await storage.changes.recall(range_) == read


@define(eq=False)
class Writer:
    """One unit of work after the other on a chat of its own: begins, writes, and ends when it is told to."""

    storage: SharedStorage
    chat: Chat
    owner: ProfileId
    work: UnitOfWork | None = None
    position: Position | None = None
    personal: list[PersonalEvent] = Factory(list)
    _unit: AbstractAsyncContextManager[UnitOfWork] | None = None

    async def write(self) -> None:
        if self.work is None:
            self._unit = self.storage.begin()
            self.work = await self._unit.__aenter__()
            self.personal = []
        held = await self.work.chats.lock(self.chat.id)
        by = await self.work.chats.find_member(self.chat.id, self.owner)
        await self.work.chats.keep(held, held.change(by, About(f"{uuid4()}"), at=START))
        event = ChatAdded(profile_id=self.owner, chat_id=ChatId(uuid4()), at=START)
        await self.work.personal.add([event])
        self.personal.append(event)
        self.position = held.last_position

    async def commit(self) -> tuple[dict[ChatId, Position], list[PersonalEvent]]:
        """What became new with it."""
        if self._unit is None or self.position is None:
            return {}, []
        unit, self._unit, self.work = self._unit, None, None
        await unit.__aexit__(None, None, None)
        return {self.chat.id: self.position}, self.personal

    async def roll_back(self) -> None:
        if self._unit is not None:
            unit, self._unit, self.work = self._unit, None, None
            assert not await unit.__aexit__(RuntimeError, RuntimeError(), None)


async def make_writers(storage: SharedStorage, count: int) -> list[Writer]:
    writers = []
    for _ in range(count):
        owner = actor()
        writers.append(Writer(storage, await open_chat(storage.begin, owner), owner.profile_id))
    return writers


@pytest.mark.explored
def test_over_a_chain_of_cursors_everything_is_told_once(rig: Rig) -> None:
    """Several writers in any interleaving, some roll back, and one began long ago and has forgotten to end."""
    writers = rig.runner.run(make_writers(rig.storage, 4))
    forgotten, *busy = writers
    rig.runner.run(forgotten.write())
    acts = st.tuples(st.integers(0, len(busy) - 1), st.sampled_from(["write", "commit", "roll back", "look"]))

    async def play(script: Sequence[tuple[int, str]]) -> None:
        cursor = await rig.storage.changes.now()
        moved: dict[ChatId, Position] = {}
        personal: list[PersonalEvent] = []
        ending = [(number, act) for number in range(len(busy)) for act in ("commit", "look")]
        for number, act in [*script, *ending]:
            writer = busy[number]
            if act == "write":
                await writer.write()
            elif act == "roll back":
                await writer.roll_back()
            elif act == "commit":
                positions, events = await writer.commit()
                moved |= positions
                personal += events
            else:
                news = await rig.storage.changes.since(cursor)
                assert news.moved == moved
                assert sorted(news.personal, key=repr) == sorted(personal, key=repr)
                cursor, moved, personal = news.cursor, {}, []
                assert len(cursor.place) < 100

    @settings(max_examples=20)
    @given(st.lists(acts, max_size=30))
    def check(script: Sequence[tuple[int, str]]) -> None:
        rig.runner.run(play(script))

    check()
    rig.runner.run(forgotten.roll_back())


async def test_what_a_forgotten_writer_wrote_is_told_when_it_ends(storage: SharedStorage) -> None:
    forgotten, busy = await make_writers(storage, 2)
    cursor = await storage.changes.now()
    await forgotten.write()
    for _ in range(5):
        await busy.write()
        expected, _ = await busy.commit()
        news = await storage.changes.since(cursor)
        assert news.moved == expected
        cursor = news.cursor
    expected, events = await forgotten.commit()
    news = await storage.changes.since(cursor)
    assert (news.moved, list(news.personal)) == (expected, events)
    assert nothing(await storage.changes.since(news.cursor))


async def test_six_writers_at_once_and_one_who_reads_along(storage: SharedStorage) -> None:
    writers = await make_writers(storage, 6)
    forgotten, *busy = writers
    await forgotten.write()
    cursor = await storage.changes.now()
    told: list[PersonalEvent] = []
    greatest: dict[ChatId, Position] = {}
    stored: list[PersonalEvent] = []

    async def write(writer: Writer) -> None:
        for number in range(12):
            await writer.write()
            await asyncio.sleep(0)
            if number % 4 == 3:
                await writer.roll_back()
            else:
                stored.extend((await writer.commit())[1])

    async def look() -> None:
        nonlocal cursor
        news = await storage.changes.since(cursor)
        for chat_id, position in news.moved.items():
            assert position > greatest.get(chat_id, 0)
            greatest[chat_id] = position
        told.extend(news.personal)
        cursor = news.cursor

    async with asyncio.timeout(60):
        writing = asyncio.gather(*(write(writer) for writer in busy))
        while not writing.done():
            await look()
            await asyncio.sleep(0)
        await writing
    await look()
    await forgotten.roll_back()
    assert len(told) == len(set(told)) == len(stored) == 5 * 9
    assert set(told) == set(stored)
    assert greatest == {writer.chat.id: 9 for writer in busy}
