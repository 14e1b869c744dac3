"""
``kill -9`` of the messenger or of its PostgreSQL, while something that was sent has no answer.

A kill that finds nothing under way shows nothing, and on a busy machine the clients may be the ones that are late. So the
victim is stopped first, at a moment of chance, and what it had answered is read. Only when something is unanswered is it
killed, as it stands; else it goes on unharmed, and another moment is chosen.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence, Set
from random import Random
from typing import Literal

import httpx
import psutil
from attrs import define, field

from tests.system.postgres import Postgres
from tests.system.server import Server

Victim = Literal["server", "postgres"]

ON_ITS_WAY = 0.05
"""Seconds in which what was answered before it stopped has come."""

PATIENCE = 120.0
"""Seconds after which something hangs: a moment to strike at is never found."""


@define(eq=False)
class Striker:
    server: Server
    postgres: Postgres
    under_way: Callable[[], Set[object]]
    """What was sent on some open socket and has no answer, by names that are used once."""
    chance: Random
    taken: list[int] = field(factory=list)
    """For each kill, how much it took with it: sent before, and without an answer."""
    _family: Sequence[psutil.Process] = ()

    async def strike(self, *victims: Victim) -> None:
        """Both stand still at the same moment, if there are two."""
        taken: Set[object] = frozenset()
        async with asyncio.timeout(PATIENCE):
            while not taken:
                await asyncio.sleep(self.chance.uniform(0, 0.01))  # somewhere in a batch
                self._freeze(victims)
                try:
                    if taken := await self._look(victims):
                        self._kill(victims)
                finally:
                    if not taken:
                        self._thaw(victims)
        self.taken.append(len(taken))

    async def restart(self, *victims: Victim) -> None:
        """Aside: who is cut off tries to come back meanwhile."""
        if "postgres" in victims:
            await asyncio.to_thread(self.postgres.start)
        if "server" in victims:
            await asyncio.to_thread(self.server.start)

    async def _look(self, victims: Collection[Victim]) -> Set[object]:
        """
        What was sent before it stood still may all be answered, where the clients are late. What they send then waits for
        it: the second look finds that, unless nobody is there.
        """
        for _ in range(2):
            sent = self.under_way()
            if "server" not in victims:
                # It is well, and may have heard of commits that it has not told yet.
                async with httpx.AsyncClient(base_url=self.server.url) as http:
                    assert (await http.get("/livez")).status_code == httpx.codes.OK
            await asyncio.sleep(ON_ITS_WAY)
            if taken := sent & self.under_way():
                return taken
        return frozenset()

    def _freeze(self, victims: Collection[Victim]) -> None:
        if "postgres" in victims:
            self._family = self.postgres.freeze(self.postgres.family())
        if "server" in victims:
            self.server.freeze()

    def _thaw(self, victims: Collection[Victim]) -> None:
        if "postgres" in victims:
            self.postgres.thaw(self._family)
        if "server" in victims:
            self.server.thaw()

    def _kill(self, victims: Collection[Victim]) -> None:
        if "postgres" in victims:
            self.postgres.kill(self._family)
        if "server" in victims:
            self.server.kill()
