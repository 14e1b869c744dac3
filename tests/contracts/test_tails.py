"""What a node keeps of the logs is what storage says of them, from any position, on every storage."""

from collections.abc import Sequence
from typing import cast

from attrs import frozen

from application.chats.add_members import AddMembers
from application.chats.change import ChangeChat
from application.chats.remove_member import RemoveMember
from application.ports.changes import Cursor
from application.ports.own_changes import Lost, Missed, OwnChanges
from application.ports.views import LogSpan
from domain.events import ChatAdded
from domain.ids import ChatId, Position, ProfileId
from interfaces.live.tails import LogEntry
from interfaces.wire import frames
from tests.accounts_world import START
from tests.all_chats import Device, House, opened
from tests.contracts.test_all_chats import Rig, rig
from tests.interfaces.live.test_hub import until

__all__ = ["rig"]


async def _stored(house: House, chat_id: ChatId, after: int, last: int) -> Sequence[bytes]:
    span = LogSpan(chat_id, Position(after), Position(last))
    return [frames.told(update).data for update in await house.world.messenger.feed.logs([span])]


def _kept(house: House, chat_id: ChatId, after: int, last: int) -> Sequence[LogEntry]:
    return house.hub.tails.read(house.hub.tails.epoch, chat_id, Position(after), Position(last))


def test_a_tail_says_what_the_log_says(rig: Rig) -> None:
    async def life() -> None:
        async with opened(rig.adapters) as house:
            ann, bob, eve = [await house.world.person(name) for name in ("Ann", "Bob", "Eve")]
            chats = house.world.messenger.chats
            chat_id = await house.world.chat(ann.actor, bob.actor)
            await until(lambda: house.hub.tails.epoch is not None)
            house.hub.tails.watch(chat_id, Position(0))
            await house.world.say(ann.actor, chat_id, "hello", nonce="1")
            await house.world.say(bob.actor, chat_id, "Привет \N{GRINNING FACE}")
            await chats.change(ann.actor, ChangeChat(chat_id=chat_id, name="Another name"))
            await chats.add_members(
                ann.actor, AddMembers(chat_id=chat_id, profile_ids=(eve.actor.profile_id,))
            )
            await house.world.say(eve.actor, chat_id, "x" * 4000)
            await chats.remove_member(
                ann.actor, RemoveMember(chat_id=chat_id, profile_id=eve.actor.profile_id)
            )
            last = 6
            for after in range(last):
                for up_to in range(after + 1, last + 1):
                    kept = [entry.frame.data for entry in _kept(house, chat_id, after, up_to)]
                    assert kept == await _stored(house, chat_id, after, up_to)
                    assert len(kept) == up_to - after

    rig.runner.run(life())


def test_who_comes_back_reads_no_log(rig: Rig) -> None:
    """Also not what was said while nobody was there."""

    async def life() -> None:
        async with opened(rig.adapters) as house:
            ann, bob = [await house.world.person(name) for name in ("Ann", "Bob")]
            chat_id = await house.world.chat(ann.actor, bob.actor)
            await until(lambda: house.hub.tails.epoch is not None)
            device = Device(house, bob)
            await device.come()
            await device.go()
            await house.world.say(ann.actor, chat_id, "missed")
            reads: list[object] = []
            logs = house.hub.all_chats.replays._logs

            async def counted(spans: Sequence[LogSpan]) -> object:
                reads.append(spans)
                return await logs(spans)

            house.hub.all_chats.replays._logs = counted  # type: ignore[assignment]
            device.picture.frames.clear()
            await device.come_back()
            assert [frame["message"]["text"] for frame in device.of("new_message")] == ["missed"]
            assert reads == []
            await device.go()

    rig.runner.run(life())


@frozen
class LateWord:
    """Reads what a profile missed. While it does, the node hears that the profile joined a chat, which was long ago."""

    house: House
    within: OwnChanges
    late: ChatAdded

    def __getattr__(self, name: str) -> object:
        return getattr(self.within, name)

    async def since(self, reader: ProfileId, cursor: Cursor, chats: int | None = None) -> Missed | Lost:
        missed = await self.within.since(reader, cursor, chats)
        self.house.hub.receive([self.late])
        return missed


def test_late_word_of_a_chat_hides_nothing_that_was_said_in_it(rig: Rig) -> None:
    """A node that is busy learns only after a while who joined which chat, and then tells no state in place of messages."""

    async def life() -> None:
        async with opened(rig.adapters) as house:
            ann, bob = [await house.world.person(name) for name in ("Ann", "Bob")]
            chat_id = await house.world.chat(ann.actor, bob.actor)
            device = Device(house, bob)
            await device.come()
            await device.go()
            await house.world.say(ann.actor, chat_id, "missed")
            device.picture.frames.clear()
            everything = house.hub.all_chats
            late = ChatAdded(profile_id=bob.actor.profile_id, chat_id=chat_id, at=START)
            everything.own_changes = cast(OwnChanges, LateWord(house, everything.own_changes, late))
            await device.come_back()
            assert device.of("chat_added") == []
            assert [frame["message"]["text"] for frame in device.of("new_message")] == ["missed"]
            await device.go()

    rig.runner.run(life())
