"""Sockets of people who join, leave, return and are removed: presence, removal, crowds, single marks, resuming."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from application.actor import Actor
from application.chats.add_members import AddMembers
from application.chats.change import ChangeChat
from application.chats.change_role import ChangeRole
from application.chats.remove_member import RemoveMember
from application.ports.updates import Update
from application.receipts.mark_read import MarkRead
from application.receipts.mark_single import MarkSingle
from application.updates.typing import ShowTyping
from application.views import Snapshot
from domain.chat_errors import NotAMember
from domain.ids import ChatId
from domain.message import BODY_LIMIT
from domain.role import Role
from interfaces.live.entry import REPLAY_MOST
from interfaces.live.roster import CROWD
from interfaces.ws.chat_connection import ChatConnection
from tests.interfaces.live.ear import GREETING, Ear
from tests.interfaces.live.test_hub import ENOUGH, Node, a_few_looks, running, session_ended, until
from tests.world import MessengerWorld, world

REMOVED = (4403, "no longer a member")


@pytest.fixture
async def here() -> AsyncIterator[MessengerWorld]:
    async with world() as here:
        yield here


@pytest.fixture
async def node(here: MessengerWorld) -> AsyncIterator[Node]:
    node = Node(here)
    async with running(node):
        yield node


async def come_back(node: Node, actor: Actor, chat_id: ChatId, since: object) -> tuple[Ear, ChatConnection]:
    """With what it remembers of the chat."""
    ear = Ear()
    connection = ChatConnection(ear.outbox, GREETING, chat_id)
    connection.hear(json.dumps({"type": "auth", "token": "t", "since": since}))
    connection.recognise(actor)
    await node.hub.enter(connection, 10)
    return ear, connection


async def leaves(node: Node, connection: ChatConnection) -> None:
    connection.close(1000, "")
    node.hub.leave(connection)


def presence(ear: Ear) -> list[tuple[str, str]]:
    kinds = {"user_joined", "user_left", "user_disconnected"}
    return [(frame["type"], frame["user_id"]) for frame in ear.frames if frame["type"] in kinds]


class TestPresence:
    async def test_the_first_device_joins_and_the_last_one_disconnects(
        self, here: MessengerWorld, node: Node
    ) -> None:
        ann, bob = await here.actor(), await here.actor()
        chat, who = await here.chat(ann, bob), str(bob.profile_id)
        ear, _ = await node.enter(ann, chat)
        devices = [(await node.enter(bob, chat))[1] for _ in range(3)]
        assert presence(ear) == [("user_joined", who)]
        for device in devices[:2]:
            await leaves(node, device)
        assert presence(ear) == [("user_joined", who)], "one device is there yet"
        await leaves(node, devices[2])
        assert presence(ear) == [("user_joined", who), ("user_disconnected", who)]
        await leaves(node, devices[2])
        assert len(presence(ear)) == 2, "nobody goes twice"
        frame = ear.frames[-1]
        assert set(frame) == {"type", "chat_id", "user_id", "timestamp"}

    async def test_leaving_by_word_and_then_by_line(self, here: MessengerWorld, node: Node) -> None:
        ann, bob = await here.actor(), await here.actor()
        chat, who = await here.chat(ann, bob), str(bob.profile_id)
        ear, _ = await node.enter(ann, chat)
        first, second = [(await node.enter(bob, chat))[1] for _ in range(2)]
        for connection in (first, second):
            connection.detach()
            node.hub.detach(connection)
        assert presence(ear) == [("user_joined", who), ("user_left", who)]
        await leaves(node, first)
        await leaves(node, second)
        assert presence(ear) == [("user_joined", who), ("user_left", who)]

    async def test_nobody_is_told_of_themselves_nor_before_they_are_in(
        self, here: MessengerWorld, node: Node
    ) -> None:
        ann, bob, stranger = [await here.actor() for _ in range(3)]
        chat = await here.chat(ann, bob)
        ear, _ = await node.enter(ann, chat)
        other, second = await node.enter(ann, chat)
        outside = Ear().connection(chat, stranger)
        with pytest.raises(NotAMember):
            await node.hub.enter(outside, 10)
        node.hub.leave(outside)
        await leaves(node, second)
        assert presence(ear) == presence(other) == []

    async def test_it_is_the_first_to_be_dropped(self, here: MessengerWorld, node: Node) -> None:
        ann, bob = await here.actor(), await here.actor()
        chat = await here.chat(ann, bob)
        ear, connection = await node.enter(ann, chat)
        connection.outbox.hold_up()
        for number in range(130):
            await here.say(ann, chat, str(number))
        await node.enter(bob, chat)
        connection.outbox.clear()
        assert presence(ear) == []
        assert ear.positions == list(range(1, 131))


class TestRemoval:
    @pytest.mark.parametrize("how", ["removed", "leaves"])
    async def test_all_sockets_of_who_goes_close_and_no_others(
        self, here: MessengerWorld, node: Node, how: str
    ) -> None:
        ann, bob = await here.actor(), await here.actor()
        chat, other = await here.chat(ann, bob), await here.chat(ann, bob)
        ears = [(await node.enter(bob, chat))[0] for _ in range(2)]
        stays, _ = await node.enter(ann, chat)
        elsewhere, _ = await node.enter(bob, other)
        by = ann if how == "removed" else bob
        await here.messenger.chats.remove_member(by, RemoveMember(chat_id=chat, profile_id=bob.profile_id))
        assert [ear.close for ear in ears] == [REMOVED] * 2
        assert (stays.close, elsewhere.close) == (None, None)
        for ear in (*ears, stays):
            assert ear.frames[-1]["type"] == "member_removed"
            assert (ear.frames[-1]["user_id"], ear.frames[-1]["by"]) == (
                str(bob.profile_id),
                str(by.profile_id),
            )
        assert ("user_disconnected", str(bob.profile_id)) not in presence(stays)

    async def test_nothing_later_reaches_them(self, here: MessengerWorld, node: Node) -> None:
        ann, bob = await here.actor(), await here.actor()
        chat = await here.chat(ann, bob)
        ear, connection = await node.enter(bob, chat)
        connection.outbox.hold_up()
        await here.say(ann, chat, "before")
        await here.messenger.chats.remove_member(ann, RemoveMember(chat_id=chat, profile_id=bob.profile_id))
        await here.say(ann, chat, "after")
        await here.messenger.messages.show_typing(ann, ShowTyping(chat_id=chat, is_typing=True))
        connection.outbox.clear()
        assert ear.types[2:] == ["new_message", "member_removed"]
        assert ear.close == REMOVED

    @pytest.mark.parametrize("announced", [True, False])
    async def test_who_is_detached_or_on_the_way_in_too(self, here: MessengerWorld, announced: bool) -> None:
        """Also when nobody announced it: then the look finds it."""
        ann, bob = await here.actor(), await here.actor()
        chat = await here.chat(ann, bob)
        node = Node(here)
        async with running(node):
            detached, connection = await node.enter(bob, chat)
            connection.detach()
            node.hub.detach(connection)
            stays, _ = await node.enter(ann, chat)

            if not announced:
                node.arrives = lambda _: None
            ear = Ear()
            entering = ear.connection(chat, bob)
            snapshot = node.hub.entry.snapshot

            async def then_put_out(*asked: Any) -> Any:
                answer = await snapshot(*asked)
                await here.messenger.chats.remove_member(
                    ann, RemoveMember(chat_id=chat, profile_id=bob.profile_id)
                )
                return answer

            node.hub.entry.snapshot = then_put_out
            await node.hub.enter(entering, 10)
            node.hub.entry.snapshot = snapshot
            await here.say(ann, chat, "after")
            await until(lambda: bool(detached.closes and ear.closes))
            await until(lambda: "new_message" in stays.types)
        assert (detached.close, ear.close) == (REMOVED, REMOVED)
        assert "new_message" not in detached.types + ear.types
        assert stays.close is None

    async def test_who_comes_back_after_it_and_was_added_again_is_welcome(
        self, here: MessengerWorld, node: Node
    ) -> None:
        """The person's own removal is among the missed frames, and does not close the socket now."""
        ann, bob = await here.actor(), await here.actor()
        chat = await here.chat(ann, bob)
        ear, connection = await node.enter(bob, chat)
        epoch = ear.frames[0]["epoch"]
        await here.messenger.chats.remove_member(ann, RemoveMember(chat_id=chat, profile_id=bob.profile_id))
        await here.messenger.chats.add_members(ann, AddMembers(chat_id=chat, profile_ids=(bob.profile_id,)))
        await leaves(node, connection)
        back, _ = await come_back(node, bob, chat, {"epoch": epoch, "position": 0})
        await here.say(ann, chat, "welcome")
        assert back.types == ["auth_success", "member_removed", "member_added", "resumed", "new_message"]
        assert back.close is None

    async def test_a_changed_role_is_told(self, here: MessengerWorld, node: Node) -> None:
        ann, bob = await here.actor(), await here.actor()
        chat = await here.chat(ann, bob)
        ear, _ = await node.enter(bob, chat)
        await here.messenger.chats.change_role(
            ann, ChangeRole(chat_id=chat, profile_id=bob.profile_id, role=Role.OWNER)
        )
        told = [(f["type"], f["user_id"], f["role"], f["by"], f["position"]) for f in ear.frames[2:]]
        one, other, by = str(bob.profile_id), str(ann.profile_id), str(ann.profile_id)
        assert told == [("role_changed", one, "owner", by, 1), ("role_changed", other, "admin", by, 2)]


class TestSingles:
    @pytest.mark.parametrize("announced", [True, False])
    async def test_the_author_alone_is_told(self, here: MessengerWorld, node: Node, announced: bool) -> None:
        ann, bob, eve = [await here.actor() for _ in range(3)]
        chat = await here.chat(ann, bob, eve)
        sent = [await here.say(who, chat, str(n)) for n, who in enumerate((ann, ann, eve))]
        ears = {who: (await node.enter(who, chat))[0] for who in (ann, bob, eve)}
        if not announced:
            node.arrives = lambda _: None
        message_id = sent[1].event.message.id
        await here.messenger.messages.mark_single(bob, MarkSingle(chat_id=chat, message_id=message_id))
        await until(lambda: "message_read" in ears[ann].types)
        await a_few_looks()
        (told,) = [frame for frame in ears[ann].frames if "read" in frame["type"]]
        assert (told["type"], told["message_id"], told["read_by"]) == (
            "message_read",
            str(message_id),
            str(bob.profile_id),
        )
        for who in (bob, eve):
            assert not [frame for frame in ears[who].frames if "read" in frame["type"]]
        assert await here.messenger.messages.unread_count(bob.profile_id, chat) == 2


class TestCrowds:
    async def crowd(self, here: MessengerWorld, size: int) -> tuple[ChatId, list[Actor]]:
        people = [await here.actor() for _ in range(size)]
        return await here.chat(*people), people

    async def test_marks_are_told_to_authors_alone_and_gathered(
        self, here: MessengerWorld, node: Node
    ) -> None:
        chat, (ann, bob, eve, *_) = await self.crowd(here, CROWD + 1)
        sent = [await here.say(who, chat, str(n)) for n, who in enumerate((ann, ann, eve, ann))]
        ears = {who: (await node.enter(who, chat))[0] for who in (ann, bob, eve)}
        for each in sent:
            up_to = each.event.message.id
            await here.messenger.messages.mark_read(bob, MarkRead(chat_id=chat, up_to=up_to))
        await until(
            lambda: "your_messages_read" in ears[ann].types and "your_messages_read" in ears[eve].types
        )
        await a_few_looks()
        told = {
            who: [frame["read_count"] for frame in ear.frames if frame["type"] == "your_messages_read"]
            for who, ear in ears.items()
        }
        assert (sum(told[ann]), sum(told[eve]), told[bob]) == (3, 1, [])
        assert len(told[ann]) <= 3
        assert not any("messages_read" in ear.types for ear in ears.values())

    async def test_comings_and_goings_are_told_to_nobody(self, here: MessengerWorld, node: Node) -> None:
        chat, (ann, bob, *_) = await self.crowd(here, CROWD + 1)
        ear, _ = await node.enter(ann, chat)
        _, connection = await node.enter(bob, chat)
        connection.detach()
        node.hub.detach(connection)
        await leaves(node, connection)
        assert presence(ear) == []

    async def test_a_hundred_are_no_crowd_one_more_makes_it_one(
        self, here: MessengerWorld, node: Node
    ) -> None:
        chat, (ann, bob, *_) = await self.crowd(here, CROWD)
        late = await here.actor()
        ear, _ = await node.enter(ann, chat)
        _, first = await node.enter(bob, chat)
        await leaves(node, first)
        assert len(presence(ear)) == 2
        await here.messenger.chats.add_members(ann, AddMembers(chat_id=chat, profile_ids=(late.profile_id,)))
        _, second = await node.enter(bob, chat)
        assert len(presence(ear)) == 2
        await here.messenger.chats.remove_member(ann, RemoveMember(chat_id=chat, profile_id=late.profile_id))
        await leaves(node, second)
        assert len(presence(ear)) == 3


class TestResuming:
    async def conversation(
        self, here: MessengerWorld, node: Node, count: int, length: int = 1
    ) -> tuple[ChatId, Actor, Actor, str]:
        ann, bob = await here.actor(), await here.actor()
        chat = await here.chat(ann, bob)
        for number in range(count):
            await here.say(ann, chat, str(number).zfill(length))
        ear, connection = await node.enter(bob, chat)
        await leaves(node, connection)
        return chat, ann, bob, ear.frames[0]["epoch"]

    @pytest.mark.parametrize("position", [0, 3, 5])
    async def test_exactly_what_was_missed(self, here: MessengerWorld, node: Node, position: int) -> None:
        chat, ann, bob, epoch = await self.conversation(here, node, 4)
        await here.messenger.chats.change(ann, ChangeChat(chat_id=chat, name="Another"))
        ear, connection = await come_back(node, bob, chat, {"epoch": epoch, "position": position})
        assert ear.types[0] == "auth_success"
        assert (ear.frames[0]["seq"], ear.frames[0]["position"]) == (4, 5)
        assert ear.positions == list(range(position + 1, 6))
        assert [frame["after"] for frame in ear.frames if "after" in frame] == list(range(position, 5))
        assert ear.frames[-1] == {
            "type": "resumed",
            "chat_id": str(chat),
            "position": 5,
            "unread_count": 4,
            "read_up_to": 0,
            "others_read_up_to": 0,
        }
        assert "chat_history" not in ear.types
        await here.say(ann, chat, "live")
        assert ear.frames[-1]["position"] == 6
        assert not connection.is_entering

    async def test_a_page_of_history_is_read_only_for_whoever_is_told_it(
        self, here: MessengerWorld, node: Node
    ) -> None:
        chat, _, bob, epoch = await self.conversation(here, node, 2)
        snapshot, pages = node.hub.entry.snapshot, []

        async def noted(*asked: Any) -> Snapshot:
            pages.append(asked[-1])
            return await snapshot(*asked)

        node.hub.entry.snapshot = noted
        for since, read in (
            ({"epoch": epoch, "position": 1}, [0]),
            ({"epoch": epoch, "position": 9}, [0, 10]),
            ({"epoch": "another", "position": 1}, [0, 10]),
            ("nonsense", [10]),
            (None, [10]),
        ):
            ear, _ = await come_back(node, bob, chat, since)
            assert pages == read
            assert len(pages) == 1 + ear.types.count("reset") * (since != "nonsense")
            pages.clear()

    async def test_who_was_ahead_for_a_moment_goes_on_where_it_was(
        self, here: MessengerWorld, node: Node
    ) -> None:
        """What it was told on another node, this one's storage had not seen when it was first asked."""
        chat, ann, bob, epoch = await self.conversation(here, node, 2)
        snapshot = node.hub.entry.snapshot

        async def late(*asked: Any) -> Snapshot:
            found = await snapshot(*asked)
            node.hub.entry.snapshot = snapshot
            await here.say(ann, chat, "three")
            await here.say(ann, chat, "four")
            return found

        node.hub.entry.snapshot = late
        ear, _ = await come_back(node, bob, chat, {"epoch": epoch, "position": 3})
        assert ear.types == ["auth_success", "new_message", "resumed"]
        assert ear.positions == [4]

    async def test_how_far_others_have_read(self, here: MessengerWorld, node: Node) -> None:
        chat, ann, bob, epoch = await self.conversation(here, node, 3)
        await here.say(bob, chat, "mine")
        await here.messenger.messages.mark_read(
            ann, MarkRead(chat_id=chat, up_to=(await here.say(bob, chat, "x")).event.message.id)
        )
        ear, _ = await come_back(node, bob, chat, {"epoch": epoch, "position": 3})
        resumed = ear.frames[-1]
        assert (resumed["unread_count"], resumed["read_up_to"], resumed["others_read_up_to"]) == (3, 0, 5)

    @pytest.mark.parametrize(
        ("since", "reason"),
        [
            ({"epoch": "another", "position": 1}, "epoch"),
            ({"epoch": None, "position": 5}, "ahead"),
            ({"epoch": None, "position": 2**63 - 1}, "ahead"),
            ({"epoch": None, "position": 2**63}, "ahead"),
            ({"epoch": None, "position": 2**64 - 1}, "ahead"),
            ({"epoch": None, "position": -1}, "malformed"),
            ({"epoch": None, "position": 1.0}, "malformed"),
            ({"epoch": None, "position": True}, "malformed"),
            ({"epoch": None, "position": "1"}, "malformed"),
            ({"epoch": None}, "malformed"),
            ({"epoch": 7, "position": 1}, "malformed"),
            ({"position": 1}, "malformed"),
            ({}, "malformed"),
            ([], "malformed"),
            ("x", "malformed"),
            (7, "malformed"),
            (False, "malformed"),
        ],
    )
    async def test_a_reset_says_why_and_begins_anew(
        self, here: MessengerWorld, node: Node, since: Any, reason: str
    ) -> None:
        chat, ann, bob, epoch = await self.conversation(here, node, 4)
        if isinstance(since, dict) and "epoch" in since and since["epoch"] is None:
            since = since | {"epoch": epoch}
        ear, _ = await come_back(node, bob, chat, since)
        assert ear.types == ["auth_success", "reset", "chat_history"]
        assert ear.frames[1] == {"type": "reset", "chat_id": str(chat), "reason": reason}
        assert len(ear.frames[2]["messages"]) == 4
        await here.say(ann, chat, "live")
        assert ear.positions == [5]

    async def test_a_position_of_more_than_64_bits_is_no_json(self, here: MessengerWorld, node: Node) -> None:
        chat, _, bob, epoch = await self.conversation(here, node, 4)
        ear, _ = await come_back(node, bob, chat, {"epoch": epoch, "position": 2**64})
        assert [(frame["type"], frame["code"]) for frame in ear.frames] == [("auth_error", "malformed")]

    async def test_without_since_there_is_no_reset(self, here: MessengerWorld, node: Node) -> None:
        chat, _, bob, _ = await self.conversation(here, node, 1)
        ear, _ = await come_back(node, bob, chat, None)
        assert ear.types == ["auth_success", "chat_history"]

    @pytest.mark.parametrize("more", [0, 1])
    async def test_a_thousand_events_are_told_again_and_no_more(
        self, here: MessengerWorld, node: Node, more: int
    ) -> None:
        chat, _, bob, epoch = await self.conversation(here, node, REPLAY_MOST + more)
        ear, _ = await come_back(node, bob, chat, {"epoch": epoch, "position": 0})
        if more:
            assert ear.types == ["auth_success", "reset", "chat_history"]
            assert ear.frames[1]["reason"] == "too_far"
            assert ear.positions == [], "never a partial replay"
        else:
            assert ear.positions == list(range(1, REPLAY_MOST + 1))
            assert ear.types[-1] == "resumed"

    @pytest.mark.parametrize(("count", "length"), [(600, 1), (250, BODY_LIMIT)], ids=["many", "long"])
    async def test_a_replay_waits_for_who_reads_it_slowly(
        self, here: MessengerWorld, node: Node, count: int, length: int
    ) -> None:
        """The replay is paced by the socket, which is never cut as too slow meanwhile."""
        chat, _, bob, epoch = await self.conversation(here, node, count, length)
        ear = Ear()
        connection = ChatConnection(ear.outbox, GREETING, chat)
        connection.hear(json.dumps({"type": "auth", "token": "t", "since": {"epoch": epoch, "position": 0}}))
        connection.recognise(bob)
        connection.outbox.hold_up()
        entering = asyncio.create_task(node.hub.enter(connection, 10))
        async with asyncio.timeout(ENOUGH):
            while not entering.done():
                await a_few_looks()
                connection.outbox.clear()
                connection.outbox.hold_up()
        connection.outbox.clear()
        await entering
        assert ear.close is None
        assert ear.positions == list(range(1, count + 1))

    @pytest.mark.parametrize("lost", [False, True])
    async def test_what_is_said_while_it_comes_back_is_heard_once(
        self, here: MessengerWorld, lost: bool
    ) -> None:
        ann, bob = await here.actor(), await here.actor()
        chat = await here.chat(ann, bob)
        node = Node(here)
        left = [4]

        async def say_inside() -> None:
            await asyncio.sleep(0)
            if left[0]:
                left[0] -= 1
                await here.say(ann, chat, "inside")

        async with running(node):
            first, connection = await node.enter(bob, chat)
            epoch = first.frames[0]["epoch"]
            await leaves(node, connection)
            await here.say(ann, chat, "missed")
            kept: list[Update] = []
            if lost:
                node.arrives = kept.extend
            node.before = say_inside
            ear, _ = await come_back(node, bob, chat, {"epoch": epoch, "position": 0})
            await until(lambda: not left[0] and len(ear.positions) == 5)
            await a_few_looks()
        assert ear.positions == [1, 2, 3, 4, 5]

    async def test_an_ended_session_does_not_come_back(self, here: MessengerWorld, node: Node) -> None:
        chat, _, bob, epoch = await self.conversation(here, node, 1)
        node.hub.receive([session_ended(bob)])
        ear, _ = await come_back(node, bob, chat, {"epoch": epoch, "position": 0})
        assert ear.close == (4401, "session ended")
        assert ear.positions == []
