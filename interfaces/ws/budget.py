"""How much memory all sockets of a node may hold together, and who makes room when it is more."""

from typing import Protocol

from attrs import define, field


class Holder(Protocol):
    def cut(self) -> None:
        """Give up everything that is held."""
        ...


@define(eq=False)
class Budget:
    """
    Bytes that many hold, each for one client.

    When they hold more than ``limit`` together, the one that holds most is cut, until it is enough: a client that
    behaves holds little, and keeps it.
    """

    limit: int
    used: int = field(init=False, default=0)
    _held: dict[Holder, int] = field(init=False, factory=dict)

    def hold(self, holder: Holder, size: int) -> None:
        """``holder`` now holds ``size`` bytes in all. It may be cut before this returns."""
        before = self._held.pop(holder, 0)
        if size:
            self._held[holder] = size
        self.used += size - before
        while self.used > self.limit:
            greatest = max(self._held, key=self._held.__getitem__)
            self.used -= self._held.pop(greatest)
            greatest.cut()
