"""What is told over `/ws`, `/sync/` and `/events/` agrees frame by frame."""

from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any

import pytest

from application.chats.change import ChangeChat
from application.chats.delete import DeleteChat
from application.chats.remove_member import RemoveMember
from domain.ids import ChatId
from interfaces.live import resuming
from tests.all_chats import Device, House, opened
from tests.interfaces.live.test_hub import until
from tests.world import SignedInPerson

TRANSPORTS = ("ws", "sync", "events")

OF_THE_CONNECTION = {"auth_success", "resumed", "cursor", "goaway"}


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with opened() as house:
        yield house


async def hears_everything(house: House, person: SignedInPerson) -> list[Device]:
    devices = [Device(house, person, over) for over in TRANSPORTS]
    for device in devices:
        await device.come()
    return devices


def by_chat(device: Device) -> dict[str, list[Any]]:
    """Frames about chats. Nothing is promised about their order between chats."""
    told = defaultdict(list)
    for frame in device.picture.frames:
        if frame["type"] not in OF_THE_CONNECTION:
            told[frame.get("chat_id", "")].append(frame)
    return told


async def a_busy_day(house: House, ann: SignedInPerson, bob: SignedInPerson, chats: list[ChatId]) -> None:
    """Everything that can happen to Bob's chats. The last two are new."""
    messenger, loud, quiet = house.world.messenger, chats[0], chats[1]
    for number in range(4):
        await house.world.say(ann.actor, loud, f"loud {number}")
    await house.world.say(ann.actor, quiet, "quiet")
    await house.mark(bob.actor, quiet, 1)
    await messenger.chats.change(ann.actor, ChangeChat(chat_id=quiet, name="Named anew"))
    for gone in (chats[2], chats[3]):
        await house.world.say(ann.actor, gone, "before the end")
    leaving = RemoveMember(chat_id=chats[2], profile_id=bob.actor.profile_id)
    await messenger.chats.remove_member(ann.actor, leaving)
    await messenger.chats.delete(ann.actor, DeleteChat(chat_id=chats[3]))
    chats.append(await house.world.chat(ann.actor, bob.actor))
    await house.world.say(ann.actor, chats[-1], "in a new chat")


class TestComingBack:
    @pytest.mark.parametrize("with_seen", [False, True])
    async def test_exactly_the_same_is_told(
        self, house: House, monkeypatch: pytest.MonkeyPatch, *, with_seen: bool
    ) -> None:
        monkeypatch.setattr(resuming, "REPLAY_MOST", 3)
        ann, bob = [await house.world.person(name) for name in ("Ann", "Bob")]
        chats = [await house.world.chat(ann.actor, bob.actor) for _ in range(4)]
        devices = await hears_everything(house, bob)
        for device in devices:
            await device.go()
            device.picture.frames.clear()
        await a_busy_day(house, ann, bob, chats)
        for device in devices:
            await device.come_back(with_seen=with_seen)
        told = [by_chat(device) for device in devices]
        assert told[1] == told[0]
        assert told[2] == told[0]
        kinds = {frame["type"] for frames in told[0].values() for frame in frames}
        assert kinds == {"gap", "new_message", "chat_changed", "read_up_to", "chat_removed", "chat_added"}

    async def test_how_far_others_have_read_is_told_behind_a_gap(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(resuming, "REPLAY_MOST", 2)
        ann, bob = [await house.world.person(name) for name in ("Ann", "Bob")]
        read, unread = [await house.world.chat(ann.actor, bob.actor) for _ in range(2)]
        devices = await hears_everything(house, bob)
        for device in devices:
            await device.go()
            device.picture.frames.clear()
        for chat in (read, unread):
            for number in range(3):
                await house.world.say(bob.actor, chat, f"{number}")
        await house.mark(ann.actor, read, 2)
        for device in devices:
            await device.come_back(with_seen=False)
            told = by_chat(device)
            assert [frame["type"] for frame in told[str(read)]] == ["gap", "read_up_to"]
            assert told[str(read)][1]["others_read_up_to"] == 2
            assert [frame["type"] for frame in told[str(unread)]] == ["gap"]

    async def test_a_snapshot_and_a_reset_are_the_same(self, house: House) -> None:
        ann = await house.world.person("Ann")
        for number in range(3):
            await house.world.say(ann.actor, await house.world.chat(ann.actor), f"{number}")
        for since in (None, {"cursor": "forged"}):
            devices = [Device(house, ann, over) for over in TRANSPORTS]
            for device in devices:
                await device.come(since=since)
                await device.go()
            told = [by_chat(device) for device in devices]
            assert told[1] == told[0]
            assert told[2] == told[0]

    async def test_a_client_may_change_its_transport_in_the_middle_of_a_walk(self) -> None:
        async with opened(sync={"frames_most": 2}) as house:
            ann, bob = [await house.world.person(name) for name in ("Ann", "Bob")]
            chats = [await house.world.chat(ann.actor, bob.actor) for _ in range(4)]
            device = Device(house, bob, "sync")
            await device.come()
            await device.go()
            for chat in chats:
                for number in range(3):
                    await house.world.say(ann.actor, chat, f"{number}")
            answer = await house.http.get(
                "/sync/", params={"since": str(device.picture.cursor)}, headers=bob.headers
            )
            assert answer.json()["data"]["hasMore"]
            for frame in answer.json()["data"]["frames"]:
                device.picture.take(frame)
            device.picture.cursor = answer.json()["data"]["cursor"]
            for over in ("ws", "events"):
                other = Device(house, bob, over)
                other.picture.chats, other.picture.cursor = device.picture.chats, device.picture.cursor
                await other.come_back()
                assert other.picture.state() == await house.state_of(bob.actor)
                assert other.picture.resets == []
                await other.go()


class TestHearing:
    async def test_a_stream_tells_what_a_socket_tells(self, house: House) -> None:
        ann, bob = [await house.world.person(name) for name in ("Ann", "Bob")]
        chats = [await house.world.chat(ann.actor, bob.actor) for _ in range(4)]
        socket, _, stream = await hears_everything(house, bob)
        for device in (socket, stream):
            device.picture.frames.clear()
        await house.type(ann.actor, chats[0])
        await a_busy_day(house, ann, bob, chats)
        last = {str(chats[-1]): 1}
        await until(
            lambda: all(
                device.picture.seen().items() >= last.items() and len(device.picture.chats) == 3
                for device in (socket, stream)
            )
        )
        told = [by_chat(device) for device in (socket, stream)]
        assert told[0] == told[1]
        kinds = {frame["type"] for frames in told[0].values() for frame in frames}
        assert kinds >= {"typing", "messages_read", "member_removed", "chat_removed", "chat_added"}
