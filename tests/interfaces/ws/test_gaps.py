"""A client of all chats that reads too slowly is told gaps of its busiest chats, before it is disconnected."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import orjson
import pytest

from application.chats.change import ChangeChat
from application.chats.delete import DeleteChat
from application.chats.remove_member import RemoveMember
from application.errors import Unavailable
from application.receipts.mark_read import MarkRead
from domain.ids import ChatId, Position, Seq
from interfaces.wire.all_chats import CursorFrame
from interfaces.wire.frames import Frame
from interfaces.ws.outbox import Outbox, Shedding
from tests.all_chats import Device, House, opened
from tests.interfaces.live.test_hub import until
from tests.interfaces.ws.written import Written

FRAMES = 20
"""The number of frames that may wait. Above 15 gaps begin."""

MANY = 60
"""Messages: more than may wait, and fewer than are replayed."""


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with opened(outbox_frames=FRAMES) as house:
        yield house


class Scene:
    """Ann hears a busy chat and a quiet one; Bob is in both."""

    def __init__(self, house: House, ann: Device, bob: Device, busy: ChatId, quiet: ChatId) -> None:
        self.house, self.ann, self.bob, self.busy, self.quiet = house, ann, bob, busy, quiet

    @classmethod
    async def of(cls, house: House) -> "Scene":
        ann, bob = [Device(house, await house.world.person(name)) for name in ("Ann", "Bob")]
        busy, quiet = [await house.world.chat(bob.person.actor, ann.person.actor) for _ in range(2)]
        await ann.come(window=1)
        return cls(house, ann, bob, busy, quiet)

    async def say(self, chat: ChatId, count: int) -> None:
        for _ in range(count):
            await self.house.world.say(self.bob.person.actor, chat, str(uuid4()))

    async def is_current(self) -> None:
        ann = self.ann
        expected = await self.house.state_of(ann.person.actor)
        await until(lambda: ann.close is not None or ann.picture.state() == expected)
        assert ann.close is None
        assert ann.picture.state() == expected


async def test_the_busiest_chat_gets_a_gap_and_the_others_nothing(house: House) -> None:
    scene = await Scene.of(house)
    ann = scene.ann
    ann.reads.clear()
    await scene.say(scene.quiet, 2)
    await scene.say(scene.busy, MANY)
    await house.world.messenger.chats.change(
        scene.bob.person.actor, ChangeChat(chat_id=scene.busy, name="Renamed meanwhile")
    )
    await scene.say(scene.quiet, 2)
    ann.reads.set()
    await scene.is_current()
    assert ann.picture.gaps == 1, "however many were missed"
    assert ann.picture.skipped.keys() == {str(scene.busy)}
    said = [
        frame["message"]["seq"] for frame in ann.of("new_message") if frame["chat_id"] == str(scene.quiet)
    ]
    assert said == [1, 2, 3, 4]
    after, before = ann.picture.skipped[str(scene.busy)]
    answer = await ann.ask("catch_up", chat_id=scene.busy, after=after, before=before)
    assert [event["position"] for event in answer["events"]] == [*range(after + 1, before)]
    await scene.say(scene.busy, 1)
    await scene.is_current()
    assert ann.picture.gaps == 1


async def test_a_chat_that_becomes_busy_while_another_gap_waits_has_its_turn(house: House) -> None:
    scene = await Scene.of(house)
    ann = scene.ann
    ann.reads.clear()
    await scene.say(scene.busy, MANY)
    channel = house.hub.channels.find(scene.busy)
    assert channel is not None
    await until(lambda: not house.hub.roster.is_live(ann_connection(house), channel.audience))
    await scene.say(scene.quiet, MANY)
    ann.reads.set()
    await scene.is_current()
    assert ann.picture.skipped.keys() == {str(scene.busy), str(scene.quiet)}
    await scene.say(scene.busy, 1)
    await scene.say(scene.quiet, 1)
    await scene.is_current()


async def test_a_cursor_waits_for_the_gap(house: House) -> None:
    """Who loses the connection before the gap was told comes back with a cursor from before it."""
    scene = await Scene.of(house)
    ann = scene.ann
    ann.reads.clear()
    await scene.say(scene.busy, MANY)
    looks = house.hub.all_chats.looks
    await until(lambda: house.hub.all_chats.looks > looks + 5)
    assert ann.socket is not None
    await ann.go()
    assert ann.picture.gaps == 0
    await ann.come_back()
    await scene.is_current()


@pytest.mark.parametrize("how", ["removed", "chat_deleted"])
async def test_the_end_of_a_chat_is_told_although_its_gap_is_not(house: House, how: str) -> None:
    scene = await Scene.of(house)
    ann, chats, bob = scene.ann, house.world.messenger.chats, scene.bob.person.actor
    ann.reads.clear()
    await scene.say(scene.busy, MANY)
    await until(lambda: bool(house.hub.all_chats._visits[ann_connection(house)].to_skip))
    if how == "removed":
        profile_id = ann.person.actor.profile_id
        await chats.remove_member(bob, RemoveMember(chat_id=scene.busy, profile_id=profile_id))
    else:
        await chats.delete(bob, DeleteChat(chat_id=scene.busy))
    await scene.say(scene.quiet, 1)
    ann.reads.set()
    await scene.is_current()
    assert [frame["reason"] for frame in ann.of("chat_removed")] == [how]
    assert ann.picture.gaps == 0
    await ann.ask("ping")
    visit = house.hub.all_chats._visits[ann_connection(house)]
    await until(lambda: visit.is_up_to_date)
    assert ann.picture.gaps == 0, "not of a chat that was left"


def ann_connection(house: House) -> Any:
    (connection,) = house.hub.all_chats._visits
    return connection


async def test_what_others_read_meanwhile_is_told_after_it(house: House) -> None:
    scene = await Scene.of(house)
    ann = scene.ann
    await house.world.say(ann.person.actor, scene.busy, "have you read this?")
    ann.reads.clear()
    await scene.say(scene.busy, MANY)
    channel = house.hub.channels.find(scene.busy)
    assert channel is not None
    await until(lambda: not house.hub.roster.is_live(ann_connection(house), channel.audience))
    await house.world.messenger.messages.mark_read(
        scene.bob.person.actor, MarkRead(chat_id=scene.busy, up_to=Seq(1))
    )
    ann.reads.set()
    await until(lambda: bool(ann.of("read_up_to")))
    assert ann.of("read_up_to")[-1]["others_read_up_to"] >= 1
    await scene.is_current()


async def test_storage_that_does_not_answer_delays_the_gap(house: House) -> None:
    scene = await Scene.of(house)
    ann, all_chats = scene.ann, house.hub.all_chats
    reading, failures = all_chats.some_chats, [0]

    async def failing(*asked: Any) -> Any:
        failures[0] += 1
        if failures[0] <= 2:
            raise Unavailable
        return await reading(*asked)

    ann.reads.clear()
    await scene.say(scene.busy, MANY)
    all_chats.some_chats = failing
    ann.reads.set()
    await scene.is_current()
    assert ann.picture.gaps == 1
    assert failures[0] >= 3


async def test_a_client_that_reads_nothing_at_all_is_closed_in_the_end(house: House) -> None:
    scene = await Scene.of(house)
    ann = scene.ann
    ann.reads.clear()
    await scene.say(scene.busy, MANY)
    assert ann.socket is not None
    for number in range(2 * FRAMES):
        ann.socket.send_json({"type": "ping", "id": number})
    connection = ann_connection(house)
    await until(lambda: connection.outbox.closing is not None)
    assert connection.outbox.closing.code == 1013
    await ann.go()
    await ann.come_back()
    await scene.is_current()


A, B = ChatId(uuid4()), ChatId(uuid4())


def durable(chat: ChatId, position: int, size: int = 10) -> Frame:
    return Frame(orjson.dumps(position).ljust(size), chat, Position(position))


def other(name: str, chat: ChatId | None = None, *, restart: bool = False) -> Frame:
    return Frame(orjson.dumps(name), chat, is_restart=restart)


class Kept:
    """An outbox whose client does not read, and what became of it."""

    def __init__(self, percent: int = 75) -> None:
        self.writer = Written()
        self.begun: list[tuple[ChatId, Position]] = []
        self.outbox = Outbox(self.writer, 8, 100_000)
        self.outbox.shedding = Shedding(percent, lambda chat, after: self.begun.append((chat, after)))
        self.outbox.hold_up()

    def put(self, *frames: Frame) -> None:
        for frame in frames:
            self.outbox.put(frame)

    def read(self) -> list[Any]:
        self.outbox.clear()
        self.outbox.hold_up()
        return [orjson.loads(frame.data) for frame in self.writer.frames]


def test_only_the_durable_frames_of_the_busiest_chat_are_dropped() -> None:
    kept = Kept()
    kept.put(durable(A, 1), durable(B, 7), other("receipt", A), *(durable(A, n) for n in range(2, 6)))
    assert kept.begun == [(A, 0)]
    assert kept.outbox.has_gaps
    kept.put(durable(A, 6), durable(B, 8))
    assert kept.read() == [7, "receipt", 8]
    kept.put(durable(A, 7), other("gap", A, restart=True), durable(A, 8))
    assert kept.read() == [7, "receipt", 8, "gap", 8]
    assert not kept.outbox.has_gaps


def test_what_stands_before_a_cursor_or_a_restart_stays() -> None:
    kept = Kept()
    kept.put(
        durable(A, 1),
        durable(A, 2),
        CursorFrame(b'"cursor"', cursor="c"),
        durable(B, 1),
        durable(B, 2),
        other("removed", B, restart=True),
        durable(A, 3),
        durable(A, 4),
        durable(A, 5),
    )
    assert kept.begun == [(A, 2)]
    assert kept.read() == [1, 2, "cursor", 1, 2, "removed"]


def test_a_cursor_takes_back_nothing_that_it_vouches_for() -> None:
    kept = Kept()
    kept.put(*(durable(A, n) for n in range(1, 7)), CursorFrame(b'"resumed"', cursor="c"))
    assert kept.begun == []
    assert kept.read() == [1, 2, 3, 4, 5, 6, "resumed"]


def test_single_frames_are_not_worth_a_gap() -> None:
    kept = Kept()
    kept.put(*(durable(ChatId(uuid4()), 1) for _ in range(9)))
    assert kept.begun == []
    assert kept.outbox.closing is not None
    assert kept.outbox.closing.code == 1013


def test_it_can_be_switched_off() -> None:
    kept = Kept(percent=100)
    kept.put(*(durable(A, n) for n in range(1, 9)))
    assert kept.begun == []
    assert len(kept.outbox._frames or ()) == 8


def test_the_bytes_of_what_is_dropped_are_given_back() -> None:
    kept = Kept()
    kept.put(*(durable(A, n, size=1000) for n in range(1, 8)))
    assert kept.outbox._size == 0
