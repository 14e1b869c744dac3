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

    async def read(self, kind: Hashable, questions: Sequence[str]) -> Mapping[str, str]:
        self.reads.append((kind, [*questions]))
        number = len(self.reads)
        await self.open.wait()
        if self.failure is not None:
            raise self.failure
        return {question: f"{question} {number}" for question in questions if question != "unknown"}


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


@pytest.mark.parametrize("failure", [Unavailable("no"), ValueError("a mistake")])
async def test_a_failure_reaches_all_who_wait_and_nobody_later(failure: Exception) -> None:
    library = Library(failure=failure)
    library.open.set()
    together = Together(library.read)
    found = await asyncio.gather(*asked(together, ("ann", "1"), ("bob", "2")), return_exceptions=True)
    assert found == [failure, failure]
    library.failure = None
    assert await asyncio.gather(*asked(together, ("ann", "1"))) == ["1 2"]


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
