"""A fair queue for slow work: no single network or account can fill it."""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from logging import getLogger
from typing import Final

from attrs import define, field

from application.errors import Overloaded
from application.ports.passwords import Requester
from infrastructure.complaints import Complaints

complaints: Final = Complaints("passwords", getLogger(__name__))


@define(eq=False)
class Line:
    """Waiting requests by network. Networks take turns, one request each."""

    _by_network: OrderedDict[str, deque[asyncio.Future[None]]] = field(factory=OrderedDict, init=False)

    def __len__(self) -> int:
        return sum(map(len, self._by_network.values()))

    def add(self, network: str, turn: asyncio.Future[None]) -> None:
        self._by_network.setdefault(network, deque()).append(turn)

    def remove(self, network: str, turn: asyncio.Future[None]) -> None:
        waiting = self._by_network.get(network)
        if waiting and turn in waiting:
            waiting.remove(turn)
            if not waiting:
                del self._by_network[network]

    def next(self) -> asyncio.Future[None] | None:
        if not self._by_network:
            return None
        network, waiting = self._by_network.popitem(last=False)
        turn = waiting.popleft()
        if waiting:
            self._by_network[network] = waiting  # behind all others
        return turn


@define(eq=False)
class FairQueue:
    """
    Lets ``places`` requesters in at once. At most ``backlog`` others wait, ``share`` of them for one network and ``share``
    for one account. Requesters that the account knows wait in a line of their own, of the same length, and go first.
    """

    places: int
    backlog: int
    share: int
    _busy: int = field(default=0, init=False)
    _known: Line = field(factory=Line, init=False)
    _strangers: Line = field(factory=Line, init=False)
    _present: Counter[tuple[str, str]] = field(factory=Counter, init=False)

    @asynccontextmanager
    async def turn(self, requester: Requester) -> AsyncIterator[None]:
        """
        Waits for a place and holds it.

        Raises:
            Overloaded: Too many wait already, in all or of this network or account.
        """
        shares = [
            (kind, name)
            for kind, name in (("network", requester.network), ("account", requester.account))
            if name
        ]
        if self._busy >= self.places:
            await self._wait(requester, shares)
        else:
            self._busy += 1
        try:
            yield
        finally:
            self._leave()

    async def _wait(self, requester: Requester, shares: list[tuple[str, str]]) -> None:
        line = self._known if requester.is_known else self._strangers
        marked = [(f"{kind} {requester.is_known}", name) for kind, name in shares]
        if len(line) >= self.backlog or any(self._present[each] >= self.share for each in marked):
            complaints.tell(Overloaded.code, f"{self._busy + len(line)} are being hashed or wait for it")
            raise Overloaded("too many passwords are waiting", retry_after=2.0)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        line.add(requester.network, turn)
        self._present.update(marked)
        try:
            await turn
        except asyncio.CancelledError:
            line.remove(requester.network, turn)
            if turn.done() and not turn.cancelled():
                self._leave()  # the place was passed to this request just before it was cancelled
            raise
        finally:
            self._present.subtract(marked)
            for each in marked:
                if not self._present[each]:
                    del self._present[each]

    def _leave(self) -> None:
        """Passes the place to the next in line, or frees it if the line is empty."""
        while (turn := self._known.next() or self._strangers.next()) is not None:
            if not turn.done():
                turn.set_result(None)
                return
        self._busy -= 1
