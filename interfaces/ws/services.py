"""The objects that all sockets of a node share."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from attrs import Factory, define, field, frozen

from application.actor import Actor
from application.messenger import Messenger
from application.meter import Meter, Unmetered
from application.updates.typing import ShowTyping
from domain.ids import ChatId
from interfaces.live.hub import Hub
from interfaces.live.typing import Typist
from interfaces.pace import Moments, Pace
from interfaces.throttled import ThrottledWarning
from interfaces.wire.places import Places
from interfaces.ws.budget import Budget
from interfaces.ws.connection import Connection
from interfaces.ws.crowds import Crowds
from interfaces.ws.framing import Framing
from interfaces.ws.heartbeats import Heartbeats
from interfaces.ws.leaving import send_away
from interfaces.ws.options import SocketOptions
from interfaces.ws.shared_writes import SharedWrites
from interfaces.ws.typing import Typing, TypingSignal, Typists


@define(eq=False)
class Tick:
    """Calls back at the end of the current tick of the event loop, after the callbacks that are already scheduled."""

    shared_writes: SharedWrites = Factory(SharedWrites)
    """The writes that may wait. Sockets find them here, because each attribute of a socket takes memory."""
    _waiting: list[Callable[[], None]] = field(init=False, factory=list)

    def at_its_end(self, do: Callable[[], None]) -> None:
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._ends)
        self._waiting.append(do)

    def _ends(self) -> None:
        waiting, self._waiting = self._waiting, []
        for do in waiting:
            do()


@define(eq=False)
class RequestTasks:
    """The tasks of asynchronous requests. None of them outlives `run`."""

    _tasks: asyncio.TaskGroup | None = field(init=False, default=None)
    _is_over: bool = field(init=False, default=False)

    async def run(self) -> None:
        """Runs until it is cancelled, and then cancels the running tasks."""
        async with asyncio.TaskGroup() as self._tasks:
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                self._is_over = True

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Starts ``work``, unless the node is stopping."""
        if self._is_over:
            work.close()
            return
        assert self._tasks is not None, "sockets are served while the tasks of their requests run"
        self._tasks.create_task(work)

    @property
    def is_running(self) -> bool:
        return self._tasks is not None and not self._is_over


@frozen(kw_only=True)
class SocketServices:
    messenger: Messenger
    hub: Hub
    options: SocketOptions
    cursor_key: bytes = b""
    """Signs the cursors that clients keep."""
    meter: Meter = Unmetered()
    pace: Pace = Factory(Pace)
    """Shared with the HTTP side."""
    moments: Moments = Factory(Moments)
    """Shared with the HTTP side, which takes the moment of each handshake."""
    tasks: RequestTasks = Factory(RequestTasks)
    typists: Typists = Factory(Typists)
    tick: Tick = Factory(Tick)
    framing: Framing = Factory(Framing)
    heartbeats: Heartbeats = field()
    places: Places = field(init=False)
    outboxes: Budget = field(init=False)
    """The limit for frames that wait for clients to read them."""
    crowds: Crowds = field(init=False)
    waiting: Budget = field(init=False)
    """The limit for frames of clients that are not decoded yet."""
    entering: asyncio.Semaphore = field(init=False)
    crowded: ThrottledWarning = field(
        init=False,
        factory=lambda: ThrottledWarning("Too many sockets enter at once: some are refused (WS_ENTERING)"),
    )
    """Acquired by a socket while it enters."""

    @heartbeats.default
    def _heartbeats(self) -> Heartbeats:
        return Heartbeats(self.options.heartbeat_interval, self.options.pong_timeout)

    @places.default
    def _places(self) -> Places:
        return Places(self.cursor_key)

    @outboxes.default
    def _outboxes(self) -> Budget:
        return Budget(self.options.node_outbox_bytes)

    @crowds.default
    def _crowds(self) -> Crowds:
        options = self.options
        return Crowds(options.per_session, options.per_account, options.per_network)

    @waiting.default
    def _waiting(self) -> Budget:
        return Budget(self.options.node_waiting_bytes)

    @entering.default
    def _entering(self) -> asyncio.Semaphore:
        return asyncio.Semaphore(self.options.entering)

    def charge_told(self, actor: Actor, chat_id: ChatId) -> None:
        """Charges an account with what it costs to tell the sockets of this process that listen to a chat something new."""
        self.pace.charge_told(actor.account_id, self.hub.listening_to(chat_id))

    async def show_typing(self, actor: Actor, command: ShowTyping) -> None:
        """
        Announces that somebody types, and charges them as for a message.

        Raises:
            DomainError: They are not in the chat.
            ApplicationError: They type too often, or storage did not answer.
        """
        await self.messenger.messages.show_typing(actor, command)
        self.charge_told(actor, command.chat_id)

    def typing_signal(self, typist: Typist, publish: Callable[[ShowTyping], None]) -> TypingSignal:
        """``publish`` is called with states that no request waits for."""
        options = self.options
        typing = Typing(typist, self.typists, options.typing_interval, options.typing_expiry)
        return TypingSignal(typist[0], typing, publish)

    def send_away(self, seconds: float) -> None:
        """
        Asks all clients to leave within so many seconds, because the node is about to stop, and then closes the sockets that
        are left. With 0 seconds the clients are only told: the server closes the sockets at once.

        A client that connects later is not asked. A single node would otherwise ask the same clients again and again.
        """
        open_now = [each for each in self.hub.roster.listeners if isinstance(each, Connection)]
        if seconds and self.tasks.is_running:
            self.tasks.spawn(send_away(open_now, seconds))
        else:
            for connection in open_now:
                connection.go_away(0)

    async def run(self) -> None:
        """Runs the hub and the tasks of requests until it is cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.hub.run())
            tasks.create_task(self.tasks.run())
