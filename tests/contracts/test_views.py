"""What every storage answers to reads."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from uuid import uuid4

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from application.actor import Actor
from application.ports.updates import NewMember, NewMessage
from application.ports.views import After, Around, Before, Newest, PageAsked, PageNumber, Where, span
from application.views import NOBODY, HistoryPage, LiveSession
from domain.chat import About
from domain.chat_errors import ChatNotFound, NotAMember
from domain.errors import DomainError
from domain.events import ChatChanged
from domain.ids import ChatId, Position, ProfileId, Seq, SessionId
from domain.profile import Name
from domain.role import Role
from tests.contracts.conftest import Rig
from tests.contracts.talk import Talk, actor, known, open_chat, saying
from tests.contracts.test_accounts import account, profile, session
from tests.storages import SharedStorage
from tests.strategies import START, places


def said(page: HistoryPage) -> list[str]:
    return [view.message.body.text for view in page.messages]


async def refusal(reading: object) -> type[DomainError]:
    with pytest.raises(DomainError) as error:
        await reading  # type: ignore[misc]  # a coroutine of any view
    return error.type


class TestWhoMayRead:
    async def test_members_only(self, storage: SharedStorage) -> None:
        talk, ann, stranger = Talk(storage), actor(), actor()
        chat = await open_chat(storage.begin, ann)
        await talk.say(ann, chat.id)
        views, unknown = storage.views, ChatId(uuid4())
        for who, chat_id, expected in (
            (stranger, chat.id, NotAMember),
            (ann, unknown, ChatNotFound),
        ):
            reader = who.profile_id
            assert await refusal(views.get_chat(reader, chat_id)) is expected
            assert await refusal(views.history(reader, chat_id, Newest(), 10)) is expected
            assert await refusal(views.snapshot(reader, chat_id, 10)) is expected
            assert await refusal(views.unread_count(reader, chat_id)) is expected
        assert await views.list_chats(stranger.profile_id) == []

    async def test_a_deleted_chat_is_not_found_by_anybody(self, storage: SharedStorage) -> None:
        ann, bob = actor(), actor()
        chat = await open_chat(storage.begin, ann, bob)
        async with storage.begin() as work:
            held = await work.chats.lock(chat.id)
            members = await work.chats.members(chat.id)
            owner = await work.chats.find_member(chat.id, ann.profile_id)
            await work.chats.keep(held, held.delete(owner, members, at=START))
        for reader in (ann.profile_id, bob.profile_id, actor().profile_id):
            assert await refusal(storage.views.history(reader, chat.id, Newest(), 10)) is ChatNotFound
            assert await refusal(storage.views.get_chat(reader, chat.id)) is ChatNotFound
            assert await storage.views.list_chats(reader) == []


class TestLists:
    async def test_a_chat_as_one_of_its_members_sees_it(self, storage: SharedStorage) -> None:
        ann, bob = await known(storage.begin, "Ann", "Bob")
        talk = Talk(storage)
        chat = await open_chat(storage.begin, ann, bob, name="Ann and Bob")
        first = await talk.say(ann, chat.id, "Hello", nonce="n")
        await talk.read(bob, chat.id, first.message.id)
        last = await talk.say(ann, chat.id, "Are you there?")
        (view,) = await storage.views.list_chats(bob.profile_id)
        assert (view.id, view.kind, view.name, view.description) == (chat.id, chat.kind, "Ann and Bob", None)
        assert (view.owner, view.role, view.member_count) == (ann.profile, Role.MEMBER, 2)
        assert (view.created_at, view.updated_at) == (START, START)
        assert (view.last_seq, view.last_position, view.read_up_to, view.unread_count) == (2, 2, 1, 1)
        assert view.last_message is not None
        assert (view.last_message.message, view.last_message.position) == (last.message, 2)
        assert (view.last_message.sender, view.last_message.read_at) == (ann.profile, None)
        (own,) = await storage.views.list_chats(ann.profile_id)
        assert (own.role, own.read_up_to, own.unread_count) == (Role.OWNER, 0, 0)
        details = await storage.views.get_chat(bob.profile_id, chat.id)
        assert details.chat == view
        assert list(details.members) == [ann.profile, bob.profile]

    async def test_an_empty_chat(self, storage: SharedStorage) -> None:
        (ann,) = await known(storage.begin, "Ann")
        await open_chat(storage.begin, ann)
        (view,) = await storage.views.list_chats(ann.profile_id)
        assert (view.last_message, view.last_seq, view.last_position, view.unread_count) == (None, 0, 0, 0)

    async def test_the_newest_activity_comes_first(self, storage: SharedStorage) -> None:
        talk, ann = Talk(storage), actor()
        days = [timedelta(days=day) for day in range(4)]
        chats = [await open_chat(storage.begin, ann, at=START - day, name=str(day.days)) for day in days]
        await talk.say(ann, chats[2].id)
        await talk.say(ann, chats[3].id)
        assert [view.name for view in await storage.views.list_chats(ann.profile_id)] == list("3201")

    async def test_members_are_in_the_order_in_which_one_looks_for_them(self, storage: SharedStorage) -> None:
        people = await known(storage.begin, "Zoe", "Bob", "Яна", "Ann", "bob")
        chat = await open_chat(storage.begin, *people)
        details = await storage.views.get_chat(people[1].profile_id, chat.id)
        assert [one.first_name for one in details.members] == ["Zoe", "Ann", "Bob", "bob", "Яна"]

    async def test_somebody_who_is_no_longer_there(self, storage: SharedStorage) -> None:
        talk, ghost = Talk(storage), actor()
        chat = await open_chat(storage.begin, ghost)
        await talk.say(ghost, chat.id)
        details = await storage.views.get_chat(ghost.profile_id, chat.id)
        assert (details.chat.owner, list(details.members)) == (NOBODY, [NOBODY])
        page = await storage.views.history(ghost.profile_id, chat.id, Newest(), 10)
        assert page.messages[0].sender == NOBODY
        (update,) = await storage.views.log(chat.id, Position(0), 10)
        assert isinstance(update, NewMessage)
        assert update.view.sender == NOBODY

    async def test_many_chats(self, storage: SharedStorage) -> None:
        talk, ann, bob = Talk(storage), actor(), actor()
        chats = [await open_chat(storage.begin, ann, bob) for _ in range(40)]
        await talk.send(*[saying(ann, chat.id) for chat in chats for _ in range(3)])
        views = await storage.views.list_chats(bob.profile_id)
        assert {view.id for view in views} == {chat.id for chat in chats}
        assert {view.unread_count for view in views} == {3}


class TestHistory:
    async def conversation(self, storage: SharedStorage, length: int = 7) -> tuple[ChatId, Actor]:
        talk, (ann, bob) = Talk(storage), await known(storage.begin, "Ann", "Bob")
        chat = await open_chat(storage.begin, ann, bob)
        await talk.send(*[saying((ann, bob)[n % 2], chat.id, str(n + 1)) for n in range(length)])
        return chat.id, ann

    @pytest.mark.parametrize(
        ("where", "expected", "before", "after"),
        [
            (Newest(), "567", True, False),
            (PageNumber(1), "567", True, False),
            (PageNumber(2), "234", True, True),
            (PageNumber(3), "1", False, True),
            (PageNumber(4), "", False, True),
            (Before(Seq(3)), "12", False, True),
            (Before(Seq(100)), "567", True, False),
            (Before(Seq(1)), "", False, True),
            (After(Seq(0)), "123", False, True),
            (After(Seq(5)), "67", True, False),
            (After(Seq(7)), "", True, False),
            (Around(Seq(4)), "345", True, True),
            (Around(Seq(1)), "12", False, True),
            (Around(Seq(100)), "", True, False),
        ],
        ids=repr,
    )
    async def test_pages(
        self, storage: SharedStorage, where: Where, expected: str, before: bool, after: bool
    ) -> None:
        chat_id, ann = await self.conversation(storage)
        page = await storage.views.history(ann.profile_id, chat_id, where, 3)
        assert (said(page), page.total_count) == (list(expected), 7)
        assert (page.has_before, page.has_after) == (before, after)

    async def test_a_message_as_it_is_shown(self, storage: SharedStorage) -> None:
        chat_id, ann = await self.conversation(storage, length=1)
        (view,) = (await storage.views.history(ann.profile_id, chat_id, Newest(), 10)).messages
        assert (view.sender, view.position, view.read_at) == (ann.profile, 1, None)
        assert (view.message.chat_id, view.message.seq, view.message.author_id) == (
            chat_id,
            1,
            ann.profile_id,
        )

    async def test_read_is_when_anyone_but_its_author_first_read_it(self, storage: SharedStorage) -> None:
        talk, ann, bob, eve = Talk(storage), actor(), actor(), actor()
        chat = await open_chat(storage.begin, ann, bob, eve)
        events = [await talk.say(who, chat.id) for who in (ann, bob, ann, bob)]
        reads = [
            await talk.read(who, chat.id, events[index].message.id)
            for who, index in ((bob, 2), (eve, 1), (ann, 3), (eve, 2))
        ]
        times = [read.at if read else None for read in reads]
        page = await storage.views.history(ann.profile_id, chat.id, Newest(), 10)
        assert [view.read_at for view in page.messages] == [times[0], times[1], times[0], times[2]]
        (listed,) = await storage.views.list_chats(bob.profile_id)
        assert listed.last_message is not None
        assert listed.last_message.read_at == times[2]

    async def test_who_read_much_at_once_has_read_all_of_it(self, storage: SharedStorage) -> None:
        talk, (ann, bob, eve) = Talk(storage), await known(storage.begin, "Ann", "Bob", "Eve")
        chat = await open_chat(storage.begin, ann, bob, eve)
        await talk.send(*[saying((ann, bob)[n % 2], chat.id, str(n)) for n in range(100)])
        messages = (await storage.views.history(ann.profile_id, chat.id, Newest(), 100)).messages
        reads = [
            await talk.read(who, chat.id, messages[index].message.id)
            for who, index in ((eve, 69), (bob, 19), (bob, 99))
        ]
        by_eve, first, rest = [read.at if read else None for read in reads]
        for start in (0, 15, 60, 80):
            page = await storage.views.history(ann.profile_id, chat.id, After(Seq(start)), 20)
            for view in page.messages:
                seq, is_bobs = view.message.seq, view.message.author_id == bob.profile_id
                by_bob = [] if is_bobs else [(bob.profile, first if seq <= 20 else rest)]
                expected = ([(eve.profile, by_eve)] if seq <= 70 else []) + by_bob
                assert view.read_at == (expected[0][1] if expected else None)
                readers = await storage.views.readers(ann.profile_id, chat.id, view.message.id)
                assert [(one.profile, one.read_at) for one in readers] == expected

    async def test_unread_is_the_same_everywhere(self, storage: SharedStorage) -> None:
        talk, ann, bob = Talk(storage), actor(), actor()
        chat = await open_chat(storage.begin, ann, bob)
        events = [await talk.say(who, chat.id) for who in (ann, ann, bob, ann, bob)]
        for upto, expected in ((None, 3), (0, 2), (2, 1), (4, 0)):
            if upto is not None:
                await talk.read(bob, chat.id, events[upto].message.id)
            snapshot = await storage.views.snapshot(bob.profile_id, chat.id, 10)
            (listed,) = await storage.views.list_chats(bob.profile_id)
            details = await storage.views.get_chat(bob.profile_id, chat.id)
            counts = [snapshot.unread_count, listed.unread_count, details.chat.unread_count]
            assert [*counts, await storage.views.unread_count(bob.profile_id, chat.id)] == [expected] * 4


class TestKnownPages:
    async def test_a_page_that_is_known_comes_without_its_messages(self, storage: SharedStorage) -> None:
        talk, (ann, bob) = Talk(storage), await known(storage.begin, "Ann", "Bob")
        chat = await open_chat(storage.begin, ann, bob)
        events = [await talk.say((ann, bob)[number % 2], chat.id, str(number)) for number in range(5)]

        async def read(*versions: str) -> HistoryPage:
            return await storage.views.history_unless_known(
                ann.profile_id, chat.id, Newest(), 3, ["none", *versions]
            )

        async def rename() -> None:
            async with storage.begin() as work:
                profile = await work.profiles.lock(bob.profile_id)
                profile.edit(first_name=Name("Robert"))
                await work.profiles.save(profile)

        page = await read()
        assert (said(page), page.is_known) == (list("234"), False)
        assert page == await storage.views.history(ann.profile_id, chat.id, Newest(), 3)
        changes: list[Callable[[], Awaitable[object]]] = [
            lambda: talk.read(bob, chat.id, events[2].message.id),
            lambda: talk.read(ann, chat.id, events[3].message.id),
            rename,
            lambda: talk.say(bob, chat.id, "5"),
        ]
        for change in changes:
            again = await read(page.version)
            assert (said(again), again.is_known, again.version) == ([], True, page.version)
            assert (again.numbers, again.total_count) == (page.numbers, page.total_count)
            await change()
            assert (await read(page.version)) != page
            page, old = await read(page.version), page
            assert (page.is_known, page.version == old.version) == (False, False)
            assert len(said(page)) == 3

    async def test_what_is_known_of_a_page_opens_no_chat(self, storage: SharedStorage) -> None:
        talk, ann, stranger = Talk(storage), actor(), actor()
        chat = await open_chat(storage.begin, ann)
        await talk.say(ann, chat.id)
        views = storage.views
        page = await views.history(ann.profile_id, chat.id, Newest(), 3)
        for chat_id, expected in ((chat.id, NotAMember), (ChatId(uuid4()), ChatNotFound)):
            reading = views.history_unless_known(stranger.profile_id, chat_id, Newest(), 3, [page.version])
            assert await refusal(reading) is expected


class TestASessionAndAPage:
    async def test_both_are_as_each_by_itself(self, storage: SharedStorage) -> None:
        talk, ann, stranger = Talk(storage), actor(), actor()
        chat = await open_chat(storage.begin, ann)
        for number in range(5):
            await talk.say(ann, chat.id, str(number))
        one, whose = account(), profile(first_name="Anna")
        here = evolve(session(one.id), profile_id=whose.id)
        async with storage.begin() as work:
            await work.accounts.add(one)
            await work.profiles.add(whose)
            await work.sessions.add(here)
        views = storage.views
        live = await views.live_session(one.id, here.id)
        page = await views.history(ann.profile_id, chat.id, Before(Seq(5)), 3)
        assert live is not None
        assert said(page) == list("123")

        async def read(
            session_id: SessionId = here.id,
            reader: ProfileId = ann.profile_id,
            chat_id: ChatId = chat.id,
            known: Sequence[str] = (),
        ) -> tuple[LiveSession | None, HistoryPage | None]:
            asked = PageAsked(chat_id=chat_id, where=Before(Seq(5)), limit=3, known=known)
            return await views.session_and_history(one.id, session_id, reader, asked)

        assert await read() == (live, page)
        assert await read(SessionId(uuid4())) == (None, page)
        assert await read(reader=stranger.profile_id) == (live, None)
        assert await read(chat_id=ChatId(uuid4())) == (live, None)
        known_page = (await read(known=["none", page.version]))[1]
        assert known_page is not None
        assert (known_page.is_known, said(known_page), known_page.version) == (True, [], page.version)


class TestSnapshots:
    async def test_a_chat_at_one_moment(self, storage: SharedStorage) -> None:
        talk, ann, bob = Talk(storage), actor(), actor()
        chat = await open_chat(storage.begin, ann, bob)
        empty = await storage.views.snapshot(bob.profile_id, chat.id, 3)
        assert (empty.seq, empty.position, empty.unread_count, list(empty.history.messages)) == (0, 0, 0, [])
        for number in range(5):
            await talk.say(ann, chat.id, str(number))
        async with storage.begin() as work:
            held = await work.chats.lock(chat.id)
            owner = await work.chats.find_member(chat.id, ann.profile_id)
            await work.chats.keep(held, held.change(owner, About("Another"), at=START))
        snapshot = await storage.views.snapshot(bob.profile_id, chat.id, 3)
        assert (snapshot.seq, snapshot.position, snapshot.unread_count) == (5, 6, 5)
        assert (said(snapshot.history), snapshot.history.total_count) == (list("234"), 5)
        assert snapshot.epoch == empty.epoch == (await storage.changes.now()).epoch
        bare = await storage.views.snapshot(bob.profile_id, chat.id, 0)
        assert evolve(bare, history=snapshot.history) == snapshot
        assert (said(bare.history), bare.history.total_count) == ([], 5)


class TestLog:
    async def test_what_happened_in_order_and_by_name(self, storage: SharedStorage) -> None:
        ann, bob = await known(storage.begin, "Ann", "Bob")
        talk = Talk(storage)
        chat = await open_chat(storage.begin, ann)
        first = await talk.say(ann, chat.id, "Hello", nonce="n")
        async with storage.begin() as work:
            held = await work.chats.lock(chat.id)
            owner = await work.chats.find_member(chat.id, ann.profile_id)
            changed = held.change(owner, About("Another", "why"), at=START)
            await work.chats.keep(held, changed + held.add(owner, [bob.profile_id], at=START))
        second = await talk.say(bob, chat.id, "Hi")
        log = await storage.views.log(chat.id, Position(0), 10)
        assert [type(update) for update in log] == [NewMessage, ChatChanged, NewMember, NewMessage]
        assert [update.position for update in log] == [1, 2, 3, 4]
        message, change, newcomer, reply = log
        assert isinstance(message, NewMessage)
        assert (message.view.message, message.view.sender) == (first.message, ann.profile)
        assert (change,) == changed.events
        assert isinstance(newcomer, NewMember)
        assert (newcomer.member, newcomer.by, newcomer.at) == (bob.profile, ann.profile_id, START)
        assert isinstance(reply, NewMessage)
        assert (reply.view.message, reply.view.sender) == (second.message, bob.profile)

    async def test_after_and_limit(self, storage: SharedStorage) -> None:
        talk, ann = Talk(storage), actor()
        chat, other = await open_chat(storage.begin, ann), await open_chat(storage.begin, ann)
        await talk.send(*[saying(ann, chat.id) for _ in range(7)], saying(ann, other.id))
        pages = [await storage.views.log(chat.id, Position(after), 3) for after in (0, 3, 6, 7, 100)]
        assert [[update.position for update in page] for page in pages] == [[1, 2, 3], [4, 5, 6], [7], [], []]
        assert await storage.views.log(ChatId(uuid4()), Position(0), 3) == []


@pytest.mark.explored
def test_any_page_of_any_history(rig: Rig) -> None:
    """`span` is held to a list elsewhere; here the rows are held to `span`."""
    talk, ann = Talk(rig.storage), actor()
    chats = [rig.runner.run(open_chat(rig.storage.begin, ann)) for _ in range(3)]
    for chat, length in zip(chats, (0, 1, 9), strict=True):
        rig.runner.run(talk.send(*[saying(ann, chat.id, str(n + 1)) for n in range(length)]))

    @settings(max_examples=60)
    @given(index=st.integers(0, 2), where=places, limit=st.integers(1, 5) | st.just(200))
    def check(index: int, where: Where, limit: int) -> None:
        last = (0, 1, 9)[index]
        page = rig.runner.run(rig.storage.views.history(ann.profile_id, chats[index].id, where, limit))
        numbers = [view.message.seq for view in page.messages]
        assert numbers == list(span(where, limit, Seq(last)))
        assert said(page) == [str(number) for number in numbers]
        if numbers:
            assert (page.has_before, page.has_after) == (numbers[0] > 1, numbers[-1] < last)
        else:
            assert (page.has_before or page.has_after) == (last > 0)

    check()
