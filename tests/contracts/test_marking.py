"""What every storage promises about marks: many at once, or one message out of order."""

import asyncio
import random
from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import uuid4

import pytest

from application.actor import Actor
from application.ports.views import MessageNotFound, Newest
from application.receipts.mark_read import Marked, MarkRead
from application.receipts.mark_single import MarkSingle, MarkSingleHandler
from domain.chat import Chat
from domain.chat_errors import ChatNotFound, NotAMember
from domain.events import MessageSent, MessagesRead
from domain.ids import ChatId, MessageId, Seq
from tests.contracts.talk import Talk, actor, known, open_chat, saying
from tests.contracts.test_posting import delete
from tests.storages import SharedStorage
from tests.strategies import START
from tests.unlimited import UNLIMITED

ENOUGH = 60
"""Seconds."""


def marking(who: Actor, chat: Chat, up_to: MessageId | int) -> tuple[Actor, MarkRead]:
    place = Seq(up_to) if isinstance(up_to, int) else up_to
    return who, MarkRead(chat_id=chat.id, up_to=place)


async def single(talk: Talk, who: Actor, chat_id: ChatId, message_id: MessageId) -> MessagesRead | None:
    use = MarkSingleHandler(limits=UNLIMITED, begin=talk.begin, clock=talk.clock)
    return await use(who, MarkSingle(chat_id=chat_id, message_id=message_id))


async def unread(storage: SharedStorage, who: Actor, chat: Chat) -> int:
    """Returns the unread count, on which everything that counts must agree."""
    reader = who.profile_id
    (listed,) = [view for view in await storage.views.list_chats(reader) if view.id == chat.id]
    details = await storage.views.get_chat(reader, chat.id)
    snapshot = await storage.views.snapshot(reader, chat.id, 10)
    counts = {
        listed.unread_count,
        details.chat.unread_count,
        snapshot.unread_count,
        await storage.views.unread_count(reader, chat.id),
    }
    assert len(counts) == 1
    return counts.pop()


async def remove(storage: SharedStorage, chat: Chat, who: Actor) -> None:
    async with storage.begin() as work:
        held = await work.chats.lock(chat.id)
        member = await work.chats.find_member(chat.id, who.profile_id)
        owner = await work.chats.find_member(chat.id, held.owner_id)
        await work.chats.keep(held, held.remove(owner, member, at=START))


class TestBatches:
    async def conversation(self, talk: Talk, chat: Chat, *who: Actor) -> list[MessageSent]:
        return [await talk.say(one, chat.id) for one in who]

    async def test_marks_of_one_reader_become_the_furthest(self, storage: SharedStorage) -> None:
        talk, ann, bob = Talk(storage), actor(), actor()
        chat = await open_chat(storage.begin, ann, bob)
        said = await self.conversation(talk, chat, ann, ann, bob, ann)
        talk.published.clear()
        answers = await talk.mark(
            marking(bob, chat, said[0].message.id),
            marking(bob, chat, 3),
            marking(bob, chat, said[1].message.id),
        )
        assert [answer.mark for answer in answers] == [3, 3, 3], "each is told how far it is now"
        (read,) = [answer.read for answer in answers if answer.read]
        assert talk.published == [read]
        assert (read.from_seq, read.to_seq, read.count, read.by_author) == (1, 3, 2, {ann.profile_id: 2})
        assert await unread(storage, bob, chat) == 1
        assert len((await storage.views.history(ann.profile_id, chat.id, Newest(), 10)).messages) == 4

    async def test_many_readers_and_chats(self, storage: SharedStorage) -> None:
        talk, ann, bob, eve = Talk(storage), actor(), actor(), actor()
        chats = [await open_chat(storage.begin, ann, bob, eve) for _ in range(3)]
        for chat in chats:
            await self.conversation(talk, chat, ann, bob, eve, ann)
        answers = await talk.mark(*[marking(who, chat, 3) for chat in chats for who in (eve, bob, ann)])
        assert [(answer.mark, answer.read and answer.read.count) for answer in answers] == [(3, 2)] * 9
        for chat in chats:
            assert [await unread(storage, who, chat) for who in (ann, bob, eve)] == [0, 1, 1]
            page = await storage.views.history(ann.profile_id, chat.id, Newest(), 10)
            readers = await storage.views.readers(ann.profile_id, chat.id, page.messages[0].message.id)
            assert len(readers) == 2, "the other two"

    @pytest.mark.parametrize("beyond", [5, 2**31, 2**63, 2**80])
    async def test_a_number_beyond_the_last_message_means_that_one(
        self, storage: SharedStorage, beyond: int
    ) -> None:
        talk, ann, bob = Talk(storage), actor(), actor()
        chat = await open_chat(storage.begin, ann, bob)
        await self.conversation(talk, chat, ann, ann)
        (answer,) = await talk.mark(marking(bob, chat, beyond))
        assert answer.mark == 2
        assert answer.read is not None
        assert answer.read.to_seq == 2
        await talk.say(ann, chat.id)
        assert await unread(storage, bob, chat) == 1, "what comes later is not read in advance"

    async def test_what_marks_nothing(self, storage: SharedStorage) -> None:
        talk, ann, bob, stranger = Talk(storage), actor(), actor(), actor()
        chat, other = await open_chat(storage.begin, ann, bob), await open_chat(storage.begin, ann, bob)
        said = await self.conversation(talk, chat, ann, ann)
        elsewhere = await talk.say(ann, other.id)
        await talk.mark(marking(bob, chat, 1))
        talk.published.clear()
        answers = await talk.mark(
            marking(bob, chat, elsewhere.message.id),
            marking(bob, chat, MessageId(uuid4())),
            marking(bob, chat, 0),
            marking(bob, chat, -7),
            marking(bob, chat, 1),
            marking(stranger, chat, said[1].message.id),
            (bob, MarkRead(chat_id=ChatId(uuid4()), up_to=Seq(1))),
        )
        assert list(answers) == [*[Marked(Seq(1))] * 5, Marked(None), Marked(None)]
        assert talk.published == []
        assert await unread(storage, bob, chat) == 1

    async def test_not_after_leaving_nor_in_a_deleted_chat(self, storage: SharedStorage) -> None:
        talk, ann, bob = Talk(storage), actor(), actor()
        left, deleted = await open_chat(storage.begin, ann, bob), await open_chat(storage.begin, ann, bob)
        for chat in (left, deleted):
            await talk.say(ann, chat.id)
        await remove(storage, left, bob)
        await delete(storage, deleted.id, ann)
        answers = await talk.mark(marking(bob, left, 1), marking(bob, deleted, 1), marking(ann, deleted, 1))
        assert [answer.mark for answer in answers] == [None, None, None]

    async def test_passing_ones_own_moves_the_mark_and_tells_nobody(self, storage: SharedStorage) -> None:
        talk, ann, bob = Talk(storage), actor(), actor()
        chat = await open_chat(storage.begin, ann, bob)
        await self.conversation(talk, chat, ann, ann)
        talk.published.clear()
        assert await talk.mark(marking(ann, chat, 2)) == [Marked(Seq(2))]
        assert talk.published == []
        (view,) = await storage.views.list_chats(ann.profile_id)
        assert (view.read_up_to, view.unread_count) == (2, 0)

    async def test_a_batch_that_raises_leaves_no_trace(self, storage: SharedStorage) -> None:
        talk, ann, bob = Talk(storage), actor(), actor()
        chat = await open_chat(storage.begin, ann, bob)
        await talk.say(ann, chat.id)
        use = talk.marking(storage.begin_marking)
        with pytest.raises(AttributeError):
            await use([marking(bob, chat, 1), (None, MarkRead(chat_id=chat.id, up_to=Seq(1)))])  # type: ignore[list-item]
        assert await unread(storage, bob, chat) == 1


class TestSingles:
    async def test_one_message_and_nothing_else(self, storage: SharedStorage) -> None:
        talk, (ann, bob, eve) = Talk(storage), await known(storage.begin, "Ann", "Bob", "Eve")
        chat = await open_chat(storage.begin, ann, bob, eve)
        said = [await talk.say(who, chat.id) for who in (ann, ann, eve, bob)]
        talk.published.clear()
        read = await single(talk, bob, chat.id, said[1].message.id)
        assert read is not None
        assert talk.published == [read]
        assert (read.from_seq, read.to_seq, read.is_single, read.by_author) == (
            2,
            2,
            True,
            {ann.profile_id: 1},
        )
        assert await unread(storage, bob, chat) == 2
        page = await storage.views.history(ann.profile_id, chat.id, Newest(), 10)
        assert [view.read_at for view in page.messages] == [None, read.at, None, None]
        readers = [
            [
                (r.profile, r.read_at)
                for r in await storage.views.readers(ann.profile_id, chat.id, each.message.id)
            ]
            for each in said
        ]
        assert readers == [[], [(bob.profile, read.at)], [], []]

        passed = await talk.read(bob, chat.id, said[3].message.id)
        assert passed is not None
        assert list(passed.message_ids) == [said[0].message.id, said[2].message.id], "newly read alone"
        assert passed.by_author == {ann.profile_id: 1, eve.profile_id: 1}
        assert await unread(storage, bob, chat) == 0
        (reader,) = await storage.views.readers(ann.profile_id, chat.id, said[1].message.id)
        assert reader.read_at == read.at, "when it was first read"

    async def test_nothing_to_it(self, storage: SharedStorage) -> None:
        talk, ann, bob, stranger = Talk(storage), actor(), actor(), actor()
        chat, other = await open_chat(storage.begin, ann, bob), await open_chat(storage.begin, ann, bob)
        said = [await talk.say(who, chat.id) for who in (ann, ann, bob, ann)]
        elsewhere = await talk.say(ann, other.id)
        await talk.read(bob, chat.id, said[0].message.id)
        assert await single(talk, bob, chat.id, said[3].message.id) is not None
        talk.published.clear()
        for who, message_id in (
            (bob, said[0].message.id),
            (bob, said[2].message.id),
            (bob, said[3].message.id),
            (bob, elsewhere.message.id),
            (bob, MessageId(uuid4())),
            (stranger, said[1].message.id),
        ):
            assert await single(talk, who, chat.id, message_id) is None
        assert await single(talk, bob, ChatId(uuid4()), said[1].message.id) is None
        assert talk.published == []
        assert await unread(storage, bob, chat) == 1
        await remove(storage, chat, bob)
        assert await single(talk, bob, chat.id, said[1].message.id) is None

    async def test_ten_at_once_read_it_once(self, storage: SharedStorage) -> None:
        talk, ann, bob = Talk(storage), actor(), actor()
        chat = await open_chat(storage.begin, ann, bob)
        said = [await talk.say(ann, chat.id) for _ in range(5)]
        async with asyncio.timeout(ENOUGH):
            reads = await asyncio.gather(
                *(single(talk, bob, chat.id, said[n % 2 * 3].message.id) for n in range(10)),
                talk.read(bob, chat.id, said[2].message.id),
            )
        assert sum(read.count for read in reads if read) == 4
        assert await unread(storage, bob, chat) == 1


@pytest.mark.parametrize("seed", range(8))
async def test_pages_show_who_read_first_whatever_was_stored_first(storage: SharedStorage, seed: int) -> None:
    """Ten people read in batches and singly, and clocks are set back."""
    talk, chance = Talk(storage), random.Random(seed)
    people = [actor() for _ in range(10)]
    chat = await open_chat(storage.begin, *people)
    said: list[MessageSent] = []
    reads: list[MessagesRead | None] = []

    async def step() -> None:
        talk.clock.at += timedelta(seconds=chance.choice((1, 5, -1, -9)))
        some = chance.sample(people, chance.randint(1, 6))
        what = chance.random()
        if what < 0.3 or not said:
            said.append(await talk.say(some[0], chat.id))
        elif what < 0.6:
            reads.append(await single(talk, some[0], chat.id, chance.choice(said[-12:]).message.id))
        else:
            places = [marking(who, chat, chance.randint(len(said) // 2, len(said))) for who in some]
            reads.extend(marked.read for marked in await talk.mark(*places))

    for _ in range(12):
        for _ in range(6):
            await step()
        expected = [first_read(filter(None, reads), each) for each in said]
        page = await storage.views.history(people[0].profile_id, chat.id, Newest(), 100)
        assert [view.read_at for view in page.messages] == expected
        (listed,) = await storage.views.list_chats(people[0].profile_id)
        assert listed.last_message is not None
        assert listed.last_message.read_at == expected[-1]


class TestFirstRead:
    """Pages show the earliest time at which anyone but the author read a message, whatever was stored before."""

    async def page(self, talk: Talk, chat: Chat, reader: Actor) -> list[datetime | None]:
        page = await talk.storage.views.history(reader.profile_id, chat.id, Newest(), 10)
        return [view.read_at for view in page.messages]

    async def test_an_author_has_not_read_it(self, storage: SharedStorage) -> None:
        talk, ann, bob, eve = Talk(storage), actor(), actor(), actor()
        chat = await open_chat(storage.begin, ann, bob, eve)
        _, own = await talk.say(ann, chat.id), await talk.say(bob, chat.id)
        by_bob = await talk.read(bob, chat.id, own.message.id)
        by_eve = await single(talk, eve, chat.id, own.message.id)
        assert by_bob is not None
        assert by_eve is not None
        assert await self.page(talk, chat, ann) == [by_bob.at, by_eve.at]

    async def test_the_earliest_counts_though_it_is_stored_last(self, storage: SharedStorage) -> None:
        """Two have read singly what their marks then pass, which is no act of reading of its own."""
        talk, (ann, *others) = Talk(storage), [actor() for _ in range(4)]
        chat = await open_chat(storage.begin, ann, *others)
        said = [await talk.say(ann, chat.id) for _ in range(2)]
        *early, last = others
        for who in early:
            await talk.read(who, chat.id, Seq(1))
        talk.clock.at += timedelta(hours=1)
        for who in early:
            await single(talk, who, chat.id, said[1].message.id)
        talk.clock.at -= timedelta(minutes=30)
        for who in early:
            assert await talk.read(who, chat.id, Seq(2)) is None
        first = await talk.read(last, chat.id, Seq(2))
        assert first is not None
        assert (await self.page(talk, chat, ann))[1] == first.at


def first_read(reads: Iterable[MessagesRead], event: MessageSent) -> datetime | None:
    """When anybody but its author first read a message, from what the readers were answered."""
    seq, author_id = event.message.seq, event.message.author_id
    return min(
        (read.at for read in reads if read.from_seq <= seq <= read.to_seq and read.reader_id != author_id),
        default=None,
    )


class TestReaders:
    async def test_the_first_one_first_and_never_the_author(self, storage: SharedStorage) -> None:
        talk, (ann, bob, eve) = Talk(storage), await known(storage.begin, "Ann", "Bob", "Eve")
        chat = await open_chat(storage.begin, ann, bob, eve)
        said = await talk.say(ann, chat.id)
        times = []
        for who in (eve, ann, bob):
            read = await talk.read(who, chat.id, said.message.id)
            times.append(read.at if read else None)
        readers = await storage.views.readers(bob.profile_id, chat.id, said.message.id)
        assert [(r.profile, r.read_at) for r in readers] == [(eve.profile, times[0]), (bob.profile, times[2])]

    async def test_of_what_not(self, storage: SharedStorage) -> None:
        talk, ann, stranger = Talk(storage), actor(), actor()
        chat, other = await open_chat(storage.begin, ann), await open_chat(storage.begin, ann)
        said, elsewhere = await talk.say(ann, chat.id), await talk.say(ann, other.id)
        for who, chat_id, message_id, expected in (
            (stranger, chat.id, said.message.id, NotAMember),
            (ann, ChatId(uuid4()), said.message.id, ChatNotFound),
            (ann, chat.id, MessageId(uuid4()), MessageNotFound),
            (ann, chat.id, elsewhere.message.id, MessageNotFound),
        ):
            with pytest.raises(expected):
                await storage.views.readers(who.profile_id, chat_id, message_id)


async def test_marks_and_singles_against_sends_from_two_processes(storage: SharedStorage) -> None:
    """In any order nothing is read twice, and the unread count fits its definition."""
    talk, people = Talk(storage), [actor() for _ in range(4)]
    chats = [await open_chat(storage.begin, *people) for _ in range(3)]
    async with (
        asyncio.timeout(ENOUGH * 2),
        talk.gathering() as one,
        talk.gathering_elsewhere() as other,
    ):

        async def send(who: Actor, number: int) -> None:
            for turn in range(20):
                chat = chats[(number + turn) % 3]
                await (one, other)[number % 2].submit(saying(who, chat.id, f"{number}.{turn}"))

        async def mark(number: int) -> None:
            use = talk.marking(storage.marking_neighbour())
            for turn in range(15):
                batch = [marking(who, chats[(turn + n) % 3], turn * (n + 1)) for n, who in enumerate(people)]
                await use(batch if number else batch[::-1])

        async def mark_singly(who: Actor) -> None:
            for turn in range(6):
                chat = chats[turn % 3]
                page = await storage.views.history(who.profile_id, chat.id, Newest(), 1)
                for view in page.messages:
                    await single(talk, who, chat.id, view.message.id)

        await asyncio.gather(
            *(send(who, number) for number, who in enumerate(people)),
            *(mark(number) for number in range(2)),
            *(mark_singly(who) for who in people[:2]),
        )
    reads = [update for update in talk.published if isinstance(update, MessagesRead)]
    for chat in chats:
        messages = [
            view.message
            for view in (await storage.views.history(people[0].profile_id, chat.id, Newest(), 1000)).messages
        ]
        for who in people:
            own = [read for read in reads if (read.chat_id, read.reader_id) == (chat.id, who.profile_id)]
            times = Counter(id for read in own for id in read.message_ids)
            assert set(times.values()) <= {1}, "each is newly read once"
            others = [message for message in messages if message.author_id != who.profile_id]
            assert times.keys() <= {message.id for message in others}
            assert await unread(storage, who, chat) == len(others) - len(times)


async def test_a_single_mark_is_recalled_as_one(storage: SharedStorage) -> None:
    talk, ann, bob = Talk(storage), actor(), actor()
    chat = await open_chat(storage.begin, ann, bob)
    said = [await talk.say(ann, chat.id) for _ in range(3)]
    cursor = await storage.changes.now()
    read = await single(talk, bob, chat.id, said[1].message.id)
    news = await storage.changes.since(cursor)
    assert [await storage.changes.recall(each) for each in news.read] == [read]
    marked = await talk.read(bob, chat.id, Seq(3))
    later = await storage.changes.since(news.cursor)
    (recalled,) = [await storage.changes.recall(each) for each in later.read]
    assert marked is not None
    assert (recalled.from_seq, recalled.to_seq, recalled.is_single) == (1, 3, False)
