"""
Gathers commands of many callers into batches.

Commands that arrive while a batch is carried out form the next batch. There is no timer: a command that finds nothing
running starts at once.

The order of commands is kept within a key (a chat) for each owner (the author), but not across keys and owners, who take
turns: somebody with many waiting commands delays others of the same chat by one command each, not by all of them. A batch fails with one of the errors of
`application.ports.posting`, from which the gatherer makes an answer for each caller: it halves a batch to find the command
that storage refuses, repeats an interrupted batch once, and otherwise passes the error on.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from typing import Final, Generic, TypeVar

from attrs import Factory, define, field

from application.errors import OutcomeUnknown, Overloaded, Unavailable
from application.ports.posting import Indigestible, Interrupted
from infrastructure.complaints import Complaints
from infrastructure.turns import Turns

Ask = TypeVar("Ask")
Answer = TypeVar("Answer")

PAUSE: Final = 0.002
"""In seconds. The pause before the next try when other transactions hold every key that has commands waiting."""

log: Final = logging.getLogger(__name__)

complaints: Final = Complaints("batches", log)


@define(frozen=True, kw_only=True)
class BatchLimits:
    batch: int = 500
    """Commands in a batch."""
    per_key: int = 128
    """Commands of one key in a batch. More would fill the outboxes of all listeners of a busy chat at once."""
    weight_per_key: int = 128 * 1024
    """Weight of one key's commands in a batch, in the unit of `Gatherer.weigh`."""
    backlog: int = 5000
    """How many commands may wait."""
    backlog_weight: int = 32 * 1024 * 1024
    """Weight of all commands that may wait, in the same unit."""
    skips: int = 3
    """How many batches leave out a busy key before the gatherer waits for it."""


@define(eq=False)
class _Waiting(Generic[Ask, Answer]):
    ask: Ask
    weight: int
    answer: "asyncio.Future[Answer]"
    skips: int = 0
    """How many batches left it out because its key was busy."""


@define(eq=False, kw_only=True)
class Gatherer(Generic[Ask, Answer]):
    """
    ``use`` carries out a batch and answers each command in order: with a result, with an error of that command alone, or
    with an instance of ``postponed`` if another transaction holds its key. Postponed commands go into the next batch, in
    their order. After `BatchLimits.skips` times ``patient_use`` waits for the key while other keys go on, and later
    commands of the key wait behind.

    Cancelling the answer withdraws a command that still waits. Once its batch has begun the command is carried out.
    """

    use: Callable[[Sequence[Ask]], Awaitable[Sequence[object]]]
    patient_use: Callable[[Sequence[Ask]], Awaitable[Sequence[object]]]
    postponed: type | tuple[()] = ()
    key: Callable[[Ask], Hashable]
    owner: Callable[[Ask], Hashable] = lambda _: None
    weigh: Callable[[Ask], int]
    limits: BatchLimits = Factory(BatchLimits)
    name: str = "commands"
    """The name of the commands in the log."""
    _queues: dict[Hashable, Turns[_Waiting[Ask, Answer]]] = field(init=False, factory=dict)
    """By key, the key that has waited longest first. Keys that ``patient_use`` waits for are in ``_patient`` instead."""
    _patient: dict[Hashable, Turns[_Waiting[Ask, Answer]]] = field(init=False, factory=dict)
    _count: int = field(init=False, default=0)
    _weight: int = field(init=False, default=0)
    _closing: bool = field(init=False, default=False)
    _ended: bool = field(init=False, default=False)
    _something: asyncio.Event = field(init=False, factory=asyncio.Event)
    _something_patient: asyncio.Event = field(init=False, factory=asyncio.Event)

    def submit(self, ask: Ask) -> "asyncio.Future[Answer]":
        """
        Queue a command. Its place in the order of its key and owner is taken when this returns; the answer comes later.

        Raises:
            Overloaded: The queue is full; the command is not queued.
            Unavailable: The gatherer is closing; the command is not queued.
        """
        weight = self.weigh(ask)
        if self._closing:
            complaints.tell(Unavailable.code, f"the process is stopping and takes no more {self.name}")
            raise Unavailable("closing")
        if self._count >= self.limits.backlog or self._weight + weight > self.limits.backlog_weight:
            cause = f"{self._count} {self.name} are waiting"
            complaints.tell(Overloaded.code, cause)
            raise Overloaded(cause)
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        key = self.key(ask)
        queue = self._patient.get(key)
        if queue is None:
            queue = self._queues.get(key)
        if queue is None:
            queue = self._queues[key] = Turns()
        queue.append(self.owner(ask), _Waiting(ask, weight, answer))
        self._count += 1
        self._weight += weight
        self._something.set()
        return answer

    async def run(self) -> None:
        """Carry out batches until `close`. Must be started only once."""
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
        """Accept no more commands. Those that are queued are still carried out and answered; then `run` returns."""
        self._closing = True
        self._something.set()

    async def _carry_out_batches(self) -> None:
        while True:
            if self._queues:
                await self._carry_out(self._take_batch(), self.use)
                self._hand_to_patient()
                if self._queues and all(queue.first.skips for queue in self._queues.values()):
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
                self._queues[key] = queue  # behind the other keys, so that a busy key does not crowd them out
        return batch

    def _take(self, queue: Turns[_Waiting[Ask, Answer]], most: int) -> list[_Waiting[Ask, Answer]]:
        taken: list[_Waiting[Ask, Answer]] = []
        weight = 0
        while queue and len(taken) < most:
            if taken and weight + queue.first.weight > self.limits.weight_per_key:
                break
            _, waiting = queue.pop()
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
                complaints.tell(
                    f"{self.name} tried again", f"{error}", getattr(error.__cause__, "sqlstate", None)
                )
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
        """Whether the half before postponed a command of the same key. This one is then postponed too, to keep the order."""
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
        """Put commands back to the front of their key's queue, so that later commands cannot overtake them."""
        if (queue := self._patient.get(key)) is None:
            queue = self._queues.pop(key, None)
            queue = self._queues[key] = Turns() if queue is None else queue
        for waiting in postponed:
            waiting.skips += 1
        queue.put_back([(self.owner(waiting.ask), waiting) for waiting in postponed])
        self._count += len(postponed)
        self._weight += sum(waiting.weight for waiting in postponed)

    def _hand_to_patient(self) -> None:
        for key in [key for key, queue in self._queues.items() if queue.first.skips >= self.limits.skips]:
            self._patient[key] = self._queues.pop(key)
            self._something_patient.set()


def _refuse(batch: Iterable[_Waiting[Ask, Answer]], error: Exception) -> None:
    for waiting in batch:
        if not waiting.answer.done():
            waiting.answer.set_exception(error)
