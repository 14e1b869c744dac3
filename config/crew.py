"""
Runs several processes of the messenger on one port: `messenger serve --workers N`.

One process, the parent, owns the embedded PostgreSQL and prepares the database; the workers serve. Each worker listens on a
socket of its own with the same address (SO_REUSEPORT), among which the kernel distributes the connections: a worker that has
died takes no connection away from the others. The parent accepts none.

A worker that ends is started again, after a pause that doubles. Signals are for the parent, which tells the workers by a pipe.
When the parent dies, its end of the pipe is closed, and the workers stop too.
"""

import asyncio
import os
import pickle
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from logging import getLogger
from pathlib import Path
from shutil import rmtree
from types import FrameType
from typing import Final

from attrs import define, field, frozen

from config.listening import CannotListen, Place, close
from config.server import LEAVE, STOP
from config.settings.groups import Settings
from config.signals import heard, ignore_signals
from config.stopping import Stopping
from config.supervisor import NOTIFY_SOCKET, READY, STOPPING, report
from config.temporary import locked_folder
from infrastructure.postgres.server.keeping import FIRST_PAUSE, LONGEST_PAUSE

log: Final = getLogger(__name__)

STARTED: Final = b"."
"""The answer of a worker that listens."""

NOT_BEGUN: Final = 1
"""Stands for the exit code of a worker that could not even be begun."""

WORKERS_SHARE: Final = 0.75
"""The share of the time for stopping that workers have. The rest is for the embedded database."""


@frozen(kw_only=True)
class Orders:
    """Everything that a worker has to know, handed to it on its standard input."""

    settings: Settings
    database_url: str
    number: int
    place: Place
    sockets: Sequence[int]
    metrics_sockets: Sequence[int]
    control: int
    """The pipe that the parent writes to."""
    started: int
    """The pipe that the parent reads from."""
    figures: Sequence[Path]
    """The Unix sockets at which workers tell their metrics, by number."""

    def written(self) -> bytes:
        return pickle.dumps(self)

    @staticmethod
    def read(data: bytes) -> "Orders":
        orders = pickle.loads(data)  # noqa: S301 - from our own parent, on a pipe that nobody else has
        assert isinstance(orders, Orders)
        return orders


class WorkerFailed(Exception):
    """A worker ended before all were started. It has said why; its exit code is ``code``."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


@define(eq=False)
class Worker:
    """One running worker, as the parent sees it."""

    process: Process
    control: int
    is_started: bool = False

    def tell(self, what: bytes) -> None:
        if not self.is_started and self.process.returncode is None:  # nothing is under way in it yet
            self.process.terminate()
        with suppress(OSError):
            os.write(self.control, what)


@define(eq=False, kw_only=True)
class Crew:
    settings: Settings
    database_url: str
    place: Place
    metrics_place: Place | None
    stopping: Stopping
    when_started: Callable[[], None] = lambda: None
    """Called when all workers listen for the first time."""
    command: Sequence[str] = (sys.executable, "-P", "-m", "config.worker")
    """The program of a worker. With ``-P`` nothing is imported from the working directory."""
    first_pause: float = FIRST_PAUSE
    longest_pause: float = LONGEST_PAUSE
    _workers: dict[int, Worker] = field(init=False, factory=dict)
    _is_leaving: asyncio.Event = field(init=False, factory=asyncio.Event)
    _never_started: set[int] = field(init=False, factory=set)
    _all_started: asyncio.Event = field(init=False, factory=asyncio.Event)
    _failed: int | None = field(init=False, default=None)
    """The exit code of a worker that did not start."""
    _cannot_listen: CannotListen | None = field(init=False, default=None)
    """Why a worker could not be begun for the first time."""
    _figures: Sequence[Path] = field(init=False, default=())

    @property
    def is_leaving(self) -> bool:
        return self._is_leaving.is_set()

    async def run(self) -> None:
        """
        Returns when a signal has stopped all workers.

        Raises:
            WorkerFailed: A worker did not start.
            CannotListen: Another program has taken the port.
        """
        numbers = range(self.settings.api.workers)
        self._never_started.update(numbers)
        self.stopping.last_acts.insert(0, self._kill_all)
        with locked_folder() as folder, self._signals():
            self.stopping.last_acts.append(lambda: rmtree(folder, ignore_errors=True))
            self._figures = [folder / str(number) for number in numbers]
            async with asyncio.TaskGroup() as tasks:
                for number in numbers:
                    tasks.create_task(self._keep(number))
                tasks.create_task(self._tell_of_start())
        if self._cannot_listen is not None:
            raise self._cannot_listen
        if self._failed is not None:
            raise WorkerFailed(self._failed)

    async def _tell_of_start(self) -> None:
        leaving = asyncio.ensure_future(self._is_leaving.wait())
        started = asyncio.ensure_future(self._all_started.wait())
        await asyncio.wait([leaving, started], return_when=asyncio.FIRST_COMPLETED)
        leaving.cancel()
        started.cancel()
        if self._all_started.is_set():
            self.when_started()
            log.info("all workers listen on %s", self.place, extra={"workers": self.settings.api.workers})
            report(READY)

    # One worker after another

    async def _keep(self, number: int) -> None:
        pause = self.first_pause
        while not self._is_leaving.is_set():
            began = time.monotonic()
            code = await self._live(number)
            if self._is_leaving.is_set():
                if code:
                    self.stopping.is_in_order = False
                return
            if number in self._never_started:
                self._failed = code
                self._leave()
                self._leave()  # nobody is served yet, so that there is nothing to wait for
                return
            if time.monotonic() - began >= self.longest_pause:
                pause = self.first_pause
            log.error(
                "a worker has ended",
                extra={"worker": number, "code": code, "restarted_in_seconds": round(pause, 3)},
            )
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._is_leaving.wait()
            pause = min(2 * pause, self.longest_pause)

    async def _live(self, number: int) -> int:
        """
        Runs one worker until it ends, and returns its exit code.

        A worker that cannot be begun, because a port, descriptors or memory are short for a moment, counts as one that has
        ended: the others go on serving.
        """
        with ExitStack() as held:
            try:
                process, controlling, starting = await self._begin(number, held)
            except CannotListen as error:
                if number in self._never_started:
                    self._cannot_listen = error
                else:
                    log.error("a worker cannot listen", extra={"worker": number, "reason": str(error)})  # noqa: TRY400 - one line
                return NOT_BEGUN
            except OSError as error:
                log.error("a worker cannot be begun", extra={"worker": number, "reason": str(error)})  # noqa: TRY400 - one line
                return NOT_BEGUN
            worker = self._workers[number] = Worker(process, controlling)
            loop = asyncio.get_running_loop()
            loop.add_reader(starting, self._hear_start, number, starting)
            if self._is_leaving.is_set():
                worker.tell(LEAVE)
            try:
                return await process.wait()
            finally:
                del self._workers[number]
                loop.remove_reader(starting)

    async def _begin(self, number: int, held: ExitStack) -> tuple[Process, int, int]:
        """
        Begins one worker. Returns it with the end of the pipe that it hears and of the one that it answers by; ``held`` closes
        both.

        Raises:
            CannotListen: The address cannot be bound.
            OSError: The system has no descriptor, process or memory left.
        """
        with ExitStack() as handed_over:
            sockets = self.place.bind(is_shared=True)
            handed_over.callback(close, sockets)
            metrics = self.metrics_place.bind(is_shared=True) if self.metrics_place else ()
            handed_over.callback(close, metrics)
            control, controlling = os.pipe()
            handed_over.callback(os.close, control)
            held.callback(os.close, controlling)
            starting, started = os.pipe()
            handed_over.callback(os.close, started)
            held.callback(os.close, starting)
            orders = Orders(
                settings=self.settings,
                database_url=self.database_url,
                number=number,
                place=self.place,
                sockets=[each.fileno() for each in sockets],
                metrics_sockets=[each.fileno() for each in metrics],
                control=control,
                started=started,
                figures=self._figures,
            )
            return await _begun(self.command, orders), controlling, starting

    def _hear_start(self, number: int, starting: int) -> None:
        if os.read(starting, 1) == STARTED:
            self._workers[number].is_started = True
            self._never_started.discard(number)
            if not self._never_started:
                self._all_started.set()
        asyncio.get_running_loop().remove_reader(starting)

    def _kill_all(self) -> None:
        for worker in [*self._workers.values()]:
            with suppress(ProcessLookupError):
                os.kill(worker.process.pid, signal.SIGKILL)

    # The end

    @contextmanager
    def _signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()

        def stop(_number: int, _frame: FrameType | None) -> None:
            loop.call_soon_threadsafe(self._leave)

        for each in heard():
            signal.signal(each, stop)
        try:
            yield
        finally:
            ignore_signals()

    def _leave(self) -> None:
        drain = self.settings.api.drain_seconds
        is_first = not self._is_leaving.is_set()
        if is_first:
            report(STOPPING)
            self._is_leaving.set()
        if is_first and drain:
            asyncio.get_running_loop().call_later(drain, self.stopping.must_end)
        else:
            self.stopping.must_end()
        for worker in self._workers.values():
            worker.tell(LEAVE if is_first else STOP)


def tell_parent(started: int) -> None:
    """Tells the parent that this worker listens."""
    with suppress(OSError):
        os.write(started, STARTED)
    os.close(started)


async def _begun(command: Sequence[str], orders: Orders) -> Process:
    """Starts a worker, in a process group of its own: a Ctrl-C on the terminal is for the parent."""
    environment = {name: value for name, value in os.environ.items() if name != NOTIFY_SOCKET}
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=PIPE,
        pass_fds=(*orders.sockets, *orders.metrics_sockets, orders.control, orders.started),
        process_group=0,
        env=environment,
    )
    assert process.stdin is not None
    process.stdin.write(orders.written())
    with suppress(ConnectionError):
        await process.stdin.drain()
    process.stdin.close()
    return process
