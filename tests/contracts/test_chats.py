"""What every storage of chats, readings and personal logs promises."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest
from attrs import asdict, evolve

from application.ports.marking import MarkRequest
from application.ports.storage import Begin
from application.ports.views import Newest
from domain.chat import About, Chat
from domain.chat_errors import ChatNotFound
from domain.decision import Decision
from domain.events import ChatAdded, ChatRemoved, Removal, SessionEnd, SessionEnded
from domain.ids import ChatId, MessageId, Seq, SessionId
from domain.member import Member
from domain.reading import NewlyRead, Reading
from domain.role import Role
from tests.contracts.talk import Talk, actor, open_chat, saying
from tests.storages import SharedStorage
from tests.strategies import START

LATER = START + timedelta(minutes=1)


async def locked(begin: Begin, chat_id: ChatId) -> Chat:
    async with begin() as work:
        return await work.chats.lock(chat_id)


class TestChats:
    async def test_a_chat_is_kept_as_it_is(self, begin: Begin) -> None:
        chat = await open_chat(begin, actor(), actor())
        assert asdict(await locked(begin, chat.id)) == asdict(chat)

    async def test_a_changed_chat_is_kept_as_it_became(self, begin: Begin) -> None:
        owner = actor()
        chat = await open_chat(begin, owner)
        async with begin() as work:
            held = await work.chats.lock(chat.id)
            member = await work.chats.find_member(chat.id, owner.profile_id)
            await work.chats.keep(held, held.change(member, About("Another", "why"), at=LATER))
        assert asdict(await locked(begin, chat.id)) == asdict(held)

    async def test_what_is_not_saved_is_not_kept(self, begin: Begin) -> None:
        chat = await open_chat(begin, actor())
        async with begin() as work:
            (await work.chats.lock(chat.id)).about = About("Another")
        assert (await locked(begin, chat.id)).about == chat.about

    async def test_a_block_that_raises_leaves_no_trace(self, storage: SharedStorage) -> None:
        owner, other = actor(), actor()
        chat = await open_chat(storage.begin, owner)
        born, opened = Chat.open(
            id=ChatId(uuid4()), about=About("Never"), owner_id=owner.profile_id, others=[], at=START
        )
        cursor = await storage.changes.now()

        async def fail() -> None:
            async with storage.begin() as work:
                held = await work.chats.lock(chat.id)
                by = await work.chats.find_member(chat.id, owner.profile_id)
                added = held.add(by, [other.profile_id], at=LATER)
                await work.chats.keep(held, added)
                await work.chats.add(born, opened)
                raise RuntimeError

        with pytest.raises(RuntimeError):
            await fail()
        assert asdict(await locked(storage.begin, chat.id)) == asdict(chat)
        async with storage.begin() as work:
            assert await work.chats.find_member(chat.id, other.profile_id) is None
            assert len(await work.chats.members(chat.id)) == 1
            assert await work.readings.lock(chat.id, other.profile_id) is None
        with pytest.raises(ChatNotFound):
            await locked(storage.begin, born.id)
        assert await storage.views.list_chats(other.profile_id) == []
        news = await storage.changes.since(cursor)
        assert (dict(news.moved), list(news.personal), list(news.read)) == ({}, [], [])

    async def test_an_unknown_chat(self, begin: Begin) -> None:
        with pytest.raises(ChatNotFound):
            await locked(begin, ChatId(uuid4()))

    async def test_a_deleted_chat_says_so(self, begin: Begin) -> None:
        owner, other = actor(), actor()
        chat = await open_chat(begin, owner, other)
        async with begin() as work:
            held = await work.chats.lock(chat.id)
            members = await work.chats.members(chat.id)
            by = await work.chats.find_member(chat.id, owner.profile_id)
            await work.chats.keep(held, held.delete(by, members, at=LATER))
        async with begin() as work:
            assert (await work.chats.lock(chat.id)).deleted_at == LATER
            assert await work.chats.members(chat.id) == []
            left = await work.chats.find_member(chat.id, other.profile_id)
            assert left is not None
            assert left.left_at == LATER
            assert await work.readings.lock(chat.id, other.profile_id) is None

    async def test_members_come_and_are_found(self, begin: Begin) -> None:
        owner, other = actor(), actor()
        chat = await open_chat(begin, owner)
        member = Member(chat_id=chat.id, profile_id=other.profile_id, role=Role.MEMBER, joined_at=LATER)
        async with begin() as work:
            await work.chats.keep(await work.chats.lock(chat.id), Decision(joined=(member,)))
            found = await work.chats.find_member(chat.id, other.profile_id)
            assert found is not None
            assert asdict(found) == asdict(member), "a unit reads its own writes"
        async with begin() as work:
            present = {m.profile_id: m.role for m in await work.chats.members(chat.id)}
            assert present == {owner.profile_id: Role.OWNER, other.profile_id: Role.MEMBER}
            assert await work.chats.find_member(chat.id, actor().profile_id) is None

    async def test_who_comes_again_is_there_again_and_keeps_the_mark(self, storage: SharedStorage) -> None:
        talk, owner, other = Talk(storage), actor(), actor()
        chat = await open_chat(storage.begin, owner, other)
        said = await talk.say(owner, chat.id)
        await talk.read(other, chat.id, said.message.id)
        async with storage.begin() as work:
            held = await work.chats.lock(chat.id)
            member = await work.chats.find_member(chat.id, other.profile_id)
            assert member is not None
            member.left_at = LATER
            await work.chats.keep(held, Decision(changed=(member,)))
        assert await storage.views.list_chats(other.profile_id) == []
        async with storage.begin() as work:
            held = await work.chats.lock(chat.id)
            member.left_at = None
            await work.chats.keep(held, Decision(joined=(member,)))
        (view,) = await storage.views.list_chats(other.profile_id)
        assert (view.read_up_to, view.unread_count) == (1, 0)

    async def test_many_members(self, storage: SharedStorage) -> None:
        owner, crowd = actor(), [actor() for _ in range(1200)]
        chat = await open_chat(storage.begin, owner, *crowd)
        async with storage.begin() as work:
            assert len(await work.chats.members(chat.id)) == 1201
            assert await work.readings.lock(chat.id, crowd[-1].profile_id) is not None
        (view,) = await storage.views.list_chats(crowd[-1].profile_id)
        assert view.member_count == 1201

    async def test_units_on_one_chat_take_turns(self, begin: Begin) -> None:
        chat = await open_chat(begin, actor())

        async def append(character: str) -> None:
            async with begin() as work:
                held = await work.chats.lock(chat.id)
                await asyncio.sleep(0)
                held.about = About(held.about.name + character)
                await work.chats.keep(held, Decision())

        await asyncio.gather(*(append(character) for character in "abcdefghij"))
        assert sorted((await locked(begin, chat.id)).about.name.removeprefix("A chat")) == list("abcdefghij")

    async def test_twenty_chats_of_the_same_people_at_once(self, storage: SharedStorage) -> None:
        people = [actor() for _ in range(5)]

        async def create(number: int) -> None:
            some = people[number % 5 :] + people[: number % 5]
            chat, opened = Chat.open(
                id=ChatId(uuid4()),
                about=About("A chat"),
                owner_id=some[0].profile_id,
                others=[each.profile_id for each in some[1:]],
                at=START,
            )
            async with storage.begin() as work:
                added = opened.personal
                turned = added[number % 3 :] + added[: number % 3]
                await work.chats.add(chat, evolve(opened, personal=turned))
                await asyncio.sleep(0)

        async with asyncio.timeout(60):
            await asyncio.gather(*(create(number) for number in range(20)))
        for person in people:
            assert len(await storage.views.list_chats(person.profile_id)) == 20


class TestReadings:
    async def test_it_begins_before_the_first_message(self, storage: SharedStorage) -> None:
        talk, owner, late = Talk(storage), actor(), actor()
        chat = await open_chat(storage.begin, owner)
        await talk.say(owner, chat.id)
        async with storage.begin() as work:
            held = await work.chats.lock(chat.id)
            by = await work.chats.find_member(chat.id, owner.profile_id)
            added = held.add(by, [late.profile_id], at=LATER)
            await work.chats.keep(held, added)
        async with storage.begin() as work:
            reading = await work.readings.lock(chat.id, late.profile_id)
        assert reading is not None
        assert asdict(reading) == asdict(Reading(chat_id=chat.id, profile_id=late.profile_id))
        assert await storage.views.unread_count(late.profile_id, chat.id) == 1

    async def test_only_members_have_one(self, begin: Begin) -> None:
        chat = await open_chat(begin, actor())
        async with begin() as work:
            assert await work.readings.lock(chat.id, actor().profile_id) is None

    async def test_the_number_and_the_author_of_a_message_of_this_chat(self, storage: SharedStorage) -> None:
        talk, owner = Talk(storage), actor()
        chat, other = await open_chat(storage.begin, owner), await open_chat(storage.begin, owner)
        await talk.say(owner, chat.id)
        said = await talk.say(owner, chat.id)
        async with storage.begin() as work:
            assert await work.readings.find_message(chat.id, said.message.id) == (2, owner.profile_id)
            assert await work.readings.find_message(other.id, said.message.id) is None
            assert await work.readings.find_message(chat.id, MessageId(uuid4())) is None

    async def test_what_a_mark_passes(self, storage: SharedStorage) -> None:
        talk, ann, bob, eve = Talk(storage), actor(), actor(), actor()
        chat = await open_chat(storage.begin, ann, bob, eve)
        said = [await talk.say(who, chat.id) for who in (ann, bob, eve, bob, ann, eve)]
        ids = [event.message.id for event in said]
        request = MarkRequest(chat_id=chat.id, reader_id=ann.profile_id, up_to=Seq(4))
        async with storage.begin_marking() as marking:
            opened = await marking.open([request])
            reading = opened.readings[chat.id, ann.profile_id]
            assert await marking.newly_read([(reading, Seq(4))]) == [
                NewlyRead(message_ids=tuple(ids[1:4]), by_author={bob.profile_id: 2, eve.profile_id: 1})
            ]
            reading.mark = Seq(4)
            assert await marking.newly_read([(reading, Seq(6)), (reading, Seq(5))]) == [
                NewlyRead(message_ids=(ids[5],), by_author={eve.profile_id: 1}),
                NewlyRead(message_ids=(), by_author={}),
            ]
            assert await marking.newly_read([]) == []

    async def test_a_moved_reading_and_its_receipt_are_kept(self, storage: SharedStorage) -> None:
        talk, ann, bob = Talk(storage), actor(), actor()
        chat = await open_chat(storage.begin, ann, bob)
        said = [await talk.say(ann, chat.id) for _ in range(3)]
        read = await talk.read(bob, chat.id, said[1].message.id)
        assert read is not None
        assert (read.from_seq, read.to_seq, read.count) == (1, 2, 2)
        async with storage.begin() as work:
            reading = await work.readings.lock(chat.id, bob.profile_id)
        assert reading is not None
        assert (reading.mark, reading.excluded) == (2, 0)
        assert await talk.read(bob, chat.id, said[0].message.id) is None, "a mark never moves back"
        assert await storage.views.unread_count(bob.profile_id, chat.id) == 1

    async def test_of_many_newly_read_the_newest_thousand_are_named(self, storage: SharedStorage) -> None:
        talk, ann, bob = Talk(storage), actor(), actor()
        chat = await open_chat(storage.begin, ann, bob)
        for _ in range(3):
            await talk.send(*[saying(ann, chat.id)] * 400)
        messages = (await storage.views.history(bob.profile_id, chat.id, Newest(), 1200)).messages
        read = await talk.read(bob, chat.id, messages[-1].message.id)
        assert read is not None
        assert (read.count, read.by_author) == (1200, {ann.profile_id: 1200})
        assert list(read.message_ids) == [view.message.id for view in messages[200:]]

    async def test_marks_of_one_reader_take_turns(self, storage: SharedStorage) -> None:
        talk, ann, bob = Talk(storage), actor(), actor()
        chat = await open_chat(storage.begin, ann, bob)
        said = [await talk.say(ann, chat.id) for _ in range(10)]
        reads = await asyncio.gather(
            *(
                talk.read(bob, chat.id, event.message.id, talk.marking(storage.marking_neighbour()))
                for event in reversed(said)
            )
        )
        assert sum(read.count for read in reads if read) == 10, "each message is newly read once"
        assert await storage.views.unread_count(bob.profile_id, chat.id) == 0

    async def test_a_mark_does_not_wait_for_the_chat(self, storage: SharedStorage) -> None:
        talk, ann, bob = Talk(storage), actor(), actor()
        chat = await open_chat(storage.begin, ann, bob)
        said = await talk.say(ann, chat.id)
        async with asyncio.timeout(60), storage.begin() as work:
            await work.chats.lock(chat.id)
            assert await talk.read(bob, chat.id, said.message.id) is not None


class TestPersonalLog:
    async def test_events_come_once_and_in_the_order_of_each_person(self, storage: SharedStorage) -> None:
        ann, bob, chat_id = actor().profile_id, actor().profile_id, ChatId(uuid4())
        cursor = await storage.changes.now()
        first = ChatAdded(profile_id=bob, chat_id=chat_id, at=START)
        second = ChatRemoved(profile_id=ann, chat_id=chat_id, reason=Removal.CHAT_DELETED, at=START)
        third = SessionEnded(
            profile_id=bob, session_id=SessionId(uuid4()), reason=SessionEnd.SIGNED_OUT, at=LATER
        )
        fourth = ChatRemoved(profile_id=bob, chat_id=chat_id, reason=Removal.CHAT_DELETED, at=LATER)
        async with storage.begin() as work:
            await work.personal.add([first, second])
        async with storage.begin() as work:
            await work.personal.add([third, fourth])
        news = await storage.changes.since(cursor)
        assert [event for event in news.personal if event.profile_id == bob] == [first, third, fourth]
        assert [event for event in news.personal if event.profile_id == ann] == [second]

    async def test_twenty_units_about_the_same_people(self, storage: SharedStorage) -> None:
        people = [actor().profile_id for _ in range(4)]
        cursor = await storage.changes.now()

        async def add(number: int) -> None:
            order = people if number % 2 else people[::-1]
            async with storage.begin() as work:
                await work.personal.add(
                    [ChatAdded(profile_id=id, chat_id=ChatId(uuid4()), at=START) for id in order]
                )

        async with asyncio.timeout(60):
            await asyncio.gather(*(add(number) for number in range(20)))
        news = await storage.changes.since(cursor)
        assert len(news.personal) == len(set(news.personal)) == 80
