"""People on other nodes: those who watch them, or have the same chat open, are told of them as of those on the same node."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from application.ports.updates import AttendingThere, ChatUpdate, OnlineThere, Update, WhoIsThere
from domain.ids import ChatId, ProfileId
from interfaces.live import hub as hubs
from interfaces.live.hub import Hub
from interfaces.live.neighbours import AT_ONCE, LASTS, RENEWED_EVERY
from tests.all_chats import House, opened
from tests.interfaces.live.test_belonging import leaves, presence
from tests.interfaces.live.test_hub import Node, running, until
from tests.interfaces.live.test_presence import chat_of, devices, hears, id_of, told, watch
from tests.world import MessengerWorld, world


@pytest.fixture
async def here() -> AsyncIterator[MessengerWorld]:
    async with world() as here:
        yield here


@pytest.fixture
async def nodes(here: MessengerWorld) -> AsyncIterator[list[Node]]:
    async with AsyncExitStack() as stack:
        made = [Node(here, name) for name in ("one", "two")]
        for node in made:
            await stack.enter_async_context(running(node))
        yield made


def later(hub: Hub) -> None:
    """What the hub does when so much time has passed that no word of others counts any more."""
    now = asyncio.get_running_loop().time() + 2 * LASTS
    hub.presence.expire_elsewhere(now)
    for channel in hub.channels:
        hub.notices.expire(channel.audience, now)


class TestChats:
    async def test_opening_and_leaving_are_told_on_both_nodes(
        self, here: MessengerWorld, nodes: list[Node]
    ) -> None:
        one, two = nodes
        ann, bob = await here.actor(), await here.actor()
        chat, who = await here.chat(ann, bob), str(bob.profile_id)
        ear, _ = await one.enter(ann, chat)
        _, phone = await two.enter(bob, chat)
        assert presence(ear) == [("user_joined", who)]
        phone.detach()
        two.hub.detach(phone)
        assert presence(ear) == [("user_joined", who), ("user_left", who)]

    async def test_the_first_device_and_the_last_one_decide_wherever_they_are(
        self, here: MessengerWorld, nodes: list[Node]
    ) -> None:
        one, two = nodes
        ann, bob = await here.actor(), await here.actor()
        chat, who = await here.chat(ann, bob), str(bob.profile_id)
        ears = [(await node.enter(ann, chat))[0] for node in nodes]
        there = [str(ann.profile_id)]
        devices = [(node, (await node.enter(bob, chat))[1]) for node in (one, two, two)]
        for node, device in (devices[1], devices[0]):
            await leaves(node, device)
        assert [[told for told in presence(ear) if told[1] not in there] for ear in ears] == [
            [("user_joined", who)],
            [("user_joined", who)],
        ]
        await leaves(*devices[2])
        for ear in ears:
            assert [kind for kind, whose in presence(ear) if whose == who] == [
                "user_joined",
                "user_disconnected",
            ]

    async def test_the_people_of_a_node_that_died_are_gone(
        self, here: MessengerWorld, nodes: list[Node]
    ) -> None:
        one, two = nodes
        ann, bob = await here.actor(), await here.actor()
        chat, who = await here.chat(ann, bob), str(bob.profile_id)
        ear, _ = await one.enter(ann, chat)
        await two.enter(bob, chat)
        two.arrives = one.arrives = lambda _: None  # neither says anything any more
        later(one.hub)
        assert presence(ear) == [("user_joined", who), ("user_disconnected", who)]

    async def test_who_was_there_before_is_not_told_as_coming(
        self, here: MessengerWorld, nodes: list[Node]
    ) -> None:
        """Until the chat is opened on a node, that node ignores what others say about it."""
        one, two = nodes
        ann, bob = await here.actor(), await here.actor()
        chat, who = await here.chat(ann, bob), str(bob.profile_id)
        _, phone = await two.enter(bob, chat)
        ear, _ = await one.enter(ann, chat)
        channel = one.hub.channels.find(chat)
        assert channel is not None
        two.hub.receive([WhoIsThere(node="three")])
        await until(lambda: bob.profile_id in channel.audience.elsewhere)
        assert presence(ear) == []
        _, desk = await one.enter(bob, chat)
        assert presence(ear) == [], "he is there already"
        await leaves(two, phone)
        assert presence(ear) == []
        await leaves(one, desk)
        assert presence(ear) == [("user_disconnected", who)]

    async def test_a_lost_word_is_said_again(self, here: MessengerWorld, nodes: list[Node]) -> None:
        one, two = nodes
        ann, bob = await here.actor(), await here.actor()
        chat, who = await here.chat(ann, bob), str(bob.profile_id)
        ear, _ = await one.enter(ann, chat)
        hear, one.arrives = one.arrives, lambda _: None
        await two.enter(bob, chat)
        one.arrives = hear
        assert presence(ear) == []
        channel = one.hub.channels.find(chat)
        assert channel is not None
        channel.audience.opened_at -= LASTS
        two.hub.receive([WhoIsThere(node="three")])
        await until(lambda: presence(ear) == [("user_joined", who)])


async def other_hub(house: House, name: str) -> tuple[Hub, "asyncio.Task[None]"]:
    hub = Hub(feed=house.hub.feed, clock=house.hub.clock, interval=0.01, node=name)
    house.world.application.updates().subscribe(hub.receive)
    return hub, asyncio.create_task(hub.run())


async def ended(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.wait([task])


class TestWatching:
    async def test_who_is_online_elsewhere_is_online(self) -> None:
        async with opened(node="one") as house:
            ann, bob = await devices(house, "Ann", "Bob")
            await chat_of(house, ann, bob)
            await ann.come()
            other, task = await other_hub(house, "two")
            assert await watch(ann, bob) == {str(id_of(bob)): False}
            other.presence.arrived(id_of(bob))
            await hears(ann, bob, True)
            await bob.come()
            other.presence.departed(id_of(bob))
            await ann.ask("ping")
            assert told(ann, bob) == [True], "one device is here yet"
            await bob.go()
            await hears(ann, bob, True, False)
            assert ann.of("presence")[-1]["last_seen_at"] is not None
            await ended(task)

    async def test_a_node_that_starts_learns_who_is_there(self) -> None:
        async with opened(node="one") as house:
            (bob,) = await devices(house, "Bob")
            await bob.come()
            other, task = await other_hub(house, "two")
            await until(lambda: other.presence.is_online(id_of(bob)))
            await ended(task)

    async def test_the_people_of_a_node_that_died_are_offline(self) -> None:
        async with opened(node="one") as house:
            ann, bob = await devices(house, "Ann", "Bob")
            await chat_of(house, ann, bob)
            await ann.come()
            await watch(ann, bob)
            there = OnlineThere(
                node="two", profile_ids=(id_of(bob),), is_online=True, at=house.hub.clock.now()
            )
            house.hub.receive([there])
            await hears(ann, bob, True)
            later(house.hub)
            await hears(ann, bob, True, False)

    async def test_alone_nothing_is_told_to_others(self) -> None:
        async with opened() as house:
            published: list[Update] = []
            house.world.application.updates().subscribe(published.extend)
            (bob,) = await devices(house, "Bob")
            await bob.come()
            await bob.go()
            assert not [
                each for each in published if isinstance(each, OnlineThere | AttendingThere | WhoIsThere)
            ]


async def test_many_people_are_told_in_parts_that_fit() -> None:
    async with opened(node="one") as house:
        told: list[Update] = []
        house.world.application.updates().subscribe(told.extend)
        people = [ProfileId(house.world.application.ports().ids.profile()) for _ in range(2 * AT_ONCE + 1)]
        for each in people:
            house.hub.presence.arrived(each)

        def online() -> list[OnlineThere]:
            return [each for each in told if isinstance(each, OnlineThere)]

        await until(lambda: len(online()) >= 3)
        assert [len(each.profile_ids) for each in online()[:3]] == [AT_ONCE, AT_ONCE, 1]
        for each in people:
            house.hub.presence.departed(each)


async def test_a_chat_is_of_interest_while_somebody_listens_and_for_a_moment_longer(
    here: MessengerWorld, nodes: list[Node]
) -> None:
    one, _ = nodes
    ann, bob = await here.actor(), await here.actor()
    chat, other = await here.chat(ann, bob), await here.chat(ann, bob)
    assert not one.hub.is_listened_to(chat)
    _, phone = await one.enter(ann, chat)
    assert one.hub.is_listened_to(chat)
    assert not one.hub.is_listened_to(other)
    await leaves(one, phone)
    assert one.hub.is_listened_to(chat), "she may come back, and is told from memory what she missed"
    for _ in range(2):
        one.hub.tails.age()
    assert not one.hub.is_listened_to(chat)


async def test_who_is_entering_misses_nothing_that_was_left_out_before(
    here: MessengerWorld, nodes: list[Node]
) -> None:
    """An update that is left out was committed before the snapshot is read, which therefore has it."""
    one, _ = nodes
    ann, bob = await here.actor(), await here.actor()
    chat = await here.chat(ann, bob)
    hear = one.arrives
    one.arrives = lambda updates: hear(
        [each for each in updates if not isinstance(each, ChatUpdate) or one.hub.is_listened_to(each.chat_id)]
    )
    await here.say(bob, chat, "before")
    ear, _ = await one.enter(ann, chat)
    await here.say(bob, chat, "after")
    await until(lambda: "new_message" in ear.types)
    (history,) = [frame for frame in ear.frames if frame["type"] == "chat_history"]
    assert [message["text"] for message in history["messages"]] == ["before"]
    assert ear.frames[-1]["message"]["text"] == "after"


async def test_chats_are_told_again_in_parts(here: MessengerWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hubs, "SAID_AT_ONCE", 1)
    node = Node(here, "one")
    node.hub.interval = RENEWED_EVERY / 4  # two looks in half of the time
    ann = await here.actor()
    chats = [await here.chat(ann) for _ in range(4)]
    for chat in chats:
        await node.enter(ann, chat)
    told: list[list[ChatId]] = []
    here.application.updates().subscribe(
        lambda updates: told.append([each.chat_id for each in updates if isinstance(each, AttendingThere)])
    )
    for _ in range(3):
        node.hub._meet_neighbours()
    parts = [part for part in told if part]
    assert [len(part) for part in parts] == [2, 2]
    assert sorted(chat for part in parts for chat in part) == sorted(chats)
