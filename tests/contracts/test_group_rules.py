"""Who may be put into groups, and how many chats, members and sessions there may be; on every storage."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
from attrs import define, evolve

from application.actor import Actor
from application.chats.add_members import AddMembers, AddMembersHandler
from application.chats.create import CreateChat, CreateChatHandler
from application.chats.membership import Adding
from application.chats.open_direct import OpenDirect, OpenDirectHandler
from domain.chat import About
from domain.chat_errors import NotAcquainted, TooManyChats, TooManyMembers
from domain.events import SessionEnd
from domain.group_rules import ANSWERED_WITHIN, GroupRules, WhoMayAdd
from domain.ids import ChatId, ProfileId
from tests.contracts.talk import Talk, known, saying
from tests.contracts.test_accounts import account, session
from tests.storages import SharedStorage
from tests.strategies import START
from tests.unlimited import UNLIMITED


@define(eq=False)
class Groups:
    storage: SharedStorage
    talk: Talk
    rules: GroupRules

    @property
    def adding(self) -> Adding:
        return Adding(rules=self.rules, limits=UNLIMITED)

    async def create(self, who: Actor, *others: Actor) -> ChatId:
        talk = self.talk
        use = CreateChatHandler(
            begin=talk.begin, views=self.storage.views, clock=talk.clock, ids=talk.ids, adding=self.adding
        )
        members = tuple(other.profile_id for other in others)
        return (await use(who, CreateChat(about=About("A group"), member_ids=members))).id

    async def open_direct(self, who: Actor, other: Actor) -> ChatId:
        talk = self.talk
        use = OpenDirectHandler(
            begin=talk.begin, views=self.storage.views, clock=talk.clock, ids=talk.ids, adding=self.adding
        )
        return (await use(who, OpenDirect(profile_id=other.profile_id))).id

    async def add(self, who: Actor, chat_id: ChatId, *others: Actor) -> Sequence[ProfileId]:
        use = AddMembersHandler(
            begin=self.talk.begin, views=self.storage.views, clock=self.talk.clock, adding=self.adding
        )
        wanted = tuple(other.profile_id for other in others)
        return [
            member.profile.id for member in await use(who, AddMembers(chat_id=chat_id, profile_ids=wanted))
        ]

    async def acquainted(self, who: Actor, *others: Actor) -> set[ProfileId]:
        async with self.storage.begin() as work:
            wanted = [other.profile_id for other in others]
            return set(await work.chats.acquainted(who.profile_id, wanted))

    async def those_in(self, count: int, *people: Actor) -> set[ProfileId]:
        async with self.storage.begin() as work:
            return set(await work.chats.those_in([person.profile_id for person in people], count))


@pytest.fixture
def groups(storage: SharedStorage) -> Groups:
    return Groups(storage, Talk(storage), GroupRules())


def ids(*people: Actor) -> set[ProfileId]:
    return {person.profile_id for person in people}


async def test_people_who_share_a_group_are_acquainted_while_both_are_in_it(groups: Groups) -> None:
    ann, bob, cat, dan = await known(groups.storage.begin, "Ann", "Bob", "Cat", "Dan")
    chat = await groups.create(bob, ann, cat)
    assert await groups.acquainted(ann, ann, bob, cat, dan) == ids(bob, cat)
    assert await groups.acquainted(dan, ann, bob) == set()
    async with groups.talk.begin() as work:
        locked = await work.chats.lock(chat)
        gone = await work.chats.find_member(chat, cat.profile_id)
        members = await work.chats.members(chat)
        await work.chats.keep(locked, locked.leave(gone, members, at=groups.talk.clock.now()))
    assert await groups.acquainted(ann, bob, cat) == ids(bob)
    async with groups.talk.begin() as work:
        locked = await work.chats.lock(chat)
        owner = await work.chats.find_member(chat, bob.profile_id)
        members = await work.chats.members(chat)
        await work.chats.keep(locked, locked.delete(owner, members, at=groups.talk.clock.now()))
    assert await groups.acquainted(ann, bob, cat) == set()


async def test_to_open_a_direct_chat_acquaints_only_the_other_side(groups: Groups) -> None:
    ann, bob = await known(groups.storage.begin, "Ann", "Bob")
    chat = await groups.open_direct(ann, bob)
    assert await groups.acquainted(ann, bob) == set()
    assert await groups.acquainted(bob, ann) == ids(ann)
    await groups.talk.say(ann, chat, "Do you hear me?")
    assert await groups.acquainted(ann, bob) == set()
    await groups.talk.say(bob, chat, "Yes")
    assert await groups.acquainted(ann, bob) == ids(bob)


async def test_an_answer_counts_among_the_newest_messages(groups: Groups) -> None:
    ann, bob = await known(groups.storage.begin, "Ann", "Bob")
    chat = await groups.open_direct(ann, bob)
    await groups.talk.say(bob, chat, "Yes")
    rest = [saying(ann, chat, f"{number}") for number in range(ANSWERED_WITHIN)]
    await groups.talk.send(*rest[:-1])
    assert await groups.acquainted(ann, bob) == ids(bob)
    await groups.talk.send(rest[-1])
    assert await groups.acquainted(ann, bob) == set()


async def test_strangers_are_not_put_into_groups(groups: Groups) -> None:
    ann, bob, cat = await known(groups.storage.begin, "Ann", "Bob", "Cat")
    groups.rules = GroupRules(who_may_add=WhoMayAdd.SHARED_CHAT)
    group = await groups.create(ann)
    await groups.open_direct(bob, ann)
    for use in (groups.create(ann, bob, cat), groups.add(ann, group, cat, bob)):
        with pytest.raises(NotAcquainted) as refused:
            await use
        assert refused.value.profile_ids == [cat.profile_id]
    assert await groups.those_in(2, bob, cat) == set(), "nobody was added"
    assert set(await groups.add(ann, group, bob)) == ids(ann, bob)
    groups.rules = GroupRules(who_may_add=WhoMayAdd.NOBODY)
    with pytest.raises(NotAcquainted):
        await groups.create(ann, bob)
    assert set(await groups.add(ann, group, bob)) == ids(ann, bob), "who is there already is not added"


async def test_nobody_is_in_more_chats_than_one_may_be(groups: Groups) -> None:
    ann, bob, cat = await known(groups.storage.begin, "Ann", "Bob", "Cat")
    group = await groups.create(ann)
    await groups.create(bob, cat)
    await groups.open_direct(bob, cat)
    assert await groups.those_in(1, ann, bob, cat) == ids(ann, bob, cat)
    assert await groups.those_in(2, ann, bob, cat) == ids(bob, cat)
    assert await groups.those_in(3, ann, bob, cat) == set()
    groups.rules = GroupRules(most_chats=2)
    attempts = [
        (groups.create(bob), [bob]),
        (groups.create(ann, cat), [cat]),
        (groups.add(ann, group, bob, cat), [bob, cat]),
        (groups.open_direct(bob, ann), [bob]),
        (groups.open_direct(ann, cat), [cat]),
    ]
    for attempt, full in attempts:
        with pytest.raises(TooManyChats) as refused:
            await attempt
        assert refused.value.profile_ids == [each.profile_id for each in full]
    assert await groups.those_in(2, ann) == set()
    await groups.open_direct(cat, bob)  # what is there already is found
    await groups.create(ann)


async def test_a_group_has_no_more_members_than_it_may(groups: Groups) -> None:
    ann, bob, cat = await known(groups.storage.begin, "Ann", "Bob", "Cat")
    groups.rules = GroupRules(most_members=2)
    group = await groups.create(ann, bob)
    for attempt in (
        groups.add(ann, group, cat),
        groups.add(ann, group, cat, bob),
        groups.create(ann, bob, cat),
    ):
        with pytest.raises(TooManyMembers):
            await attempt
    assert (await groups.storage.views.snapshot(ann.profile_id, group, 0)).member_count == 2
    await groups.add(ann, group, bob)


async def test_the_oldest_sessions_are_those_beyond_the_newest(storage: SharedStorage) -> None:
    one = account("one@example.com")
    kept = [
        evolve(session(one.id, f"device {number}"), created_at=START + timedelta(minutes=number % 4))
        for number in range(6)
    ]
    async with storage.begin() as work:
        await work.accounts.add(one)
        for each in kept:
            await work.sessions.add(each)
        kept[1].end(SessionEnd.SIGNED_OUT, at=START)
        await work.sessions.save(kept[1])
    live = sorted((each for each in kept if not each.ended_at), key=lambda each: (each.created_at, each.id))
    for keep in (0, 2, 4, 5, 9):
        async with storage.begin() as work:
            found = await work.sessions.lock_oldest(one.id, keep=keep)
        assert {each.id for each in found} == {each.id for each in live[: max(len(live) - keep, 0)]}
        assert [each.id for each in found] == sorted(each.id for each in found)
