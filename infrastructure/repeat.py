"""The loop around a use case that does what is due, once."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from attrs import define, field

from application.errors import OutcomeUnknown, Overloaded, Unavailable

logger = logging.getLogger(__name__)


@define(eq=False)
class Repeat:
    """
    Runs ``once`` again and again until it is cancelled: after each ``every`` seconds, at once when woken, and at once while
    it says that there is more.

    It survives whatever ``once`` raises, after pauses that double up to ``longest`` seconds: what is due stays due.
    """

    once: Callable[[], Awaitable[bool]]
    name: str
    every: float = 5.0
    longest: float = 60.0
    _woken: asyncio.Event = field(factory=asyncio.Event, init=False)

    def wake(self) -> None:
        """Something may be due. Called from the event loop's thread."""
        self._woken.set()

    async def run(self) -> None:
        failures = 0
        while True:
            self._woken.clear()
            try:
                more = await self.once()
            except Exception as error:  # noqa: BLE001  # one bad pass must not be the last
                failures += 1
                self._report(error)
                # Not cut short by a wake: what wakes it may well come often, and what failed needs its rest.
                await asyncio.sleep(min(self.every * 2 ** min(failures - 1, 16), self.longest))
            else:
                failures = 0
                if not more:
                    await self._rest()

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(self.every):
                await self._woken.wait()
        except TimeoutError:
            pass

    def _report(self, error: Exception) -> None:
        if isinstance(error, (Unavailable, OutcomeUnknown, Overloaded)):
            logger.warning("%s: %s, will be tried again", self.name, error.code)
        else:
            logger.error("%s failed, will be tried again", self.name, exc_info=error)
