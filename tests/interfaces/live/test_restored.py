"""A log that ends before what a node has told: an earlier state was restored, and the node has yet to see that."""

import pytest

from domain.ids import Position
from interfaces.ws.closing import CloseCode
from tests.all_chats import Device, opened
from tests.interfaces.ws.asgi import Closed, connected


async def test_nobody_enters_such_a_chat_and_storage_is_not_asked_again_and_again() -> None:
    async with opened(interval=3600) as house:
        ann = await house.world.person("Ann")
        chat = await house.world.chat(ann.actor)
        house.hub.channels.open(chat).position = Position(5)
        device = Device(house, ann, "ws")
        await device.come()
        assert device.close is not None
        assert device.close.code == CloseCode.TRY_LATER
        house.hub.channels.open(chat).position = Position(5)
        async with connected(house.app, f"/chats/{chat}/ws") as socket:
            socket.send_json({"type": "auth", "token": ann.token})
            with pytest.raises(Closed) as closed:
                await socket.receive(10)
        assert closed.value.code == CloseCode.TRY_LATER
