"""What every storage promises about many messages in one transaction."""

import asyncio
from uuid import uuid4

import pytest
from attrs import asdict

from application.actor import Actor
from application.messages.send import NonceReused, Postponed, Sent
from application.ports.posting import Draft
from application.ports.updates import Moved, NewMessage
from application.ports.views import Newest
from application.views import NOBODY, ProfileView
from domain.chat import Chat
from domain.chat_errors import ChatNotFound, NotAMember
from domain.ids import ChatId, MessageId, Seq
from domain.message import Body, Nonce
from domain.profile import Name, Username
from tests.contracts.talk import Talk, actor, known, open_chat, saying
from tests.storages import SharedStorage
from tests.strategies import START

ENOUGH = 60
"""Seconds."""


def draft(chat_id: ChatId, author: Actor, text: str = "Hello", nonce: str | None = None) -> Draft:
    return Draft(
        chat_id=chat_id,
        author_id=author.profile_id,
        id=MessageId(uuid4()),
        body=Body(text),
        nonce=None if nonce is None else Nonce(nonce),
        at=START,
    )


async def texts(storage: SharedStorage, reader: Actor, chat_id: ChatId) -> list[str]:
    page = await storage.views.history(reader.profile_id, chat_id, Newest(), 10_000)
    assert [view.message.seq for view in page.messages] == list(range(1, page.total_count + 1))
    return [view.message.body.text for view in page.messages]


async def unread_by_definition(storage: SharedStorage, reader: Actor, chat_id: ChatId) -> int:
    page = await storage.views.history(reader.profile_id, chat_id, Newest(), 10_000)
    (view,) = [v for v in await storage.views.list_chats(reader.profile_id) if v.id == chat_id]
    messages = [each.message for each in page.messages]
    return sum(m.seq > view.read_up_to and m.author_id != reader.profile_id for m in messages)


async def delete(storage: SharedStorage, chat_id: ChatId, owner: Actor) -> None:
    async with storage.begin() as work:
        chat = await work.chats.lock(chat_id)
        members = await work.chats.members(chat_id)
        await work.chats.keep(
            chat, chat.delete(await work.chats.find_member(chat_id, owner.profile_id), members, at=START)
        )


class TestAnnouncing:
    async def test_authors_have_the_names_that_they_have_now(self, storage: SharedStorage) -> None:
        """What an open socket knows of its own profile is as old as its signing in."""
        (ann,) = await known(storage.begin, "Ann")
        talk, chat = Talk(storage), await open_chat(storage.begin, ann)
        async with storage.begin() as work:
            profile = await work.profiles.lock(ann.profile_id)
            profile.edit(first_name=Name("Anna"), last_name=Name("Karenina"), username=Username("anna"))
            await work.profiles.save(profile)
        await talk.say(ann, chat.id)
        (told,) = talk.published
        assert isinstance(told, NewMessage)
        assert told.view.sender == ProfileView(
            id=ann.profile_id, first_name="Anna", last_name="Karenina", username="anna"
        )
        (kept,) = (await storage.views.history(ann.profile_id, chat.id, Newest(), 10)).messages
        assert kept.sender == told.view.sender, "live as in history"

    async def test_who_closed_their_account_has_none(self, storage: SharedStorage) -> None:
        (ann,) = await known(storage.begin, "Ann")
        talk, chat = Talk(storage), await open_chat(storage.begin, ann)
        async with storage.begin() as work:
            await work.profiles.remove(await work.profiles.lock(ann.profile_id))
        await talk.say(ann, chat.id)
        (told,) = talk.published
        assert isinstance(told, NewMessage)
        (kept,) = (await storage.views.history(ann.profile_id, chat.id, Newest(), 10)).messages
        assert told.view.sender == kept.sender == NOBODY

    async def test_a_repeat_reminds_of_the_first(self, storage: SharedStorage) -> None:
        talk, ann = Talk(storage), actor()
        chat = await open_chat(storage.begin, ann)
        first = await talk.say(ann, chat.id, nonce="n")
        talk.published.clear()
        await talk.send(saying(ann, chat.id, nonce="n"), saying(ann, chat.id, "Bye", nonce="m"))
        new, reminder = talk.published
        assert isinstance(new, NewMessage)
        assert reminder == Moved(chat_id=chat.id, position=first.position)


class TestOpening:
    async def test_what_deciding_takes(self, storage: SharedStorage) -> None:
        talk, ann, bob, stranger = Talk(storage), actor(), actor(), actor()
        chat, other = await open_chat(storage.begin, ann, bob), await open_chat(storage.begin, bob)
        first = await talk.say(ann, chat.id, nonce="n")
        unknown = ChatId(uuid4())
        async with storage.begin_posting() as posting:
            opened = await posting.open(
                [
                    draft(chat.id, bob, nonce="n"),
                    draft(chat.id, ann, nonce="n"),
                    draft(chat.id, ann),
                    draft(other.id, ann, nonce="n"),
                    draft(unknown, ann),
                    draft(chat.id, stranger),
                ],
                None,
            )
        assert opened.busy == frozenset()
        assert opened.chats.keys() == {chat.id, other.id}
        async with storage.begin() as work:
            for chat_id, held in opened.chats.items():
                assert asdict(held) == asdict(await work.chats.lock(chat_id))
            for (chat_id, profile_id), member in opened.authors.items():
                found = await work.chats.find_member(chat_id, profile_id)
                assert found is not None
                assert asdict(member) == asdict(found)
        assert opened.authors.keys() == {(chat.id, ann.profile_id), (chat.id, bob.profile_id)}
        assert opened.said == {(chat.id, ann.profile_id, Nonce("n")): first}

    async def test_who_left_is_known_as_such(self, storage: SharedStorage) -> None:
        ann, bob = actor(), actor()
        chat = await open_chat(storage.begin, ann, bob)
        await delete(storage, chat.id, ann)
        async with storage.begin_posting() as posting:
            opened = await posting.open([draft(chat.id, bob)], None)
        assert opened.chats[chat.id].deleted_at is not None
        assert opened.authors[chat.id, bob.profile_id].left_at is not None


class TestSending:
    async def test_each_command_is_answered_for_itself(self, storage: SharedStorage) -> None:
        talk, ann, bob, stranger = Talk(storage), actor(), actor(), actor()
        chat, gone = await open_chat(storage.begin, ann, bob), await open_chat(storage.begin, ann)
        await delete(storage, gone.id, ann)
        answers = await talk.send(
            saying(ann, chat.id, "one"),
            saying(stranger, chat.id, "two"),
            saying(bob, chat.id, "three"),
            saying(ann, ChatId(uuid4()), "four"),
            saying(ann, gone.id, "five"),
            saying(ann, chat.id, "six"),
        )
        assert [type(answer) for answer in answers] == [
            Sent, NotAMember, Sent, ChatNotFound, ChatNotFound, Sent,
        ]  # fmt: skip
        assert await texts(storage, ann, chat.id) == ["one", "three", "six"]
        told = [(u.view.message.seq, u.position) for u in talk.published if isinstance(u, NewMessage)]
        assert told == [(1, 1), (2, 2), (3, 3)]

    async def test_heads_and_what_is_unread_follow(self, storage: SharedStorage) -> None:
        talk, ann, bob = Talk(storage), actor(), actor()
        chat = await open_chat(storage.begin, ann, bob)
        last = [await talk.say(who, chat.id) for who in (ann, bob, ann)][-1]
        await talk.send(saying(ann, chat.id), saying(bob, chat.id), saying(ann, chat.id))
        async with storage.begin() as work:
            held = await work.chats.lock(chat.id)
            readings = [await work.readings.lock(chat.id, who.profile_id) for who in (ann, bob)]
        assert (held.last_seq, held.last_position) == (6, 6)
        assert held.last_at is not None
        assert held.last_at > last.message.sent_at
        assert [reading.excluded for reading in readings if reading] == [4, 2]
        assert await storage.views.unread_count(ann.profile_id, chat.id) == 2
        assert await storage.views.unread_count(bob.profile_id, chat.id) == 4

    async def test_texts_come_back_as_they_were(self, storage: SharedStorage) -> None:
        talk, ann = Talk(storage), actor()
        chat = await open_chat(storage.begin, ann)
        written = [
            "Привет, мир",
            "🙂" * 50,
            "a" * 4000,
            "quo'te \" \\ {1,2} NULL",
            "two\nlines\r\n\ttab",
            "\u200bx\u202e",
        ]
        await talk.send(*[saying(ann, chat.id, text) for text in written])
        assert await texts(storage, ann, chat.id) == written

    async def test_a_unit_that_raises_leaves_no_trace_and_no_hole(self, storage: SharedStorage) -> None:
        talk, ann, bob = Talk(storage), actor(), actor()
        chat = await open_chat(storage.begin, ann, bob)
        cursor = await storage.changes.now()

        async def fail() -> None:
            async with storage.begin_posting() as posting:
                lost = draft(chat.id, ann, "lost", nonce="n")
                opened = await posting.open([lost], None)
                held = opened.chats[chat.id]
                event = held.post(
                    opened.authors[chat.id, ann.profile_id], lost.body, id=lost.id, nonce=lost.nonce, at=START
                )
                await posting.keep([held], [event])
                raise RuntimeError

        with pytest.raises(RuntimeError):
            await fail()
        assert await texts(storage, ann, chat.id) == []
        assert (await storage.changes.since(cursor)).moved == {}
        assert await storage.views.unread_count(bob.profile_id, chat.id) == 0
        kept = await talk.say(ann, chat.id, "kept", nonce="n")
        assert (kept.message.seq, kept.position) == (1, 1), "a rollback leaves no hole, and its nonce is free"


class TestRepeats:
    async def test_the_first_is_answered_and_nothing_stored(self, storage: SharedStorage) -> None:
        talk, ann = Talk(storage), actor()
        chat = await open_chat(storage.begin, ann)
        first = await talk.say(ann, chat.id, "Hello", nonce="n")
        talk.published.clear()
        (answer,) = await talk.send(saying(ann, chat.id, " Hello ", nonce="n"))
        assert answer == Sent(first, duplicate=True)
        assert await texts(storage, ann, chat.id) == ["Hello"]
        assert talk.published == [Moved(chat_id=chat.id, position=first.position)], (
            "told once, when it was new"
        )

    async def test_in_one_batch(self, storage: SharedStorage) -> None:
        talk, ann = Talk(storage), actor()
        chat = await open_chat(storage.begin, ann)
        first, again, other = await talk.send(
            saying(ann, chat.id, "Hello", nonce="n"),
            saying(ann, chat.id, "Hello", nonce="n"),
            saying(ann, chat.id, "Bye", nonce="n"),
        )
        assert isinstance(first, Sent)
        assert again == Sent(first.event, duplicate=True)
        assert isinstance(other, NonceReused)
        assert other.first == first.event
        assert await texts(storage, ann, chat.id) == ["Hello"]

    async def test_another_text_is_a_conflict_that_names_the_first(self, storage: SharedStorage) -> None:
        talk, ann = Talk(storage), actor()
        chat = await open_chat(storage.begin, ann)
        first = await talk.say(ann, chat.id, "Hello", nonce="n")
        (answer,) = await talk.send(saying(ann, chat.id, "Bye", nonce="n"))
        assert isinstance(answer, NonceReused)
        assert answer.first == first
        assert await texts(storage, ann, chat.id) == ["Hello"]

    async def test_a_nonce_is_its_authors_in_its_chat_and_exact(self, storage: SharedStorage) -> None:
        talk, ann, bob = Talk(storage), actor(), actor()
        chat, other = await open_chat(storage.begin, ann, bob), await open_chat(storage.begin, ann)
        answers = await talk.send(
            saying(ann, chat.id, "1", nonce="n"),
            saying(bob, chat.id, "2", nonce="n"),
            saying(ann, other.id, "3", nonce="n"),
            saying(ann, chat.id, "4", nonce="N"),
            saying(ann, chat.id, "5", nonce="n "),
            saying(ann, chat.id, "6", nonce="c:n"),
        )
        assert all(isinstance(answer, Sent) and not answer.duplicate for answer in answers)

    async def test_without_a_nonce_nothing_is_a_repeat(self, storage: SharedStorage) -> None:
        talk, ann = Talk(storage), actor()
        chat = await open_chat(storage.begin, ann)
        first = await talk.say(ann, chat.id)
        await talk.say(ann, chat.id)
        named = f"m:{first.message.id}"
        (answer,) = await talk.send(saying(ann, chat.id, "Hello", nonce=named))
        assert isinstance(answer, Sent)
        assert not answer.duplicate, "how a message without a nonce is kept is nobody's nonce"
        page = await storage.views.history(ann.profile_id, chat.id, Newest(), 10)
        assert [view.message.nonce for view in page.messages] == [None, None, Nonce(named)]

    async def test_what_was_stored_is_answered_also_to_who_is_no_member_any_more(
        self, storage: SharedStorage
    ) -> None:
        talk, ann, bob = Talk(storage), actor(), actor()
        chat = await open_chat(storage.begin, ann, bob)
        first = await talk.say(bob, chat.id, "Hello", nonce="n")
        await delete(storage, chat.id, ann)
        stored, new = await talk.send(
            saying(bob, chat.id, "Hello", nonce="n"), saying(bob, chat.id, "Hello", nonce="m")
        )
        assert stored == Sent(first, duplicate=True)
        assert isinstance(new, ChatNotFound)


class TestBusyChats:
    async def test_what_others_hold_is_left_out_and_the_rest_goes_on(self, storage: SharedStorage) -> None:
        talk, ann = Talk(storage), actor()
        held, free = await open_chat(storage.begin, ann), await open_chat(storage.begin, ann)
        async with asyncio.timeout(ENOUGH), storage.begin() as work:
            await work.chats.lock(held.id)
            answers = await talk.send(
                saying(ann, held.id, "a"), saying(ann, free.id, "b"), saying(ann, held.id, "c")
            )
            assert [type(answer) for answer in answers] == [Postponed, Sent, Postponed]
        assert await texts(storage, ann, held.id) == []
        assert await texts(storage, ann, free.id) == ["b"]

    async def test_the_patient_waits_and_sees_what_was_written_meanwhile(
        self, storage: SharedStorage
    ) -> None:
        talk, ann, bob = Talk(storage), actor(), actor()
        chat = await open_chat(storage.begin, ann)
        async with asyncio.timeout(ENOUGH):
            async with storage.begin() as work:
                held = await work.chats.lock(chat.id)
                owner = await work.chats.find_member(chat.id, ann.profile_id)
                waiting = asyncio.create_task(
                    talk.sending(storage.begin_patient_posting)([saying(bob, chat.id), saying(ann, chat.id)])
                )
                await asyncio.sleep(0.05)
                assert not waiting.done()
                added = held.add(owner, [bob.profile_id], at=START)
                await work.chats.keep(held, added)
            answers = await waiting
        places = [(a.event.message.seq, a.event.position) for a in answers if isinstance(a, Sent)]
        assert places == [(1, 2), (2, 3)], "bob is a member, and the log has gone on by one"

    async def test_through_the_gatherer_a_busy_chat_stalls_nobody(self, storage: SharedStorage) -> None:
        talk, ann = Talk(storage), actor()
        held, free = await open_chat(storage.begin, ann), await open_chat(storage.begin, ann)
        async with asyncio.timeout(ENOUGH), talk.gathering() as gatherer:
            async with storage.begin() as work:
                await work.chats.lock(held.id)
                stuck = [gatherer.submit(saying(ann, held.id, str(number))) for number in range(5)]
                for number in range(20):
                    await gatherer.submit(saying(ann, free.id, str(number)))
                assert not any(answer.done() for answer in stuck)
            seqs = [(await answer).event.message.seq for answer in stuck]
        assert seqs == [1, 2, 3, 4, 5]
        assert await texts(storage, ann, held.id) == list("01234")
        assert len(await texts(storage, ann, free.id)) == 20


class TestRaces:
    async def test_twenty_senders_in_one_chat(self, storage: SharedStorage) -> None:
        talk, people = Talk(storage), [actor() for _ in range(20)]
        chat = await open_chat(storage.begin, *people)
        async with asyncio.timeout(ENOUGH), talk.gathering() as gatherer:

            async def send_ten(who: Actor, name: int) -> list[int]:
                return [
                    (await gatherer.submit(saying(who, chat.id, f"{name}.{number}"))).event.message.seq
                    for number in range(10)
                ]

            seqs = await asyncio.gather(*(send_ten(who, name) for name, who in enumerate(people)))
        assert sorted(seq for own in seqs for seq in own) == list(range(1, 201))
        assert all(own == sorted(own) for own in seqs), "each in the order of sending"
        said = await texts(storage, people[0], chat.id)
        assert [said[seq - 1] for seq in seqs[3]] == [f"3.{number}" for number in range(10)]
        for person in people:
            assert await storage.views.unread_count(person.profile_id, chat.id) == 190

    async def test_a_pipelined_burst_keeps_its_order(self, storage: SharedStorage) -> None:
        talk, ann = Talk(storage), actor()
        chats = [await open_chat(storage.begin, ann) for _ in range(3)]
        async with asyncio.timeout(ENOUGH), talk.gathering() as gatherer:
            await asyncio.gather(
                *(gatherer.submit(saying(ann, chats[number % 3].id, str(number))) for number in range(300))
            )
        for key, chat in enumerate(chats):
            assert await texts(storage, ann, chat.id) == [str(number) for number in range(key, 300, 3)]

    async def test_one_nonce_from_ten_callers_in_two_processes(self, storage: SharedStorage) -> None:
        talk, ann = Talk(storage), actor()
        chat = await open_chat(storage.begin, ann)
        async with (
            asyncio.timeout(ENOUGH),
            talk.gathering() as one,
            talk.gathering_elsewhere() as other,
        ):
            answers = await asyncio.gather(
                *((one, other)[n % 2].submit(saying(ann, chat.id, "Hello", nonce="n")) for n in range(10))
            )
        assert len({answer.event.message.id for answer in answers}) == 1
        assert sorted(answer.duplicate for answer in answers) == [False] + [True] * 9
        assert await texts(storage, ann, chat.id) == ["Hello"]

    async def test_two_processes_send_into_the_same_chats(self, storage: SharedStorage) -> None:
        talk, people = Talk(storage), [actor() for _ in range(6)]
        chats = [await open_chat(storage.begin, *people) for _ in range(5)]
        async with (
            asyncio.timeout(ENOUGH),
            talk.gathering() as one,
            talk.gathering_elsewhere() as other,
        ):

            async def talk_on(who: Actor, number: int) -> list[tuple[ChatId, Seq]]:
                gatherer = (one, other)[number % 2]
                places = []
                for turn in range(20):
                    chat = chats[(number + turn) % 5]
                    sent = await gatherer.submit(saying(who, chat.id, f"{number}.{turn}", nonce=str(turn)))
                    places.append((chat.id, sent.event.message.seq))
                return places

            places = await asyncio.gather(*(talk_on(who, number) for number, who in enumerate(people)))
        flat = [place for own in places for place in own]
        assert len(flat) == len(set(flat)) == 120
        for chat in chats:
            assert len(await texts(storage, people[0], chat.id)) == 24
            log = await storage.views.log(chat.id, chat.last_position, 1000)
            assert [update.position for update in log] == list(range(1, 25))

    async def test_marks_against_sends(self, storage: SharedStorage) -> None:
        talk, people = Talk(storage), [actor() for _ in range(4)]
        chat = await open_chat(storage.begin, *people)
        async with asyncio.timeout(ENOUGH), talk.gathering() as gatherer:

            async def talk_and_read(who: Actor) -> None:
                marking = talk.marking(storage.marking_neighbour())
                for number in range(15):
                    sent = await gatherer.submit(saying(who, chat.id, str(number)))
                    if number % 3 == 0:
                        await talk.read(who, chat.id, sent.event.message.id, marking)

            async def read_along(who: Actor) -> None:
                marking = talk.marking(storage.marking_neighbour())
                for _ in range(15):
                    page = await storage.views.history(who.profile_id, chat.id, Newest(), 1)
                    if page.messages:
                        await talk.read(who, chat.id, page.messages[0].message.id, marking)
                    await asyncio.sleep(0)

            await asyncio.gather(*(act(who) for who in people for act in (talk_and_read, read_along)))
        for person in people:
            count = await storage.views.unread_count(person.profile_id, chat.id)
            assert count == await unread_by_definition(storage, person, chat.id)

    async def test_changes_of_a_chat_against_sends(self, storage: SharedStorage) -> None:
        talk, ann, newcomers = Talk(storage), actor(), [actor() for _ in range(10)]
        chat = await open_chat(storage.begin, ann)
        async with asyncio.timeout(ENOUGH), talk.gathering() as gatherer:

            async def add(newcomer: Actor) -> None:
                async with storage.begin() as work:
                    held: Chat = await work.chats.lock(chat.id)
                    owner = await work.chats.find_member(chat.id, ann.profile_id)
                    added = held.add(owner, [newcomer.profile_id], at=START)
                    await asyncio.sleep(0)
                    await work.chats.keep(held, added)

            await asyncio.gather(
                *(gatherer.submit(saying(ann, chat.id, str(number))) for number in range(50)),
                *(add(newcomer) for newcomer in newcomers),
            )
        log = await storage.views.log(chat.id, chat.last_position, 1000)
        assert [update.position for update in log] == list(range(1, 61))
        assert len(await texts(storage, ann, chat.id)) == 50
        for newcomer in newcomers:
            assert await storage.views.unread_count(newcomer.profile_id, chat.id) == 50
