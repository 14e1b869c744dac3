import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from attrs import Factory, define, frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from application.errors import OutcomeUnknown, Overloaded, Unavailable
from application.ports.posting import Indigestible, Interrupted
from infrastructure.gather import BatchLimits, Gatherer, complaints

ENOUGH = 60
"""Seconds. A command that has no answer by then never gets one."""


class Busy:
    """What ``use`` answers while another transaction holds the key."""


class Refused(Exception):
    """A command's own error."""


@frozen
class Ask:
    key: str
    name: int
    weight: int = 1
    owner: str = ""


Answers = Sequence[object]
Use = Callable[[Sequence[Ask]], Awaitable[Answers]]


@define(eq=False)
class Batches:
    """Answers as ``script`` says, batch by batch, and with the names of the commands from then on."""

    script: list[Callable[[Sequence[Ask]], Answers | Awaitable[Answers]]] = Factory(list)
    seen: list[list[int]] = Factory(list)

    async def __call__(self, asked: Sequence[Ask]) -> Answers:
        number = len(self.seen)
        self.seen.append([ask.name for ask in asked])
        answers = self.script[number](asked) if number < len(self.script) else names(asked)
        return answers if isinstance(answers, Sequence) else await answers

    @property
    def names(self) -> list[int]:
        return [name for batch in self.seen for name in batch]


def names(asked: Sequence[Ask]) -> Answers:
    return [ask.name for ask in asked]


def busy(asked: Sequence[Ask]) -> Answers:
    return [Busy() for _ in asked]


def busy_when(key: str) -> Callable[[Sequence[Ask]], Answers]:
    return lambda asked: [Busy() if ask.key == key else ask.name for ask in asked]


def raising(error: BaseException) -> Callable[[Sequence[Ask]], Answers]:
    def fail(_: Sequence[Ask]) -> Answers:
        raise error

    return fail


def indigestible(*guilty: int) -> Callable[[Sequence[Ask]], Answers]:
    def digest(asked: Sequence[Ask]) -> Answers:
        if any(ask.name in guilty for ask in asked):
            raise Indigestible
        return names(asked)

    return digest


@define
class Gate:
    """A batch that waits here holds up the ones behind it."""

    reached: asyncio.Event = Factory(asyncio.Event)
    open: asyncio.Event = Factory(asyncio.Event)

    async def __call__(self, asked: Sequence[Ask]) -> Answers:
        self.reached.set()
        await self.open.wait()
        return names(asked)


@asynccontextmanager
async def gathering(use: Use, patient: Use | None = None, **limits: int) -> AsyncIterator[Gatherer[Ask, int]]:
    gatherer: Gatherer[Ask, int] = Gatherer(
        use=use,
        patient_use=patient or Batches(),
        postponed=Busy,
        key=lambda ask: ask.key,
        owner=lambda ask: ask.owner,
        weigh=lambda ask: ask.weight,
        limits=BatchLimits(**limits),
    )
    async with asyncio.timeout(ENOUGH):
        running = asyncio.create_task(gatherer.run())
        yield gatherer
        await gatherer.close()
        await running


async def outcomes(*answers: "asyncio.Future[int]") -> list[Any]:
    """Results, and errors as their classes."""
    found = await asyncio.gather(*answers, return_exceptions=True)
    return [type(each) if isinstance(each, BaseException) else each for each in found]


class TestBatching:
    async def test_who_comes_alone_goes_at_once(self) -> None:
        use = Batches()
        async with gathering(use) as gatherer:
            for name in range(3):
                assert await gatherer.submit(Ask("a", name)) == name
        assert use.seen == [[0], [1], [2]]

    async def test_while_one_batch_is_carried_out_the_next_gathers(self) -> None:
        gate = Gate()
        use = Batches([gate])
        async with gathering(use) as gatherer:
            first = gatherer.submit(Ask("a", 0))
            await gate.reached.wait()
            rest = [gatherer.submit(Ask(str(name % 7), name)) for name in range(1, 100)]
            gate.open.set()
            assert await outcomes(first, *rest) == list(range(100))
        assert len(use.seen) == 2

    async def test_order_is_kept_within_a_key(self) -> None:
        use = Batches()
        async with gathering(use, batch=10, per_key=3) as gatherer:
            answers = [gatherer.submit(Ask("abc"[name % 3], name)) for name in range(60)]
            assert await outcomes(*answers) == list(range(60))
        for key in range(3):
            assert [name for name in use.names if name % 3 == key] == list(range(key, 60, 3))

    async def test_a_busy_key_leaves_room_for_others(self) -> None:
        use = Batches()
        async with gathering(use, batch=10, per_key=4) as gatherer:
            crowd = [gatherer.submit(Ask("crowd", name)) for name in range(20)]
            single = gatherer.submit(Ask("single", 99))
            await outcomes(*crowd, single)
        assert use.seen[0] == [0, 1, 2, 3, 99]

    async def test_owners_of_one_key_take_turns(self) -> None:
        use = Batches()
        async with gathering(use, per_key=6) as gatherer:
            crowd = [gatherer.submit(Ask("a", name, owner="crowd")) for name in range(12)]
            others = [gatherer.submit(Ask("a", 100 + name, owner=f"{name}")) for name in range(2)]
            others.append(gatherer.submit(Ask("a", 200, owner="0")))
            await outcomes(*crowd, *others)
        assert use.seen == [[0, 100, 101, 1, 200, 2], [3, 4, 5, 6, 7, 8], [9, 10, 11]]

    async def test_an_owner_who_was_postponed_keeps_the_turn(self) -> None:
        gate = Gate()
        use = Batches([gate, busy])
        async with gathering(use, per_key=2) as gatherer:
            answers = [gatherer.submit(Ask("b", 0))]
            await gate.reached.wait()
            answers += [gatherer.submit(Ask("a", 1 + name, owner="xxyz"[name])) for name in range(4)]
            gate.open.set()
            assert await outcomes(*answers) == list(range(5))
        assert use.seen == [[0], [1, 3], [1, 3], [4, 2]]

    async def test_a_batch_is_bounded_in_all_and_by_key(self) -> None:
        use = Batches()
        async with gathering(use, batch=8, per_key=5) as gatherer:
            await outcomes(*[gatherer.submit(Ask("ab"[name % 2], name)) for name in range(40)])
        assert max(map(len, use.seen)) == 8
        for batch in use.seen:
            assert max(sum(name % 2 == key for name in batch) for key in (0, 1)) <= 5
        assert sorted(use.names) == list(range(40))

    async def test_a_key_is_bounded_by_weight_but_one_command_always_fits(self) -> None:
        use = Batches()
        async with gathering(use, weight_per_key=100) as gatherer:
            weights = [60, 40, 1, 500, 99, 1, 1]
            await outcomes(*[gatherer.submit(Ask("a", i, weight)) for i, weight in enumerate(weights)])
        assert use.seen == [[0, 1], [2], [3], [4, 5], [6]]

    async def test_a_command_has_its_own_refusal(self) -> None:
        use = Batches([lambda _: [0, Refused("one"), 2]])
        async with gathering(use) as gatherer:
            answers = [gatherer.submit(Ask("a", name)) for name in range(3)]
            assert await outcomes(*answers) == [0, Refused, 2]


class TestBacklog:
    async def test_too_many_are_refused_and_do_not_disturb(self) -> None:
        gate = Gate()
        async with gathering(Batches([gate]), backlog=3) as gatherer:
            first = gatherer.submit(Ask("a", 0))
            await gate.reached.wait()
            taken = [gatherer.submit(Ask("a", name)) for name in (1, 2, 3)]
            with pytest.raises(Overloaded) as refusal:
                _ = gatherer.submit(Ask("b", 4))
            assert refusal.value.retry_after > 0
            gate.open.set()
            assert await outcomes(first, *taken) == [0, 1, 2, 3]
            assert await gatherer.submit(Ask("b", 5)) == 5

    async def test_refusals_are_logged_once_a_minute_with_their_cause(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        complaints._told.clear()
        gate = Gate()
        async with gathering(Batches([gate]), backlog=1) as gatherer:
            first = gatherer.submit(Ask("a", 0))
            await gate.reached.wait()
            second = gatherer.submit(Ask("a", 1))
            for _ in range(3):
                with pytest.raises(Overloaded):
                    _ = gatherer.submit(Ask("a", 2))
            gate.open.set()
            await outcomes(first, second)
            await gatherer.close()
            for _ in range(3):
                with pytest.raises(Unavailable):
                    _ = gatherer.submit(Ask("a", 3))
        assert [record.getMessage() for record in caplog.records] == [
            "batches: overloaded: 1 commands are waiting",
            "batches: unavailable: the process is stopping and takes no more commands",
        ]

    async def test_too_much_is_refused(self) -> None:
        gate = Gate()
        async with gathering(Batches([gate]), backlog_weight=100) as gatherer:
            first = gatherer.submit(Ask("a", 0, 100))
            await gate.reached.wait()
            second = gatherer.submit(Ask("a", 1, 99))
            with pytest.raises(Overloaded):
                _ = gatherer.submit(Ask("a", 2, 2))
            third = gatherer.submit(Ask("a", 3, 1))
            gate.open.set()
            assert await outcomes(first, second, third) == [0, 1, 3]

    async def test_what_left_makes_room_also_when_it_was_postponed_or_cancelled(self) -> None:
        use = Batches([busy, busy])
        async with gathering(use, backlog=2, backlog_weight=2) as gatherer:
            for name in range(0, 20, 2):
                one, other = gatherer.submit(Ask("a", name)), gatherer.submit(Ask("b", name + 1))
                if name % 4:
                    other.cancel()
                await outcomes(one, other)

    @pytest.mark.parametrize("limits", [BatchLimits(backlog=2), BatchLimits(backlog_weight=2)])
    async def test_what_is_put_back_counts_among_what_waits(self, limits: BatchLimits) -> None:
        """Twice taken and once put back, two commands count once: then as many may wait as at first."""
        gate = Gate()
        async with gathering(
            Batches([busy, gate]), backlog=limits.backlog, backlog_weight=limits.backlog_weight
        ) as gatherer:
            postponed = [gatherer.submit(Ask("a", name)) for name in (0, 1)]
            await gate.reached.wait()
            waiting = [gatherer.submit(Ask("b", name)) for name in (2, 3)]
            with pytest.raises(Overloaded):
                _ = gatherer.submit(Ask("b", 4))
            gate.open.set()
            assert await outcomes(*postponed, *waiting) == [0, 1, 2, 3]

    async def test_what_is_put_back_takes_its_room_again(self) -> None:
        gate = Gate()
        async with gathering(Batches([busy] * 3), Batches([gate]), backlog=2) as gatherer:
            postponed = [gatherer.submit(Ask("a", name)) for name in (0, 1)]
            await gate.reached.wait()  # the patient have taken both
            later = [gatherer.submit(Ask("a", name)) for name in (2, 3)]
            with pytest.raises(Overloaded):
                _ = gatherer.submit(Ask("a", 4))
            gate.open.set()
            assert await outcomes(*postponed, *later) == [0, 1, 2, 3]


class TestGivingUp:
    async def test_who_gives_up_while_waiting_takes_the_command_back(self) -> None:
        gate = Gate()
        use = Batches([gate])
        async with gathering(use) as gatherer:
            first = gatherer.submit(Ask("a", 0))
            await gate.reached.wait()
            second, third = gatherer.submit(Ask("a", 1)), gatherer.submit(Ask("a", 2))
            second.cancel()
            gate.open.set()
            await outcomes(first, third)
        assert use.names == [0, 2]

    async def test_in_the_batch_it_is_too_late(self) -> None:
        gate = Gate()
        use = Batches([gate])
        async with gathering(use) as gatherer:
            first, second = gatherer.submit(Ask("a", 0)), gatherer.submit(Ask("a", 1))
            await gate.reached.wait()
            first.cancel()
            gate.open.set()
            assert await second == 1
            assert await gatherer.submit(Ask("a", 2)) == 2
        assert use.names == [0, 1, 2]

    async def test_a_caller_that_is_cancelled_does_not_take_the_batch_with_it(self) -> None:
        gate = Gate()
        use = Batches([gate])
        async with gathering(use) as gatherer:

            async def call() -> int:
                return await gatherer.submit(Ask("a", 0))

            caller = asyncio.create_task(call())
            await gate.reached.wait()
            other = gatherer.submit(Ask("b", 1))
            caller.cancel()
            with pytest.raises(asyncio.CancelledError):
                await caller
            gate.open.set()
            assert await other == 1
        assert use.names == [0, 1]

    async def test_all_gave_up(self) -> None:
        gate = Gate()
        use = Batches([gate])
        async with gathering(use) as gatherer:
            first = gatherer.submit(Ask("a", 0))
            await gate.reached.wait()
            for name in range(1, 4):
                gatherer.submit(Ask("a", name)).cancel()
            gate.open.set()
            await first
        assert use.seen == [[0]]


class TestWhatABatchRaises:
    async def test_halving_finds_the_one_that_storage_refuses(self) -> None:
        digest = indigestible(5)
        use = Batches([digest] * 100)
        async with gathering(use) as gatherer:
            answers = [gatherer.submit(Ask("a", name)) for name in range(16)]
            assert await outcomes(*answers) == [n if n != 5 else Indigestible for n in range(16)]
        assert len(use.seen) <= 2 * 4 + 1

    async def test_several_of_them(self) -> None:
        use = Batches([indigestible(0, 7, 8, 15)] * 100)
        async with gathering(use) as gatherer:
            answers = [gatherer.submit(Ask("ab"[name % 2], name)) for name in range(16)]
            assert await outcomes(*answers) == [Indigestible if n in {0, 7, 8, 15} else n for n in range(16)]

    async def test_what_storage_gave_up_is_tried_once_more(self) -> None:
        use = Batches([raising(Interrupted())])
        async with gathering(use) as gatherer:
            assert await outcomes(gatherer.submit(Ask("a", 0)), gatherer.submit(Ask("b", 1))) == [0, 1]
        assert use.seen == [[0, 1], [0, 1]]

    async def test_and_only_once(self) -> None:
        use = Batches([raising(Interrupted()), raising(Interrupted())])
        async with gathering(use) as gatherer:
            assert await outcomes(gatherer.submit(Ask("a", 0)), gatherer.submit(Ask("a", 1))) == [
                Interrupted,
                Interrupted,
            ]
            assert await gatherer.submit(Ask("a", 2)) == 2
        assert use.seen == [[0, 1], [0, 1], [2]]

    @pytest.mark.parametrize("error", [Unavailable(), OutcomeUnknown()])
    async def test_what_is_certain_is_told_to_all_and_not_tried_again(self, error: Exception) -> None:
        use = Batches([raising(error)])
        async with gathering(use) as gatherer:
            answers = [gatherer.submit(Ask("a", name)) for name in range(3)]
            assert await outcomes(*answers) == [type(error)] * 3
            assert await gatherer.submit(Ask("a", 3)) == 3
        assert use.seen == [[0, 1, 2], [3]]

    async def test_what_nobody_expected_leaves_the_outcome_open(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        use = Batches([raising(ZeroDivisionError())])
        async with gathering(use) as gatherer:
            answers = [gatherer.submit(Ask("a", name)) for name in range(3)]
            assert await outcomes(*answers) == [OutcomeUnknown] * 3
            assert await gatherer.submit(Ask("a", 3)) == 3
        assert "ZeroDivisionError" in caplog.text

    async def test_answers_of_another_number_leave_the_outcome_open(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        use = Batches([lambda _: [0]])
        async with gathering(use) as gatherer:
            answers = [gatherer.submit(Ask("a", name)) for name in range(3)]
            assert await outcomes(*answers) == [OutcomeUnknown] * 3
            assert await gatherer.submit(Ask("a", 3)) == 3
        assert caplog.records


class TestBusyKeys:
    async def test_they_go_into_the_next_batch_in_their_order(self) -> None:
        use = Batches([busy_when("a")])
        async with gathering(use) as gatherer:
            answers = [gatherer.submit(Ask("ab"[name % 2], name)) for name in range(6)]
            assert await outcomes(*answers) == list(range(6))
        assert use.seen == [[0, 2, 4, 1, 3, 5], [0, 2, 4]]

    async def test_nothing_of_the_key_overtakes_them(self) -> None:
        gate = Gate()

        async def busy_after_the_gate(asked: Sequence[Ask]) -> Answers:
            await gate(asked)
            return busy(asked)

        use = Batches([busy_after_the_gate])
        async with gathering(use, per_key=2) as gatherer:
            answers = [gatherer.submit(Ask("a", name)) for name in range(3)]
            await gate.reached.wait()
            answers += [gatherer.submit(Ask("a", name)) for name in range(3, 6)]
            gate.open.set()
            assert await outcomes(*answers) == list(range(6))
        assert use.seen == [[0, 1], [0, 1], [2, 3], [4, 5]]

    async def test_after_three_skips_the_patient_waits_and_the_others_go_on(self) -> None:
        gate = Gate()
        use, patient = Batches([busy_when("a")] * 100), Batches([gate])
        async with gathering(use, patient) as gatherer:
            stuck = gatherer.submit(Ask("a", 0))
            await gate.reached.wait()
            assert use.names.count(0) == 3
            for name in range(1, 20):
                assert await gatherer.submit(Ask("b", name)) == name
            assert not stuck.done()
            gate.open.set()
            assert await stuck == 0
        assert patient.seen == [[0]]
        assert use.names.count(0) == 3

    async def test_later_commands_of_the_key_queue_behind(self) -> None:
        gate = Gate()
        use, patient = Batches([busy_when("a")] * 3), Batches([gate])
        async with gathering(use, patient) as gatherer:
            first = gatherer.submit(Ask("a", 0))
            await gate.reached.wait()
            later = [gatherer.submit(Ask("a", name)) for name in (1, 2)]
            other = gatherer.submit(Ask("b", 3))
            assert await other == 3
            assert not any(answer.done() for answer in (first, *later))
            gate.open.set()
            assert await outcomes(first, *later) == [0, 1, 2]
        assert patient.seen == [[0]]
        assert use.seen[-1] == [1, 2], "what came meanwhile goes the ordinary way again"

    async def test_several_busy_keys_are_waited_for_one_after_the_other(self) -> None:
        use, patient = Batches([busy] * 3), Batches()
        async with gathering(use, patient) as gatherer:
            answers = [gatherer.submit(Ask("abc"[name % 3], name)) for name in range(6)]
            assert await outcomes(*answers) == list(range(6))
        assert patient.seen == [[0, 3], [1, 4], [2, 5]]

    async def test_the_patient_may_be_refused_too(self) -> None:
        use, patient = Batches([busy_when("a")] * 3), Batches([raising(Unavailable("lock timeout"))])
        async with gathering(use, patient) as gatherer:
            stuck, other = gatherer.submit(Ask("a", 0)), gatherer.submit(Ask("b", 1))
            assert await outcomes(stuck, other) == [Unavailable, 1]
            assert await gatherer.submit(Ask("a", 2)) == 2

    async def test_a_key_that_was_served_begins_to_count_anew(self) -> None:
        use, patient = Batches([busy, busy, names, busy, busy, names]), Batches()
        async with gathering(use, patient) as gatherer:
            for name in range(2):
                assert await gatherer.submit(Ask("a", name)) == name
        assert patient.seen == []

    async def test_halves_of_a_busy_key_stay_in_order(self) -> None:
        """The half that is refused as busy first must not be overtaken by the half behind it."""

        def split(asked: Sequence[Ask]) -> Answers:
            if len(asked) > 2:
                raise Indigestible
            return busy(asked)

        use = Batches([split, split])
        async with gathering(use) as gatherer:
            answers = [gatherer.submit(Ask("a", name)) for name in range(4)]
            assert await outcomes(*answers) == list(range(4))
        assert use.seen == [[0, 1, 2, 3], [0, 1], [0, 1, 2, 3]]


class TestClosing:
    async def test_it_takes_nothing_more_and_answers_everybody(self) -> None:
        gate = Gate()
        use, patient = Batches([gate, busy_when("b"), busy_when("b"), busy_when("b")]), Batches()
        async with gathering(use, patient, per_key=2) as gatherer:
            answers = [gatherer.submit(Ask("a", 0))]
            await gate.reached.wait()
            answers += [gatherer.submit(Ask("ab"[name % 2], name)) for name in range(1, 20)]
            await gatherer.close()
            with pytest.raises(Unavailable):
                _ = gatherer.submit(Ask("a", 99))
            gate.open.set()
            assert await outcomes(*answers) == list(range(20))

    async def test_nobody_waits_for_ever_when_it_is_cancelled(self) -> None:
        gate = Gate()
        gatherer: Gatherer[Ask, int] = Gatherer(
            use=gate,
            patient_use=gate,
            postponed=Busy,
            key=lambda ask: ask.key,
            weigh=lambda ask: ask.weight,
        )
        running = asyncio.create_task(gatherer.run())
        answers = [gatherer.submit(Ask("a", 0))]
        await gate.reached.wait()
        answers.append(gatherer.submit(Ask("a", 1)))
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert await outcomes(*answers) == [OutcomeUnknown, Unavailable]


Step = tuple[str, bool]
"""What a batch does, and whether it lets others run before."""

steps = st.lists(
    st.tuples(
        st.sampled_from(["ok", "busy", "half busy", "indigestible", "interrupted", "unknown", "broken"]),
        st.booleans(),
    ),
    max_size=25,
)


@settings(max_examples=150)
@given(
    keys=st.lists(st.sampled_from("abc"), min_size=1, max_size=25),
    owners=st.lists(st.sampled_from("xyz"), min_size=25, max_size=25),
    guilty=st.sets(st.integers(0, 24), max_size=3),
    cancelled=st.sets(st.integers(0, 24), max_size=3),
    pauses=st.sets(st.integers(0, 24)),
    script=steps,
    patient_script=steps,
    limits=st.fixed_dictionaries(
        {"batch": st.integers(1, 10), "per_key": st.integers(1, 5), "weight_per_key": st.integers(1, 5)}
    ),
)
def test_whatever_storage_does_each_is_answered_once_and_owners_keep_their_order(
    keys: list[str],
    owners: list[str],
    guilty: set[int],
    cancelled: set[int],
    pauses: set[int],
    script: list[Step],
    patient_script: list[Step],
    limits: dict[str, int],
) -> None:
    done: dict[str, list[int]] = defaultdict(list)

    def storage(script: list[Step]) -> Use:
        rest = iter(script)

        async def use(asked: Sequence[Ask]) -> Answers:
            what, wait = next(rest, ("ok", False))
            if wait:
                await asyncio.sleep(0)
            if what in {"interrupted", "unknown", "broken"}:
                raise {"interrupted": Interrupted(), "unknown": OutcomeUnknown(), "broken": ValueError()}[
                    what
                ]
            if any(ask.name in guilty for ask in asked) or (what == "indigestible" and len(asked) > 1):
                raise Indigestible
            held = {"busy": set("abc"), "half busy": {asked[0].key}}.get(what, set())
            answers: list[object] = []
            for ask in asked:
                if ask.key in held:
                    answers.append(Busy())
                else:
                    done[ask.key].append(ask.name)
                    answers.append(ask.name)
            return answers

        return use

    async def main() -> list[Any]:
        async with gathering(storage(script), storage(patient_script), **limits) as gatherer:
            answers = []
            for name, key in enumerate(keys):
                answers.append(gatherer.submit(Ask(key, name, owner=owners[name])))
                if name in cancelled:
                    answers[-1].cancel()
                if name in pauses:
                    await asyncio.sleep(0)
        assert all(answer.done() for answer in answers), "closing answers everybody"
        return await outcomes(*answers)

    found = asyncio.run(main())
    for key, carried_out in done.items():
        assert len(carried_out) == len(set(carried_out)), f"{key}: each once"
        for owner in "xyz":
            own = [name for name in carried_out if owners[name] == owner]
            assert own == sorted(own), f"{owner} of {key} in order"
    for name, outcome in enumerate(found):
        if name in cancelled:
            assert name not in done[keys[name]], "taken back before it was in a batch"
        elif isinstance(outcome, int):
            assert outcome == name
            assert name in done[keys[name]]
        elif outcome in {Indigestible, Interrupted}:
            assert name not in done[keys[name]], "what is refused was not done"
            assert outcome is not Indigestible or name in guilty
        else:
            assert outcome is OutcomeUnknown
