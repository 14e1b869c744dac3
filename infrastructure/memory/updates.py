"""Updates within one process."""

import asyncio
from collections.abc import Callable, Sequence

from attrs import Factory, define

from application.ports.updates import Update
from domain.ids import ChatId
from infrastructure.listeners import Listeners


@define(eq=False)
class MemoryUpdates:
    _listeners: Listeners = Factory(Listeners)

    def publish(self, updates: Sequence[Update]) -> None:
        self._listeners.tell(updates)

    def subscribe(self, listener: Callable[[Sequence[Update]], None]) -> None:
        self._listeners.add(listener)

    def focus(self, is_listened_to: Callable[[ChatId], bool]) -> None:
        """Does nothing: an update costs nothing on its way within a process."""

    def see(self, epoch: str) -> None:
        """Nothing is delayed within a process, so that no update of an earlier line of history can arrive."""

    async def run(self) -> None:
        """Waits until it is cancelled: there are no other processes."""
        await asyncio.get_running_loop().create_future()
