"""Each limit for people who are signed in is asked by the use cases it is about, by account and by network."""

from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any
from uuid import uuid4

import pytest
from attrs import evolve, fields
from dependency_injector.providers import Object

from application.actor import Actor
from application.chats.add_members import AddMembers
from application.chats.change import ChangeChat
from application.chats.change_role import ChangeRole
from application.chats.create import CreateChat
from application.chats.open_direct import OpenDirect
from application.limits import Action
from application.messages.send import SendMessage
from application.messenger import Messenger
from application.ports.limiter import TooManyRequests
from application.profiles.find import FindProfiles
from application.receipts.mark_read import MarkRead
from application.receipts.mark_single import MarkSingle
from application.updates.typing import ShowTyping
from config.asgi import make_app
from config.container import Application, MemoryAdapters
from config.features.limits import make_limits
from config.settings.groups import Api, Limits
from domain.chat import About
from domain.chat_errors import NotAcquainted
from domain.group_rules import WhoMayAdd
from domain.ids import ChatId, MessageId, ProfileId, Seq
from domain.message import Body
from domain.role import Role
from infrastructure.system.ids import SystemIds
from interfaces.http.authentication import SIGN_INS
from tests.accounts_world import SettableClock
from tests.world import SETTINGS, world

Use = Callable[[Messenger, Actor, ProfileId, ChatId], Any]
"""What Ann does: with somebody who is in no chat of hers yet, or in a chat of hers."""

numbers = count()


def send(messenger: Messenger, ann: Actor, _: ProfileId, chat: ChatId) -> Awaitable[Any]:
    return messenger.messages.send(ann, SendMessage(chat_id=chat, body=Body(f"{next(numbers)}")))


def mark(messenger: Messenger, ann: Actor, _: ProfileId, chat: ChatId) -> Awaitable[Any]:
    return messenger.messages.mark_read(ann, MarkRead(chat_id=chat, up_to=Seq(1)))


def mark_single(messenger: Messenger, ann: Actor, _: ProfileId, chat: ChatId) -> Awaitable[Any]:
    return messenger.messages.mark_single(ann, MarkSingle(chat_id=chat, message_id=MessageId(uuid4())))


def type_(messenger: Messenger, ann: Actor, _: ProfileId, chat: ChatId) -> Awaitable[Any]:
    return messenger.messages.show_typing(ann, ShowTyping(chat_id=chat, is_typing=True))


def create(messenger: Messenger, ann: Actor, *_: Any) -> Awaitable[Any]:
    return messenger.chats.create(ann, CreateChat(about=About("New")))


def open_direct(messenger: Messenger, ann: Actor, other: ProfileId, _: ChatId) -> Awaitable[Any]:
    return messenger.chats.open_direct(ann, OpenDirect(profile_id=other))


def create_with(messenger: Messenger, ann: Actor, other: ProfileId, _: ChatId) -> Awaitable[Any]:
    return messenger.chats.create(ann, CreateChat(about=About("New"), member_ids=(other,)))


def add(messenger: Messenger, ann: Actor, other: ProfileId, chat: ChatId) -> Awaitable[Any]:
    return messenger.chats.add_members(ann, AddMembers(chat_id=chat, profile_ids=(other,)))


def change(messenger: Messenger, ann: Actor, other: ProfileId, chat: ChatId) -> Awaitable[Any]:
    return messenger.chats.change(ann, ChangeChat(chat_id=chat, member_ids=(other,)))


def find(messenger: Messenger, ann: Actor, *_: Any) -> Awaitable[Any]:
    return messenger.profiles.find(ann, FindProfiles(query="Bob"))


def connect(messenger: Messenger, ann: Actor, *_: Any) -> None:
    messenger.feed.connect(ann)


def sync(messenger: Messenger, ann: Actor, *_: Any) -> None:
    messenger.feed.sync(ann)


USES: list[tuple[str, Action, Use]] = [
    ("sends", Action.SEND, send),
    ("marks", Action.MARK, mark),
    ("marks", Action.MARK, mark_single),
    ("typing", Action.TYPE, type_),
    ("new_chats", Action.CREATE_CHAT, create),
    ("new_chats", Action.CREATE_CHAT, open_direct),
    ("added_people", Action.ADD_MEMBERS, create_with),
    ("added_people", Action.ADD_MEMBERS, add),
    ("added_people", Action.ADD_MEMBERS, change),
    ("searches", Action.SEARCH, find),
    ("connects", Action.CONNECT, connect),
    ("syncs", Action.SYNC, sync),
]


@pytest.mark.parametrize("is_by_network", [False, True], ids=["account", "network"])
@pytest.mark.parametrize(("setting", "action", "use"), USES, ids=lambda each: getattr(each, "__name__", ""))
async def test_beyond_it_nothing_is_done_until_time_has_passed(
    setting: str, action: Action, use: Use, is_by_network: bool
) -> None:
    clock = SettableClock()
    limits = evolve(Limits(), **{f"network_{setting}" if is_by_network else setting: 2})
    settings = evolve(SETTINGS, limits=limits)
    adapters = MemoryAdapters(settings=settings, clock=Object(clock), ids=Object(SystemIds()))
    async with world(adapters, settings) as here:
        ann, bob, *others = [await here.actor(f"Person {number}") for number in range(6)]
        ann = evolve(ann, network="2001:db8::/64")
        chat = await here.chat(bob, evolve(ann, network=""))
        if use in {add, change}:
            await here.messenger.chats.change_role(
                bob, ChangeRole(chat_id=chat, profile_id=ann.profile_id, role=Role.ADMIN)
            )

        async def once(who: Actor) -> None:
            found = use(here.messenger, who, others.pop().profile_id, chat)
            if found is not None:
                await found

        for _ in range(2):
            await once(ann)
        with pytest.raises(TooManyRequests) as refused:
            await once(ann if is_by_network else evolve(ann, network="192.0.2.1"))
        allowance = refused.value.allowance
        assert allowance.name == (f"{action} from" if is_by_network else action)
        assert (allowance.most, allowance.is_shared) == (2, is_by_network)
        clock.pass_by(seconds=refused.value.wait)
        await once(ann)


async def test_every_action_has_its_limits() -> None:
    async with world() as here:
        limits = make_limits(here.application.ports(), Limits())
    unlimited = {Action.SIGN_UP, Action.RESET}  # `application.accounts.mailed` limits them by recipient
    assert set(limits.per_account) == set(Action) - unlimited
    names = [field.name for field in fields(Limits)]
    assert sum(not name.startswith("network_") for name in names) == len(limits.per_account)
    assert sum(name.startswith("network_") for name in names) == len(Action)


async def test_what_finds_a_chat_that_is_there_opens_none() -> None:
    settings = evolve(SETTINGS, limits=evolve(Limits(), new_chats=1))
    async with world(settings=settings) as here:
        ann, bob = await here.actor("Ann"), await here.actor("Bob")
        for who, other in [(ann, bob), (ann, bob), (bob, ann)]:
            await here.messenger.chats.open_direct(who, OpenDirect(profile_id=other.profile_id))


async def test_a_refused_chat_is_not_made() -> None:
    settings = evolve(SETTINGS, limits=evolve(Limits(), new_chats=1))
    async with world(settings=settings) as here:
        ann, bob, cat = [await here.actor(name) for name in ("Ann", "Bob", "Cat")]
        await here.messenger.chats.open_direct(ann, OpenDirect(profile_id=bob.profile_id))
        for _ in range(2):
            with pytest.raises(TooManyRequests):
                await here.messenger.chats.open_direct(ann, OpenDirect(profile_id=cat.profile_id))
        opened = await here.messenger.chats.open_direct(cat, OpenDirect(profile_id=ann.profile_id))
        assert opened.owner.id == cat.profile_id, "Ann's attempt has left nothing behind"


async def test_a_refused_group_counts_for_nothing_and_nobody() -> None:
    settings = evolve(SETTINGS, limits=evolve(Limits(), new_chats=1, added_people=2))
    clock = SettableClock()
    adapters = MemoryAdapters(settings=settings, clock=Object(clock), ids=Object(SystemIds()))
    async with world(adapters, settings) as here:
        ann, bob, cat, dan = [await here.actor(name) for name in ("Ann", "Bob", "Cat", "Dan")]
        group = (await here.messenger.chats.create(ann, CreateChat(about=About("First")))).id
        for _ in range(3):
            with pytest.raises(TooManyRequests) as refused:
                await create_with(here.messenger, ann, bob.profile_id, group)
            assert refused.value.allowance.name == Action.CREATE_CHAT
        await here.messenger.chats.add_members(
            ann, AddMembers(chat_id=group, profile_ids=(bob.profile_id, cat.profile_id))
        )
        clock.pass_by(hours=1)
        people = tuple(each.profile_id for each in (bob, cat, dan))
        await here.messenger.chats.add_members(ann, AddMembers(chat_id=group, profile_ids=people[2:]))
        for _ in range(2):
            with pytest.raises(TooManyRequests) as refused:
                await here.messenger.chats.create(ann, CreateChat(about=About("No"), member_ids=people))
            assert refused.value.allowance.name == Action.ADD_MEMBERS
        await here.messenger.chats.create(ann, CreateChat(about=About("Second")))


@pytest.mark.parametrize("use", [create_with, add])
async def test_asking_whom_one_may_add_counts(use: Use) -> None:
    """The database looks for what two people have in common, so nobody may ask without end."""
    settings = evolve(
        SETTINGS,
        limits=evolve(Limits(), added_people=2),
        chat=evolve(SETTINGS.chat, who_may_add=WhoMayAdd.SHARED_CHAT),
    )
    async with world(settings=settings) as here:
        ann, eve = await here.actor("Ann"), await here.actor("Eve")
        group = (await here.messenger.chats.create(ann, CreateChat(about=About("First")))).id
        for _ in range(2):
            with pytest.raises(NotAcquainted):
                await use(here.messenger, ann, eve.profile_id, group)
        with pytest.raises(TooManyRequests):
            await use(here.messenger, ann, eve.profile_id, group)


async def test_sign_ins_of_a_network_have_the_pace_that_is_set() -> None:
    for api, per_second in ((Api(), 5), (Api(sign_ins_per_network=7), 7), (Api(sign_ins_per_network=0), 0)):
        settings = evolve(SETTINGS, api=api)
        application = Application(adapters=MemoryAdapters(settings=settings))
        app = make_app(application, settings, failed=lambda: None)
        assert getattr(app.state, SIGN_INS).pace.per_second == per_second
        application.passwords().close()
