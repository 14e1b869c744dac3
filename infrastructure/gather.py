"""
Many callers, one batch.

While one batch is carried out the next gathers; whatever has gathered is the next batch. There is no timer: who comes
alone goes at once.

The callers' order is kept within a key (a chat), nothing is promised across keys. What a batch raises says what is
certain (`application.ports.posting`), and the gatherer turns it into an answer for each caller: it halves a batch to find
the one command that storage refuses, tries again what storage gave up, and refuses or calls unknown the rest.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Final, Generic, TypeVar

from attrs import Factory, define, field

from application.errors import OutcomeUnknown, Overloaded, Unavailable
from application.ports.posting import Indigestible, Interrupted

Ask = TypeVar("Ask")
Answer = TypeVar("Answer")

PAUSE: Final = 0.002
"""Seconds. When all that waits is busy elsewhere, whoever holds it needs a moment."""

log: Final = logging.getLogger(__name__)


@define(frozen=True, kw_only=True)
class BatchLimits:
    batch: int = 500
    """Commands in a batch."""
    per_key: int = 128
    """Commands of one key in a batch. More would fill the outbox of everybody who listens to a busy chat at once."""
    weight_per_key: int = 128 * 1024
    """Weight of one key's commands in a batch, in what ``weigh`` counts."""
    backlog: int = 5000
    """Commands that may wait."""
    backlog_weight: int = 32 * 1024 * 1024
    skips: int = 3
    """How often a busy key is left out before it is waited for."""


@define(eq=False)
class _Waiting(Generic[Ask, Answer]):
    ask: Ask
    weight: int
    answer: "asyncio.Future[Answer]"
    skips: int = 0
    """How often it was left out because its key was busy."""


_Queue = deque[_Waiting[Ask, Answer]]
"""What waits under one key, in the order it came."""


@define(eq=False, kw_only=True)
class Gatherer(Generic[Ask, Answer]):
    """
    ``use`` carries out a batch and answers each command in order: with a result, with an error that is that command's
    own, or with an instance of ``postponed``, which means that its key is busy elsewhere. Such commands go together, in
    order, into the next batch; after a few times ``patient_use`` waits for the key beside the others, and later commands
    of the key queue behind.

    A caller that gives up while its command waits takes it back. In a batch it is too late: the batch runs in a task of
    its own.
    """

    use: Callable[[Sequence[Ask]], Awaitable[Sequence[object]]]
    patient_use: Callable[[Sequence[Ask]], Awaitable[Sequence[object]]]
    postponed: type | tuple[()] = ()
    key: Callable[[Ask], Hashable]
    weigh: Callable[[Ask], int]
    limits: BatchLimits = Factory(BatchLimits)
    _queues: dict[Hashable, _Queue[Ask, Answer]] = field(init=False, factory=dict)
    """By key, the one that has waited longest first. A key whose queue is with the patient is not in it."""
    _patient: dict[Hashable, _Queue[Ask, Answer]] = field(init=False, factory=dict)
    _count: int = field(init=False, default=0)
    _weight: int = field(init=False, default=0)
    _closing: bool = field(init=False, default=False)
    _ended: bool = field(init=False, default=False)
    _something: asyncio.Event = field(init=False, factory=asyncio.Event)
    _something_patient: asyncio.Event = field(init=False, factory=asyncio.Event)

    def submit(self, ask: Ask) -> "asyncio.Future[Answer]":
        """
        Take a place in the order of its key, now. The answer comes later.

        Raises:
            Overloaded: Too much waits already; not taken.
            Unavailable: The gatherer is closing; not taken.
        """
        weight = self.weigh(ask)
        if self._closing:
            raise Unavailable("closing")
        if self._count >= self.limits.backlog or self._weight + weight > self.limits.backlog_weight:
            raise Overloaded(f"{self._count} commands are waiting")
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        key = self.key(ask)
        queue = self._patient.get(key)
        if queue is None:
            queue = self._queues.setdefault(key, deque())
        queue.append(_Waiting(ask, weight, answer))
        self._count += 1
        self._weight += weight
        self._something.set()
        return answer

    async def run(self) -> None:
        """Carry out batches until `close`. To be started once."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._wait_for_busy_keys())
                await self._carry_out_batches()
                self._ended = True
                self._something_patient.set()
        finally:
            for queue in (*self._queues.values(), *self._patient.values()):
                _refuse(queue, Unavailable("closed"))

    async def close(self) -> None:
        """Take nothing more. Everything taken is still carried out and answered; `run` then returns."""
        self._closing = True
        self._something.set()

    async def _carry_out_batches(self) -> None:
        while True:
            if self._queues:
                await self._carry_out(self._take_batch(), self.use)
                self._hand_to_patient()
                if self._queues and all(queue[0].skips for queue in self._queues.values()):
                    await asyncio.sleep(PAUSE)
            elif self._closing and not self._patient:
                return
            else:
                self._something.clear()
                await self._something.wait()

    async def _wait_for_busy_keys(self) -> None:
        while True:
            if self._patient:
                key, queue = next(iter(self._patient.items()))
                await self._carry_out(self._take(queue, self.limits.per_key), self.patient_use)
                del self._patient[key]
                if queue:
                    self._queues[key] = queue
                self._something.set()
            elif self._ended:
                return
            else:
                self._something_patient.clear()
                await self._something_patient.wait()

    def _take_batch(self) -> list[_Waiting[Ask, Answer]]:
        batch: list[_Waiting[Ask, Answer]] = []
        for key in list(self._queues):
            room = self.limits.batch - len(batch)
            if room <= 0:
                break
            queue = self._queues.pop(key)
            batch += self._take(queue, min(room, self.limits.per_key))
            if queue:
                self._queues[key] = queue  # behind the others: a busy key does not keep them from a place
        return batch

    def _take(self, queue: _Queue[Ask, Answer], most: int) -> list[_Waiting[Ask, Answer]]:
        taken: list[_Waiting[Ask, Answer]] = []
        weight = 0
        while queue and len(taken) < most:
            if taken and weight + queue[0].weight > self.limits.weight_per_key:
                break
            waiting = queue.popleft()
            self._count -= 1
            self._weight -= waiting.weight
            if waiting.answer.cancelled():
                continue
            weight += waiting.weight
            taken.append(waiting)
        return taken

    async def _carry_out(
        self,
        batch: Sequence[_Waiting[Ask, Answer]],
        use: Callable[[Sequence[Ask]], Awaitable[Sequence[object]]],
    ) -> None:
        postponed: dict[Hashable, list[_Waiting[Ask, Answer]]] = {}
        try:
            await self._try(batch, use, postponed)
        finally:
            for key, again in postponed.items():
                self._put_back(key, again)

    async def _try(
        self,
        batch: Sequence[_Waiting[Ask, Answer]],
        use: Callable[[Sequence[Ask]], Awaitable[Sequence[object]]],
        postponed: dict[Hashable, list[_Waiting[Ask, Answer]]],
        retries: int = 1,
    ) -> None:
        if postponed:
            batch = [waiting for waiting in batch if not self._follows(waiting, postponed)]
        if not batch:
            return
        try:
            answers = list(zip(batch, await use([waiting.ask for waiting in batch]), strict=True))
        except Indigestible as error:
            if len(batch) == 1:
                _refuse(batch, error)
                return
            half = len(batch) // 2
            await self._try(batch[:half], use, postponed, retries)
            await self._try(batch[half:], use, postponed, retries)
        except Interrupted as error:
            if retries:
                await self._try(batch, use, postponed, retries - 1)
            else:
                _refuse(batch, error)
        except (Unavailable, OutcomeUnknown) as error:
            _refuse(batch, error)
        except Exception:
            log.exception("a batch failed", extra={"commands": len(batch)})
            _refuse(batch, OutcomeUnknown())
        except BaseException:
            _refuse(batch, OutcomeUnknown())
            raise
        else:
            self._answer(answers, postponed)

    def _follows(
        self, waiting: _Waiting[Ask, Answer], postponed: dict[Hashable, list[_Waiting[Ask, Answer]]]
    ) -> bool:
        """Whether one of its key was left out in the half before: then it is too, or it would overtake it."""
        before = postponed.get(self.key(waiting.ask))
        if before is not None:
            before.append(waiting)
        return before is not None

    def _answer(
        self,
        answers: Sequence[tuple[_Waiting[Ask, Answer], object]],
        postponed: dict[Hashable, list[_Waiting[Ask, Answer]]],
    ) -> None:
        for waiting, answer in answers:
            if isinstance(answer, self.postponed):
                postponed.setdefault(self.key(waiting.ask), []).append(waiting)
            elif waiting.answer.done():
                continue
            elif isinstance(answer, Exception):
                waiting.answer.set_exception(answer)
            else:
                waiting.answer.set_result(answer)  # type: ignore[arg-type]  # `use` answers with Answer or an error

    def _put_back(self, key: Hashable, postponed: Sequence[_Waiting[Ask, Answer]]) -> None:
        """To the front of the key's queue, in their order: nothing of the same key may overtake them."""
        if (queue := self._patient.get(key)) is None:
            queue = self._queues.pop(key, None)
            queue = self._queues[key] = deque() if queue is None else queue
        for waiting in postponed:
            waiting.skips += 1
        queue.extendleft(reversed(postponed))
        self._count += len(postponed)
        self._weight += sum(waiting.weight for waiting in postponed)

    def _hand_to_patient(self) -> None:
        for key in [key for key, queue in self._queues.items() if queue[0].skips >= self.limits.skips]:
            self._patient[key] = self._queues.pop(key)
            self._something_patient.set()


def _refuse(batch: Sequence[_Waiting[Ask, Answer]], error: Exception) -> None:
    for waiting in batch:
        if not waiting.answer.done():
            waiting.answer.set_exception(error)
