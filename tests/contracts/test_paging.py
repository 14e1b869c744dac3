"""Lists in pages on every storage: what was there throughout a walk is seen exactly once, whatever happens meanwhile."""

from collections import Counter
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID, uuid4

import pytest
from attrs import define, evolve, field
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from application.actor import Actor
from application.paging import BadPlace, ChatPlace, Page, Paging
from application.ports.storage import Begin
from application.views import NO_LONGER_HERE, NOBODY
from domain.chat import Chat
from domain.ids import AccountId, ChatId, ProfileId
from domain.profile import Name, Profile, Username
from domain.role import Role
from domain.session import Session
from tests.contracts.conftest import Rig
from tests.contracts.talk import Talk, actor, known, open_chat
from tests.contracts.test_accounts import profile, session
from tests.contracts.test_membership import Circle
from tests.storages import SharedStorage
from tests.strategies import START

R = TypeVar("R")

EXAMPLES = {"memory": 25, "postgres": 12, "citus": 12}
"""An example on PostgreSQL takes a second of a processor. Twelve find every mutant of the pages that 25 find."""

Read = Callable[[Paging[Any]], Coroutine[Any, Any, Page[UUID, Any]]]
"""A page of a list, in the identities of what is in it."""


@define(eq=False)
class List:
    """A list as it ought to be: what is in it, and how it is read."""

    read: Read
    there: set[UUID] = field(factory=set)


@define(eq=False)
class Walk:
    """Somebody goes through a list page by page."""

    of: List
    there: set[UUID]
    """In the list from the first page on, and not taken out or renamed since."""
    limit: int
    seen: list[UUID] = field(factory=list)
    after: Any = None
    is_over: bool = False


def ids(page: Page[Any, Any], id_of: Callable[[Any], UUID]) -> Page[UUID, Any]:
    return Page([id_of(item) for item in page.items], page.next)


def machine_on(rig: Rig) -> type[RuleBasedStateMachine]:
    class Walks(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.storage, self.circle = rig.storage, Circle(rig.storage)
            self.talk = self.circle.talk
            self.walks: list[Walk] = []
            self.people: dict[UUID, Actor] = {}
            (self.ann,) = self.run(known(self.storage.begin, "Ann"))
            self.chats: dict[UUID, Chat] = {}
            self.chat_list = List(self.read_chats)
            self.room, self.owner = self.opened_room(), self.ann
            self.member_list = List(self.read_members, {self.ann.profile_id})
            self.message_id = self.run(self.talk.say(self.ann, self.room.id)).message.id
            self.reader_list = List(self.read_readers)
            self.session_list = List(self.read_sessions)
            self.sessions: dict[UUID, Session] = {}
            self.prefix = f"q{uuid4().hex[:8]}"
            self.found_list = List(self.read_found)
            self.lists = [
                self.chat_list,
                self.member_list,
                self.reader_list,
                self.session_list,
                self.found_list,
            ]

        def run(self, doing: Coroutine[Any, Any, R]) -> R:
            return rig.runner.run(doing)

        def opened_room(self) -> Chat:
            return self.run(open_chat(self.storage.begin, self.ann, name="room", at=self.talk.clock.now()))

        async def read_chats(self, paging: Paging[Any]) -> Page[UUID, Any]:
            page = await self.storage.views.page_of_chats(self.ann.profile_id, paging)
            return ids(
                evolve(page, items=[view for view in page.items if view.id != self.room.id]),
                lambda view: view.id,
            )

        async def read_members(self, paging: Paging[Any]) -> Page[UUID, Any]:
            page = await self.storage.views.page_of_members(self.owner.profile_id, self.room.id, paging)
            return ids(page, lambda view: view.profile.id)

        async def read_readers(self, paging: Paging[Any]) -> Page[UUID, Any]:
            page = await self.storage.views.page_of_readers(
                self.owner.profile_id, self.room.id, self.message_id, paging
            )
            return ids(page, lambda view: view.profile.id)

        async def read_sessions(self, paging: Paging[Any]) -> Page[UUID, Any]:
            async with self.storage.begin() as work:
                page = await work.sessions.page_of_live(self.ann.account_id, START, paging)
            return ids(page, lambda one: one.id)

        async def read_found(self, paging: Paging[Any]) -> Page[UUID, Any]:
            async with self.storage.begin() as work:
                page = await work.profiles.search(self.prefix, paging.limit or 100, paging.after)
            return ids(page, lambda one: one.id)

        def came(self, of: List, id: UUID) -> None:
            of.there.add(id)

        def went(self, of: List, id: UUID) -> None:
            of.there.discard(id)
            for walk in self.walks:
                if walk.of is of:
                    walk.there.discard(id)

        # Walks

        @rule(which=st.integers(0, 4), limit=st.integers(1, 3))
        def begin_a_walk(self, which: int, limit: int) -> None:
            of = self.lists[which]
            self.walks.append(Walk(of, set(of.there), limit))

        @precondition(lambda self: any(not walk.is_over for walk in self.walks))
        @rule(data=st.data(), pages=st.integers(1, 2))
        def go_on(self, data: st.DataObject, pages: int) -> None:
            walk = data.draw(st.sampled_from([walk for walk in self.walks if not walk.is_over]))
            for _ in range(pages):
                self.step(walk)

        def step(self, walk: Walk) -> None:
            if walk.is_over:
                return
            page = self.run(walk.of.read(Paging(limit=walk.limit, after=walk.after)))
            assert len(page.items) <= walk.limit
            walk.seen += page.items
            walk.after = page.next
            if page.next is None:
                walk.is_over = True
                times = Counter(walk.seen)
                assert {id: times[id] for id in walk.there} == dict.fromkeys(walk.there, 1)

        def teardown(self) -> None:
            for walk in self.walks:
                while not walk.is_over:
                    self.step(walk)
            for of in self.lists:
                whole = self.run(of.read(Paging()))
                assert sorted(whole.items) == sorted(of.there)
                by_skipping = [
                    self.run(of.read(Paging(limit=2, skip=skip))).items
                    for skip in range(0, len(whole.items), 2)
                    if of not in (self.found_list, self.chat_list)  # has no skip; is seen without the room
                ]
                assert not by_skipping or [id for page in by_skipping for id in page] == whole.items

        # Chats

        @rule(ago=st.integers(0, 3))
        def open_one(self, ago: int) -> None:
            at = self.talk.clock.now() - timedelta(hours=ago)
            chat = self.run(open_chat(self.storage.begin, self.ann, at=at))
            self.chats[chat.id] = chat
            self.came(self.chat_list, chat.id)

        @precondition(lambda self: self.chats)
        @rule(data=st.data(), times=st.integers(1, 3))
        def say_something(self, data: st.DataObject, times: int) -> None:
            chat_id = data.draw(st.sampled_from(sorted(self.chats)))
            for _ in range(times):
                self.run(self.talk.say(self.ann, self.chats[chat_id].id))

        @precondition(lambda self: self.chats)
        @rule(data=st.data())
        def leave_one(self, data: st.DataObject) -> None:
            chat_id = data.draw(st.sampled_from(sorted(self.chats)))
            self.run(self.circle.leave(self.ann, self.chats.pop(chat_id).id))
            self.went(self.chat_list, chat_id)

        # Members and readers

        @rule(count=st.integers(1, 3))
        def come_in(self, count: int) -> None:
            newcomers = self.run(known(self.storage.begin, *["Bob"] * count))
            for one in newcomers:
                self.people[one.profile_id] = one
                self.came(self.member_list, one.profile_id)
            self.run(self.circle.add(self.owner, self.room.id, *(one.profile_id for one in newcomers)))

        @precondition(lambda self: self.people)
        @rule(data=st.data())
        def go_out(self, data: st.DataObject) -> None:
            gone = self.people.pop(data.draw(st.sampled_from(sorted(self.people))))
            self.run(self.circle.remove(self.owner, self.room.id, gone.profile_id))
            self.went(self.member_list, gone.profile_id)

        @precondition(lambda self: self.people)
        @rule(data=st.data(), role=st.sampled_from(Role), name=st.sampled_from(["Abe", "Zoe"]))
        def be_another(self, data: st.DataObject, role: Role, name: str) -> None:
            one = self.people[data.draw(st.sampled_from(sorted(self.people)))]
            self.run(self.rename(one.profile_id, first_name=Name(name)))
            self.run(self.circle.appoint(self.owner, self.room.id, one.profile_id, role))
            if role is Role.OWNER:
                del self.people[one.profile_id]
                self.people[self.owner.profile_id] = self.owner
                self.owner = one

        @precondition(lambda self: self.people)
        @rule(data=st.data())
        def read_it(self, data: st.DataObject) -> None:
            one = self.people[data.draw(st.sampled_from(sorted(self.people)))]
            self.run(self.talk.read(one, self.room.id, self.message_id))
            if one is not self.ann:
                self.came(self.reader_list, one.profile_id)

        # Sessions

        @rule(count=st.integers(1, 3))
        def sign_in(self, count: int) -> None:
            async def add(one: Session) -> None:
                async with self.storage.begin() as work:
                    await work.sessions.add(one)

            for _ in range(count):
                one = session(AccountId(self.ann.account_id), device=uuid4().hex)
                one = evolve(one, created_at=self.talk.clock.now() - timedelta(seconds=count))
                self.run(add(one))
                self.sessions[one.id] = one
                self.came(self.session_list, one.id)

        @precondition(lambda self: self.sessions)
        @rule(data=st.data(), is_over=st.booleans())
        def use_or_end(self, data: st.DataObject, is_over: bool) -> None:
            chosen = self.sessions[data.draw(st.sampled_from(sorted(self.sessions)))]

            async def save() -> None:
                async with self.storage.begin() as work:
                    one = await work.sessions.lock(chosen.account_id, chosen.id)
                    one.last_used_at = self.talk.clock.now()
                    if is_over:
                        one.ended_at = self.talk.clock.now()
                    await work.sessions.save(one)

            self.run(save())
            if is_over:
                del self.sessions[chosen.id]
                self.went(self.session_list, chosen.id)

        # People found by name

        @rule(
            first=st.sampled_from(["", "b", None]),
            last=st.sampled_from(["", "b", "a", None]),
            username=st.sampled_from(["", "x", "y", "z", None]),
        )
        def sign_up(self, first: str | None, last: str | None, username: str | None) -> None:
            one = profile(
                **{
                    name: f"{self.prefix}{end}"
                    for name, end in (("first_name", first), ("last_name", last))
                    if end is not None
                }
            )
            self.run(self.add(one))
            if first is not None or last is not None:
                self.came(self.found_list, one.id)
            if username is not None and self.is_free(taken := f"{self.prefix}{username}"):
                self.run(self.rename(one.id, username=Username(taken)))
                self.came(self.found_list, one.id)

        @precondition(lambda self: self.found_list.there)
        @rule(data=st.data())
        def be_found_no_more(self, data: st.DataObject) -> None:
            id = data.draw(st.sampled_from(sorted(self.found_list.there)))
            self.run(self.rename(id, first_name=None, last_name=None, username=None))
            self.went(self.found_list, id)

        async def add(self, one: Profile) -> None:
            async with self.storage.begin() as work:
                await work.profiles.add(one)

        def is_free(self, username: str) -> bool:
            async def found() -> bool:
                async with self.storage.begin() as work:
                    page = await work.profiles.search(username, 100)
                return any(one.username == Username(username) for one in page.items)

            return not self.run(found())

        async def rename(self, id: UUID, **names: Any) -> None:
            async with self.storage.begin() as work:
                one = await work.profiles.lock(ProfileId(id))
                one.edit(**names)
                await work.profiles.save(one)

    return Walks


@pytest.mark.explored
def test_what_was_there_throughout_is_seen_exactly_once(rig: Rig) -> None:
    run_state_machine_as_test(
        machine_on(rig),
        settings=settings(
            max_examples=EXAMPLES[rig.adapter],
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )


class TestWalks:
    """What people met with before lists were read by keyset."""

    async def test_a_session_that_ends_during_the_walk_makes_no_other_vanish(self, begin: Begin) -> None:
        owner = AccountId(uuid4())
        sessions = [session(owner, device=str(number)) for number in range(7)]
        async with begin() as work:
            for one in sessions:
                await work.sessions.add(one)
        after, seen = None, 0
        while seen == 0 or after:
            async with begin() as work:
                page = await work.sessions.page_of_live(owner, START, Paging(limit=2, after=after))
                for one in page.items:
                    one.ended_at = START
                    await work.sessions.save(one)
            seen, after = seen + len(page.items), page.next
        assert seen == len(sessions)

    async def test_a_chat_that_moves_up_during_the_walk_is_neither_missed_nor_repeated(
        self, storage: SharedStorage
    ) -> None:
        talk, ann = Talk(storage), actor()
        days = [timedelta(days=day) for day in range(6)]
        chats = [await open_chat(storage.begin, ann, at=START - day) for day in days]
        first = await storage.views.page_of_chats(ann.profile_id, Paging(limit=2))
        await talk.say(ann, chats[4].id)
        await talk.say(ann, chats[0].id)
        seen, after = list(first.items), first.next
        while after:
            page = await storage.views.page_of_chats(ann.profile_id, Paging(limit=2, after=after))
            seen, after = seen + list(page.items), page.next
        assert [view.id for view in seen] == [chat.id for chat in chats]

    async def test_a_place_of_another_storage_is_refused(self, storage: SharedStorage) -> None:
        place = ChatPlace(began="elsewhere", activity=START, id=ChatId(uuid4()))
        with pytest.raises(BadPlace):
            await storage.views.page_of_chats(ProfileId(uuid4()), Paging(limit=1, after=place))

    async def test_who_closed_their_account_does_not_stand_before_the_owner(
        self, storage: SharedStorage
    ) -> None:
        gone, (ann, bob) = actor(), await known(storage.begin, "Ann", "Bob")
        chat = await open_chat(storage.begin, ann, gone, bob)
        members = await storage.views.members(ann.profile_id, chat.id)
        assert members[0].profile == ann.profile
        assert {member.profile.id for member in members[1:]} == {NOBODY.id, bob.profile_id}
        details = await storage.views.get_chat(ann.profile_id, chat.id)
        assert details.members[0] == ann.profile

    async def test_an_exact_username_is_found_before_twenty_people_of_that_first_name(
        self, begin: Begin
    ) -> None:
        async with begin() as work:
            for number in range(21):
                someone = profile(first_name="Zed")
                await work.profiles.add(someone)
                someone.edit(username=Username(f"a{number:02}zed"))
                await work.profiles.save(someone)
            exact = profile(first_name="Somebody", last_name="Else")
            await work.profiles.add(exact)
            exact.edit(username=Username("Zed"))
            await work.profiles.save(exact)
        async with begin() as work:
            page = await work.profiles.search("zed", 20)
            assert page.items[0].id == exact.id
            rest = await work.profiles.search("zed", 20, page.next)
        assert (len(page.items), len(rest.items), rest.next) == (20, 2, None)
        assert len({one.id for one in (*page.items, *rest.items)}) == 22


async def test_a_closed_account_gives_a_direct_chat_a_name_that_can_be_read(storage: SharedStorage) -> None:
    (ann,) = await known(storage.begin, "Ann")
    gone = Profile(id=ProfileId(uuid4()), account_id=AccountId(uuid4()), first_name=Name("Gone"))
    async with storage.begin() as work:
        await work.profiles.add(gone)
    chat = await Circle(storage).open_direct(ann, gone.id)
    async with storage.begin() as work:
        await work.profiles.remove(await work.profiles.lock(gone.id))
    details = await storage.views.get_chat(ann.profile_id, chat.id)
    assert (details.chat.name, details.chat.other) == (NO_LONGER_HERE, NOBODY)


async def test_a_direct_chat_names_the_other_person_to_each_of_the_two(storage: SharedStorage) -> None:
    ann, bob = await known(storage.begin, "Ann", "Bob")
    circle = Circle(storage)
    chat = await circle.open_direct(ann, bob.profile_id)
    for reader, other in ((ann, bob), (bob, ann)):
        details = await storage.views.get_chat(reader.profile_id, chat.id)
        assert details.chat.other is not None
        assert details.chat.other.id == other.profile_id
