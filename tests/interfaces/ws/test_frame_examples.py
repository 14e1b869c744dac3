"""Every example of a client's frame works as it stands, on a server with the example people."""

from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
import pytest_asyncio
from attrs import define

from application.accounts.sign_in import SignIn
from domain.account import Email
from domain.session import Fingerprint
from interfaces.wire import examples
from interfaces.wire import server_frames as told
from interfaces.wire.registry import Channel, ClientFrame, example, hints, of_clients, type_of
from tests.all_chats import House, opened
from tests.frame_schemas import of_answers
from tests.interfaces.ws.asgi import ClientSocket, connected

Json = dict[str, Any]

pytestmark = pytest.mark.asyncio(loop_scope="module")

LAST: Final = ("remove_member", "delete_chat", "leave_chat")
"""What takes away something that other examples need."""


@define
class Visitor:
    """Anna, of the example people."""

    house: House
    token: str

    async def enter(self, socket: ClientSocket, row: ClientFrame, last: str) -> list[Json]:
        """Sends the example of `auth` as a new client. Returns what came, up to a frame of the type ``last``."""
        fields = {name: value for name, value in example(row).items() if name != "since"}
        socket.send_json(fields | {"token": self.token})
        return await up_to(socket, "type", last)


async def up_to(socket: ClientSocket, name: str, value: str) -> list[Json]:
    came: list[Json] = [await socket.receive_json()]
    while came[-1].get(name) != value:
        came.append(await socket.receive_json())
    return came


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def visitor() -> AsyncIterator[Visitor]:
    async with opened(first_page=1) as house:
        await house.world.application.administration().fill_examples()
        signed_in = await house.world.messenger.accounts.sign_in(
            SignIn(
                email=Email(examples.EMAIL),
                password=examples.PASSWORD,
                fingerprint=Fingerprint(examples.FINGERPRINT),
            )
        )
        yield Visitor(house, signed_in.access_token)


def in_order(channel: Channel) -> tuple[ClientFrame, list[ClientFrame]]:
    """The row of `auth`, and the others in an order in which each finds what it needs."""
    first, *others = of_clients(channel)
    return first, sorted(others, key=lambda row: LAST.index(row.type) if row.type in LAST else -1)


async def test_on_the_socket_of_one_chat(visitor: Visitor) -> None:
    auth, requests = in_order(Channel.CHAT)
    async with connected(visitor.house.app, f"/chats/{examples.CHAT}/ws") as socket:
        entered = await visitor.enter(socket, auth, "chat_history")
        assert of_answers(auth).is_valid(entered[0])
        for row in requests:
            socket.send_json(example(row))
            socket.send_json({"type": "ping", "id": f"after {row.type}"})
            came = await up_to(socket, "id", f"after {row.type}")
            assert "error" not in {frame["type"] for frame in came}
            if row.answer:
                assert type_of(row.answer) in {frame["type"] for frame in came}


async def test_on_the_socket_of_all_chats(visitor: Visitor) -> None:
    auth, requests = in_order(Channel.ALL_CHATS)
    async with connected(visitor.house.app, "/ws") as socket:
        entered = await visitor.enter(socket, auth, "resumed")
        assert of_answers(auth).is_valid(entered[0])
        (page,) = (frame["next"] for frame in entered if frame["type"] == "snapshot")
        # what no example can know: the place of a page; and a key belongs to one request
        made: dict[str, Json] = {"more": {"next": page}}
        for row in requests:
            fields = {**example(row), "id": row.type, **made.get(row.type, {})}
            for name in {"key", "nonce"} & fields.keys():
                fields[name] = f"{fields[name]}-{row.type}"
            socket.send_json(fields)
            answer = (await up_to(socket, "id", row.type))[-1]
            assert of_answers(row).is_valid(answer), answer
            assert row.answer
            expected = row.answer if "type" in hints(row.answer) else told.Answer
            assert answer["type"] == type_of(expected)
