"""`Together` answers questions that are asked at the same moment with one read."""

import asyncio
from collections.abc import Hashable, Mapping, Sequence

import pytest
from attrs import Factory, define

from application.errors import Unavailable
from infrastructure.postgres.driver.together import Together


@define(eq=False)
class Library:
    """Answers each question with itself and the number of the read. Reads wait until `open` is set."""

    reads: list[tuple[Hashable, list[str]]] = Factory(list)
    open: asyncio.Event = Factory(asyncio.Event)
    failure: BaseException | None = None
    refused: Mapping[str, Exception] = Factory(dict)
    """The questions of which any read fails."""
    weights: Mapping[str, int] = Factory(dict)

    async def read(self, kind: Hashable, questions: Sequence[str]) -> Mapping[str, str]:
        self.reads.append((kind, [*questions]))
        number = len(self.reads)
        await self.open.wait()
        if self.failure is not None:
            raise self.failure
        for question in questions:
            if question in self.refused:
                raise self.refused[question]
        return {question: f"{question} {number}" for question in questions if question != "unknown"}

    async def weigh(self, questions: Sequence[str]) -> Sequence[int]:
        return [self.weights[question] for question in questions]


def asked(
    together: Together[str, str], *questions: tuple[str, str], kind: Hashable = None
) -> list["asyncio.Task[str | None]"]:
    """Asks pairs of an owner and a question."""
    return [
        asyncio.create_task(together.ask(question, owner=owner, kind=kind)) for owner, question in questions
    ]


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_questions_of_one_moment_share_a_read() -> None:
    library = Library()
    library.open.set()
    together = Together(library.read)
    tasks = asked(together, ("ann", "1"), ("bob", "2"), ("ann", "1"), ("ann", "unknown"))
    assert await asyncio.gather(*tasks) == ["1 1", "2 1", "1 1", None]
    assert [sorted(questions) for _, questions in library.reads] == [["1", "2", "unknown"]]


async def test_a_read_does_not_answer_what_is_asked_after_its_beginning() -> None:
    library = Library()
    together = Together(library.read, at_once=1)
    early = asked(together, ("ann", "1"))
    await settled()
    late = asked(together, ("ann", "1"))
    await settled()
    library.open.set()
    assert await asyncio.gather(*early, *late) == ["1 1", "1 2"]


async def test_owners_have_turns() -> None:
    library = Library()
    library.open.set()
    together = Together(library.read, most=2, at_once=1)
    tasks = asked(together, *[("ann", str(number)) for number in range(4)], ("bob", "b"))
    await asyncio.gather(*tasks)
    assert [questions for _, questions in library.reads] == [["0", "b"], ["1", "2"], ["3"]]


async def test_kinds_are_read_apart() -> None:
    library = Library()
    library.open.set()
    together = Together(library.read)
    tasks = [*asked(together, ("ann", "1"), kind="a"), *asked(together, ("bob", "1"), kind="b")]
    assert await asyncio.gather(*tasks) == ["1 1", "1 2"]
    assert library.reads == [("a", ["1"]), ("b", ["1"])]


async def test_an_owner_of_many_kinds_has_one_turn_at_a_time() -> None:
    library = Library()
    together = Together(library.read, at_once=1)
    tasks = [task for number in range(50) for task in asked(together, ("ann", "a"), kind=number)]
    await settled()
    tasks += [*asked(together, ("bob", "b"), kind="his"), *asked(together, ("eve", "e"), kind="hers")]
    await settled()
    library.open.set()
    await asyncio.gather(*tasks)
    assert [kind for kind, _ in library.reads[:5]] == [0, 1, "his", "hers", 2]


async def test_others_who_ask_the_same_kind_go_with_the_owner_whose_turn_it_is() -> None:
    library = Library()
    library.open.set()
    together = Together(library.read, most=3, at_once=1)
    tasks = [
        *asked(together, ("ann", "1"), kind="x"),
        *asked(together, *[(f"one of {number}", f"{number}") for number in range(4)], kind="y"),
        *asked(together, ("ann", "hers"), kind="y"),
        *asked(together, ("one of 3", "more"), kind="z"),
    ]
    await asyncio.gather(*tasks)
    assert library.reads == [
        ("x", ["1"]),
        ("y", ["0", "1", "2"]),
        ("y", ["3", "hers"]),
        ("z", ["more"]),
    ]


async def test_who_was_just_answered_waits_for_those_who_asked_later() -> None:
    library = Library()
    library.open.set()
    together = Together(library.read, most=1, at_once=1)
    tasks = [
        *asked(together, ("ann", "1"), kind="x"),
        *asked(together, ("ann", "2"), ("bob", "3"), kind="y"),
    ]
    await asyncio.gather(*tasks)
    assert library.reads == [("x", ["1"]), ("y", ["3"]), ("y", ["2"])]


async def test_a_batch_is_read_in_parts_of_bounded_weight_and_the_light_ones_are_answered_first() -> None:
    library = Library(weights={"huge": 900, "a": 4, "b": 5, "c": 6, "d": 7})
    library.open.set()
    together = Together(library.read, library.weigh, heaviest=10)
    tasks = asked(together, *[(name, name) for name in library.weights])
    assert await asyncio.gather(*tasks) == ["huge 4", "a 1", "b 1", "c 2", "d 3"]
    assert [questions for _, questions in library.reads] == [["a", "b"], ["c"], ["d"], ["huge"]]


async def test_questions_whose_askers_know_the_weight_are_not_weighed() -> None:
    library = Library(weights={"unknown weight": 4})  # of the others it would raise
    library.open.set()
    together = Together(library.read, library.weigh, heaviest=10)
    known = {"huge": 900, "a": 4, "b": 5}
    tasks = [
        asyncio.create_task(together.ask(name, owner=name, weight=weight)) for name, weight in known.items()
    ]
    tasks += asked(together, ("ann", "unknown weight"))
    await asyncio.gather(*tasks)
    assert [sorted(questions) for _, questions in library.reads] == [["a", "unknown weight"], ["b"], ["huge"]]


async def test_a_question_that_cannot_be_answered_fails_alone() -> None:
    mistake = ValueError("cannot be decoded")
    library = Library(refused={"bad": mistake})
    library.open.set()
    together = Together(library.read)
    tasks = asked(together, ("ann", "1"), ("eve", "bad"), ("bob", "2"))
    assert await asyncio.gather(*tasks, return_exceptions=True) == ["1 2", mistake, "2 4"]


async def test_a_question_that_takes_too_long_is_not_asked_together_again() -> None:
    late = Unavailable("took too long")
    library = Library(refused={"slow": late}, weights={"slow": 9, "1": 1, "2": 1})
    library.open.set()
    together = Together(library.read, library.weigh)
    tasks = asked(together, ("eve", "slow"), ("ann", "1"), ("bob", "2"))
    assert await asyncio.gather(*tasks, return_exceptions=True) == [late, "1 2", "2 3"]
    assert [sorted(questions) for _, questions in library.reads] == [
        ["1", "2", "slow"],
        ["1"],
        ["2"],
        ["slow"],
    ]


async def test_while_storage_does_not_answer_a_batch_is_given_up_soon() -> None:
    library = Library(failure=Unavailable("no"))
    library.open.set()
    together = Together(library.read)
    tasks = asked(together, *[(name, name) for name in "abcdefgh"])
    assert set(await asyncio.gather(*tasks, return_exceptions=True)) == {library.failure}
    assert len(library.reads) == 2


@pytest.mark.parametrize("failure", [Unavailable("no"), ValueError("a mistake")])
async def test_a_failure_reaches_all_who_wait_and_nobody_later(failure: Exception) -> None:
    library = Library(failure=failure)
    library.open.set()
    together = Together(library.read)
    found = await asyncio.gather(*asked(together, ("ann", "1"), ("bob", "2")), return_exceptions=True)
    assert found == [failure, failure]
    library.failure = None
    number = len(library.reads) + 1
    assert await asyncio.gather(*asked(together, ("ann", "1"))) == [f"1 {number}"]


async def test_who_gives_up_leaves_the_others() -> None:
    library = Library()
    together = Together(library.read)
    ann, bob = asked(together, ("ann", "1"), ("bob", "1"))
    await settled()
    ann.cancel()
    await settled()
    library.open.set()
    assert await bob == "1 1"
    assert ann.cancelled()


async def test_what_nobody_waits_for_any_more_is_not_read() -> None:
    library = Library()
    library.open.set()
    together = Together(library.read)
    ann, bob = asked(together, ("ann", "1"), ("bob", "2"))
    await asyncio.sleep(0)
    ann.cancel()
    assert await bob == "2 1"
    assert library.reads == [(None, ["2"])]
