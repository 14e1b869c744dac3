"""When everything counts as healed, and what the cursors of a node show."""

import asyncio
from random import Random
from types import SimpleNamespace
from typing import Any, cast

import orjson
import pytest

from tests.checker.all_chats import Client, Known
from tests.checker.history import Looked
from tests.simulation.chance import Chance
from tests.simulation.clients import Notebook
from tests.system.faults.pulse import Beat, Pulse, PulseVisit, all_heard

TALK, QUIET = "talk", "quiet"
NODE = cast(Any, SimpleNamespace(name="north", outbox_frames=256))


def pulse(name: str, beats: dict[str, Beat], *, is_alone: bool = True) -> Pulse:
    made = Pulse(
        person=cast(Any, SimpleNamespace(profile=f"{name}'s profile")),
        name=name,
        notebook=Notebook(),
        chance=Chance(Random(1)),
        nodes=[NODE],
        profiles=[],
        session="session",
        token="token",
        node=NODE,
        chat=TALK,
        beats=beats,
        is_alone=is_alone,
    )
    made.client = Client(made.person.profile, chats={chat: known(0) for chat in (TALK, QUIET)})
    return made


def known(position: int) -> Known:
    return Known(position, position, "chat", 2, None, 0, 0, 0)


async def has_healed(pulses: list[Pulse], beats: dict[str, Beat]) -> bool:
    try:
        async with asyncio.timeout(0.05):
            await all_heard(pulses, beats, since=1.0)
    except TimeoutError:
        return False
    return True


def said(author: str, chat: str, position: int, began: float = 2.0) -> Beat:
    return Beat(author, chat, began, acked=began + 0.1, position=position)


async def test_a_gap_counts_as_heard() -> None:
    """The client of a slow reader knows from it how far the chat goes."""
    beats = {"a": said("north", TALK, 1), "b": said("south", TALK, 2)}
    pulses = [pulse(name, beats) for name in ("north", "south")]
    for each in pulses:
        each.client.chats[TALK] = known(1)
    assert not await has_healed(pulses, beats)
    state = {
        "chat": {"name": "chat", "member_count": 2},
        "position": 2,
        "seq": 2,
        "last_message": {"id": "m2"},
        "read_up_to": 0,
        "unread_count": 2,
    }
    gap = {"type": "gap", "chat_id": TALK, "after": 0, "before": 3, "state": state}
    for each in pulses:
        assert [*each.client.take(gap)] == []
    assert await has_healed(pulses, beats)


async def test_nothing_has_healed_while_a_quiet_chat_is_not_known() -> None:
    beats = {
        "a": said("north", TALK, 1),
        "b": said("south", TALK, 2),
        "whispered": said("anna", QUIET, 1, began=0.5),
    }
    pulses = [pulse(name, beats) for name in ("north", "south")]
    for each in pulses:
        each.client.chats[TALK] = known(2)
    pulses[0].client.chats[QUIET] = known(1)
    assert not await has_healed(pulses, beats)
    assert (
        pulses[1]
        .state(beats.values())
        .startswith("south is not in, waits for 0 of 0 answers, misses 1 messages")
    )
    pulses[1].client.chats[QUIET] = known(1)
    assert await has_healed(pulses, beats)


@pytest.mark.parametrize("is_alone", [True, False])
async def test_a_node_has_looked_when_three_cursors_follow_an_answer(*, is_alone: bool) -> None:
    """The first one may be older than the question, and the second one may be of a look that had begun."""
    beats = {"a": Beat("north", TALK, began=2.0)}
    one = pulse("north", beats, is_alone=is_alone)
    visit = PulseVisit(one, NODE, 1)
    visit.sends["s1"] = 1, "a"

    def hear(**frame: object) -> None:
        visit.hear(orjson.dumps(frame).decode())

    hear(type="cursor", cursor="c0")
    message = {"id": "m1", "seq": 1, "position": 1}
    hear(type="answer", id="s1", chat_id=TALK, message=message, duplicate=False)
    for number in (1, 2, 3):
        hear(type="cursor", cursor=f"c{number}")
    looked = [event.since for event in one.notebook.events if isinstance(event, Looked)]
    assert [since for since in looked if since > 0] == ([2.0] if is_alone else [])


async def test_a_message_is_heard_when_it_comes_though_its_answer_comes_later() -> None:
    beats: dict[str, Beat] = {}
    one = pulse("north", beats)
    visit = PulseVisit(one, NODE, 1)
    before = one.at
    fields = {"id": "m1", "seq": 1, "sender_id": "anna", "nonce": "said 1"}
    frame = {"type": "new_message", "chat_id": QUIET, "position": 1, "after": 0, "message": fields}
    visit.hear(orjson.dumps(frame).decode())
    assert before <= one.told["said 1"] <= one.at
