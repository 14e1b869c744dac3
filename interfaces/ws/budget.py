"""Limits the memory that all sockets of a node hold together."""

from typing import Protocol

from attrs import define, field


class Holder(Protocol):
    def cut(self) -> None:
        """Releases everything that is held."""
        ...


@define(eq=False)
class Budget:
    """
    A shared limit for bytes that many holders keep, each for one client.

    When they exceed ``limit`` together, the holder with most bytes is cut, until the rest fits. A well-behaved client
    holds little, and is not cut.
    """

    limit: int
    used: int = field(init=False, default=0)
    _held: dict[Holder, int] = field(init=False, factory=dict)

    def hold(self, holder: Holder, size: int) -> None:
        """Records that ``holder`` now holds ``size`` bytes in total. May cut it before this returns."""
        before = self._held.pop(holder, 0)
        if size:
            self._held[holder] = size
        self.used += size - before
        while self.used > self.limit:
            greatest = max(self._held, key=self._held.__getitem__)
            self.used -= self._held.pop(greatest)
            greatest.cut()
