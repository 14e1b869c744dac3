"""
Answers requests for reading that come at the same moment by one read.

When the clients of a node come back all at once, each asks the same few questions about its own chats. What a statement
costs hardly depends on how many of them it answers.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import Generic, TypeVar

from attrs import define, field

from application.errors import Unavailable

Question = TypeVar("Question", bound=Hashable)
Found = TypeVar("Found")


@define(eq=False)
class Together(Generic[Question, Found]):
    """
    Collects questions until the end of the tick of the event loop, and while ``at_once`` reads are running. A read begins
    after each of its questions was asked, so that its answer is never older than that of a read of its own.

    Questions of the same kind share a read. Each read takes one question of each owner in turn, ``most`` in all, so that an
    owner of a thousand questions does not keep the others waiting. The same question is asked only once for all who wait.
    """

    _read: Callable[[Hashable, Sequence[Question]], Awaitable[Mapping[Question, Found]]]
    """Reads the answers to questions of a kind; those without an answer are left out."""
    most: int = 64
    at_once: int = 2
    _waiting: "dict[Hashable, dict[Hashable, deque[Question]]]" = field(init=False, factory=dict)
    """The questions of each kind by owner. Whose turn is next comes first."""
    _asked: "dict[tuple[Hashable, Question], list[asyncio.Future[Found | None]]]" = field(
        init=False, factory=dict
    )
    """For each question that no read has taken, the futures that its answer is set on."""
    _is_due: bool = field(init=False, default=False)
    _reads: "set[asyncio.Task[None]]" = field(init=False, factory=set)

    async def ask(self, question: Question, *, owner: Hashable, kind: Hashable = None) -> Found | None:
        """
        Raises:
            Unavailable: Storage did not answer.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Found | None] = loop.create_future()
        waiting = self._asked.get((kind, question))
        if waiting is None:
            self._asked[kind, question] = [answer]
            self._waiting.setdefault(kind, {}).setdefault(owner, deque()).append(question)
            if not self._is_due and len(self._reads) < self.at_once:
                self._is_due = True
                loop.call_soon(self._begin)
        else:
            waiting.append(answer)
        return await answer

    def _begin(self) -> None:
        self._is_due = False
        while self._waiting and len(self._reads) < self.at_once:
            kind = next(iter(self._waiting))
            questions = self._take(kind)
            askers = {question: self._asked.pop((kind, question)) for question in questions}
            read = asyncio.get_running_loop().create_task(self._answer(kind, askers))
            self._reads.add(read)
            read.add_done_callback(self._done)

    def _take(self, kind: Hashable) -> Sequence[Question]:
        """Takes the next questions of a kind, which is the last one to have its turn again."""
        owners = self._waiting.pop(kind)
        taken: list[Question] = []
        while owners and len(taken) < self.most:
            owner = next(iter(owners))
            questions = owners.pop(owner)
            taken.append(questions.popleft())
            if questions:
                owners[owner] = questions
        if owners:
            self._waiting[kind] = owners
        return taken

    def _done(self, read: "asyncio.Task[None]") -> None:
        self._reads.discard(read)
        self._begin()

    async def _answer(
        self, kind: Hashable, askers: "Mapping[Question, Sequence[asyncio.Future[Found | None]]]"
    ) -> None:
        try:
            found = await self._read(kind, [*askers])
        except BaseException as error:
            failure = error if isinstance(error, Exception) else Unavailable("not read")
            for answers in askers.values():
                for answer in answers:
                    if not answer.done():
                        answer.set_exception(failure)
            if not isinstance(error, Exception):
                raise
        else:
            for question, answers in askers.items():
                for answer in answers:
                    if not answer.done():
                        answer.set_result(found.get(question))
