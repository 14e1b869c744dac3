"""
The apply test: whatever is done, a client that only applies the frames that it gets knows what a new client is shown.

It holds on every storage and over every transport, through disconnects, and when nothing that is published arrives.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import pytest
from attrs import define, frozen
from dependency_injector.providers import Object
from hypothesis import given, settings
from hypothesis import strategies as st

from application.chats.add_members import AddMembers
from application.chats.change import ChangeChat
from application.chats.change_role import ChangeRole
from application.chats.delete import DeleteChat
from application.chats.open_direct import OpenDirect
from application.chats.remove_member import RemoveMember
from application.ports.views import Newest
from application.receipts.mark_read import MarkRead
from application.receipts.mark_single import MarkSingle
from config.container import PostgresAdapters, close_connections
from domain.errors import DomainError
from domain.ids import ChatId, Seq
from domain.role import Role
from tests.all_chats import Device, House, opened
from tests.contracts.conftest import ADAPTERS, chosen_database
from tests.interfaces.live.test_hub import ENOUGH
from tests.world import SignedInPerson, TickingClock

PEOPLE = 3
TRANSPORTS = ("ws", "sync", "events")


@frozen
class Rig:
    runner: asyncio.Runner
    adapters: PostgresAdapters | None
    """None makes memory anew for each example."""


@pytest.fixture(params=ADAPTERS)
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    with asyncio.Runner() as runner:
        if request.param == "memory":
            yield Rig(runner, None)
            return
        url, chosen = chosen_database(request)
        adapters = PostgresAdapters(settings=chosen, url=url, clock=Object(TickingClock()))
        yield Rig(runner, adapters)
        runner.run(close_connections(adapters))


someone = st.integers(0, PEOPLE - 1)
some_chat = st.integers(0, 3)
acts = st.one_of(
    st.tuples(st.just("create"), someone, st.sets(someone)),
    st.tuples(st.just("direct"), someone, someone),
    st.tuples(st.just("say"), someone, some_chat),
    st.tuples(st.just("say"), someone, some_chat),
    st.tuples(st.just("mark"), someone, some_chat, st.integers(0, 6)),
    st.tuples(st.just("mark single"), someone, some_chat, st.integers(1, 6)),
    st.tuples(st.just("rename"), someone, some_chat),
    st.tuples(st.just("add"), someone, some_chat, someone),
    st.tuples(st.just("remove"), someone, some_chat, someone),
    st.tuples(st.just("role"), someone, some_chat, someone, st.sampled_from(Role)),
    st.tuples(st.just("delete"), someone, some_chat),
    st.tuples(st.just("go")),
    st.tuples(st.just("come back"), st.booleans()),
    st.tuples(st.just("change transport")),
    st.tuples(st.just("hear"), st.booleans()),
)


@define(eq=False)
class Play:
    house: House
    people: list[SignedInPerson]
    devices: list[Device]
    """One person's, a device for each transport."""
    chats: list[ChatId]
    said: int = 0

    async def change_transport(self) -> None:
        """Each device goes on where it was, over the transport of the next one."""
        await self.go()
        transports = [device.over for device in self.devices]
        for device, over in zip(self.devices, transports[1:] + transports[:1], strict=True):
            device.over = over
        await self.come_back(with_seen=False)

    async def go(self) -> None:
        for device in self.devices:
            await device.go()

    async def come_back(self, *, with_seen: bool) -> None:
        for device in self.devices:
            if not device.is_there:
                await device.come_back(with_seen=with_seen)

    async def act(self, name: str, *given: Any) -> None:
        match name:
            case "go":
                await self.go()
            case "come back":
                await self.come_back(with_seen=given[0])
            case "change transport":
                await self.change_transport()
            case "hear":
                self.house.hears = given[0]
            case _:
                with suppress(DomainError):
                    await self._do(name, *given)

    async def _do(self, name: str, by: int, *given: Any) -> None:
        messenger, actor = self.house.world.messenger, self.people[by].actor
        if name == "create":
            others = [self.people[other].actor for other in given[0]]
            self.chats.append(await self.house.world.chat(actor, *others))
            return
        if name == "direct":
            other = self.people[given[0]].actor.profile_id
            self.chats.append((await messenger.chats.open_direct(actor, OpenDirect(profile_id=other))).id)
            return
        if not self.chats:
            return
        chat, more = self.chats[-1 - given[0] % len(self.chats)], given[1:]
        match name:
            case "say":
                self.said += 1
                await self.house.world.say(actor, chat, f"message {self.said}", nonce=None)
            case "mark":
                await messenger.messages.mark_read(actor, MarkRead(chat_id=chat, up_to=Seq(more[0])))
            case "mark single":
                page = await messenger.messages.history(actor.profile_id, chat, _all(), 100)
                for view in page.messages:
                    if view.message.seq == more[0]:
                        command = MarkSingle(chat_id=chat, message_id=view.message.id)
                        await messenger.messages.mark_single(actor, command)
            case "rename":
                await messenger.chats.change(actor, ChangeChat(chat_id=chat, name=f"by {by}"))
            case "add":
                other = self.people[more[0]].actor.profile_id
                await messenger.chats.add_members(actor, AddMembers(chat_id=chat, profile_ids=(other,)))
            case "remove":
                other = self.people[more[0]].actor.profile_id
                await messenger.chats.remove_member(actor, RemoveMember(chat_id=chat, profile_id=other))
            case "role":
                other = self.people[more[0]].actor.profile_id
                change = ChangeRole(chat_id=chat, profile_id=other, role=more[1])
                await messenger.chats.change_role(actor, change)
            case "delete":
                await messenger.chats.delete(actor, DeleteChat(chat_id=chat))

    async def agree(self) -> None:
        """The clients come to know what a new one is shown, and nothing else."""
        expected = await self.house.state_of(self.people[0].actor)
        try:
            async with asyncio.timeout(ENOUGH):
                for device in self.devices:
                    while not same(device.picture.state(), expected):  # noqa: ASYNC110  # frames are on their way
                        await asyncio.sleep(0.005)
        except TimeoutError:
            assert {device.over: device.picture.state() for device in self.devices} == expected


def same(known: dict[str, Any], expected: dict[str, Any]) -> bool:
    """A mark that passes only messages that were read already, or one's own, is told at the next resume."""
    marks = [
        (entry.pop("read_up_to"), dict(expected.get(id, {})).get("read_up_to", 0))
        for id, entry in known.items()
    ]
    others = {id: {key: entry[key] for key in entry if key != "read_up_to"} for id, entry in expected.items()}
    return known == others and all(mark <= stored for mark, stored in marks)


def _all() -> Newest:

    return Newest()


async def play(adapters: PostgresAdapters | None, script: Sequence[tuple[Any, ...]]) -> None:
    async with opened(adapters, interval=0.02) as house:
        people = [await house.world.person(f"Person {number}") for number in range(PEOPLE)]
        devices = [Device(house, people[0], over) for over in TRANSPORTS]
        play = Play(house, people, devices, [])
        for device in devices:
            await device.come()
        try:
            for act in [*script, ("come back", False)]:
                await play.act(*act)
                if all(device.is_there for device in devices):
                    await play.agree()
            assert [device.picture.resets for device in devices] == [[]] * len(devices)
            assert [device.close for device in devices] == [None] * len(devices)
        finally:
            await play.go()
        assert house.hub.roster.is_empty
        assert house.hub.all_chats.is_empty
        assert len(house.hub.channels) == 0


EXAMPLES: list[list[tuple[Any, ...]]] = [
    [
        ("create", 0, {1}),
        ("say", 1, 0),
        ("say", 0, 0),
        ("mark", 0, 0, 1),
        ("say", 1, 0),
        ("mark single", 0, 0, 3),
    ],
    [("create", 1, {0, 2}), ("say", 1, 0), ("go",), ("say", 2, 0), ("mark", 0, 0, 1), ("come back", True)],
    [
        ("create", 1, {0, 2}),
        ("go",),
        ("remove", 1, 0, 0),
        ("say", 2, 0),
        ("come back", False),
        ("add", 1, 0, 0),
    ],
    [
        ("create", 1, {0}),
        ("say", 1, 0),
        ("go",),
        ("remove", 1, 0, 0),
        ("say", 1, 0),
        ("add", 1, 0, 0),
        ("say", 1, 0),
    ],
    [
        ("create", 1, {0}),
        ("direct", 2, 0),
        ("go",),
        ("delete", 1, 1),
        ("say", 2, 0),
        ("create", 2, {0}),
        ("say", 2, 0),
    ],
    [
        ("create", 1, {0}),
        ("hear", False),
        ("remove", 1, 0, 0),
        ("add", 1, 0, 0),
        ("say", 1, 0),
        ("delete", 1, 0),
    ],
    [("create", 0, {1}), ("go",), ("role", 0, 0, 1, Role.OWNER), ("rename", 1, 0), ("remove", 0, 0, 0)],
    [
        ("create", 1, {0}),
        ("hear", False),
        ("say", 1, 0),
        ("mark", 0, 0, 1),
        ("role", 1, 0, 0, Role.OWNER),
        ("rename", 0, 0),
    ],
]
"""What chance meets seldom: membership that is lost, and lost and given again, while the client is away or deaf."""


@pytest.mark.explored
def test_snapshot_before_and_updates_are_snapshot_after(rig: Rig) -> None:
    @settings(max_examples=10, deadline=None)
    @given(st.lists(acts, min_size=3, max_size=25))
    def check(script: Sequence[tuple[Any, ...]]) -> None:
        rig.runner.run(play(rig.adapters, script))

    for script in EXAMPLES:
        rig.runner.run(play(rig.adapters, script))
    check()
