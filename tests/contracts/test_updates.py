"""
What `application.ports.updates` promises, on everything that carries updates.

Within a process each listener hears each update at once. Other processes hear the updates of one publisher about one chat in
their order; updates may be lost or doubled on the way, and then they are read from the log (`test_changes.py`).
"""

import asyncio
from collections.abc import Sequence
from itertools import pairwise
from uuid import uuid4

import pytest

from application.ports.updates import ChatUpdate, Moved, Update
from domain.events import SessionEnd, SessionEnded
from domain.ids import ChatId, ProfileId, SessionId
from tests.contracts.buses import (
    EPOCH,
    InMemory,
    Medium,
    Notified,
    OverNats,
    Process,
    change,
    connected,
    process,
    processes,
    until,
)
from tests.strategies import START

BETWEEN_PROCESSES = ("notify", "nats")


@pytest.fixture(params=("memory", *BETWEEN_PROCESSES))
def medium(request: pytest.FixtureRequest) -> "Medium | InMemory":
    return InMemory() if request.param == "memory" else shared(request)


@pytest.fixture(params=BETWEEN_PROCESSES)
def wire(request: pytest.FixtureRequest) -> Medium:
    return shared(request)


def shared(request: pytest.FixtureRequest) -> Medium:
    if request.param == "nats":
        return OverNats(request.getfixturevalue("nats_server"))
    return Notified(request.getfixturevalue("emptied_database"))


def a_chat() -> ChatId:
    return ChatId(uuid4())


def in_order(positions: Sequence[int]) -> bool:
    return all(one < other for one, other in pairwise(positions))


async def test_own_listeners_hear_at_once_and_in_order(medium: Medium) -> None:
    async with process(medium) as one:
        chat = a_chat()
        one.bus.publish([change(chat, 1), change(chat, 2)])
        one.bus.publish([change(chat, 3)])
        assert one.heard == [change(chat, 1), change(chat, 2), change(chat, 3)]
        assert [len(call) for call in one.calls] == [2, 1]


async def test_a_listener_that_fails_keeps_no_other_from_hearing(
    medium: Medium, caplog: pytest.LogCaptureFixture
) -> None:
    bus = medium.make()

    def fail(_: Sequence[Update]) -> None:
        raise ValueError("a mistake")

    bus.subscribe(fail)
    other = Process(bus)
    bus.publish([change(a_chat(), 1)])
    assert len(other.heard) == 1
    assert "a listener failed" in caplog.text


async def test_all_processes_hear_each_publisher_in_order(medium: Medium) -> None:
    async with processes(medium, 3) as all_of_them:
        chats = [a_chat(), a_chat()]
        for position in range(1, 201):
            for one, chat in zip(all_of_them, chats, strict=False):
                one.bus.publish([change(chat, position, "Ж" * position)])
            if position % 10 == 0:
                await asyncio.sleep(0)
        await until(lambda: all(200 in each.positions(chat) for each in all_of_them for chat in chats))
        assert all(in_order(each.positions(chat)) for each in all_of_them for chat in chats)
        assert all(len(each.positions(chat)) == 200 for each in all_of_them for chat in chats)


async def test_what_is_published_at_the_end_still_goes_out(wire: Medium) -> None:
    async with process(wire) as other:
        chat = a_chat()
        async with process(wire) as one:
            await connected([one, other])
            one.bus.publish([change(chat, 1)])
        await until(lambda: bool(other.positions(chat)))


async def test_updates_of_another_line_of_history_are_not_told(wire: Medium) -> None:
    async with processes(wire, 2) as (one, other), process(wire, "an earlier one") as late:
        old, new = a_chat(), a_chat()
        mark = a_chat()
        late.bus.publish([change(old, 1)])
        late.bus.see(EPOCH)
        await connected([one, other, late])
        late.bus.publish([change(mark, 1)])
        await until(lambda: bool(other.positions(mark)))
        assert not other.positions(old)
        other.bus.see("a later one")
        one.bus.publish([change(new, 1)])
        one.bus.see("a later one")
        await connected([one, other])
        assert not other.positions(new)


async def test_nothing_is_sent_before_the_line_of_history_is_known(wire: Medium) -> None:
    chat = a_chat()
    async with processes(wire, 1) as (other,), process(wire, "") as one:
        one.bus.publish([change(chat, 1)])
        assert one.positions(chat) == [1]
        one.bus.see(EPOCH)
        await connected([one, other])
        assert not other.positions(chat)


async def test_connections_that_are_lost_are_made_again(wire: Medium) -> None:
    async with processes(wire, 2) as (one, other):
        for _ in range(2):
            await wire.cut()
            await connected([one, other])
        chat = a_chat()
        one.bus.publish([change(chat, 1)])
        await until(lambda: bool(other.positions(chat)))


async def test_what_cannot_be_read_is_left_out(wire: Medium, caplog: pytest.LogCaptureFixture) -> None:
    async with processes(wire, 2) as (one, other):
        await wire.send_nonsense()
        await connected([one, other])
    assert "an envelope cannot be read" in caplog.text


async def test_a_subscriber_that_does_not_read_delays_nobody(wire: Medium) -> None:
    async with wire.deaf(), processes(wire, 2) as (one, other):
        chat = a_chat()
        for position in range(1, 2001):
            one.bus.publish([change(chat, position, "x" * 2000)])
            if position % 100 == 0:
                await asyncio.sleep(0)
        await until(lambda: 2000 in other.positions(chat))


async def test_a_publisher_never_waits_and_the_rest_becomes_hints(wire: Medium) -> None:
    """A bus that carries nothing must not fill the memory of a publisher."""
    bus = wire.make()
    bus.see(EPOCH)
    chats = [a_chat(), a_chat()]
    for position in range(1, 10_001):
        bus.publish([change(chat, position) for chat in chats])
    async with processes(wire, 1) as (other,):
        running = asyncio.create_task(bus.run())
        last = {Moved(chat_id=chat, position=change(chat, 10_000).position) for chat in chats}
        await until(
            lambda: last <= {Moved(chat_id=each.chat_id, position=each.position) for each in told(other)}
        )
        running.cancel()
        await asyncio.wait([running])
    assert len(told(other)) <= 10_001


def told(heard: Process) -> list[Moved]:
    """Everything that was heard about the logs of chats, as hints."""
    return [
        Moved(chat_id=each.chat_id, position=each.position)
        for each in heard.heard
        if isinstance(each, ChatUpdate | Moved)
    ]


async def test_an_update_that_is_too_long_becomes_a_hint(wire: Medium) -> None:
    ended = SessionEnded(
        profile_id=ProfileId(uuid4()),
        session_id=SessionId(uuid4()),
        reason=SessionEnd.REVOKED,
        at=START,
    )
    async with processes(wire, 2) as (one, other):
        chat = a_chat()
        one.bus.publish([change(chat, 1, "x" * 2_000_000), change(chat, 2), ended])
        await until(lambda: ended in other.heard)
        heard = [each for each in other.heard if each == ended or getattr(each, "chat_id", None) == chat]
        assert heard == [Moved(chat_id=chat, position=change(chat, 1).position), change(chat, 2), ended]


async def test_chats_to_which_nobody_listens_can_be_left_out(wire: Medium) -> None:
    async with processes(wire, 2) as (one, other):
        wanted, unwanted = a_chat(), a_chat()
        other.bus.focus(lambda chat_id: chat_id == wanted)
        one.bus.publish([change(unwanted, 1), change(wanted, 1), change(unwanted, 2)])
        await until(lambda: bool(other.positions(wanted)))
        assert not other.positions(unwanted)
        assert one.positions(unwanted) == [1, 2], "own listeners hear everything"
