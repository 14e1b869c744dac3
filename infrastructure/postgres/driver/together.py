"""
Answers requests for reading that come at the same moment by one read.

When the clients of a node come back all at once, each asks the same few questions about its own chats. What a statement
costs hardly depends on how many of them it answers.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from typing import Final, Generic, TypeVar

from attrs import define, field

from application.errors import Unavailable
from infrastructure.turns import Turns

Question = TypeVar("Question", bound=Hashable)
Found = TypeVar("Found")

HEAVIEST: Final = 1_000
"""
Rows. A shared read returns about as many at most, which takes the event loop some milliseconds to decode. An answer that has
more on its own is read alone.
"""


@define(eq=False)
class Together(Generic[Question, Found]):
    """
    Collects questions until the end of the tick of the event loop, and while ``at_once`` batches are read. A read begins
    after each of its questions was asked, so that its answer is never older than that of a read of its own.

    Owners take turns, whatever they ask. A batch has the question of the owner whose turn it is and further questions of
    the same kind, one of each owner in turn, ``most`` in all. An owner of a thousand questions, or of questions of a
    thousand kinds, does not keep the others waiting. The same question is asked only once for all who wait.

    A batch is one read, or several one after the other, each of at most ``heaviest``, where its questions can be weighed. When a
    shared read fails, each of its questions is read alone, so that what cannot be answered fails by itself. Once storage does not
    answer one question alone, the rest of the batch fails with it.
    """

    _read: Callable[[Hashable, Sequence[Question]], Awaitable[Mapping[Question, Found]]]
    """Reads the answers to questions of a kind; those without an answer are left out."""
    _weigh: Callable[[Sequence[Question]], Awaitable[Sequence[int]]] | None = None
    """
    Tells how many rows each answer has, about, of questions whose asker did not know. None if all have few.
    """
    most: int = field(default=64, kw_only=True)
    at_once: int = field(default=2, kw_only=True)
    heaviest: int = field(default=HEAVIEST, kw_only=True)
    _turns: Turns[Hashable] = field(init=False, factory=Turns)
    """By owner, the kinds of the questions in ``_waiting``."""
    _waiting: dict[Hashable, Turns[Question]] = field(init=False, factory=dict)
    """By kind, the questions that no batch has taken."""
    _asked: "dict[tuple[Hashable, Question], list[asyncio.Future[Found | None]]]" = field(
        init=False, factory=dict
    )
    """For each question that no batch has taken, the futures that its answer is set on."""
    _weights: dict[tuple[Hashable, Question], int] = field(init=False, factory=dict)
    """The number of rows that the answers to these questions have, where the asker has told it."""
    _is_due: bool = field(init=False, default=False)
    _batches: "set[asyncio.Task[None]]" = field(init=False, factory=set)

    async def ask(
        self, question: Question, *, owner: Hashable, kind: Hashable = None, weight: int | None = None
    ) -> Found | None:
        """
        ``weight`` is about how many rows the answer has, if the asker knows.

        Raises:
            Unavailable: Storage did not answer.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Found | None] = loop.create_future()
        asked = self._asked.get((kind, question))
        if asked is None:
            self._asked[kind, question] = [answer]
            waiting = self._waiting.get(kind)
            if waiting is None:
                waiting = self._waiting[kind] = Turns()
            waiting.append(owner, question)
            self._turns.append(owner, kind)
            if not self._is_due and len(self._batches) < self.at_once:
                self._is_due = True
                loop.call_soon(self._begin)
        else:
            asked.append(answer)
        if weight is not None:
            self._weights[kind, question] = max(weight, self._weights.get((kind, question), 0))
        return await answer

    def _begin(self) -> None:
        self._is_due = False
        while self._turns and len(self._batches) < self.at_once:
            kind = self._turns.first
            taken = self._take(kind)
            batch = _Batch(
                kind,
                {question: self._asked.pop((kind, question)) for question in taken},
                {question: self._weights.pop((kind, question), None) for question in taken},
                self._read,
                self._weigh,
                self.heaviest,
            )
            task = asyncio.get_running_loop().create_task(batch.run())
            self._batches.add(task)
            task.add_done_callback(self._done)

    def _take(self, kind: Hashable) -> Sequence[Question]:
        """Takes the next questions of a kind, first that of the owner whose turn it is."""
        waiting = self._waiting[kind]
        owner, _ = self._turns.pop()
        taken = [waiting.pop_of(owner)]
        while waiting and len(taken) < self.most:
            owner, question = waiting.pop()
            self._turns.take(owner, kind)
            taken.append(question)
        if not waiting:
            del self._waiting[kind]
        return taken

    def _done(self, batch: "asyncio.Task[None]") -> None:
        self._batches.discard(batch)
        self._begin()


@define(eq=False)
class _Batch(Generic[Question, Found]):
    kind: Hashable
    askers: "Mapping[Question, Sequence[asyncio.Future[Found | None]]]"
    weights: Mapping[Question, int | None]
    read: Callable[[Hashable, Sequence[Question]], Awaitable[Mapping[Question, Found]]]
    weigh: Callable[[Sequence[Question]], Awaitable[Sequence[int]]] | None
    heaviest: int

    async def run(self) -> None:
        try:
            for part in await self._parts():
                await self._answer(part)
        except BaseException as error:
            self._fail(self.askers, error if isinstance(error, Exception) else Unavailable("not read"))
            if not isinstance(error, Exception):
                raise

    async def _parts(self) -> Sequence[Sequence[Question]]:
        """The questions for each read, those with short answers first."""
        questions = [*self.askers]
        if self.weigh is None or len(questions) == 1:
            return [questions]
        weights = {each: weight for each, weight in self.weights.items() if weight is not None}
        if unknown := [each for each in questions if each not in weights]:
            weights.update(zip(unknown, await self.weigh(unknown), strict=True))
        parts: list[list[Question]] = []
        room = 0
        for question in sorted(questions, key=weights.__getitem__):
            weight = weights[question]
            if not parts or weight > room:
                parts.append([])
                room = self.heaviest
            parts[-1].append(question)
            room -= weight
        return parts

    async def _answer(self, questions: Sequence[Question]) -> None:
        questions = [each for each in questions if any(not answer.done() for answer in self.askers[each])]
        if not questions:
            return
        try:
            found = await self.read(self.kind, questions)
        except Exception as error:
            if len(questions) > 1:
                for question in questions:
                    await self._answer([question])
            elif isinstance(error, Unavailable):
                raise
            else:
                self._fail(questions, error)
        else:
            for question in questions:
                for answer in self.askers[question]:
                    if not answer.done():
                        answer.set_result(found.get(question))

    def _fail(self, questions: Iterable[Question], error: Exception) -> None:
        for question in questions:
            for answer in self.askers[question]:
                if not answer.done():
                    answer.set_exception(error)
