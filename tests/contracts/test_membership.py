"""Who is in a chat, when several change it at once; on every storage."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Sequence
from uuid import uuid4

import pytest
from attrs import Factory, asdict, define

from application.actor import Actor
from application.chats.add_members import AddMembers, AddMembersHandler
from application.chats.change import ChangeChat, ChangeChatHandler
from application.chats.change_role import ChangeRole, ChangeRoleHandler
from application.chats.delete import DeleteChat, DeleteChatHandler
from application.chats.open_direct import OpenDirect, OpenDirectHandler
from application.chats.remove_member import RemoveMember, RemoveMemberHandler
from application.messages.send import NonceReused, Sent
from application.ports.updates import NewMember, NewMessage
from application.ports.views import Newest
from application.views import ChatView, MemberView
from domain.chat import Chat, Kind
from domain.chat_errors import (
    ChatNotFound,
    MemberNotFound,
    MembersNotFound,
    NotAllowed,
    NotAMember,
    NotTheOwner,
    NotToOneself,
    OnlyInGroups,
)
from domain.errors import DomainError
from domain.events import ChatAdded, ChatRemoved, MemberRemoved, Removal, RoleChanged
from domain.ids import ChatId, Position, ProfileId
from domain.role import Role
from tests.contracts.talk import Talk, actor, known, open_chat, saying
from tests.storages import SharedStorage
from tests.unlimited import ADDING

ENOUGH = 60
"""Seconds."""


@define(eq=False)
class Circle:
    """What people do to chats, as the application does it."""

    storage: SharedStorage
    talk: Talk = Factory(lambda self: Talk(self.storage), takes_self=True)

    async def open_direct(self, one: Actor, other: ProfileId) -> ChatView:
        talk = self.talk
        use = OpenDirectHandler(
            adding=ADDING,
            begin=talk.begin,
            views=self.storage.views,
            clock=talk.clock,
            ids=talk.ids,
        )
        return await use(one, OpenDirect(profile_id=other))

    async def add(self, by: Actor, chat_id: ChatId, *who: ProfileId) -> Sequence[MemberView]:
        talk = self.talk
        use = AddMembersHandler(adding=ADDING, begin=talk.begin, views=self.storage.views, clock=talk.clock)
        return await use(by, AddMembers(chat_id=chat_id, profile_ids=who))

    async def remove(self, by: Actor, chat_id: ChatId, who: ProfileId) -> None:
        use = RemoveMemberHandler(begin=self.talk.begin, clock=self.talk.clock)
        await use(by, RemoveMember(chat_id=chat_id, profile_id=who))

    async def leave(self, who: Actor, chat_id: ChatId) -> None:
        await self.remove(who, chat_id, who.profile_id)

    async def appoint(self, by: Actor, chat_id: ChatId, who: ProfileId, role: Role) -> Sequence[MemberView]:
        talk = self.talk
        use = ChangeRoleHandler(begin=talk.begin, views=self.storage.views, clock=talk.clock)
        return await use(by, ChangeRole(chat_id=chat_id, profile_id=who, role=role))

    async def delete(self, by: Actor, chat_id: ChatId) -> None:
        use = DeleteChatHandler(begin=self.talk.begin, clock=self.talk.clock)
        await use(by, DeleteChat(chat_id=chat_id))

    async def members(self, chat_id: ChatId) -> dict[ProfileId, Role]:
        async with self.storage.begin() as work:
            return {m.profile_id: m.role for m in await work.chats.members(chat_id)}

    async def chat(self, chat_id: ChatId) -> Chat:
        async with self.storage.begin() as work:
            return await work.chats.lock(chat_id)


@pytest.fixture
def circle(storage: SharedStorage) -> Circle:
    return Circle(storage)


async def refusal(asked: Awaitable[object]) -> type[DomainError] | None:
    try:
        await asked
    except DomainError as error:
        return type(error)
    return None


class TestDirect:
    async def test_made_then_found(self, circle: Circle) -> None:
        ann, bob = await known(circle.storage.begin, "Ann", "Bob")
        made = await circle.open_direct(ann, bob.profile_id)
        assert (made.kind, made.name, made.owner, made.member_count) == (Kind.DIRECT, "Bob", ann.profile, 2)
        found = await circle.open_direct(bob, ann.profile_id)
        assert (found.id, found.name, found.owner) == (made.id, "Ann", ann.profile)
        assert [type(update) for update in circle.talk.published] == [ChatAdded, ChatAdded]
        assert await circle.members(made.id) == dict.fromkeys((ann.profile_id, bob.profile_id), Role.MEMBER)

    async def test_with_whom_not(self, circle: Circle) -> None:
        (ann,) = await known(circle.storage.begin, "Ann")
        assert await refusal(circle.open_direct(ann, ann.profile_id)) is NotToOneself
        assert await refusal(circle.open_direct(ann, actor().profile_id)) is MembersNotFound
        assert await circle.storage.views.list_chats(ann.profile_id) == []

    async def test_opened_by_both_at_once_it_is_one(self, circle: Circle) -> None:
        people = await known(circle.storage.begin, "Ann", "Bob", "Eve")
        pairs = [(one, other) for one in people for other in people if one is not other]
        async with asyncio.timeout(ENOUGH):
            opened = await asyncio.gather(
                *(circle.open_direct(one, other.profile_id) for one, other in pairs * 5)
            )
        by_pair = {
            frozenset((one.profile_id, other.profile_id)): view.id
            for (one, other), view in zip(pairs * 5, opened, strict=True)
        }
        assert len({view.id for view in opened}) == len(by_pair) == 3
        assert len(circle.talk.published) == 6, "each of the two is told once"
        for person in people:
            assert len(await circle.storage.views.list_chats(person.profile_id)) == 2

    async def test_after_its_end_there_may_be_another(self, circle: Circle) -> None:
        ann, bob = await known(circle.storage.begin, "Ann", "Bob")
        first = await circle.open_direct(ann, bob.profile_id)
        await circle.delete(bob, first.id)
        second = await circle.open_direct(ann, bob.profile_id)
        assert second.id != first.id
        for who in (ann, bob):
            assert [view.id for view in await circle.storage.views.list_chats(who.profile_id)] == [second.id]

    async def test_ended_and_opened_at_once(self, circle: Circle) -> None:
        ann, bob = await known(circle.storage.begin, "Ann", "Bob")

        async def open_and_end(who: Actor, other: Actor) -> None:
            for _ in range(8):
                try:
                    chat = await circle.open_direct(who, other.profile_id)
                except ChatNotFound:
                    continue  # found, and gone before it could be shown
                await refusal(circle.delete(who, chat.id))

        async with asyncio.timeout(ENOUGH):
            await asyncio.gather(*(open_and_end(*pair) for pair in ((ann, bob), (bob, ann)) * 3))
        assert await circle.storage.views.list_chats(ann.profile_id) == []
        last = await circle.open_direct(ann, bob.profile_id)
        for who in (ann, bob):
            assert [view.id for view in await circle.storage.views.list_chats(who.profile_id)] == [last.id]

    async def test_its_two_stay(self, circle: Circle) -> None:
        ann, bob, eve = await known(circle.storage.begin, "Ann", "Bob", "Eve")
        chat = await circle.open_direct(ann, bob.profile_id)
        assert await refusal(circle.add(ann, chat.id, eve.profile_id)) is OnlyInGroups
        assert await refusal(circle.remove(ann, chat.id, bob.profile_id)) is OnlyInGroups
        assert await refusal(circle.leave(ann, chat.id)) is OnlyInGroups
        assert await refusal(circle.appoint(ann, chat.id, bob.profile_id, Role.ADMIN)) is OnlyInGroups


class TestChanges:
    async def test_adding_tells_everybody(self, circle: Circle) -> None:
        ann, bob, eve = await known(circle.storage.begin, "Ann", "Bob", "Eve")
        chat = await open_chat(circle.storage.begin, ann)
        members = await circle.add(ann, chat.id, bob.profile_id, eve.profile_id, bob.profile_id)
        together = sorted((bob.profile, eve.profile), key=lambda one: one.id)
        assert [m.profile for m in members] == [ann.profile, *together]
        added = [update for update in circle.talk.published if isinstance(update, NewMember)]
        assert [(a.member, a.by, a.position) for a in added] == [
            (bob.profile, ann.profile_id, 1),
            (eve.profile, ann.profile_id, 2),
        ]
        circle.talk.published.clear()
        assert await circle.add(ann, chat.id, bob.profile_id) == members
        assert circle.talk.published == [], "who is in it already stays as they are"

    async def test_all_or_nobody(self, circle: Circle) -> None:
        ann, bob = await known(circle.storage.begin, "Ann", "Bob")
        chat = await open_chat(circle.storage.begin, ann)
        assert await refusal(circle.add(ann, chat.id, bob.profile_id, actor().profile_id)) is MembersNotFound
        assert await circle.members(chat.id) == {ann.profile_id: Role.OWNER}

    async def test_who_may_not(self, circle: Circle) -> None:
        ann, bob, eve = await known(circle.storage.begin, "Ann", "Bob", "Eve")
        chat = await open_chat(circle.storage.begin, ann, bob)
        assert await refusal(circle.add(bob, chat.id, eve.profile_id)) is NotAllowed
        assert await refusal(circle.remove(bob, chat.id, ann.profile_id)) is NotAllowed
        assert await refusal(circle.appoint(bob, chat.id, bob.profile_id, Role.OWNER)) is NotTheOwner
        for unseen in (chat.id, ChatId(uuid4())):
            assert await refusal(circle.add(eve, unseen, eve.profile_id)) is ChatNotFound
            assert await refusal(circle.remove(eve, unseen, ann.profile_id)) is ChatNotFound
            assert await refusal(circle.appoint(eve, unseen, bob.profile_id, Role.OWNER)) is ChatNotFound
            assert await refusal(circle.leave(eve, unseen)) is ChatNotFound
        assert await refusal(circle.remove(ann, chat.id, eve.profile_id)) is MemberNotFound
        assert await refusal(circle.leave(ann, ChatId(uuid4()))) is ChatNotFound
        assert circle.talk.published == []

    async def test_former_members_may_do_nothing_whatever_they_were(self, circle: Circle) -> None:
        ann, bob, eve = await known(circle.storage.begin, "Ann", "Bob", "Eve")
        chat = await open_chat(circle.storage.begin, ann, bob, eve)
        await circle.appoint(ann, chat.id, bob.profile_id, Role.OWNER)
        await circle.leave(bob, chat.id)  # an owner who has left
        await circle.appoint(ann, chat.id, eve.profile_id, Role.ADMIN)
        await circle.remove(ann, chat.id, eve.profile_id)  # an admin who was removed
        before = (await circle.members(chat.id), await circle.chat(chat.id))
        circle.talk.published.clear()
        change = ChangeChatHandler(
            adding=ADDING, begin=circle.talk.begin, views=circle.storage.views, clock=circle.talk.clock
        )
        for former in (bob, eve):
            for attempt, refused in (
                (circle.add(former, chat.id, former.profile_id), ChatNotFound),
                (circle.remove(former, chat.id, ann.profile_id), ChatNotFound),
                (circle.leave(former, chat.id), ChatNotFound),
                (circle.appoint(former, chat.id, ann.profile_id, Role.ADMIN), ChatNotFound),
                (circle.delete(former, chat.id), NotTheOwner),
                (change(former, ChangeChat(chat_id=chat.id, name="Ours")), NotTheOwner),
            ):
                assert await refusal(attempt) is refused
        members, after = (await circle.members(chat.id), await circle.chat(chat.id))
        assert (members, asdict(after)) == (before[0], asdict(before[1]))
        assert circle.talk.published == []

    async def test_who_was_removed_may_come_again(self, circle: Circle) -> None:
        ann, bob = await known(circle.storage.begin, "Ann", "Bob")
        chat = await open_chat(circle.storage.begin, ann, bob)
        await circle.appoint(ann, chat.id, bob.profile_id, Role.ADMIN)
        await circle.remove(ann, chat.id, bob.profile_id)
        assert await circle.storage.views.list_chats(bob.profile_id) == []
        await circle.add(ann, chat.id, bob.profile_id)
        assert await circle.members(chat.id) == {ann.profile_id: Role.OWNER, bob.profile_id: Role.MEMBER}
        assert (await circle.chat(chat.id)).member_count == 2
        assert [type(u) for u in circle.talk.published] == [
            RoleChanged, MemberRemoved, ChatRemoved, NewMember, ChatAdded,
        ]  # fmt: skip
        log = await circle.storage.views.log(chat.id, Position(0), 10)
        assert [type(update) for update in log] == [RoleChanged, MemberRemoved, NewMember]

    async def test_who_comes_again_is_a_newcomer_who_has_read_what_they_had_read(
        self, circle: Circle
    ) -> None:
        ann, bob, eve = await known(circle.storage.begin, "Ann", "Bob", "Eve")
        chat = await open_chat(circle.storage.begin, ann, bob)
        await circle.talk.say(ann, chat.id, "first")
        last = await circle.talk.say(ann, chat.id, "second")
        await circle.talk.read(bob, chat.id, last.message.id)
        await circle.appoint(ann, chat.id, bob.profile_id, Role.ADMIN)
        await circle.add(ann, chat.id, eve.profile_id)
        async with circle.storage.begin() as work:
            before = await work.chats.find_member(chat.id, bob.profile_id)
        await circle.remove(ann, chat.id, bob.profile_id)
        await circle.add(ann, chat.id, bob.profile_id)
        async with circle.storage.begin() as work:
            after = await work.chats.find_member(chat.id, bob.profile_id)
            in_order = [member.profile_id for member in await work.chats.members(chat.id)]
        assert before
        assert after
        assert (after.joined_at > before.joined_at, after.role, after.left_at) == (True, Role.MEMBER, None)
        assert in_order == [ann.profile_id, eve.profile_id, bob.profile_id]
        (listed,) = await circle.storage.views.list_chats(bob.profile_id)
        assert (listed.id, listed.unread_count) == (chat.id, 0)

    async def test_handing_over(self, circle: Circle) -> None:
        ann, bob = await known(circle.storage.begin, "Ann", "Bob")
        chat = await open_chat(circle.storage.begin, ann, bob)
        members = await circle.appoint(ann, chat.id, bob.profile_id, Role.OWNER)
        assert [(m.profile.first_name, m.role) for m in members] == [
            ("Bob", Role.OWNER),
            ("Ann", Role.ADMIN),
        ]
        assert (await circle.chat(chat.id)).owner_id == bob.profile_id
        assert await refusal(circle.delete(ann, chat.id)) is NotTheOwner

    async def test_the_owner_leaves_and_then_everybody(self, circle: Circle) -> None:
        ann, bob, eve = await known(circle.storage.begin, "Ann", "Bob", "Eve")
        chat = await open_chat(circle.storage.begin, ann, bob, eve)
        await circle.appoint(ann, chat.id, eve.profile_id, Role.ADMIN)
        await circle.leave(ann, chat.id)
        assert await circle.members(chat.id) == {eve.profile_id: Role.OWNER, bob.profile_id: Role.MEMBER}
        assert (await circle.chat(chat.id)).owner_id == eve.profile_id
        await circle.leave(eve, chat.id)
        await circle.leave(bob, chat.id)
        gone = await circle.chat(chat.id)
        assert gone.deleted_at is not None
        assert gone.member_count == 0
        assert await refusal(circle.leave(bob, chat.id)) is ChatNotFound
        reasons = [u.reason for u in circle.talk.published if isinstance(u, ChatRemoved)]
        assert reasons == [Removal.LEFT] * 3


class TestRaces:
    async def test_one_is_added_once_whoever_adds(self, circle: Circle) -> None:
        ann, bob, *many = await known(circle.storage.begin, "Ann", "Bob", *("X",) * 4)
        chat = await open_chat(circle.storage.begin, ann, bob)
        await circle.appoint(ann, chat.id, bob.profile_id, Role.ADMIN)
        ids = [one.profile_id for one in many]
        async with asyncio.timeout(ENOUGH):
            await asyncio.gather(*(circle.add((ann, bob)[n % 2], chat.id, *ids[n % 3 :]) for n in range(12)))
        added = Counter(u.member.id for u in circle.talk.published if isinstance(u, NewMember))
        assert added == dict.fromkeys(ids, 1)
        assert (await circle.chat(chat.id)).member_count == 6
        assert len(await circle.members(chat.id)) == 6

    async def test_handed_over_to_two_at_once_it_goes_to_one(self, circle: Circle) -> None:
        ann, bob, eve = await known(circle.storage.begin, "Ann", "Bob", "Eve")
        chat = await open_chat(circle.storage.begin, ann, bob, eve)
        async with asyncio.timeout(ENOUGH):
            outcomes = await asyncio.gather(
                *(refusal(circle.appoint(ann, chat.id, who.profile_id, Role.OWNER)) for who in (bob, eve))
            )
        assert Counter(outcomes) == {None: 1, NotTheOwner: 1}
        assert Counter((await circle.members(chat.id)).values()) == {
            Role.OWNER: 1,
            Role.ADMIN: 1,
            Role.MEMBER: 1,
        }

    async def test_all_leave_at_once(self, circle: Circle) -> None:
        people = await known(circle.storage.begin, *("X",) * 8)
        chat = await open_chat(circle.storage.begin, *people)
        async with asyncio.timeout(ENOUGH):
            await asyncio.gather(*(circle.leave(who, chat.id) for who in people))
        gone = await circle.chat(chat.id)
        assert (gone.deleted_at is None, gone.member_count) == (False, 0)
        log = await circle.storage.views.log(chat.id, Position(0), 100)
        assert [update.position for update in log] == list(range(1, gone.last_position + 1))
        assert sum(isinstance(update, MemberRemoved) for update in log) == 8

    @pytest.mark.parametrize("how", ["remove", "leave"])
    async def test_removal_against_sends(self, circle: Circle, how: str) -> None:
        """What is decided before it is stored before it; what comes after is refused, on both processes."""
        ann, bob = await known(circle.storage.begin, "Ann", "Bob")
        chat = await open_chat(circle.storage.begin, ann, bob)
        removed, said_enough = asyncio.Event(), asyncio.Event()
        talk, storage = circle.talk, circle.storage

        async with (
            asyncio.timeout(ENOUGH),
            talk.gathering() as one,
            talk.gathering_elsewhere() as other,
        ):
            late: list[object] = []

            async def send(who: Actor, number: int) -> None:
                gatherer = (one, other)[number % 2]
                for turn in range(40):
                    is_late = removed.is_set()
                    sent = gatherer.submit(saying(who, chat.id, f"{number}.{turn}", nonce=f"{number}.{turn}"))
                    answer = (await asyncio.gather(sent, return_exceptions=True))[0]
                    assert isinstance(answer, Sent | NotAMember)
                    assert isinstance(answer, Sent) or who is bob
                    if turn == 5:
                        said_enough.set()
                    if who is bob and is_late:
                        late.append(answer)

            async def remove() -> None:
                await said_enough.wait()
                await (
                    circle.leave(bob, chat.id)
                    if how == "leave"
                    else circle.remove(ann, chat.id, bob.profile_id)
                )
                removed.set()

            await asyncio.gather(remove(), *(send((ann, bob)[n // 2], n) for n in range(4)))
            assert late, "he went on trying"
            assert all(isinstance(answer, NotAMember) for answer in late)

        log = await storage.views.log(chat.id, Position(0), 1000)
        assert [update.position for update in log] == list(range(1, len(log) + 1))
        end = next(update.position for update in log if isinstance(update, MemberRemoved))
        authors = {
            update.position: update.view.message.author_id for update in log if isinstance(update, NewMessage)
        }
        assert any(who == bob.profile_id for position, who in authors.items() if position < end)
        assert all(who == ann.profile_id for position, who in authors.items() if position > end)
        page = await storage.views.history(ann.profile_id, chat.id, Newest(), 1000)
        assert [view.message.seq for view in page.messages] == list(range(1, len(authors) + 1))

    async def test_whoever_was_removed_still_gets_the_first_answer_to_a_repeat(self, circle: Circle) -> None:
        ann, bob = await known(circle.storage.begin, "Ann", "Bob")
        chat = await open_chat(circle.storage.begin, ann, bob)
        first = await circle.talk.say(bob, chat.id, "Hello", nonce="n")
        await circle.remove(ann, chat.id, bob.profile_id)
        again, other, new = await circle.talk.send(
            saying(bob, chat.id, "Hello", nonce="n"),
            saying(bob, chat.id, "Bye", nonce="n"),
            saying(bob, chat.id, "Hello", nonce="m"),
        )
        assert again == Sent(first, duplicate=True)
        assert isinstance(other, NonceReused)
        assert isinstance(new, NotAMember)
        views = circle.storage.views
        for asked in (
            views.history(bob.profile_id, chat.id, Newest(), 10),
            views.members(bob.profile_id, chat.id),
            views.readers(bob.profile_id, chat.id, first.message.id),
            views.snapshot(bob.profile_id, chat.id, 10),
        ):
            assert await refusal(asked) is NotAMember

    async def test_members_of_many_chats_change_at_once(self, circle: Circle) -> None:
        """Each unit locks a chat and the logs of several people, and none of them deadlock."""
        people = await known(circle.storage.begin, *("X",) * 5)
        chats = [await open_chat(circle.storage.begin, people[n], people[n - 1]) for n in range(5)]
        async with asyncio.timeout(ENOUGH):

            async def shuffle(number: int) -> None:
                owner, chat = people[number % 5], chats[number % 5]
                ids = [one.profile_id for one in people if one is not owner]
                await circle.add(owner, chat.id, *(ids if number % 2 else ids[::-1]))
                for who in ids[number % 3 :]:
                    assert await refusal(circle.remove(owner, chat.id, who)) in (None, MemberNotFound)

            await asyncio.gather(*(shuffle(number) for number in range(15)))
        for chat in chats:
            assert (await circle.chat(chat.id)).member_count == len(await circle.members(chat.id))
