"""Creating a chat under an idempotency key: it is created once, however often and however simultaneously it is asked for."""

import asyncio

import pytest
from attrs import evolve

from application.actor import Actor
from application.chats.create import CreateChat, CreateChatHandler
from application.chats.remove_member import RemoveMember, RemoveMemberHandler
from application.keys import KeyReused
from application.ports.keys import Operation
from application.ports.own_changes import Missed
from application.ports.updates import NewMember
from application.views import ChatView, ProfileView
from domain.account import Account, Email
from domain.chat import About
from domain.chat_errors import ChatNotFound, MembersNotFound, NotAMember
from domain.events import ChatAdded
from domain.ids import Position
from domain.message import Nonce
from domain.profile import Name, Profile
from infrastructure.postgres.driver import reads, unnest
from infrastructure.system.ids import SystemIds
from tests.contracts.talk import Talk
from tests.storages import SharedStorage
from tests.strategies import START
from tests.unlimited import ADDING
from tests.world import TickingClock

IDS = SystemIds()


@pytest.fixture
def talk(storage: SharedStorage) -> Talk:
    return Talk(storage)


@pytest.fixture
def create(talk: Talk) -> CreateChatHandler:
    return CreateChatHandler(
        adding=ADDING, begin=talk.begin, views=talk.storage.views, clock=talk.clock, ids=IDS
    )


async def person(storage: SharedStorage, name: str = "Ann") -> Actor:
    account = Account(id=IDS.account(), email=Email(f"{IDS.token_id()}@example.com"), created_at=START)
    profile = Profile(id=IDS.profile(), account_id=account.id, first_name=Name(name))
    async with storage.begin() as work:
        await work.accounts.add(account)
        await work.profiles.add(profile)
    return Actor(
        account_id=account.id,
        session_id=IDS.session(),
        email=account.email.text,
        profile=ProfileView.of(profile),
    )


def wish(name: str = "Trip", key: str | None = "k1", description: str | None = None) -> CreateChat:
    return CreateChat(about=About(name, description), key=None if key is None else Nonce(key))


async def test_a_repeat_gets_the_first_chat(
    storage: SharedStorage, create: CreateChatHandler, talk: Talk
) -> None:
    ann, ben = await person(storage), await person(storage, "Ben")
    asked = evolve(wish(), member_ids=(ben.profile_id,))
    first = await create(ann, asked)
    told = list(talk.published)
    assert await create(ann, asked) == first
    assert talk.published == told
    assert [chat.id for chat in await storage.views.list_chats(ann.profile_id)] == [first.id]


async def test_more_people_than_one_statement_writes(
    storage: SharedStorage, create: CreateChatHandler, talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unnest, "ROWS", 2)
    monkeypatch.setattr(reads, "SLICE", 2)
    ann, *others = [await person(storage, name) for name in ("Ann", "Ben", "Cid", "Dan", "Eve")]
    ids = [each.profile_id for each in others]
    before = await storage.changes.now()
    chats = [await create(ann, evolve(wish(key=None), member_ids=tuple(ids[:count]))) for count in (4, 1)]
    async with talk.begin() as work:
        second = await work.chats.lock(chats[1].id)
        by = await work.chats.find_member(second.id, ann.profile_id)
        await work.chats.keep(second, second.add(by, ids[1:], at=START))
    for each in (ann, *others):
        assert {chat.id for chat in await storage.views.list_chats(each.profile_id)} == {
            chat.id for chat in chats
        }
        missed = await storage.own_changes.since(each.profile_id, before)
        assert isinstance(missed, Missed)
        assert [told.chat_id for told in missed.personal if isinstance(told, ChatAdded)] == [
            chat.id for chat in chats
        ]
    everybody = [ann.profile_id, *ids]
    assert [one.profile.id for one in await storage.views.members(ids[0], chats[0].id)] == [
        ann.profile_id,
        *sorted(ids),
    ]
    details = await storage.views.get_chat(ids[0], chats[1].id)
    assert [member.id for member in details.members] == everybody
    log = await storage.views.log(chats[1].id, Position(0), 10)
    assert [entry.member.id for entry in log if isinstance(entry, NewMember)] == ids[1:]


async def test_twenty_at_once_make_one(storage: SharedStorage, create: CreateChatHandler, talk: Talk) -> None:
    ann = await person(storage)
    made = await asyncio.gather(*(create(ann, wish()) for _ in range(20)))
    assert len({chat.id for chat in made}) == 1
    assert len(await storage.views.list_chats(ann.profile_id)) == 1
    assert len(talk.published) == 1


async def test_of_different_requests_under_one_key_at_once_one_is_carried_out(
    storage: SharedStorage, create: CreateChatHandler
) -> None:
    ann = await person(storage)
    answers = await asyncio.gather(
        *(create(ann, wish(f"Trip {number % 2}")) for number in range(10)), return_exceptions=True
    )
    made = [answer for answer in answers if isinstance(answer, ChatView)]
    refused = [answer for answer in answers if isinstance(answer, KeyReused)]
    assert (len(made), len(refused)) == (5, 5)
    (chat,) = await storage.views.list_chats(ann.profile_id)
    assert {view.id for view in made} == {error.first.subject_id for error in refused} == {chat.id}


async def test_keys_are_everybodys_own(storage: SharedStorage, create: CreateChatHandler) -> None:
    ann, ben = await person(storage), await person(storage, "Ben")
    of_ann, of_ben, another = (
        await create(ann, wish()),
        await create(ben, wish()),
        await create(ann, wish(key="k2")),
    )
    assert len({of_ann.id, of_ben.id, another.id}) == 3


async def test_without_a_key_each_wish_is_its_own(storage: SharedStorage, create: CreateChatHandler) -> None:
    ann = await person(storage)
    assert (await create(ann, wish(key=None))).id != (await create(ann, wish(key=None))).id


async def test_a_key_is_not_for_another_chat(storage: SharedStorage, create: CreateChatHandler) -> None:
    ann = await person(storage)
    first = await create(ann, wish())
    ben = await person(storage, "Ben")
    others = (wish("Another"), wish(description="why"), evolve(wish(), member_ids=(ben.profile_id,)))
    for other in others:
        with pytest.raises(KeyReused) as reused:
            await create(ann, other)
        first_use = reused.value.first
        assert (first_use.operation, first_use.subject_id) == (Operation.CREATE_CHAT, first.id)


async def test_a_repeat_after_a_change_gets_the_chat_as_it_is(
    storage: SharedStorage, create: CreateChatHandler
) -> None:
    ann = await person(storage)
    first = await create(ann, wish())
    async with storage.begin() as work:
        chat = await work.chats.lock(first.id)
        by = await work.chats.find_member(first.id, ann.profile_id)
        changed = chat.change(by, About("Journey"), at=TickingClock(first.created_at).now())
        await work.chats.keep(chat, changed)
    assert (await create(ann, wish())).name == "Journey"
    with pytest.raises(KeyReused):
        await create(ann, wish("Journey"))


async def test_what_was_deleted_does_not_come_back(storage: SharedStorage, create: CreateChatHandler) -> None:
    ann = await person(storage)
    first = await create(ann, wish())
    async with storage.begin() as work:
        chat = await work.chats.lock(first.id)
        members = await work.chats.members(first.id)
        deleted = chat.delete(members[0], members, at=TickingClock(first.created_at).now())
        await work.chats.keep(chat, deleted)
    with pytest.raises(ChatNotFound):
        await create(ann, wish())
    assert await storage.views.list_chats(ann.profile_id) == []


async def test_a_chat_that_one_has_left_is_not_given_back(talk: Talk, create: CreateChatHandler) -> None:
    ann, ben = await person(talk.storage), await person(talk.storage, "Ben")
    asked = evolve(wish(), member_ids=(ben.profile_id,))
    first = await create(ann, asked)
    leave = RemoveMemberHandler(begin=talk.begin, clock=talk.clock)
    await leave(ann, RemoveMember(chat_id=first.id, profile_id=ann.profile_id))
    with pytest.raises(NotAMember):
        await create(ann, asked)
    assert await talk.storage.views.list_chats(ann.profile_id) == []
    async with talk.storage.begin() as work:
        (left,) = await work.chats.members(first.id)
    assert left.profile_id == ben.profile_id, "nothing was changed, and nobody was added again"


async def test_a_wish_that_could_not_come_true_leaves_its_key_free(
    storage: SharedStorage, create: CreateChatHandler
) -> None:
    ann = await person(storage)
    with pytest.raises(MembersNotFound):
        await create(ann, evolve(wish(), member_ids=(IDS.profile(),)))
    assert (await create(ann, wish())).name == "Trip"
