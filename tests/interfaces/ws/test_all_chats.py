"""The socket of all chats: who hears what, what is asked and answered, and how one comes back."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import uuid4

import pytest
from attrs import define, evolve, field
from typing_extensions import override

from application.accounts.sign_out import SignOut
from application.chats.change import ChangeChat
from application.chats.delete import DeleteChat
from application.chats.remove_member import RemoveMember
from application.paging import Paging
from application.ports.changes import Cursor
from application.ports.own_changes import Lost, Missed, OwnChanges
from application.receipts.mark_read import MarkRead
from application.views import ChatView
from domain.events import ChatAdded
from domain.ids import ChatId, Position, ProfileId, Seq
from interfaces.live import resuming
from interfaces.live.tails import LogEntry
from interfaces.wire.cursors import CursorCodec
from interfaces.wire.frames import Frame
from interfaces.ws.all_chats_connection import AllChatsConnection
from tests.all_chats import Device, House, opened
from tests.interfaces.live.test_hub import until
from tests.interfaces.ws.asgi import connected
from tests.interfaces.ws.house import handshake, serving
from tests.strategies import START


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with opened() as house:
        yield house


async def two(house: House) -> tuple[Device, Device]:
    """Two people who are connected."""
    ann, bob = [Device(house, await house.world.person(name)) for name in ("Ann", "Bob")]
    await ann.come()
    await bob.come()
    return ann, bob


async def chat_of(house: House, *devices: Device) -> ChatId:
    return await house.world.chat(*(device.person.actor for device in devices))


class TestEntering:
    async def test_a_new_client_gets_a_cursor_and_its_chats(self, house: House) -> None:
        ann = Device(house, await house.world.person("Ann"))
        chats = [await chat_of(house, ann) for _ in range(3)]
        await house.world.say(ann.person.actor, chats[0], "newest")
        await ann.come()
        success, snapshot, resumed = ann.picture.frames
        assert success["type"] == "auth_success"
        assert {"user_id", "session_id", "epoch", "heartbeat_interval", "limits", "cursor"} < set(success)
        assert snapshot["chats"][0]["chat"]["id"] == str(chats[0])
        assert snapshot["chats"][0]["last_message"]["text"] == "newest"
        assert snapshot["next"] is None
        assert resumed["type"] == "resumed"
        await ann.go()

    async def test_further_pages_are_pulled_and_hold_every_chat_once(self) -> None:
        async with opened(first_page=2) as house:
            ann = Device(house, await house.world.person("Ann"))
            chats = {str(await chat_of(house, ann)) for _ in range(5)}
            await ann.come()
            pages = [ann.of("snapshot")[0]]
            while pages[-1]["next"]:
                pages.append(await ann.ask("more", next=pages[-1]["next"]))
            assert [len(page["chats"]) for page in pages] == [2, 2, 1]
            assert {entry["chat"]["id"] for page in pages for entry in page["chats"]} == chats
            answer = await ann.ask("more", next="forged")
            assert (answer["type"], answer["code"]) == ("error", "cursor_invalid")
            await ann.go()

    async def test_chats_that_are_not_on_the_first_page_are_heard(self) -> None:
        async with opened(first_page=1) as house:
            ann = Device(house, await house.world.person("Ann"))
            first, _ = [await chat_of(house, ann) for _ in range(2)]
            await ann.come()
            await house.world.say(ann.person.actor, first, "heard")
            await until(lambda: [each["message"]["text"] for each in ann.of("new_message")] == ["heard"])
            await ann.go()

    @pytest.mark.parametrize(
        ("first", "code"),
        [({"type": "auth", "token": "nonsense"}, "token_invalid"), ({"type": "ping"}, "token_invalid")],
    )
    async def test_who_is_refused(self, house: House, first: dict[str, Any], code: str) -> None:
        async with connected(house.app, "/ws") as socket:
            socket.send_json(first)
            error = await socket.receive_json()
            assert (error["type"], error["code"]) == ("auth_error", code)
            assert (await socket.closed())[0] == 1008


class TestHearing:
    async def test_chats_made_later_are_heard_and_chats_left_are_not(self, house: House) -> None:
        ann, bob = await two(house)
        chat = await chat_of(house, ann, bob)
        await until(lambda: bool(bob.of("chat_added")))
        await house.world.say(ann.person.actor, chat, "hello")
        await until(lambda: bool(bob.of("new_message")))
        profile_id = bob.person.actor.profile_id
        await house.world.messenger.chats.remove_member(
            ann.person.actor, RemoveMember(chat_id=chat, profile_id=profile_id)
        )
        await until(lambda: bool(bob.of("chat_removed")))
        await house.world.say(ann.person.actor, chat, "among ourselves")
        await until(lambda: len(ann.of("new_message")) == 2)
        assert [frame["type"] for frame in bob.picture.frames if frame.get("chat_id")] == [
            "chat_added",
            "new_message",
            "member_removed",
            "chat_removed",
        ]
        assert bob.of("chat_removed")[0]["reason"] == "removed"
        await ann.go()
        await bob.go()

    async def test_nothing_of_a_chat_is_told_after_its_removal(self, house: House) -> None:
        """A count that was read before, and arrives after it, is not told either."""
        ann, bob = await two(house)
        chat, profile_id = await chat_of(house, ann, bob), bob.person.actor.profile_id
        await until(lambda: str(chat) in bob.picture.chats)
        await house.world.say(ann.person.actor, chat, "hello")
        hears_all = house.hub.all_chats
        some_chats = hears_all.some_chats

        async def late(reader: ProfileId, chats: Sequence[ChatId]) -> Sequence[ChatView]:
            hears_all.some_chats = some_chats
            found = await some_chats(reader, chats)
            await house.world.messenger.chats.remove_member(
                ann.person.actor, RemoveMember(chat_id=chat, profile_id=profile_id)
            )
            await until(lambda: bool(bob.of("chat_removed")))
            return found

        hears_all.some_chats = late
        await house.world.messenger.messages.mark_read(bob.person.actor, MarkRead(chat_id=chat, up_to=Seq(1)))
        await until(lambda: bool(bob.of("chat_removed")))
        await until(lambda: all(visit.is_up_to_date for visit in hears_all._visits.values()))
        assert (await bob.ask("ping"))["type"] == "pong"  # and with it everything that was told before
        assert bob.of("read_up_to") == []
        await ann.go()
        await bob.go()

    async def test_a_page_is_as_new_as_what_was_told_before_it(self) -> None:
        async with opened(first_page=1) as house:
            ann = Device(house, await house.world.person("Ann"))
            chats = [await chat_of(house, ann) for _ in range(2)]
            await house.world.say(ann.person.actor, chats[1], "on the first page")
            await ann.come()
            (listener,) = house.hub.all_chats._visits
            old = (await house.world.messenger.chats.list(listener.profile_id, Paging())).items
            await house.world.say(ann.person.actor, chats[0], "passed over, as its page was not read")
            await until(lambda: bool(ann.of("new_message")))
            heard = await house.hub.all_chats.as_heard(listener, old)
            assert {view.id: view.last_position for view in heard} == dict.fromkeys(chats, 1)
            await house.world.messenger.chats.delete(ann.person.actor, DeleteChat(chat_id=chats[0]))
            await until(lambda: bool(ann.of("chat_removed")))
            heard = await house.hub.all_chats.as_heard(listener, old)
            assert [view.id for view in heard] == [chats[1]]
            await ann.go()

    async def test_why_a_chat_is_gone(self, house: House) -> None:
        ann, bob = await two(house)
        left, deleted = await chat_of(house, ann, bob), await chat_of(house, ann, bob)
        await until(lambda: len(bob.picture.chats) == 2)
        assert (await bob.ask("remove_member", chat_id=left, profile_id=bob.person.actor.profile_id))[
            "type"
        ] == "answer"
        await house.world.messenger.chats.delete(ann.person.actor, DeleteChat(chat_id=deleted))
        await until(lambda: not bob.picture.chats)
        reasons = {frame["chat_id"]: frame["reason"] for frame in bob.of("chat_removed")}
        assert reasons == {str(left): "left", str(deleted): "chat_deleted"}
        await ann.go()
        await bob.go()

    async def test_it_agrees_with_the_socket_of_one_chat_frame_by_frame(self, house: House) -> None:
        ann, bob = await two(house)
        chat = await chat_of(house, ann, bob)
        await until(lambda: str(chat) in bob.picture.chats)
        async with connected(house.app, f"/chats/{chat}/ws") as one:
            one.send_json({"type": "auth", "token": bob.person.token})
            await one.receive(2)
            said = await ann.ask("send_message", chat_id=chat, text="one", nonce="1")
            await bob.ask("mark_read", chat_id=chat, up_to=1)
            await bob.ask("send_message", chat_id=chat, text="two", nonce="2")
            await ann.ask("mark_single_read", chat_id=chat, message_id=bob.of("answer")[-1]["message"]["id"])
            await ann.ask("typing", chat_id=chat, is_typing=True)
            await house.world.messenger.chats.change(ann.person.actor, ChangeChat(chat_id=chat, name="New"))
            eve = await house.world.actor("Eve")
            await ann.ask("add_members", chat_id=chat, profileIds=[str(eve.profile_id)])
            await ann.ask("change_role", chat_id=chat, profile_id=eve.profile_id, role="admin")
            await ann.ask("remove_member", chat_id=chat, profile_id=eve.profile_id)
            await until(lambda: bool(bob.of("member_removed")))
            told = [await one.receive_json()]
            while told[-1]["type"] != "member_removed":
                told.append(await one.receive_json())
        own = {"chat_added", "read_up_to"}
        heard = [each for each in bob.picture.frames if each.get("chat_id") and each["type"] not in own]
        assert said["message"]["seq"] == 1
        assert [each for each in heard if each["type"] != "answer"] == told
        assert {each["type"] for each in told} >= {
            "new_message",
            "messages_read",
            "message_read",
            "typing",
            "chat_changed",
            "member_added",
            "role_changed",
            "member_removed",
        }
        await ann.go()
        await bob.go()

    async def test_the_other_devices_are_told_how_far_one_has_read(self, house: House) -> None:
        ann, bob = await two(house)
        other = Device(house, bob.person)
        chat = await chat_of(house, ann, bob)
        await other.come()
        await house.world.say(ann.person.actor, chat, "one")
        answer = await bob.ask("mark_read", chat_id=chat, up_to=1)
        assert (answer["read_up_to"], answer["unread_count"]) == (1, 0)
        await until(lambda: bool(other.of("read_up_to")))
        told = other.of("read_up_to")[-1]
        assert (told["seq"], told["unread_count"], told["last_seq"]) == (1, 0, 1)
        for device in (ann, bob, other):
            await device.go()

    async def test_sockets_of_all_chats_do_not_count_as_presence(self, house: House) -> None:
        ann, bob = await two(house)
        chat = await chat_of(house, ann, bob)
        await until(lambda: str(chat) in bob.picture.chats)
        async with connected(house.app, f"/chats/{chat}/ws") as one:
            one.send_json({"type": "auth", "token": ann.person.token})
            await one.receive(2)
            await bob.go()
            await bob.come_back()
            one.send_json({"type": "ping", "id": 1})
            assert await one.receive_json() == {"type": "pong", "id": 1}
        assert not bob.of("user_joined", "user_left", "user_disconnected")
        await ann.go()
        await bob.go()

    async def test_a_session_that_ends_closes_it_even_without_chats(self, house: House) -> None:
        ann = Device(house, await house.world.person("Ann"))
        await ann.come()
        await house.world.messenger.accounts.sign_out(SignOut(access_token=ann.person.token))
        await until(lambda: ann.close is not None)
        assert ann.close is not None
        assert ann.close.code == 4401
        await ann.go()

    async def test_another_history_closes_it(self, house: House) -> None:
        ann = Device(house, await house.world.person("Ann"))
        await ann.come()
        changes = house.hub.feed.changes

        class Restored:
            async def now(self) -> Cursor:
                return evolve(await changes.now(), epoch="restored")

            async def since(self, cursor: Cursor) -> Any:
                return evolve(await changes.since(cursor), cursor=await self.now())

            recall = changes.recall

        house.hub.feed = evolve(house.hub.feed, changes=Restored())
        await until(lambda: ann.close is not None)
        assert ann.close is not None
        assert ann.close.code == 1012
        await ann.go()


@define(eq=False)
class Stopping:
    """Reads that find what is stored when they begin, and return it once they may go on."""

    whole: OwnChanges
    has_read: asyncio.Event = field(factory=asyncio.Event)
    may_go_on: asyncio.Event = field(factory=asyncio.Event)

    async def here(self) -> Cursor:
        return await self.whole.here()

    async def chats_of(self, reader: ProfileId) -> Sequence[ChatId]:
        return await self.whole.chats_of(reader)

    async def since(self, reader: ProfileId, cursor: Cursor, chats: int | None = None) -> Missed | Lost:
        found = await self.whole.since(reader, cursor, chats)
        self.has_read.set()
        await self.may_go_on.wait()
        return found


@define(eq=False)
class Counting(Stopping):
    """Does not stop, and counts how often the chats of somebody are read."""

    reads: int = 0

    def __attrs_post_init__(self) -> None:
        self.may_go_on.set()

    @override
    async def chats_of(self, reader: ProfileId) -> Sequence[ChatId]:
        self.reads += 1
        return await super().chats_of(reader)


class TestWhereTheyWere:
    """A node remembers in which chats a profile was. It is a guess where to listen, and storage decides."""

    async def test_the_chats_of_who_comes_back_are_not_read_before_what_they_missed(
        self, house: House
    ) -> None:
        ann, bob = await two(house)
        chats = [await chat_of(house, ann, bob) for _ in range(3)]
        await until(lambda: len(bob.picture.chats) == 3)
        other = Device(house, bob.person)
        hears_all = house.hub.all_chats
        hears_all.own_changes = counting = Counting(hears_all.own_changes)
        await other.come(since={"cursor": bob.picture.cursor})  # bob's first device is there
        await other.go()
        await bob.go()
        await house.world.say(ann.person.actor, chats[0], "missed")
        await bob.come_back(with_seen=True)
        assert counting.reads == 0
        assert [frame["chat_id"] for frame in bob.of("new_message")] == [str(chats[0])]
        await house.world.say(ann.person.actor, chats[1], "live")
        await until(lambda: len(bob.of("new_message")) == 2)

    @pytest.mark.parametrize("guess", ["too few", "too many"])
    async def test_a_wrong_guess_changes_nothing(self, house: House, guess: str) -> None:
        ann, bob = await two(house)
        chats = [await chat_of(house, ann, bob) for _ in range(2)]
        await until(lambda: len(bob.picture.chats) == 2)
        foreign = await chat_of(house, ann)
        await bob.go()
        bob.picture.frames.clear()
        await house.world.say(ann.person.actor, chats[1], "missed")
        await house.world.say(ann.person.actor, foreign, "not for bob")
        house.hub.all_chats.recent.note(
            bob.person.actor.profile_id, chats[:1] if guess == "too few" else [*chats, foreign]
        )
        await bob.come_back(with_seen=True)
        for chat in (*chats, foreign):
            await house.world.say(ann.person.actor, chat, "live")
        await until(lambda: len(bob.of("new_message")) == 3)
        assert [frame["chat_id"] for frame in bob.of("new_message")] == [str(chats[1]), *map(str, chats)]
        assert not bob.of("chat_added")
        channel = house.hub.channels.find(foreign)
        assert channel is not None
        everybody = house.hub.roster.everybody(channel.audience)
        assert {each.profile_id for each in everybody} == {ann.person.actor.profile_id}

    async def test_who_was_removed_meanwhile_hears_nothing_of_the_chat(self, house: House) -> None:
        ann, bob = await two(house)
        chats = [await chat_of(house, ann, bob) for _ in range(2)]
        await until(lambda: len(bob.picture.chats) == 2)
        await bob.go()
        bob.picture.frames.clear()
        await house.world.say(ann.person.actor, chats[0], "the last that he may read")
        await house.world.messenger.chats.remove_member(
            ann.person.actor, RemoveMember(chat_id=chats[0], profile_id=bob.person.actor.profile_id)
        )
        await house.world.say(ann.person.actor, chats[0], "not for bob")
        await bob.come_back(with_seen=True)
        await house.world.say(ann.person.actor, chats[0], "not for bob either")
        await house.world.say(ann.person.actor, chats[1], "for bob")
        await until(lambda: len(bob.of("new_message")) == 1)
        assert [frame["chat_id"] for frame in bob.of("chat_removed")] == [str(chats[0])]
        assert [frame["chat_id"] for frame in bob.of("new_message")] == [str(chats[1])]

    async def test_what_others_are_told_before_the_end_of_the_read_is_not_missed(self, house: House) -> None:
        ann, bob = await two(house)
        chat = await chat_of(house, ann, bob)
        await until(lambda: len(bob.picture.chats) == 1)
        await bob.go()
        bob.picture.frames.clear()
        await house.world.say(ann.person.actor, chat, "missed")
        hears_all = house.hub.all_chats
        hears_all.own_changes = stopping = Stopping(hears_all.own_changes)
        coming = asyncio.create_task(bob.come_back(with_seen=True))
        await stopping.has_read.wait()
        await house.world.say(ann.person.actor, chat, "said meanwhile")
        await until(lambda: len(ann.of("new_message")) == 2)
        stopping.may_go_on.set()
        await coming
        await house.world.say(ann.person.actor, chat, "live")
        await until(lambda: len(bob.of("new_message")) >= 3)
        texts = [each["message"]["text"] for each in bob.of("new_message")]
        assert texts == ["missed", "said meanwhile", "live"]

    async def test_word_of_joining_that_comes_during_the_read(self) -> None:
        """The client is told a new chat, which no look finds again, and is not told a chat that it knows."""
        async with opened(interval=3600) as house:
            ann, bob = await two(house)
            known = await chat_of(house, ann, bob)
            await until(lambda: bool(bob.of("chat_added")))
            hears_all = house.hub.all_chats
            await bob.go()
            cursor = await hears_all.own_changes.here()  # after the chat that it knows
            bob.picture.cursor = CursorCodec(b"key", Cursor, "all chats").write(cursor)
            bob.picture.frames.clear()
            hears_all.own_changes = stopping = Stopping(hears_all.own_changes)
            coming = asyncio.create_task(bob.come_back())
            await stopping.has_read.wait()
            joined = await chat_of(house, ann, bob)
            hears_all.added(ChatAdded(profile_id=bob.person.actor.profile_id, chat_id=known, at=START))
            stopping.may_go_on.set()
            await coming
            await until(lambda: bool(bob.of("chat_added")))
            await house.world.say(ann.person.actor, joined, "live")
            await until(lambda: bool(bob.of("new_message")))
            assert [frame["chat_id"] for frame in bob.of("chat_added")] == [str(joined)]
            await ann.go()
            await bob.go()

    async def test_what_was_read_elsewhere_is_told_after_what_was_kept(self, house: House) -> None:
        ann, bob = await two(house)
        chat = await chat_of(house, ann, bob)
        await until(lambda: len(bob.picture.chats) == 1)
        await bob.go()
        bob.picture.frames.clear()
        await house.world.say(ann.person.actor, chat, "missed")
        await house.world.messenger.messages.mark_read(bob.person.actor, MarkRead(chat_id=chat, up_to=Seq(1)))
        await bob.come_back(with_seen=True)
        (read,) = bob.of("read_up_to")
        assert (read["chat_id"], read["seq"], read["unread_count"]) == (str(chat), 1, 0)
        assert [each["type"] for each in bob.of("new_message", "read_up_to")] == ["new_message", "read_up_to"]

    async def test_what_was_kept_of_another_history_is_not_told(self, house: House) -> None:
        ann, bob = await two(house)
        chat = await chat_of(house, ann, bob)
        await until(lambda: len(bob.picture.chats) == 1)
        await bob.go()
        bob.picture.frames.clear()
        await house.world.say(ann.person.actor, chat, "missed")
        (update,) = await house.world.messenger.feed.log(chat, Position(0), 10)
        tails = house.hub.tails
        tails.begin("another history")
        tails.found("another history", chat, [LogEntry(Frame(b'{"type":"of another history"}'), update)])
        await bob.come_back(with_seen=True)
        await until(lambda: bool(bob.of("new_message", "of another history")))
        assert [each["message"]["text"] for each in bob.of("new_message")] == ["missed"]

    async def test_a_client_that_reads_slowly_is_told_what_was_kept_when_it_has_room(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ann, bob = await two(house)
        chat = await chat_of(house, ann, bob)
        await until(lambda: len(bob.picture.chats) == 1)
        await bob.go()
        bob.picture.frames.clear()
        for text in ("one", "two", "three"):
            await house.world.say(ann.person.actor, chat, text)
        told: list[int] = []

        def has_room(_: AllChatsConnection) -> bool:
            told.append(len(bob.of("new_message")))
            return len(told) != 2  # full after the first one

        monkeypatch.setattr(AllChatsConnection, "has_room", property(has_room))
        drained = AllChatsConnection.drained
        waits: list[int] = []

        async def waiting(connection: AllChatsConnection) -> None:
            waits.append(len(told))
            await drained(connection)

        monkeypatch.setattr(AllChatsConnection, "drained", waiting)
        await bob.come_back(with_seen=True)
        await until(lambda: len(bob.of("new_message")) == 3)
        assert [each["message"]["text"] for each in bob.of("new_message")] == ["one", "two", "three"]
        assert waits == [2], "the second one waits until there is room"


class TestComingBack:
    async def test_exactly_what_was_missed_and_nothing_twice(self, house: House) -> None:
        ann, bob = await two(house)
        chats = [await chat_of(house, ann, bob) for _ in range(3)]
        await until(lambda: len(bob.picture.chats) == 3)
        await house.world.say(ann.person.actor, chats[0], "heard")
        await until(lambda: bool(bob.of("new_message")))
        await bob.go()
        bob.picture.frames.clear()
        for chat in chats[:2]:
            for number in range(3):
                await house.world.say(ann.person.actor, chat, f"missed {number}")
        await bob.come_back(with_seen=True)
        told = [(each["chat_id"], each["position"]) for each in bob.of("new_message")]
        assert sorted(told) == sorted(
            [*((str(chats[0]), n) for n in (2, 3, 4)), *((str(chats[1]), n) for n in (1, 2, 3))]
        )
        types = [each["type"] for each in bob.picture.frames]
        assert types[0] == "auth_success"
        assert "new_message" not in types[types.index("resumed") :]  # a cursor may follow
        assert not bob.of("snapshot", "reset", "chat_added")
        await ann.go()
        await bob.go()

    @pytest.mark.parametrize("is_announced", [True, False])
    async def test_what_is_said_after_the_read_and_passed_before_the_end_of_it(
        self, house: House, is_announced: bool
    ) -> None:
        """
        Nobody else listens to the chat, so that only the client's own seat keeps the announcement and the look. A seat that
        is taken after the read comes too late for both.
        """
        ann, bob = [Device(house, await house.world.person(name)) for name in ("Ann", "Bob")]
        chat = await chat_of(house, ann, bob)
        await bob.come()
        await house.world.say(ann.person.actor, chat, "heard")
        await until(lambda: len(bob.of("new_message")) == 1)
        await until(lambda: bool(bob.of("cursor")))  # with the first one the chat would be told as added
        await bob.go()
        await house.world.say(ann.person.actor, chat, "missed")
        hears_all = house.hub.all_chats
        hears_all.own_changes = stopping = Stopping(hears_all.own_changes)
        coming = asyncio.create_task(bob.come_back(with_seen=True))
        await stopping.has_read.wait()
        house.hears = is_announced
        await house.world.say(ann.person.actor, chat, "said meanwhile")
        looks = hears_all.looks
        await until(lambda: hears_all.looks >= looks + 2)  # the second one began after the message was stored
        stopping.may_go_on.set()
        await coming
        texts = ["heard", "missed", "said meanwhile"]
        await until(lambda: [each["message"]["text"] for each in bob.of("new_message")] == texts)
        assert not bob.of("chat_added")
        await bob.go()

    async def test_a_cursor_that_is_told_later_leaves_nothing_to_tell_again(self) -> None:
        async with opened(interval=0.01) as house:
            ann, bob = await two(house)
            chat = await chat_of(house, ann, bob)
            await house.world.say(ann.person.actor, chat, "one")
            before = len(bob.of("cursor"))
            await until(lambda: bool(bob.of("new_message")) and len(bob.of("cursor")) > before)
            settled = bob.picture.cursor
            await until(lambda: bob.picture.cursor == settled)
            await bob.go()
            bob.picture.frames.clear()
            await bob.come_back()
            assert not bob.of("new_message", "chat_added")
            await ann.go()
            await bob.go()

    async def test_who_has_just_entered_is_told_the_cursor_later_though_nothing_changes(self) -> None:
        async with opened(interval=3600) as house:
            ann, bob = await two(house)
            chat = await chat_of(house, ann, bob)
            await house.world.say(ann.person.actor, chat, "one")
            await until(lambda: bool(bob.of("new_message")) and bool(ann.of("new_message")))
            hears_all = house.hub.all_chats
            cursor = await hears_all.own_changes.here()
            hears_all.looked(cursor)
            assert not bob.of("cursor")  # the look may have begun before he had entered
            for _ in range(3):
                hears_all.looked(cursor)
            await until(lambda: bool(bob.of("cursor")) and bool(ann.of("cursor")))
            for _ in range(3):
                hears_all.looked(cursor)
            await bob.go()
            assert len(bob.of("cursor")) == 1
            bob.picture.frames.clear()
            await bob.come_back()
            assert not bob.of("new_message", "chat_added")
            await ann.go()
            await bob.go()

    @pytest.mark.parametrize("since", ["nonsense", {}, {"cursor": 1}, {"cursor": "forged"}, {"cursor": ""}])
    async def test_a_cursor_that_is_none_is_a_reset(self, house: House, since: Any) -> None:
        ann = Device(house, await house.world.person("Ann"))
        chat = await chat_of(house, ann)
        await ann.come(since=since)
        assert [frame["type"] for frame in ann.picture.frames] == [
            "auth_success",
            "reset",
            "snapshot",
            "resumed",
        ]
        assert ann.picture.resets == ["malformed"]
        assert list(ann.picture.chats) == [str(chat)]
        await ann.go()

    async def test_a_cursor_of_another_history_is_a_reset(self, house: House) -> None:
        ann = Device(house, await house.world.person("Ann"))
        await ann.come()
        await ann.go()
        cursors = CursorCodec(b"key", Cursor, "all chats")
        assert ann.picture.cursor
        ann.picture.cursor = cursors.write(evolve(cursors.read(ann.picture.cursor), epoch="before"))
        await ann.come_back()
        assert ann.picture.resets == ["epoch"]
        await ann.go()

    async def test_a_cursor_signed_with_another_key_is_a_reset(self, house: House) -> None:
        ann = Device(house, await house.world.person("Ann"))
        await ann.come()
        await ann.go()
        codecs = [CursorCodec(key, Cursor, "all chats") for key in (b"key", b"other")]
        assert ann.picture.cursor
        ann.picture.cursor = codecs[1].write(codecs[0].read(ann.picture.cursor))
        await ann.come_back()
        assert ann.picture.resets == ["malformed"]
        await ann.go()

    async def test_too_much_in_one_chat_is_a_gap_in_that_chat_alone(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(resuming, "REPLAY_MOST", 5)
        ann, bob = await two(house)
        loud, quiet = await chat_of(house, ann, bob), await chat_of(house, ann, bob)
        await until(lambda: len(bob.picture.chats) == 2)
        await bob.go()
        bob.picture.frames.clear()
        for number in range(6):
            await house.world.say(ann.person.actor, loud, f"{number}")
        await house.world.say(ann.person.actor, quiet, "one")
        await bob.come_back(with_seen=True)
        (gap,) = bob.of("gap")
        assert (gap["chat_id"], gap["after"], gap["before"]) == (str(loud), 0, 7)
        assert gap["state"]["unread_count"] == 6
        assert [each["chat_id"] for each in bob.of("new_message")] == [str(quiet)]
        assert bob.picture.resets == []
        page = await bob.ask("catch_up", chat_id=loud, after=0, before=7, limit=4)
        assert [each["position"] for each in page["events"]] == [1, 2, 3, 4]
        assert (page["position"], page["has_more"]) == (4, True)
        rest = await bob.ask("catch_up", chat_id=loud, after=4, before=7)
        assert [each["message"]["text"] for each in rest["events"]] == ["4", "5"]
        assert not rest["has_more"]
        await house.world.say(ann.person.actor, loud, "live")
        await until(lambda: bob.of("new_message")[-1]["position"] == 7)
        await ann.go()
        await bob.go()

    async def test_a_chat_that_is_left_while_the_client_comes_back(self, house: House) -> None:
        """The client knows it from frames after its cursor; the removal is not yet in what it missed."""
        ann, bob = await two(house)
        cursor, profile_id = bob.picture.cursor, bob.person.actor.profile_id
        chat = await chat_of(house, ann, bob)
        await until(lambda: str(chat) in bob.picture.chats)
        await bob.go()
        hears_all, bob_leaves = house.hub.all_chats, RemoveMember(chat_id=chat, profile_id=profile_id)
        some_chats = hears_all.some_chats

        async def once_it_is_left(reader: ProfileId, chats: Sequence[ChatId]) -> Sequence[ChatView]:
            hears_all.some_chats = some_chats
            await house.world.messenger.chats.remove_member(ann.person.actor, bob_leaves)
            return await some_chats(reader, chats)

        hears_all.some_chats = once_it_is_left
        await bob.come(since={"cursor": cursor})
        assert [frame["reason"] for frame in bob.of("chat_removed")] == ["removed"]
        assert bob.picture.chats == {}
        await ann.go()
        await bob.go()

    async def test_a_position_ahead_of_a_chat_resets_that_chat_alone(self, house: House) -> None:
        ann, bob = await two(house)
        chat = await chat_of(house, ann, bob)
        await until(lambda: str(chat) in bob.picture.chats)
        await bob.go()
        await bob.come(since={"cursor": bob.picture.cursor, "seen": {str(chat): 9}})
        (reset,) = bob.of("reset")
        assert (reset["scope"], reset["reason"], reset["state"]["position"]) == ("chat", "ahead", 0)
        await ann.go()
        await bob.go()

    @pytest.mark.parametrize("is_kept", [True, False])
    async def test_many_chats_cost_few_reads(
        self, house: House, monkeypatch: pytest.MonkeyPatch, is_kept: bool
    ) -> None:
        ann, bob = await two(house)
        chats = [await chat_of(house, ann, bob) for _ in range(40)]
        await until(lambda: len(bob.picture.chats) == len(chats))
        await bob.go()
        for chat in chats:
            await house.world.say(ann.person.actor, chat, "missed")
        if not is_kept:
            house.hub.tails.begin(house.hub.tails.epoch or "")
        reads: list[str] = []
        all_chats = house.hub.all_chats
        for part, name in (
            (all_chats.replays, "_logs"),
            (all_chats, "some_chats"),
            (all_chats, "list_chats"),
        ):
            read = getattr(part, name)

            def counted(*given: Any, read: Any = read, name: str = name) -> Any:
                reads.append(name)
                return read(*given)

            monkeypatch.setattr(part, name, counted)
        bob.picture.frames.clear()
        await bob.come_back(with_seen=True)
        assert len(bob.of("new_message")) == len(chats)
        assert reads == ([] if is_kept else ["_logs"])
        await ann.go()
        await bob.go()


class TestRequests:
    async def test_every_request_has_its_answer(self, house: House) -> None:
        ann, bob = await two(house)
        made = await ann.ask("create_chat", name="Group", members=[bob.picture.profile], key="k")
        again = await ann.ask("create_chat", name="Group", members=[bob.picture.profile], key="k")
        chat = made["chat_id"]
        assert again["chat_id"] == chat
        assert (made["type"], made["chat"]["name"], made["role"]) == ("answer", "Group", "owner")
        direct = await ann.ask("open_direct", profile_id=bob.picture.profile)
        assert direct["chat"]["kind"] == "direct"
        sent = await ann.ask("send_message", chat_id=chat, text=" one ", nonce="n")
        assert (sent["message"]["seq"], sent["message"]["nonce"], sent["duplicate"]) == (1, "n", False)
        assert (await ann.ask("send_message", chat_id=chat, text="one", nonce="n"))["duplicate"]
        reused = await ann.ask("send_message", chat_id=chat, text="two", nonce="n")
        assert (reused["code"], reused["message_id"], reused["seq"]) == (
            "nonce_reused",
            sent["message"]["id"],
            1,
        )
        history = await bob.ask("get_history", chat_id=chat)
        assert [each["text"] for each in history["messages"]] == ["one"]
        assert (await bob.ask("get_history", chat_id=chat, before=1))["messages"] == []
        assert (await bob.ask("mark_read", chat_id=chat, up_to=1))["read_up_to"] == 1
        readers = await ann.ask("get_readers", chat_id=chat, message_id=sent["message"]["id"])
        assert [each["profile"]["id"] for each in readers["readers"]] == [bob.picture.profile]
        assert (await ann.ask("change_chat", chat_id=chat, name="New"))["chat"]["name"] == "New"
        eve = await house.world.actor("Eve")
        added = await ann.ask("add_members", chat_id=chat, profile_ids=[str(eve.profile_id)])
        assert len(added["members"]) == 3
        roles = await ann.ask("change_role", chat_id=chat, profile_id=eve.profile_id, role="admin")
        assert {each["role"] for each in roles["members"]} == {"owner", "admin", "member"}
        for type, fields in {
            "mark_single_read": {"message_id": sent["message"]["id"]},
            "typing": {"is_typing": True},
            "remove_member": {"profile_id": eve.profile_id},
            "delete_chat": {},
        }.items():
            assert (await ann.ask(type, chat_id=chat, **fields))["type"] == "answer"
        pong = await ann.ask("ping")
        assert pong == {"type": "pong", "id": pong["id"]}
        await ann.go()
        await bob.go()

    @pytest.mark.parametrize(
        ("type", "fields", "code"),
        [
            ("send_message", {"text": "x"}, "malformed"),
            ("send_message", {"chat_id": uuid4(), "text": ""}, "message_empty"),
            ("send_message", {"chat_id": uuid4(), "text": "x" * 4001}, "message_too_long"),
            ("send_message", {"chat_id": uuid4(), "text": "x"}, "chat_not_found"),
            ("get_history", {"chat_id": uuid4(), "limit": -1}, "malformed"),
            ("get_history", {"chat_id": uuid4()}, "chat_not_found"),
            ("catch_up", {"chat_id": uuid4(), "after": 0}, "chat_not_found"),
            ("typing", {"chat_id": uuid4(), "is_typing": True}, "chat_not_found"),
            ("mark_read", {"chat_id": uuid4(), "up_to": 1}, "chat_not_found"),
            ("create_chat", {}, "malformed"),
            ("change_role", {"chat_id": uuid4(), "profile_id": uuid4(), "role": "king"}, "malformed"),
            ("more", {}, "malformed"),
            ("watch_presence", {"profile_ids": "all"}, "malformed"),
            ("watch_presence", {"profile_ids": ["me"]}, "malformed"),
            ("watch_presence", {}, "malformed"),
            ("dance", {}, "unknown_type"),
        ],
    )
    async def test_a_refusal_names_the_request(
        self, house: House, type: str, fields: dict[str, Any], code: str
    ) -> None:
        ann = Device(house, await house.world.person("Ann"))
        await ann.come()
        answer = await ann.ask(type, **fields)
        assert (answer["type"], answer["code"]) == ("error", code)
        await ann.go()

    async def test_answers_come_in_the_order_of_the_requests_and_before_their_echo(
        self, house: House
    ) -> None:
        ann, _ = await two(house)
        chat = await chat_of(house, ann)
        await until(lambda: str(chat) in ann.picture.chats)
        assert ann.socket is not None
        for number in range(20):
            ann.socket.send_json(
                {
                    "type": "send_message",
                    "id": number,
                    "chat_id": str(chat),
                    "text": "x",
                    "nonce": f"{number}",
                }
            )
        ann.socket.send_json({"type": "get_history", "id": 20, "chat_id": str(chat)})
        await until(lambda: bool(ann.of("answer")) and ann.of("answer")[-1]["id"] == 20)
        assert [answer["id"] for answer in ann.of("answer")] == list(range(21))
        assert len(ann.of("answer")[-1]["messages"]) == 20
        order = [
            frame["id"] if frame["type"] == "answer" else frame["message"]["nonce"]
            for frame in ann.of("answer", "new_message")
            if frame.get("id") != 20
        ]
        for number in range(20):
            assert order.index(number) < order.index(f"{number}")
        await ann.go()


async def test_a_real_server_serves_it_in_every_way(way: str) -> None:
    async with serving(way) as house:
        chat = await house.chat("Ann", "Bob")
        line = await house.dial()
        line.writer.write(handshake("/ws"))
        assert (await line.head()).startswith("HTTP/1.1 101 ")
        line.say(type="auth", token=(await house.person("Ann")).token)
        assert [(await line.hear())["type"] for _ in range(3)] == ["auth_success", "snapshot", "resumed"]
        line.say(type="send_message", id=1, chat_id=str(chat), text="hello", nonce="n")
        assert [(await line.hear())["type"] for _ in range(2)] == ["answer", "new_message"]
        line.say(type="get_history", id=2, chat_id=str(chat))
        assert [each["text"] for each in (await line.hear())["messages"]] == ["hello"]
