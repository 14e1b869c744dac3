"""Who hears what, with everything real around the hub but sockets: storage in memory, use cases, the gatherer."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from attrs import define, evolve, field
from hypothesis import given, settings
from hypothesis import strategies as st

from application.actor import Actor
from application.chats.change import ChangeChat
from application.chats.delete import DeleteChat
from application.errors import Unavailable
from application.ports.changes import Cursor, News, ReadRange
from application.ports.updates import Moved, Typing, Update
from application.receipts.mark_read import MarkRead
from application.receipts.mark_single import MarkSingle
from application.updates.typing import ShowTyping
from domain.chat_errors import ChatNotFound, NotAMember
from domain.events import MessagesRead, SessionEnd, SessionEnded
from domain.ids import ChatId, Position, Seq
from domain.message import BODY_LIMIT
from interfaces.live.hub import Hub
from interfaces.wire.frames import Frame
from interfaces.ws.chat_connection import ChatConnection
from interfaces.ws.closing import Close
from tests.interfaces.live.ear import Ear
from tests.strategies import START
from tests.world import MessengerWorld, TickingClock, world

ENOUGH = 30
"""Seconds."""

TICK = 0.005


async def nothing() -> None:
    pass


@define(eq=False)
class Node:
    """A hub on a world's storage. What is published reaches it as ``arrives`` says: at once, unless told otherwise."""

    world: MessengerWorld
    name: str = ""
    """Its name among other nodes on the same storage, which hear what it publishes."""
    before: Callable[[], Awaitable[None]] = nothing
    """Called before and after each thing that the hub reads."""
    arrives: Callable[[Sequence[Update]], None] = field(init=False)
    is_down: bool = False
    epoch: str | None = None
    reads: int = 0
    recalls: int = 0
    failing_recall: int | None = None
    hub: Hub = field(init=False)

    def __attrs_post_init__(self) -> None:
        messenger = self.world.messenger
        self.hub = Hub(
            feed=evolve(
                messenger.feed,
                snapshot=self._between(messenger.feed.snapshot),
                log=self._between(messenger.feed.log),
                changes=self,
            ),
            clock=TickingClock(),
            interval=TICK,
            node=self.name,
        )
        self.arrives = self.hub.receive
        self.world.application.updates().subscribe(self._hear)

    def _hear(self, updates: Sequence[Update]) -> None:
        self.arrives(updates)

    def _between(self, read: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def reading(*arguments: Any) -> Any:
            self.reads += 1
            await self.before()
            if self.is_down:
                raise Unavailable
            answer = await read(*arguments)
            await self.before()
            return answer

        return reading

    async def now(self) -> Cursor:
        cursor: Cursor = await self._between(self.world.messenger.feed.changes.now)()
        return cursor

    async def since(self, cursor: Cursor) -> News:
        if self.epoch:
            return News(cursor=Cursor(epoch=self.epoch, place=cursor.place), moved={}, personal=(), read=())
        news: News = await self._between(self.world.messenger.feed.changes.since)(cursor)
        return news

    async def recall(self, read: ReadRange) -> MessagesRead:
        self.recalls += 1
        if self.recalls == self.failing_recall:
            raise Unavailable
        told: MessagesRead = await self._between(self.world.messenger.feed.changes.recall)(read)
        return told

    async def enter(self, actor: Actor, chat_id: ChatId) -> tuple[Ear, ChatConnection]:
        ear = Ear()
        connection = ear.connection(chat_id, actor)
        await self.hub.enter(connection, 10)
        return ear, connection


@asynccontextmanager
async def running(node: Node) -> AsyncIterator[None]:
    task = asyncio.create_task(node.hub.run())
    try:
        await watching(node.hub)
        yield
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def watching(hub: Hub) -> None:
    """A look times out sooner than a busy machine sleeps."""
    async with asyncio.timeout(ENOUGH):
        while True:
            with suppress(Unavailable):
                return await hub.watching()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(ENOUGH):
        while not condition():  # noqa: ASYNC110  # any condition, of things that know nothing of events
            await asyncio.sleep(TICK / 5)


@define(eq=False)
class Together:
    """Writes to an ear, and notes how many frames it is given together."""

    ear: Ear
    counts: list[int]

    def write(self, frame: Frame) -> None:
        self.ear.write(frame)

    def write_shared(self, frames: Sequence[Frame]) -> None:
        self.counts.append(len(frames))
        self.ear.write_shared(frames)

    def finish(self, close: Close) -> None:
        self.ear.finish(close)


async def a_few_looks() -> None:
    await asyncio.sleep(TICK * 6)


@pytest.fixture
async def here() -> AsyncIterator[MessengerWorld]:
    async with world() as here:
        yield here


@pytest.fixture
async def node(here: MessengerWorld) -> AsyncIterator[Node]:
    node = Node(here)
    async with running(node):
        yield node


class TestEntering:
    async def test_it_is_welcomed_and_hears_what_comes_next(self, here: MessengerWorld, node: Node) -> None:
        ann, bob = await here.actor("Ann"), await here.actor("Bob")
        chat = await here.chat(ann, bob)
        await here.say(ann, chat, "before")
        ear, connection = await node.enter(bob, chat)
        await here.say(ann, chat, "after")
        success, history, message = ear.frames
        assert (success["type"], success["seq"], success["position"]) == ("auth_success", 1, 1)
        assert [each["text"] for each in history["messages"]] == ["before"]
        assert (message["type"], message["position"], message["after"]) == ("new_message", 2, 1)
        assert message["message"]["text"] == "after"
        assert not connection.is_entering

    async def test_who_may_not(self, here: MessengerWorld, node: Node) -> None:
        ann, stranger = await here.actor(), await here.actor()
        chat = await here.chat(ann)
        with pytest.raises(NotAMember):
            await node.enter(stranger, chat)
        await here.messenger.chats.delete(ann, DeleteChat(chat_id=chat))
        with pytest.raises(ChatNotFound):
            await node.enter(ann, chat)

    async def test_a_channel_is_there_for_as_long_as_somebody_is(
        self, here: MessengerWorld, node: Node
    ) -> None:
        ann = await here.actor()
        chat = await here.chat(ann)
        connections = [(await node.enter(ann, chat))[1] for _ in range(2)]
        stranger = Ear().connection(chat, await here.actor())
        with pytest.raises(NotAMember):
            await node.hub.enter(stranger, 10)
        for connection in (*connections, stranger):
            assert node.hub.channels.find(chat)
            node.hub.leave(connection)
        assert len(node.hub.channels) == 0
        assert node.hub.roster.is_empty

    @pytest.mark.parametrize("lost", [False, True])
    @pytest.mark.parametrize("others", [0, 1])
    async def test_whatever_is_said_on_the_way_in_is_in_the_snapshot_or_heard(
        self, here: MessengerWorld, lost: bool, others: int
    ) -> None:
        """A message falls between every two awaits; with others there the channel has a position of its own."""
        ann = await here.actor()
        chat = await here.chat(ann)
        node = Node(here)
        left = [3]

        async def say() -> None:
            if left[0]:
                left[0] -= 1
                await here.say(ann, chat, "meanwhile")

        async with running(node):
            ears = [(await node.enter(ann, chat))[0] for _ in range(others)]
            node.before = say
            if lost:
                node.arrives = lambda _: None
            for _ in range(4):
                left[0] = 3
                ears.append((await node.enter(ann, chat))[0])
            left[0] = 0
            last = (await here.say(ann, chat, "last")).event.position
            await until(lambda: all(ear.positions[-1:] == [last] for ear in ears))
        for ear in ears:
            start = ear.frames[0]["position"]
            assert ear.positions == list(range(start + 1, last + 1))
        assert last > 8

    @pytest.mark.parametrize("turn", [0, 1])
    async def test_what_is_read_on_the_way_in_is_in_the_snapshot_or_heard(
        self, here: MessengerWorld, turn: int
    ) -> None:
        """Just before the snapshot is read, and just after."""
        ann, bob = await here.actor(), await here.actor()
        chat = await here.chat(ann, bob)
        first, _, third = [
            (await here.say(ann, chat, text)).event.message.id for text in ("one", "two", "three")
        ]
        node = Node(here)
        newcomer, turns = asyncio.current_task(), iter(range(2))

        async def before() -> None:
            if asyncio.current_task() is newcomer and next(turns, None) == turn:
                await here.messenger.messages.mark_read(bob, MarkRead(chat_id=chat, up_to=first))
                await here.messenger.messages.mark_single(bob, MarkSingle(chat_id=chat, message_id=third))

        async with running(node):
            node.before = before
            author, _ = await node.enter(ann, chat)
            reader, _ = await node.enter(bob, chat)
        assert author.types[:2] == ["auth_success", "chat_history"]
        assert sorted(author.types[2:]) == [
            "message_read",
            "messages_read",
            "user_joined",
            "your_messages_read",
        ]
        assert reader.types == ["auth_success", "chat_history"], "all was over when it came"

    async def test_an_end_on_the_way_in_is_not_missed(self, here: MessengerWorld) -> None:
        ann, bob = await here.actor(), await here.actor()
        chat = await here.chat(ann, bob)
        node = Node(here)
        acts = iter([nothing(), here.messenger.chats.delete(ann, DeleteChat(chat_id=chat))])

        async def before() -> None:
            if act := next(acts, None):
                await act

        async with running(node):
            node.before = before
            ear, connection = await node.enter(bob, chat)
        assert ear.close == (1008, "Chat not found")
        assert connection.is_closed

    async def test_a_session_that_ended_just_before_does_not_get_in(
        self, here: MessengerWorld, node: Node
    ) -> None:
        ann = await here.actor()
        chat = await here.chat(ann)
        node.hub.receive([session_ended(ann)])
        ear, _ = await node.enter(ann, chat)
        assert ear.close == (4401, "session ended")
        assert "new_message" not in ear.types

    async def test_nobody_is_let_in_before_anything_is_seen(self, here: MessengerWorld) -> None:
        node = Node(here, is_down=True)
        running_ = asyncio.create_task(node.hub.run())
        with pytest.raises(Unavailable):
            await node.hub.watching()
        node.is_down = False
        await watching(node.hub)
        running_.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running_


class TestHearing:
    async def test_everybody_hears_the_same_frames(self, here: MessengerWorld, node: Node) -> None:
        ann, bob, late = await here.actor("Ann"), await here.actor("Bob"), await here.actor("Late")
        chat = await here.chat(ann, bob)
        ears = [(await node.enter(who, chat))[0] for who in (ann, ann, bob)]
        await here.say(ann, chat, "Hello", nonce="n")
        await here.messenger.chats.change(
            ann, ChangeChat(chat_id=chat, name="Another", member_ids=(late.profile_id,))
        )
        for ear, joined in zip(ears, (1, 1, 0), strict=True):
            assert ear.types[: 2 + joined] == ["auth_success", "chat_history", "user_joined"][: 2 + joined]
            ear.frames = ear.frames[2 + joined :]
        message, changed, added = ears[0].frames
        assert ears[0].frames == ears[1].frames == ears[2].frames
        assert (message["message"]["text"], message["message"]["nonce"]) == ("Hello", "n")
        assert (changed["type"], changed["name"], changed["by"]) == (
            "chat_changed",
            "Another",
            str(ann.profile_id),
        )
        assert (added["type"], added["member"]["first_name"]) == ("member_added", "Late")
        assert ears[0].positions == [1, 2, 3]

    async def test_typing_is_told_to_others(self, here: MessengerWorld, node: Node) -> None:
        ann, bob = await here.actor(), await here.actor()
        chat = await here.chat(ann, bob)
        own, others = (await node.enter(ann, chat))[0], (await node.enter(bob, chat))[0]
        await here.messenger.messages.show_typing(ann, ShowTyping(chat_id=chat, is_typing=True))
        assert others.frames[-1]["type"] == "typing"
        assert (others.frames[-1]["user_id"], others.frames[-1]["is_typing"]) == (str(ann.profile_id), True)
        assert own.types == ["auth_success", "chat_history", "user_joined"]

    async def test_reading_is_told_to_all_and_counted_for_authors(
        self, here: MessengerWorld, node: Node
    ) -> None:
        ann, bob, eve = [await here.actor() for _ in range(3)]
        chat = await here.chat(ann, bob, eve)
        sent = [await here.say(who, chat, "x") for who in (ann, ann, eve)]
        ears = {who: (await node.enter(who, chat))[0] for who in (ann, bob, eve)}
        await here.messenger.messages.mark_read(bob, MarkRead(chat_id=chat, up_to=sent[-1].event.message.id))
        told = {
            who: [frame for frame in ear.frames[2:] if frame["type"] != "user_joined"]
            for who, ear in ears.items()
        }
        assert [frame["type"] for frame in told[bob]] == ["messages_read"]
        read, own = told[ann]
        assert (read["read_count"], read["from_seq"], read["to_seq"]) == (3, 1, 3)
        assert read["message_ids"] == [str(each.event.message.id) for each in sent]
        assert (own["type"], own["read_count"], own["read_by"]) == (
            "your_messages_read",
            2,
            str(bob.profile_id),
        )
        assert told[eve][1]["read_count"] == 1

    async def test_what_is_said_elsewhere_is_not_heard(self, here: MessengerWorld, node: Node) -> None:
        ann = await here.actor()
        chat, other = await here.chat(ann), await here.chat(ann)
        ear, _ = await node.enter(ann, chat)
        await here.say(ann, other, "elsewhere")
        assert ear.positions == []

    async def test_who_left_hears_no_more_but_the_end(self, here: MessengerWorld, node: Node) -> None:
        ann, bob = await here.actor(), await here.actor()
        chat = await here.chat(ann, bob)
        ear, connection = await node.enter(bob, chat)
        connection.detach()
        node.hub.detach(connection)
        await here.say(ann, chat, "unheard")
        await a_few_looks()
        assert ear.positions == []
        await here.messenger.chats.delete(ann, DeleteChat(chat_id=chat))
        assert ear.close == (1008, "Chat not found")

    async def test_one_who_is_gone_does_not_keep_the_others_from_hearing(
        self, here: MessengerWorld, node: Node
    ) -> None:
        ann = await here.actor()
        chat = await here.chat(ann)
        (gone, _), (ear, _) = await node.enter(ann, chat), await node.enter(ann, chat)
        gone.outbox.abandon()
        await here.say(ann, chat, "Hello")
        assert (gone.positions, ear.positions) == ([], [1])


class TestEnds:
    async def test_a_deleted_chat_closes_its_sockets_and_no_others(
        self, here: MessengerWorld, node: Node
    ) -> None:
        ann, bob = await here.actor(), await here.actor()
        chat, other = await here.chat(ann, bob), await here.chat(ann)
        ears = [(await node.enter(who, chat))[0] for who in (ann, bob, bob)]
        stays, _ = await node.enter(ann, other)
        await here.messenger.chats.delete(ann, DeleteChat(chat_id=chat))
        assert [ear.close for ear in ears] == [(1008, "Chat not found")] * 3
        assert stays.close is None

    async def test_an_ended_session_closes_its_sockets_in_all_chats(
        self, here: MessengerWorld, node: Node
    ) -> None:
        ann, bob = await here.actor(), await here.actor()
        chats = [await here.chat(ann, bob) for _ in range(2)]
        ears = [(await node.enter(ann, chat))[0] for chat in chats]
        stays, _ = await node.enter(bob, chats[0])
        node.hub.receive([session_ended(ann)])
        assert [ear.close for ear in ears] == [(4401, "session ended")] * 2
        assert stays.close is None

    async def test_another_history_begins_everything_anew(self, here: MessengerWorld, node: Node) -> None:
        ann = await here.actor()
        chat = await here.chat(ann)
        ear, _ = await node.enter(ann, chat)
        node.epoch = "restored"
        await until(lambda: bool(ear.closes))
        assert ear.close == (1012, "history changed")

    async def test_who_enters_before_the_former_listeners_have_left_begins_anew_too(
        self, here: MessengerWorld, node: Node
    ) -> None:
        ann, bob = await here.actor(), await here.actor()
        chat = await here.chat(ann, bob)
        former, leaving = await node.enter(ann, chat)
        channel = node.hub.channels.find(chat)
        assert channel
        channel.position = Position(41)  # before the restore the chat had more
        node.epoch = "restored"
        await until(lambda: bool(former.closes))
        ear, _ = await node.enter(bob, chat)
        node.hub.leave(leaving)
        await here.say(ann, chat, "after")
        await until(lambda: ear.positions == [1])

    async def test_what_was_told_before_may_be_told_again(self, here: MessengerWorld, node: Node) -> None:
        ann, bob = await here.actor(), await here.actor()
        chat = await here.chat(ann, bob)
        await here.say(ann, chat, "one")
        read = MessagesRead(
            chat_id=chat,
            reader_id=bob.profile_id,
            from_seq=Seq(1),
            to_seq=Seq(1),
            at=START,
            message_ids=(),
            count=1,
            by_author={ann.profile_id: 1},
        )
        former, leaving = await node.enter(ann, chat)
        node.hub.receive([read, session_ended(bob)])
        node.epoch = "restored"
        await until(lambda: bool(former.closes))
        node.hub.leave(leaving)
        ear, _ = await node.enter(ann, chat)
        back, _ = await node.enter(bob, chat)
        node.hub.receive([read])
        await until(lambda: "messages_read" in ear.types)
        assert not back.closes


class TestHealing:
    async def test_what_nobody_announced_is_read_within_a_look(
        self, here: MessengerWorld, node: Node
    ) -> None:
        ann, bob = await here.actor(), await here.actor()
        chat = await here.chat(ann, bob)
        ear, _ = await node.enter(bob, chat)
        node.arrives = lambda _: None
        for number in range(5):
            await here.say(ann, chat, str(number))
        await until(lambda: len(ear.positions) == 5)
        assert ear.positions == [1, 2, 3, 4, 5]

    async def test_a_gap_is_read_before_what_comes_behind_it(self, here: MessengerWorld, node: Node) -> None:
        ann, bob = await here.actor(), await here.actor()
        chat = await here.chat(ann, bob)
        ear, _ = await node.enter(bob, chat)
        node.arrives = lambda _: None
        for _ in range(250):
            await here.say(ann, chat, "lost")
        node.arrives = node.hub.receive
        await here.say(ann, chat, "heard")
        await until(lambda: len(ear.positions) == 251)
        assert ear.positions == list(range(1, 252))

    async def test_early_ones_wait_for_their_neighbours(self, here: MessengerWorld, node: Node) -> None:
        ann, bob = await here.actor(), await here.actor()
        chat = await here.chat(ann, bob)
        ear, _ = await node.enter(bob, chat)
        kept: list[Update] = []
        node.arrives = kept.extend
        for number in range(5):
            await here.say(ann, chat, str(number))
        for index in (4, 2, 0, 3, 1):
            node.hub.receive([kept[index]])
        assert ear.positions == [1, 2, 3, 4, 5], "without asking storage"

    async def test_messages_to_many_are_told_together(self, here: MessengerWorld, node: Node) -> None:
        ann, bob = await here.actor(), await here.actor()
        chat = await here.chat(ann, bob)
        ear, connection = await node.enter(bob, chat)
        node.hub.many = 1
        node.is_down = True  # otherwise the node's next look would find some of them
        kept: list[Update] = []
        node.arrives = kept.extend
        for number in range(3):
            await here.say(ann, chat, str(number))
        await here.messenger.chats.change(ann, ChangeChat(chat_id=chat, name="Other"))
        await here.say(ann, chat, "🙂" * BODY_LIMIT)
        await here.say(ann, chat, "last")
        together: list[int] = []
        connection.outbox.writer = Together(ear, together)
        node.hub.receive(kept)
        assert ear.positions == [1, 2, 3, 4, 5, 6]
        assert together == [3, 1, 1], (
            "a change ends a run, and so does a message that would make it too large"
        )

    async def test_what_was_told_is_not_told_again(self, here: MessengerWorld, node: Node) -> None:
        ann, bob = await here.actor(), await here.actor()
        chat = await here.chat(ann, bob)
        ear, _ = await node.enter(bob, chat)
        for number in range(3):
            await here.say(ann, chat, str(number))
        node.hub.receive([each for each in here.published if not isinstance(each, Typing)])
        await a_few_looks()
        assert ear.positions == [1, 2, 3]

    @pytest.mark.parametrize("position", [None, Position(3)])
    async def test_a_log_that_may_have_moved_is_read(
        self, here: MessengerWorld, node: Node, position: Position | None
    ) -> None:
        ann, bob = await here.actor(), await here.actor()
        chat = await here.chat(ann, bob)
        ear, _ = await node.enter(bob, chat)
        node.arrives = lambda _: None
        for number in range(3):
            await here.say(ann, chat, str(number))
        node.hub.feed = evolve(node.hub.feed, changes=Never())
        node.hub.receive([Moved(chat_id=chat, position=position)])
        await until(lambda: len(ear.positions) >= (3 if position else 1))
        assert ear.positions == [1, 2, 3][: len(ear.positions)]

    async def test_a_hint_that_is_wrong_does_no_harm(self, here: MessengerWorld, node: Node) -> None:
        ann, bob = await here.actor(), await here.actor()
        chat = await here.chat(ann, bob)
        ear, _ = await node.enter(bob, chat)
        node.hub.feed = evolve(node.hub.feed, changes=Never())
        await a_few_looks()
        reads = node.reads
        node.hub.receive([Moved(chat_id=chat, position=Position(50)), Moved(chat_id=chat)])
        await until(lambda: node.reads > reads)
        await a_few_looks()
        assert node.reads - reads == 1, "asked once, and then no more"
        await here.say(ann, chat, "Hello")
        assert ear.positions == [1]

    async def test_ends_that_nobody_announced(self, here: MessengerWorld, node: Node) -> None:
        ann, bob = await here.actor(), await here.actor()
        chat, other = await here.chat(ann, bob), await here.chat(bob)
        (removed, _), (ended, _) = await node.enter(bob, chat), await node.enter(bob, other)
        node.arrives = lambda _: None
        await here.messenger.chats.delete(ann, DeleteChat(chat_id=chat))
        async with here.begin() as work:
            await work.personal.add([session_ended(bob)])
        await until(lambda: bool(removed.closes and ended.closes))
        assert (removed.close, ended.close) == ((1008, "Chat not found"), (4401, "session ended"))

    async def test_reading_that_nobody_announced_is_told_once(self, here: MessengerWorld, node: Node) -> None:
        ann, bob = await here.actor(), await here.actor()
        chat = await here.chat(ann, bob)
        sent = await here.say(ann, chat, "x")
        ear, _ = await node.enter(ann, chat)
        node.arrives = lambda _: None
        await here.messenger.messages.mark_read(bob, MarkRead(chat_id=chat, up_to=sent.event.message.id))
        await until(lambda: "your_messages_read" in ear.types)
        await a_few_looks()
        assert ear.types[2:] == ["messages_read", "your_messages_read"]

    @pytest.mark.parametrize("late", [False, True])
    async def test_reading_is_told_once_whoever_was_first(
        self, here: MessengerWorld, node: Node, late: bool
    ) -> None:
        """The commit may be seen by the look before its handler comes to publish."""
        ann, bob = await here.actor(), await here.actor()
        chat = await here.chat(ann, bob)
        sent = await here.say(ann, chat, "x")
        ear, _ = await node.enter(ann, chat)
        kept: list[Update] = []
        if late:
            node.arrives = kept.extend
        await here.messenger.messages.mark_read(bob, MarkRead(chat_id=chat, up_to=sent.event.message.id))
        await until(lambda: "your_messages_read" in ear.types)
        node.hub.receive(kept)
        await a_few_looks()
        assert ear.types[2:] == ["messages_read", "your_messages_read"]
        assert node.recalls == late

    async def test_reading_is_told_once_also_when_a_look_fails_halfway(
        self, here: MessengerWorld, node: Node
    ) -> None:
        ann, bob, eve = [await here.actor() for _ in range(3)]
        chat = await here.chat(ann, bob, eve)
        sent = await here.say(ann, chat, "x")
        ear, _ = await node.enter(ann, chat)
        node.arrives = lambda _: None
        node.failing_recall = 2
        for who in (bob, eve):
            await here.messenger.messages.mark_read(who, MarkRead(chat_id=chat, up_to=sent.event.message.id))
        await until(lambda: ear.types.count("messages_read") >= 2)
        await a_few_looks()
        assert sorted(frame["read_by"] for frame in ear.frames if frame["type"] == "messages_read") == sorted(
            str(who.profile_id) for who in (bob, eve)
        )

    async def test_storage_that_fails_for_a_while(self, here: MessengerWorld, node: Node) -> None:
        ann, bob = await here.actor(), await here.actor()
        chat = await here.chat(ann, bob)
        ear, _ = await node.enter(bob, chat)
        node.is_down = True
        node.arrives = lambda _: None
        await here.say(ann, chat, "lost")
        node.arrives = node.hub.receive
        await here.say(ann, chat, "early")
        await a_few_looks()
        assert ear.positions == []
        node.is_down = False
        await until(lambda: len(ear.positions) == 2)
        assert ear.positions == [1, 2]


async def test_an_outage_is_logged_once_and_its_end(node: Node, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "interfaces.live.hub"):
        node.is_down, reads = True, node.reads
        await until(lambda: node.reads >= reads + 5)
        node.is_down = False
        await until(lambda: "looked for again" in caplog.text)
    assert [record.getMessage() for record in caplog.records if record.name == "interfaces.live.hub"] == [
        "could not look for missed updates",
        "missed updates are looked for again",
    ]


class Never:
    """Changes that nobody ever hears of."""

    async def now(self) -> Cursor:
        raise Unavailable

    async def since(self, _: Cursor) -> News:
        raise Unavailable

    async def recall(self, _: ReadRange) -> MessagesRead:
        raise Unavailable


def session_ended(actor: Actor) -> SessionEnded:
    return SessionEnded(
        profile_id=actor.profile_id, session_id=actor.session_id, reason=SessionEnd.SIGNED_OUT, at=START
    )


fates = st.lists(st.sampled_from(["now", "lost", "later", "doubled"]), max_size=20)


@settings(max_examples=30)
@given(
    script=st.lists(st.sampled_from(["say", "enter", "say inside", "deliver", "wait"]), max_size=25),
    arrivals=fates,
    many=st.sampled_from([1, 100]),
)
def test_whatever_arrives_everybody_hears_everything_once_and_in_order(
    script: list[str], arrivals: list[str], many: int
) -> None:
    asyncio.run(play(script, arrivals, many))


async def play(script: list[str], arrivals: list[str], many: int) -> None:
    """Updates are lost, late, doubled and out of order; messages fall between any two awaits of the hub."""
    async with asyncio.timeout(ENOUGH), world() as here:
        ann = await here.actor()
        chat = await here.chat(ann)
        fate, late, inside = iter(arrivals), list[Update](), [0]
        node = Node(here)
        node.hub.many = many

        def arrive(updates: Sequence[Update]) -> None:
            match next(fate, "now"):
                case "now":
                    node.hub.receive(updates)
                case "later":
                    late.extend(updates)
                case "doubled":
                    node.hub.receive([*updates, *updates])
                    late.extend(updates)

        async def say_inside() -> None:
            await asyncio.sleep(0)
            if inside[0]:
                inside[0] -= 1
                await here.say(ann, chat, "inside")

        node.arrives, node.before = arrive, say_inside
        entering: list[asyncio.Task[tuple[Ear, ChatConnection]]] = []
        async with running(node):
            for act in [*script, "enter"]:
                match act:
                    case "say":
                        await here.say(ann, chat, "x")
                    case "enter":
                        entering.append(asyncio.create_task(node.enter(ann, chat)))
                    case "say inside":
                        inside[0] += 1
                    case "deliver":
                        node.hub.receive(late[::-1])
                        late.clear()
                    case _:
                        await asyncio.sleep(0)
            ears = [ear for ear, _ in await asyncio.gather(*entering)]
            inside[0] = 0
            last = (await here.say(ann, chat, "last")).event.position
            await until(
                lambda: all(
                    (ear.positions and ear.positions[-1] >= last) or ear.frames[0]["position"] >= last
                    for ear in ears
                )
            )
        for ear in ears:
            assert ear.close is None
            assert ear.types[:2] == ["auth_success", "chat_history"]
            assert ear.positions == list(range(ear.frames[0]["position"] + 1, last + 1))
