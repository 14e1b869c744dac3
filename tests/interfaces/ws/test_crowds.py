"""How many sockets there may be at once, how often they are opened, and what a flood of requests on one is told."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from application.actor import Actor
from config.settings.groups import Limits
from domain.ids import SessionId
from interfaces.ws.crowds import Crowds, TooManySockets
from tests.contracts.talk import actor
from tests.interfaces.live.test_hub import until
from tests.interfaces.ws.house import House, serving
from tests.world import SETTINGS

ANN, BOB = actor("Ann"), actor("Bob")
SESSIONS = [
    evolve(who, session_id=SessionId(uuid4()), network=network)
    for who in (ANN, ANN, BOB)
    for network in ("a", "b", "")
]


@given(
    limits=st.tuples(*[st.integers(0, 3)] * 3),
    comings=st.lists(st.tuples(st.sampled_from(SESSIONS), st.booleans()), max_size=40),
)
def test_there_are_never_more_than_there_may_be(
    limits: tuple[int, int, int], comings: list[tuple[Actor, bool]]
) -> None:
    crowds = Crowds(*limits)
    there: list[tuple[Actor, Any]] = []
    for who, is_leaving in comings:
        if is_leaving and there:
            crowds.give_back(there.pop(0)[1])
            continue
        same = [
            sum(one.session_id == who.session_id for one, _ in there),
            sum(one.account_id == who.account_id for one, _ in there),
            sum(one.network == who.network for one, _ in there) if who.network else 0,
        ]
        is_full = any(most and count >= most for most, count in zip(limits, same, strict=True))
        try:
            there.append((who, crowds.take(who)))
        except TooManySockets:
            assert is_full
        else:
            assert not is_full
    for _, place in there:
        crowds.give_back(place)
    assert len(crowds) == 0


async def opened(house: House, name: str, chat: Any) -> Any:
    line = await house.line(chat)
    line.say(type="auth", token=(await house.person(name)).token)
    return line


@pytest.fixture
async def house() -> AsyncIterator[House]:
    limits = Limits(sends=2, marks=2, typing=1, connects=4)
    async with serving("handed over", settings=evolve(SETTINGS, limits=limits), per_session=2) as house:
        yield house


async def test_one_socket_too_many_is_told_when_to_come_back(house: House) -> None:
    chat = await house.chat("Ann", "Bob")
    first, _ = [await house.enter("Ann", chat) for _ in range(2)]
    refused = await opened(house, "Ann", chat)
    assert await refused.until_close() == []
    assert refused.close == (1013, "too many sockets; try again in 30 s")
    await house.enter("Bob", chat)
    first.writer.close()
    await until(lambda: len([*house.hub.roster.listeners]) == 2)
    await house.enter("Ann", chat)


async def test_sockets_that_are_opened_too_often_are_told_when_to_come_back(house: House) -> None:
    chat = await house.chat("Ann")
    for _ in range(4):
        line = await house.enter("Ann", chat)
        line.writer.close()
        await until(lambda: not [*house.hub.roster.listeners])
    refused = await opened(house, "Ann", chat)
    assert await refused.until_close() == []
    code, reason = refused.close or (0, "")
    assert (code, reason.partition(" try again in ")[0]) == (1013, "too many requests;")


async def test_a_flood_on_one_socket_is_answered_frame_by_frame(house: House) -> None:
    chat = await house.chat("Ann")
    line = await house.enter("Ann", chat)
    for number in range(4):
        line.say(type="send_message", text=f"{number}", nonce=f"{number}")
    heard: dict[str, Any] = {}
    while len(heard) < 4:
        frame = await line.hear()
        if "nonce" in frame and frame["type"] in {"message_ack", "error"}:
            heard[frame["nonce"]] = frame
    assert [heard[f"{number}"]["type"] for number in range(4)] == ["message_ack"] * 2 + ["error"] * 2
    for number in (2, 3):
        assert heard[f"{number}"]["code"] == "too_many_requests"
        assert 0 < heard[f"{number}"]["retry_after"] <= 60


@pytest.mark.parametrize(
    ("frame", "most"),
    [
        ({"type": "mark_read", "last_read_message_id": str(uuid4())}, 2),
        ({"type": "mark_single_read", "message_id": str(uuid4())}, 2),
    ],
)
async def test_requests_without_an_answer_are_refused_aloud(
    house: House, frame: dict[str, Any], most: int
) -> None:
    chat = await house.chat("Ann")
    line = await house.enter("Ann", chat)
    for _ in range(most + 1):
        line.say(**frame)
    refused = await line.hear()
    while refused["type"] != "error":
        refused = await line.hear()
    assert refused["code"] == "too_many_requests"
    assert refused["retry_after"] > 0


async def test_typing_is_refused_aloud_too(house: House) -> None:
    one, two = [await house.chat("Ann", "Bob") for _ in range(2)]
    (await house.enter("Ann", one)).say(type="typing", is_typing=True)
    bob = await house.enter("Bob", one)
    line = await house.enter("Ann", two)
    bob.writer.close()
    line.say(type="typing", is_typing=True)
    frame = await line.hear()
    while frame["type"] != "error":
        frame = await line.hear()
    assert frame["code"] == "too_many_requests"
