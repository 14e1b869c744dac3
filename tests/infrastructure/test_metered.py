"""Measuring changes nothing but the figures."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from attrs import Factory, define
from dependency_injector.providers import Object

from application.errors import OutcomeUnknown, Unavailable
from application.meter import Kind, Unmetered
from application.ports.mailer import NotDelivered
from application.ports.updates import Update
from application.receipts.mark_read import MarkRead
from config.container import Application, MemoryAdapters
from domain.ids import Seq
from domain.notification import Letter
from infrastructure.memory.storage import MemoryStorage
from infrastructure.metered import (
    LAG_EVERY,
    MeteredMailer,
    measure_loop_lag,
    metered_begin,
    metered_listener,
    metered_use,
)
from tests.strategies import START
from tests.world import SETTINGS, MessengerWorld, TickingClock


@define
class Notes(Unmetered):
    batches: list[tuple[Kind, int, float]] = Factory(list)
    commits: list[tuple[Kind, float]] = Factory(list)
    telling: list[float] = Factory(list)
    letters: list[str] = Factory(list)
    looks: list[None] = Factory(list)

    def batch_done(self, kind: Kind, commands: int, seconds: float) -> None:
        self.batches.append((kind, commands, seconds))

    def batch_committed(self, kind: Kind, seconds: float) -> None:
        self.commits.append((kind, seconds))

    def update_delivered(self, seconds: float) -> None:
        self.telling.append(seconds)

    def letter_tried(self, outcome: str) -> None:
        self.letters.append(outcome)

    def caught_up(self) -> None:
        self.looks.append(None)


async def test_the_loop_lags_by_as_much_as_something_holds_it_up() -> None:
    lags: list[float] = []
    measured = asyncio.Event()

    def record(seconds: float) -> None:
        lags.append(seconds)
        measured.set()

    measuring = asyncio.create_task(measure_loop_lag(record))
    await asyncio.sleep(0)  # it sleeps from here on
    time.sleep(LAG_EVERY + 0.2)  # noqa: ASYNC251 - holds up the loop on purpose
    await asyncio.wait_for(measured.wait(), 30)
    measuring.cancel()
    assert lags[0] > 0.15


async def test_a_batch_is_counted_when_it_was_carried_out() -> None:
    notes = Notes()

    async def use(asked: Sequence[int]) -> list[int]:
        await asyncio.sleep(0.01)
        if asked[0] < 0:
            raise Unavailable
        return [2 * each for each in asked]

    metered = metered_use(use, "marks", notes)
    assert await metered([1, 2, 3]) == [2, 4, 6]
    with pytest.raises(Unavailable):
        await metered([-1])
    ((kind, size, seconds),) = notes.batches
    assert (kind, size) == ("marks", 3)
    assert seconds > 0.009


async def test_only_the_commit_is_the_commit_and_a_failed_one_is_none() -> None:
    notes, storage = Notes(), MemoryStorage()

    @asynccontextmanager
    async def slowly() -> AsyncIterator[object]:
        async with storage.begin_posting() as posting:
            yield posting
            await asyncio.sleep(0.02)

    began = time.monotonic()
    async with metered_begin(slowly, "messages", notes)():
        await asyncio.sleep(0.05)
        began_to_commit = time.monotonic()
    ended = time.monotonic()
    ((kind, seconds),) = notes.commits
    assert kind == "messages"
    assert 0.019 < seconds <= ended - began_to_commit < ended - began

    @asynccontextmanager
    async def unknown() -> AsyncIterator[object]:
        async with storage.begin_posting() as posting:
            yield posting
            raise OutcomeUnknown

    with pytest.raises(OutcomeUnknown):
        async with metered_begin(unknown, "messages", notes)():
            pass
    with pytest.raises(KeyError):
        async with metered_begin(slowly, "messages", notes)():
            raise KeyError
    assert len(notes.commits) == 1


def test_listeners_hear_what_they_heard() -> None:
    notes = Notes()
    heard: list[Sequence[Update]] = []
    metered_listener(heard.append, notes)([])
    assert heard == [[]]
    assert len(notes.telling) == 1


@pytest.mark.parametrize(
    ("failure", "outcome"),
    [(None, "sent"), (NotDelivered("down"), "failed"), (NotDelivered("nobody", for_good=True), "error")],
)
async def test_letters_by_outcome(failure: NotDelivered | None, outcome: str) -> None:
    notes = Notes()

    class Mailer:
        async def send(self, letter: Letter, token: str | None) -> None:
            if failure:
                raise failure

    mailer, letter = MeteredMailer(Mailer(), notes), object()
    if failure:
        with pytest.raises(NotDelivered) as raised:
            await mailer.send(letter, "")  # type: ignore[arg-type]  # nobody looks at it
        assert raised.value is failure
    else:
        await mailer.send(letter, "")  # type: ignore[arg-type]  # as above
    assert notes.letters == [outcome]


async def test_a_whole_messenger_is_measured() -> None:
    notes = Notes()
    adapters = MemoryAdapters(settings=SETTINGS, clock=Object(TickingClock(START)))
    here = MessengerWorld(Application(adapters=adapters, meter=Object(notes)))
    gatherers = here.application.sending(), here.application.marking()
    running = [asyncio.create_task(gatherer.run()) for gatherer in gatherers]
    ann = await here.actor("Ann")
    chat_id = await here.chat(ann)
    await here.say(ann, chat_id, "Hello")
    mark = MarkRead(chat_id=chat_id, up_to=Seq(1))
    await asyncio.gather(
        here.messenger.messages.mark_read(ann, mark), here.messenger.messages.mark_read(ann, mark)
    )
    await here.messenger.feed.changes.since(await here.messenger.feed.changes.now())
    for gatherer in gatherers:
        await gatherer.close()
    await asyncio.gather(*running)
    here.application.passwords().close()
    assert [(kind, size) for kind, size, _ in notes.batches] == [("messages", 1), ("marks", 2)]
    assert [kind for kind, _ in notes.commits] == ["messages", "marks"]
    assert len(notes.looks) == 2
