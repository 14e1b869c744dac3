"""Runs a use case repeatedly."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from attrs import define, field

from application.errors import OutcomeUnknown, Overloaded, Unavailable

logger = logging.getLogger(__name__)


@define(eq=False)
class Repeat:
    """
    Runs ``once`` again and again until it is cancelled: every ``every`` seconds, at once when woken, and at once while it
    returns True because more is due.

    It survives whatever ``once`` raises. It then pauses, twice as long after each failure, up to ``longest`` seconds.
    """

    once: Callable[[], Awaitable[bool]]
    name: str
    every: float = 5.0
    longest: float = 60.0
    loops: int = 1
    """How many loops run side by side. ``once`` must be able to share the work among them."""
    _woken: list[asyncio.Event] = field(init=False)

    _told: str | None = field(init=False, default=None)
    """The code of the last failure, which is not logged again until something else happens."""

    @_woken.default
    def _nothing_yet(self) -> list[asyncio.Event]:
        return [asyncio.Event() for _ in range(self.loops)]

    def wake(self) -> None:
        """Starts the next run at once. Must be called from the event loop's thread."""
        for each in self._woken:
            each.set()

    async def run(self) -> None:
        if self.loops == 1:
            await self._run(self._woken[0])
        async with asyncio.TaskGroup() as tasks:
            for woken in self._woken:
                tasks.create_task(self._run(woken), name=self.name)

    async def _run(self, woken: asyncio.Event) -> None:
        failures = 0
        while True:
            woken.clear()
            try:
                more = await self.once()
            except Exception as error:  # noqa: BLE001  # one bad pass must not be the last
                failures += 1
                self._report(error)
                # `wake` does not cut this pause short, or frequent calls would cancel the backing off.
                await asyncio.sleep(min(self.every * 2 ** min(failures - 1, 16), self.longest))
            else:
                failures, self._told = 0, None
                if not more:
                    await self._rest(woken)

    async def _rest(self, woken: asyncio.Event) -> None:
        try:
            async with asyncio.timeout(self.every):
                await woken.wait()
        except TimeoutError:
            pass

    def _report(self, error: Exception) -> None:
        if isinstance(error, (Unavailable, OutcomeUnknown, Overloaded)):
            if self._told != error.code:
                logger.warning("%s: %s, will be tried again", self.name, error.code)
            self._told = error.code
        else:
            self._told = None
            logger.error("%s failed, will be tried again", self.name, exc_info=error)
