"""Before a node stops it sends its clients away: those that know the frame are told, and all are closed one by one."""

import asyncio
from typing import Any

import pytest

from tests.all_chats import Device, House, opened
from tests.interfaces.live.test_hub import until
from tests.interfaces.ws.asgi import ClientSocket, Closed, connected
from tests.world import SignedInPerson


async def entered(socket: ClientSocket, person: SignedInPerson, **fields: Any) -> None:
    socket.send_json({"type": "auth", "token": person.token, **fields})
    assert [frame["type"] for frame in await socket.receive(2)] == ["auth_success", "chat_history"]


async def devices(house: House, count: int) -> list[Device]:
    found = [Device(house, await house.world.person(f"person{number}")) for number in range(count)]
    for device in found:
        await device.come()
    return found


async def test_all_are_asked_at_once_and_closed_one_after_the_other() -> None:
    async with opened() as house:
        there = await devices(house, 4)
        loop, ended = asyncio.get_running_loop(), dict[Device, float]()

        async def note_the_end(device: Device) -> None:
            await until(lambda: device.close is not None)
            ended[device] = loop.time()

        began = loop.time()
        house.services.send_away(0.8)
        await asyncio.gather(*(note_the_end(device) for device in there))
        assert [device.of("goaway") for device in there] == [[{"type": "goaway", "within": 0}]] * 4
        assert {device.close and device.close.code for device in there} == {1012}
        # those who came first are closed first; none before half of the time, and nothing bounds a busy machine from above
        moments = [ended[device] - began for device in there]
        assert all(moment >= 0.4 + 0.1 * number for number, moment in enumerate(moments))


async def test_who_comes_later_is_not_asked() -> None:
    async with opened() as house:
        (ann,) = await devices(house, 1)
        house.services.send_away(0.1)
        await until(lambda: ann.close is not None)
        await ann.go()
        await ann.come_back()
        assert (await ann.ask("ping"))["type"] == "pong"
        assert len(ann.of("goaway")) == 1


async def test_a_node_that_stops_at_once_leaves_the_close_to_the_server() -> None:
    async with opened() as house:
        (ann,) = await devices(house, 1)
        house.services.send_away(0)
        await until(lambda: bool(ann.of("goaway")))
        assert ann.of("goaway") == [{"type": "goaway", "within": 0}]
        assert (await ann.ask("ping"))["type"] == "pong"


@pytest.mark.parametrize(
    ("features", "is_told"),
    [(["goaway", "another"], True), (["another"], False), ("goaway", False), (None, False)],
)
async def test_the_socket_of_one_chat_is_told_if_it_asked(features: Any, is_told: bool) -> None:
    async with opened() as house:
        ann = await house.world.person("Ann")
        chat = await house.world.chat(ann.actor)
        async with connected(house.app, f"/chats/{chat}/ws") as socket:
            await entered(socket, ann, features=features)
            house.services.send_away(0.01)
            if is_told:
                assert await socket.receive_json() == {"type": "goaway", "within": 0}
            with pytest.raises(Closed) as closed:
                await socket.receive_json()
            assert closed.value.code == 1012


async def test_nobody_is_told_before_being_in() -> None:
    async with opened() as house, connected(house.app, "/ws") as socket:
        house.services.send_away(0)
        socket.send_json({"type": "nothing"})
        assert (await socket.receive_json())["type"] == "auth_error"
