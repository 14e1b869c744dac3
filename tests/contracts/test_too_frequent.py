"""Nobody says the same twice within moments, on however many processes; unless they name what they say."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest
from attrs import define
from hypothesis import given, settings
from hypothesis import strategies as st

from application.actor import Actor
from application.messages.send import Answer, Sent
from application.ports.posting import BeginPosting
from application.ports.views import Newest
from domain.chat import Chat
from domain.chat_errors import NotAMember, TooFrequent
from domain.ids import ChatId
from tests.contracts.conftest import ADAPTERS, Rig
from tests.contracts.talk import Talk, actor, open_chat, saying
from tests.storages import SharedStorage, divided_storage, memory_storage, postgres_storage
from tests.strategies import START

INTERVAL = timedelta(seconds=1)
MICROSECOND = timedelta(microseconds=1)
ENOUGH = 60
"""Seconds."""

SLOT = datetime(2026, 11, 23, 12, 0, 0, tzinfo=START.tzinfo)
"""Where one begins, for every interval that divides a second."""


@define
class Hands:
    """A clock that stands where it was put."""

    at: datetime = SLOT

    def now(self) -> datetime:
        return self.at


@pytest.fixture(params=ADAPTERS)
async def storage(request: pytest.FixtureRequest) -> AsyncIterator[SharedStorage]:
    if request.param == "memory":
        yield memory_storage()
    elif request.param == "citus":
        async with divided_storage(request.getfixturevalue("emptied_citus")) as storage:
            yield storage
    else:
        url = request.getfixturevalue("emptied_database")
        async with postgres_storage(url) as storage:
            yield storage


@define(eq=False)
class Saying:
    talk: Talk
    clock: Hands

    async def at(
        self,
        moment: datetime,
        who: Actor,
        chat: Chat,
        text: str = "Hello",
        nonce: str | None = None,
        begin: BeginPosting | None = None,
    ) -> Answer:
        self.clock.at = moment
        begin = begin or self.talk.storage.begin_posting
        (answer,) = await self.talk.sending(begin)([saying(who, chat.id, text, nonce)])
        return answer


def says(storage: SharedStorage, interval: timedelta = INTERVAL) -> Saying:
    clock = Hands()
    return Saying(Talk(storage, clock=clock, interval=interval), clock)  # type: ignore[arg-type]  # one that stands


async def texts(storage: SharedStorage, who: Actor, chat_id: ChatId) -> list[str]:
    page = await storage.views.history(who.profile_id, chat_id, Newest(), 1000)
    return [view.message.body.text for view in page.messages]


async def test_the_same_text_waits(storage: SharedStorage) -> None:
    ann = actor()
    chat, say = await open_chat(storage.begin, ann), says(storage)
    assert isinstance(await say.at(SLOT, ann, chat, "Hello"), Sent)
    for later, wait in ((0.0, 1.0), (0.3, 0.7), (0.9, 0.1)):
        refused = await say.at(SLOT + timedelta(seconds=later), ann, chat, "  Hello ")
        assert isinstance(refused, TooFrequent)
        assert refused.wait == pytest.approx(wait), "a refusal does not begin the wait again"
    assert isinstance(await say.at(SLOT + INTERVAL, ann, chat, "Hello"), Sent)
    assert isinstance(await say.at(SLOT + 2 * INTERVAL - MICROSECOND, ann, chat, "Hello"), TooFrequent)
    assert await texts(storage, ann, chat.id) == ["Hello"] * 2


async def test_what_is_not_the_same(storage: SharedStorage) -> None:
    ann, bob = actor(), actor()
    chat, other = await open_chat(storage.begin, ann, bob), await open_chat(storage.begin, ann)
    say = says(storage)
    for who, where, text, nonce in (
        (ann, chat, "dup", None),
        (ann, chat, "DUP", None),
        (ann, chat, "du  p", None),
        (bob, chat, "dup", None),
        (ann, other, "dup", None),
        (ann, chat, "dup", "n"),
        (ann, chat, "dup", "m"),
    ):
        answer = await say.at(SLOT, who, where, text, nonce)
        assert isinstance(answer, Sent)
        assert not answer.duplicate
    assert isinstance(await say.at(SLOT, ann, chat, "dup"), TooFrequent)


async def test_what_was_named_does_not_count_as_said(storage: SharedStorage) -> None:
    ann = actor()
    chat, say = await open_chat(storage.begin, ann), says(storage)
    assert isinstance(await say.at(SLOT, ann, chat, nonce="n"), Sent)
    assert isinstance(await say.at(SLOT, ann, chat), Sent)


async def test_a_key_of_ours_is_nobodys_nonce(storage: SharedStorage) -> None:
    ann = actor()
    chat, say = await open_chat(storage.begin, ann), says(storage)
    assert isinstance(await say.at(SLOT, ann, chat), Sent)
    page = await storage.views.history(ann.profile_id, chat.id, Newest(), 10)
    assert [view.message.nonce for view in page.messages] == [None], "derived ones are never shown"
    slot = int(SLOT.timestamp())
    for guess in (f"t:{slot}", f"d:{slot}", f"s:{slot}"):
        answer = await say.at(SLOT, ann, chat, "Hello", nonce=guess)
        assert isinstance(answer, Sent)
        assert not answer.duplicate


BACK = [timedelta(0), INTERVAL / 4, INTERVAL, 1.75 * INTERVAL, timedelta(hours=1)]


@pytest.mark.parametrize("back", BACK, ids=str)
@pytest.mark.parametrize("offset", [timedelta(0), INTERVAL / 2, INTERVAL - MICROSECOND], ids=str)
@pytest.mark.parametrize("waited", [timedelta(0), INTERVAL / 2], ids=str)
async def test_the_wait_is_true_also_after_the_clock_stepped_back(
    storage: SharedStorage, back: timedelta, offset: timedelta, waited: timedelta
) -> None:
    """Somebody spoke before it stepped back, so that messages are sent later than the clock says."""
    ann = actor()
    chat, say = await open_chat(storage.begin, ann), says(storage)
    now = SLOT + offset
    assert isinstance(await say.at(now + back, ann, chat, "before"), Sent)
    assert isinstance(await say.at(now, ann, chat), Sent)
    refused = await say.at(now + waited, ann, chat)
    assert isinstance(refused, TooFrequent)
    assert timedelta(seconds=refused.wait) <= 2 * INTERVAL
    until = now + waited + timedelta(seconds=refused.wait)
    too_soon = await say.at(until - MICROSECOND, ann, chat)
    assert isinstance(too_soon, TooFrequent)
    assert too_soon.wait == pytest.approx(1e-6, abs=1e-7)
    assert isinstance(await say.at(until, ann, chat), Sent)


async def test_what_was_said_after_the_clock_stepped_back_does_not_wait_for_what_was_said_before(
    storage: SharedStorage,
) -> None:
    ann = actor()
    chat, say = await open_chat(storage.begin, ann), says(storage)
    assert isinstance(await say.at(SLOT + timedelta(hours=1), ann, chat), Sent)
    assert isinstance(await say.at(SLOT, ann, chat), Sent)
    (_, refused) = await say.talk.send(saying(ann, chat.id, "Bye"), saying(ann, chat.id, "Bye"))
    assert isinstance(refused, TooFrequent)
    assert refused.wait <= 2, "also within a batch"


async def test_in_one_batch(storage: SharedStorage) -> None:
    ann = actor()
    chat, say = await open_chat(storage.begin, ann), says(storage)
    answers = await say.talk.send(
        saying(ann, chat.id, "Hello"),
        saying(ann, chat.id, "Hello"),
        saying(ann, chat.id, "Bye"),
        saying(ann, chat.id, "Hello", nonce="n"),
        saying(ann, chat.id, "Hello"),
    )
    assert [type(answer) for answer in answers] == [Sent, TooFrequent, Sent, Sent, TooFrequent]


async def test_a_refusal_of_membership_comes_first_and_occupies_nothing(storage: SharedStorage) -> None:
    ann, stranger = actor(), actor()
    chat, say = await open_chat(storage.begin, ann), says(storage)
    for _ in range(2):
        assert isinstance(await say.at(SLOT, stranger, chat), NotAMember)


@pytest.mark.parametrize("offset", [timedelta(0), INTERVAL / 2, INTERVAL - MICROSECOND], ids=str)
async def test_across_processes_and_the_boundaries_of_slots(
    storage: SharedStorage, offset: timedelta
) -> None:
    ann = actor()
    chat, say = await open_chat(storage.begin, ann), says(storage)
    first, there = SLOT + offset, storage.neighbour()
    assert isinstance(await say.at(first, ann, chat), Sent)
    for later in (timedelta(0), MICROSECOND, INTERVAL / 2, INTERVAL - MICROSECOND):
        assert isinstance(await say.at(first + later, ann, chat, begin=there), TooFrequent)
    assert isinstance(await say.at(first + INTERVAL, ann, chat, begin=there), Sent)
    assert isinstance(await say.at(first + INTERVAL, ann, chat), TooFrequent)


async def test_sixteen_at_once_from_two_processes_are_one(storage: SharedStorage) -> None:
    ann = actor()
    chat, say = await open_chat(storage.begin, ann), says(storage)
    async with (
        asyncio.timeout(ENOUGH),
        say.talk.gathering() as one,
        say.talk.gathering_elsewhere() as other,
    ):
        answers = await asyncio.gather(
            *((one, other)[n % 2].submit(saying(ann, chat.id)) for n in range(16)), return_exceptions=True
        )
    assert sorted(type(answer).__name__ for answer in answers) == ["Sent"] + ["TooFrequent"] * 15
    assert await texts(storage, ann, chat.id) == ["Hello"]


ODD = timedelta(microseconds=333_333)
"""No power of two divides it, and no second is a multiple of it: as floats, times near a boundary are in the wrong slot."""

ticks = st.integers(0, 3).flatmap(
    lambda slots: st.sampled_from([-1, 0, 1]).map(lambda n: slots * 333_333 + n)
)


@pytest.mark.explored
def test_both_storages_answer_alike_whatever_the_clock_does(messenger_database: str) -> None:
    ann = actor()
    with asyncio.Runner() as runner:
        opened = postgres_storage(messenger_database)
        storages = [memory_storage(), runner.run(opened.__aenter__())]

        @settings(max_examples=60)
        @given(st.lists(st.tuples(st.integers(-3_000_000, 3_000_000) | ticks, st.sampled_from("ab"))))
        def check(steps: list[tuple[int, str]]) -> None:
            told = []
            for storage in storages:
                chat, say = runner.run(open_chat(storage.begin, ann)), says(storage, ODD)
                now, answers = SLOT, []
                for step, text in steps:
                    now += step * MICROSECOND
                    answer = runner.run(say.at(now, ann, chat, text))
                    answers.append(answer.wait if isinstance(answer, TooFrequent) else type(answer))
                told.append(answers)
            assert told[0] == told[1]

        check()
        runner.run(opened.__aexit__(None, None, None))


@pytest.mark.explored
def test_to_the_microsecond(rig: Rig) -> None:
    ann = actor()

    @settings(max_examples=60)
    @given(
        st.integers(0, 10**16).map(lambda ticks: SLOT + ticks * MICROSECOND),
        st.lists(ticks | st.integers(0, 1_000_000), min_size=1, max_size=6).map(sorted),
        st.booleans(),
    )
    def check(start: datetime, steps: list[int], at_a_boundary: bool) -> None:
        chat, say = rig.runner.run(open_chat(rig.storage.begin, ann)), says(rig.storage, ODD)
        if at_a_boundary:
            start -= (start - datetime(1970, 1, 1, tzinfo=START.tzinfo)) % ODD
        last = None
        for step in [0, *(step for step in steps if step >= 0)]:
            now = start + timedelta(microseconds=step)
            answer = rig.runner.run(say.at(now, ann, chat))
            if last is None or now - last >= ODD:
                assert isinstance(answer, Sent)
                last = now
            else:
                assert isinstance(answer, TooFrequent)
                assert answer.wait == pytest.approx((last + ODD - now).total_seconds())

    check()
