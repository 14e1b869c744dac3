"""Others are told at most once a second that somebody types, and what was said last is always told in the end."""

import asyncio
import itertools
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.ids import ChatId, ProfileId
from interfaces.ws.options import SocketOptions
from interfaces.ws.typing import Typing, Typists
from tests.interfaces.live.test_hub import until
from tests.interfaces.ws.house import House, Line

ANN = (ChatId(uuid4()), ProfileId(uuid4()))

OPTIONS = SocketOptions()

INTERVAL, EXPIRY = OPTIONS.typing_interval, OPTIONS.typing_expiry


def one_socket(typists: Typists) -> Typing:
    return Typing(ANN, typists, INTERVAL, EXPIRY)


def test_each_state_is_told_once_a_second() -> None:
    typing = one_socket(Typists())
    said = [(0, True), (0.5, True), (0.6, False), (0.9, False), (1.1, True), (1.2, True)]
    assert [now for now, state in said if typing.say(state, now) == 0] == [0, 0.6, 1.1]


def test_what_came_too_soon_is_told_later() -> None:
    typing = one_socket(Typists())
    assert [typing.say(True, 0), typing.say(False, 0.1), typing.say(True, 1.05)] == [0, 0, 0]
    assert typing.say(False, 1.08) == pytest.approx(0.02)
    assert typing.due(1.1) is False
    assert typing.due(1.1) is None, "they know it by now"


class Others:
    """What others know of one socket, with a timer as the exchange keeps one."""

    def __init__(self) -> None:
        self.typists = Typists()
        self.typing = one_socket(self.typists)
        self.told: list[tuple[float, bool]] = []
        self.timer: float | None = None

    def say(self, is_typing: bool, now: float) -> None:
        self.until(now)
        wait = self.typing.say(is_typing, now)
        if wait == 0:
            self.told.append((now, is_typing))
        elif wait and self.timer is None:
            self.timer = now + wait

    def until(self, now: float) -> None:
        if self.timer is not None and self.timer <= now:
            at, self.timer = self.timer, None
            if (state := self.typing.due(at)) is not None:
                self.told.append((at, state))


@given(st.lists(st.tuples(st.floats(0, 1.5), st.booleans()), min_size=1, max_size=30))
def test_whatever_is_said_the_last_of_it_is_told_and_nothing_too_often(
    said: list[tuple[float, bool]],
) -> None:
    others, now = Others(), 0.0
    for wait, state in said:
        now += wait
        others.say(state, now)
    others.until(now + INTERVAL)
    known = others.told[-1][1] if others.told else False
    assert known == said[-1][1]
    assert len(others.typists) == known
    for state in (True, False):
        times = [at for at, told in others.told if told == state]
        assert all(after - before >= INTERVAL - 1e-9 for before, after in itertools.pairwise(times))


def test_only_the_last_socket_that_goes_ends_it() -> None:
    typists = Typists()
    phone, desk, silent = [one_socket(typists) for _ in range(3)]
    phone.say(True, 0)
    desk.say(True, 0)
    assert [each.stop(1) for each in (silent, phone, desk, desk)] == [False, False, True, False]
    assert len(typists) == 0


def test_a_state_is_not_taken_back_while_another_socket_types() -> None:
    typists = Typists()
    phone, desk = one_socket(typists), one_socket(typists)
    assert [phone.say(True, 0), desk.say(True, 0)] == [0, 0]
    assert phone.say(False, 2) is None, "the desk still types"
    assert desk.say(False, 2) == 0
    assert len(typists) == 0


def test_what_has_expired_counts_no_more() -> None:
    typists = Typists()
    phone, desk = one_socket(typists), one_socket(typists)
    phone.say(True, 0)
    desk.say(True, 4)
    assert phone.is_told(EXPIRY - 0.1)
    assert not phone.is_told(EXPIRY)
    assert desk.stop(EXPIRY + 1), "the phone is silent since long, so the desk is the last"
    assert not phone.stop(EXPIRY + 1), "the others know that already"
    assert len(typists) == 0


def test_what_is_said_again_is_told_again_so_that_it_does_not_expire() -> None:
    typing = one_socket(Typists())
    assert [typing.say(True, now) for now in (0, 0.5, 1, 2, 3)] == [0, None, 0, 0, 0]


async def typed(line: Line, count: int) -> list[bool]:
    told: list[Any] = []
    while len(told) < count:
        frame = await line.hear()
        if frame["type"] == "typing":
            told.append(frame["is_typing"])
    return told


class TestOverSockets:
    @pytest.mark.parametrize("how", ["is cut", "leaves"])
    async def test_it_ends_when_its_socket_goes_though_another_one_of_the_same_person_stays(
        self, house: House, how: str
    ) -> None:
        chat = await house.chat("Ann", "Bob")
        bob, phone, _ = [await house.enter(name, chat) for name in ("Bob", "Ann", "Ann")]
        phone.say(type="typing", is_typing=True)
        assert await typed(bob, 1) == [True]
        if how == "is cut":
            phone.writer.transport.abort()
        else:
            phone.say(type="leave_chat")
        assert await typed(bob, 1) == [False]

    async def test_it_goes_on_while_another_socket_of_the_same_person_types(self, house: House) -> None:
        chat = await house.chat("Ann", "Bob")
        bob, phone, desk = [await house.enter(name, chat) for name in ("Bob", "Ann", "Ann")]
        for line in (phone, desk):
            line.say(type="typing", is_typing=True)
        assert await typed(bob, 2) == [True, True]
        phone.writer.transport.abort()
        await until(lambda: len([*house.hub.roster.listeners]) == 2)
        bob.say(type="ping", id=1)
        while (frame := await bob.hear())["type"] != "pong":
            assert frame["type"] != "typing", "it has not ended"
        desk.writer.transport.abort()
        assert await typed(bob, 1) == [False]

    async def test_the_last_state_is_told_though_it_came_too_soon(self, house: House) -> None:
        chat = await house.chat("Ann", "Bob")
        bob, ann = [await house.enter(name, chat) for name in ("Bob", "Ann")]
        for state in (True, False, True, False, True):
            ann.say(type="typing", is_typing=state)
        assert await typed(bob, 3) == [True, False, True]

    async def test_what_was_said_last_is_told_before_its_end(self, house: House) -> None:
        """A frame that waits for a send is carried out after its socket went, and the end comes behind it."""
        chat = await house.chat("Ann", "Bob")
        bob, ann = [await house.enter(name, chat) for name in ("Bob", "Ann")]
        ann.say(type="send_message", text="x", nonce="n")
        ann.say(type="typing", is_typing=True)
        await ann.writer.drain()
        ann.writer.close()
        await asyncio.sleep(0)
        assert await typed(bob, 2) == [True, False]
