"""Long pages are written in parts, and are not in memory for clients that do not read them."""

import asyncio
from typing import Any

import pytest
from attrs import evolve
from websockets.frames import Opcode

from application.errors import Unavailable
from domain.ids import ChatId
from interfaces.wire.parts import PART_BYTES
from tests.interfaces.live.test_hub import until
from tests.interfaces.ws.house import ENOUGH, House

COUNT, LENGTH = 100, 4000
PAGE_BYTES = COUNT * LENGTH * 3
"""Each character has three."""


@pytest.fixture(params=["handed over"])
def way(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


async def told_much(house: House) -> ChatId:
    chat = await house.chat("Ann", "Bob")
    actor = (await house.person("Ann")).actor
    for number in range(COUNT):
        await house.world.say(actor, chat, f"{number} ".ljust(LENGTH, "€"))
    return chat


def waiting_bytes(house: House) -> list[int]:
    """What the transports of all sockets hold, those in the server's outboxes left aside: they are counted there."""
    return [
        connection.transport.get_write_buffer_size() for connection in house.server.server_state.connections
    ]


def texts(frame: dict[str, Any]) -> list[int]:
    return [int(message["text"].partition(" ")[0]) for message in frame["messages"]]


async def test_a_long_page_is_whole(house: House) -> None:
    chat = await told_much(house)
    bob = await house.enter("Bob", chat)
    for limit, offset, expected in ((COUNT, 1, range(COUNT)), (45, 2, range(COUNT - 90, COUNT - 45))):
        bob.say(type="get_chat_history", limit=limit, offset=offset)
        frame = await bob.hear()
        assert list(frame) == ["type", "messages", "total_count", "unread_count"]
        assert (frame["type"], frame["total_count"], frame["unread_count"]) == ("chat_history", COUNT, COUNT)
        assert texts(frame) == list(expected)
        assert set(frame["messages"][0]) == {
        "id", "created_at", "updated_at", "text", "sender", "read_at", "sent_at", "chat_id", "sender_id", "seq",
        "position",
        }  # fmt: skip


async def test_what_is_told_meanwhile_comes_behind_it_and_pings_are_answered_within(house: House) -> None:
    chat = await told_much(house)
    bob = await house.enter("Bob", chat, narrow=True)
    bob.say(type="get_chat_history", limit=COUNT)
    await until(lambda: max(waiting_bytes(house)) > 0)
    await house.world.say((await house.person("Ann")).actor, chat, "meanwhile")
    bob.write(Opcode.PING, b"there?")
    opcodes: list[int] = []
    data = b""
    while not (opcodes and bob.is_final and opcodes[-1] != Opcode.PONG):
        opcode, part = await bob.frame()
        opcodes.append(opcode)
        data += part if opcode != Opcode.PONG else b""
    assert opcodes[0] == Opcode.TEXT
    assert set(opcodes[1:]) <= {Opcode.CONT, Opcode.PONG}
    told = await bob.hear()
    assert told["message"]["text"] == "meanwhile"


async def test_what_a_slow_reader_has_missed_comes_before_a_page_that_it_asks_for(house: House) -> None:
    chat = await told_much(house)
    token = (await house.person("Bob")).token
    before, bob = await house.line(chat), await house.line(chat, narrow=True)
    before.say(type="auth", token=token)
    entered = await before.hear()
    since = {"epoch": entered["epoch"], "position": entered["position"] - 40}
    bob.say(type="auth", token=token, since=since)
    bob.say(type="get_chat_history", limit=10)
    await until(lambda: house.services.outboxes.used > 0)
    heard = [await bob.hear() for _ in range(43)]
    assert [frame["type"] for frame in heard] == [
        "auth_success",
        *["new_message"] * 40,
        "resumed",
        "chat_history",
    ]
    assert texts(heard[-1]) == list(range(COUNT - 10, COUNT))


async def test_it_is_not_in_memory_for_those_who_do_not_read(house: House) -> None:
    chat = await told_much(house)
    readers = [await house.enter("Bob", chat, narrow=True) for _ in range(10)]
    for line in readers:
        line.say(type="get_chat_history", limit=COUNT)
    await until(lambda: sum(size > 0 for size in waiting_bytes(house)) == len(readers))
    await asyncio.sleep(0.2)
    most = max(waiting_bytes(house))
    print(f"{most} of {PAGE_BYTES} bytes")
    assert most < 4 * PART_BYTES < PAGE_BYTES / 4
    assert house.services.outboxes.used == 0
    for line in readers:
        frame = await line.hear()
        assert texts(frame) == list(range(COUNT)), "those who read on get all of it"


async def test_a_page_that_cannot_be_read_on_closes_the_socket(house: House) -> None:
    chat = await told_much(house)
    bob = await house.enter("Bob", chat, narrow=True)
    messages = house.services.messenger.messages
    history, calls = messages.history, iter(range(100))

    async def fails_the_second_time(*asked: Any) -> Any:
        if next(calls):
            raise Unavailable
        return await history(*asked)

    object.__setattr__(messages, "history", fails_the_second_time)
    bob.say(type="get_chat_history", limit=COUNT)
    await until(lambda: max(waiting_bytes(house)) > 0)
    opcodes: list[int] = []
    async with asyncio.timeout(ENOUGH):
        while not opcodes or opcodes[-1] != Opcode.CLOSE:
            opcode, _ = await bob.frame()
            opcodes.append(opcode)
    assert Opcode.TEXT not in opcodes[1:], "nothing is told within an unfinished message"


async def test_a_page_whose_rest_is_missing_closes_the_socket(house: House) -> None:
    chat = await told_much(house)
    bob = await house.enter("Bob", chat, narrow=True)
    messages = house.services.messenger.messages
    history, calls = messages.history, iter(range(100))

    async def finds_nothing_the_second_time(*asked: Any) -> Any:
        page = await history(*asked)
        return evolve(page, rows=[]) if next(calls) else page

    object.__setattr__(messages, "history", finds_nothing_the_second_time)
    bob.say(type="get_chat_history", limit=COUNT)
    opcodes: list[int] = []
    async with asyncio.timeout(ENOUGH):
        while not opcodes or opcodes[-1] != Opcode.CLOSE:
            opcode, _ = await bob.frame()
            opcodes.append(opcode)
    assert opcodes[0] == Opcode.TEXT
