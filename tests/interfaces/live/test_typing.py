"""Typing that others were told of ends: by itself, with the message, with the membership and with the device."""

from typing import Any

import pytest

from application.chats.delete import DeleteChat
from application.chats.remove_member import RemoveMember
from domain.ids import ChatId
from tests.all_chats import Device, House, opened
from tests.interfaces.live.test_hub import until
from tests.interfaces.ws.asgi import ClientSocket, connected
from tests.world import SignedInPerson

LONG = 300.0
"""Seconds in which nothing expires."""


async def people(house: House, *names: str) -> tuple[list[Device], ChatId]:
    """Devices with the socket of all chats, of people who share a chat."""
    devices = [Device(house, await house.world.person(name)) for name in names]
    chat = await house.world.chat(*(device.person.actor for device in devices))
    for device in devices:
        await device.come()
    return devices, chat


def told(device: Device) -> list[bool]:
    return [frame["is_typing"] for frame in device.of("typing")]


async def hears(device: Device, *states: bool) -> None:
    await until(lambda: len(told(device)) >= len(states))
    assert told(device) == [*states]


async def test_what_is_not_renewed_ends_by_itself() -> None:
    async with opened(typing_expiry=0.3, typing_interval=0.05) as house:
        (ann, bob), chat = await people(house, "Ann", "Bob")
        await ann.ask("typing", chat_id=chat, is_typing=True)
        await hears(bob, True, False)
        assert len(house.hub.typing) == 0
        await ann.go()
        await bob.ask("ping")
        assert told(bob) == [True, False], "its end is not told again when the device goes"
        assert told(ann) == []


async def test_what_is_renewed_goes_on() -> None:
    """Until it is renewed no more: by the clock of the event loop, not by how fast this machine is."""
    async with opened(typing_expiry=LONG, typing_interval=0.0) as house:
        (ann, bob), chat = await people(house, "Ann", "Bob")
        typing = house.hub.typing
        await ann.ask("typing", chat_id=chat, is_typing=True)
        (first,) = typing._until.values()
        await ann.ask("typing", chat_id=chat, is_typing=True)
        (renewed,) = typing._until.values()
        assert renewed > first
        await hears(bob, True, True)


async def test_it_ends_with_the_message() -> None:
    async with opened(typing_expiry=LONG) as house:
        (ann, bob), chat = await people(house, "Ann", "Bob")
        await ann.ask("typing", chat_id=chat, is_typing=True)
        await ann.ask("send_message", chat_id=chat, text="there it is")
        await hears(bob, True, False)
        await ann.ask("typing", chat_id=chat, is_typing=True)
        await hears(bob, True, False, True)


@pytest.mark.parametrize("how", ["leaves", "is removed"])
async def test_it_ends_with_the_membership(how: str) -> None:
    async with opened(typing_expiry=LONG) as house:
        (ann, bob, cid), chat = await people(house, "Ann", "Bob", "Cid")
        await bob.ask("typing", chat_id=chat, is_typing=True)
        await hears(cid, True)
        by = bob if how == "leaves" else ann
        await by.ask("remove_member", chat_id=chat, profile_id=bob.person.actor.profile_id)
        await hears(cid, True, False)
        refused = await bob.ask("typing", chat_id=chat, is_typing=True)
        assert refused["code"] == "not_a_member"
        assert len(house.hub.typing) == 0


async def test_of_a_deleted_chat_nothing_is_told() -> None:
    async with opened(typing_expiry=0.3) as house:
        (ann, bob), chat = await people(house, "Ann", "Bob")
        await bob.ask("typing", chat_id=chat, is_typing=True)
        await house.world.messenger.chats.delete(ann.person.actor, DeleteChat(chat_id=chat))
        await until(lambda: len(house.hub.typing) == 0)
        await ann.ask("ping")
        assert told(ann) == [True]
        assert str(chat) not in ann.picture.chats


async def test_it_ends_with_the_device() -> None:
    async with opened(typing_expiry=LONG) as house:
        (ann, bob), chat = await people(house, "Ann", "Bob")
        await ann.ask("typing", chat_id=chat, is_typing=True)
        await hears(bob, True)
        await ann.go()
        await hears(bob, True, False)


class TestBothSockets:
    """Each kind of socket hears the typing of the other, and its end."""

    async def enter(self, socket: ClientSocket, person: SignedInPerson) -> None:
        socket.send_json({"type": "auth", "token": person.token})
        await socket.receive(2)

    async def next_typing(self, socket: ClientSocket) -> Any:
        while (frame := await socket.receive_json())["type"] != "typing":
            pass
        return frame["is_typing"]

    async def test_typing_is_heard_and_ends(self) -> None:
        async with opened(typing_expiry=0.3) as house:
            (ann, bob), chat = await people(house, "Ann", "Bob")
            async with connected(house.app, f"/chats/{chat}/ws") as socket:
                await self.enter(socket, bob.person)
                socket.send_json({"type": "typing", "is_typing": True})
                await hears(ann, True, False)
                await ann.ask("typing", chat_id=chat, is_typing=True)
                assert [await self.next_typing(socket) for _ in range(2)] == [True, False]

    async def test_a_message_on_one_socket_ends_typing_on_the_other(self) -> None:
        async with opened(typing_expiry=LONG) as house:
            (ann, bob), chat = await people(house, "Ann", "Bob")
            async with connected(house.app, f"/chats/{chat}/ws") as socket:
                await self.enter(socket, bob.person)
                socket.send_json({"type": "typing", "is_typing": True})
                await hears(ann, True)
                await bob.ask("send_message", chat_id=chat, text="from the other one")
                await hears(ann, True, False)


async def test_a_removal_that_was_not_announced_ends_it_too() -> None:
    async with opened(typing_expiry=LONG) as house:
        (ann, bob, cid), chat = await people(house, "Ann", "Bob", "Cid")
        await bob.ask("typing", chat_id=chat, is_typing=True)
        await hears(cid, True)
        house.hears = False
        await house.world.messenger.chats.remove_member(
            ann.person.actor, RemoveMember(chat_id=chat, profile_id=bob.person.actor.profile_id)
        )
        await hears(cid, True, False)
