"""Updates within one process."""

import asyncio
from collections.abc import Callable, Sequence

from attrs import Factory, define

from application.ports.updates import Update
from infrastructure.listeners import Listeners


@define(eq=False)
class MemoryUpdates:
    _listeners: Listeners = Factory(Listeners)

    def publish(self, updates: Sequence[Update]) -> None:
        self._listeners.tell(updates)

    def subscribe(self, listener: Callable[[Sequence[Update]], None]) -> None:
        self._listeners.add(listener)

    def see(self, epoch: str) -> None:
        """Nothing is delayed within a process, so that no update of an earlier line of history can arrive."""

    async def run(self) -> None:
        """Waits until it is cancelled: there are no other processes."""
        await asyncio.get_running_loop().create_future()
