"""Shares a fixed number of places fairly among those who use them."""

import asyncio
from collections import Counter
from collections.abc import Hashable

from attrs import define, field

from infrastructure.turns import Turns


@define(eq=False)
class FairRoom:
    """
    ``size`` places. Who waits is served by owner in turn, and each owner's requests in their order, so that somebody who asks
    five hundred times at once delays others by one request and not by five hundred.

    An owner has at most ``share`` of the places, or slow requests of one could take them all. What belongs to nobody (None)
    has no such limit.
    """

    size: int
    share: int = field()
    free: int = field(init=False)
    _held: Counter[Hashable] = field(init=False, factory=Counter)
    _waiting: "Turns[asyncio.Future[None]]" = field(init=False, factory=Turns)

    @share.default
    def _some(self) -> int:
        return max(1, self.size * 2 // 3)

    @free.default
    def _all(self) -> int:
        return self.size

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def take_at_once(self, owner: Hashable) -> bool:
        """Takes a place if one is free and no other request waits. Returns True if it did."""
        if not self.free or not self._has_share(owner) or self._next_owner() is not None:
            return False
        self._take(owner)
        return True

    async def take(self, owner: Hashable) -> None:
        """Takes a place, and waits for it if need be. A place that was taken must be given back (`give_back`)."""
        if self.take_at_once(owner):
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(owner, turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give_back(owner)  # the place came in the same moment
            else:
                self._waiting.discard(owner, turn)
            raise

    def give_back(self, owner: Hashable) -> None:
        self.free += 1
        self._held[owner] -= 1
        if not self._held[owner]:
            del self._held[owner]
        self._serve()

    def _take(self, owner: Hashable) -> None:
        self.free -= 1
        self._held[owner] += 1

    def _has_share(self, owner: Hashable) -> bool:
        return owner is None or self._held[owner] < self.share

    def _next_owner(self) -> tuple[Hashable] | None:
        """The owner whose turn it is, in a tuple because None is an owner, too."""
        return next(((owner,) for owner in self._waiting.owners if self._has_share(owner)), None)

    def _serve(self) -> None:
        while self.free and (found := self._next_owner()) is not None:
            (owner,) = found
            turn = self._waiting.pop_of(owner)
            if not turn.done():
                self._take(owner)
                turn.set_result(None)
