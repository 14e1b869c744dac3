"""What a relay leaves out when more waits than can be sent: first what is said again anyway."""

import asyncio
from uuid import UUID

from application.ports.updates import Attendance, AttendingThere, Moved, Update
from domain.ids import ChatId, Position, ProfileId
from infrastructure.relay import APART, Relay
from infrastructure.update_codec import read_envelope
from tests.strategies import START


def attending(number: int) -> AttendingThere:
    return AttendingThere(
        node="one",
        chat_id=ChatId(UUID(int=number)),
        profile_ids=(ProfileId(UUID(int=1)),),
        change=Attendance.JOINED,
        at=START,
    )


def moved(number: int) -> Moved:
    return Moved(chat_id=ChatId(UUID(int=number)), position=Position(number))


def sent(relay: Relay) -> list[Update]:
    updates: list[Update] = []
    while not relay.is_empty:
        for batch in relay.take().values():
            for data in batch.envelopes:
                envelope = read_envelope(data, lambda *_: True)
                assert envelope is not None
                updates.extend(envelope.updates)
    return updates


def relay() -> Relay:
    made = Relay(publisher="one", most_bytes=10_000, most_waiting=10)
    made.see("an epoch")
    return made


def test_who_is_there_makes_room_for_messages() -> None:
    full = relay()
    full.publish([moved(1), moved(2)])
    full.publish([attending(number) for number in range(20)])
    assert sent(full) == [moved(1), moved(2)]


def test_messages_become_one_hint_for_each_chat() -> None:
    full = relay()
    full.publish([*(moved(1) for _ in range(8)), *(attending(number) for number in range(20))])
    assert sent(full) == [moved(1)]


async def test_behind_a_batch_of_several_the_next_one_waits_for_more() -> None:
    relay = Relay(publisher="one", most_bytes=10_000)
    relay.see("epoch")
    began = asyncio.get_running_loop().time()
    relay.publish([moved(1), moved(2)])
    await relay.filled(60.0)
    assert sent(relay) == [moved(1), moved(2)]
    relay.publish([moved(3)])
    waiting = asyncio.create_task(relay.filled(60.0))
    await asyncio.sleep(0)
    relay.publish([moved(4)])
    await waiting
    assert asyncio.get_running_loop().time() - began >= APART
    assert sent(relay) == [moved(3), moved(4)]


async def test_behind_a_single_update_nothing_waits() -> None:
    relay = Relay(publisher="one", most_bytes=10_000)
    relay.see("epoch")
    for number in (1, 2):
        relay.publish([moved(number)])
        waiting = asyncio.create_task(relay.filled(60.0))
        await asyncio.sleep(0)
        assert waiting.done()
        assert sent(relay) == [moved(number)]


async def test_what_it_has_sent_itself_is_not_told_again() -> None:
    relay, other = (Relay(publisher=name, most_bytes=10_000) for name in ("one", "one more"))
    heard: list[Update] = []
    relay.subscribe(heard.extend)
    for each in (relay, other):
        each.see("epoch")
        each.publish([moved(1)])
        for batch in each.take().values():
            for envelope in batch.envelopes:
                relay.hear(envelope)
    assert heard == [moved(1), moved(1)], "its own at once, and that of the other one"
