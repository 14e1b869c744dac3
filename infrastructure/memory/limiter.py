from datetime import datetime, timedelta
from typing import Final

from attrs import define, field

from application.ports.limiter import Allowance, Left, TooManyRequests

MOST_KEYS: Final = 100_000
"""How many keys are kept for all allowances together. Beyond that, keys with the fewest recent uses are forgotten."""


@define(eq=False)
class MemoryLimiter:
    """
    Counts for this process alone, by the generic cell rate algorithm. It keeps one time for each key: the one until which
    past uses count, when each use counts for an even share of the allowance's period.
    """

    most_keys: int = MOST_KEYS
    _weighs_until: dict[tuple[str, str], datetime] = field(factory=dict, init=False)

    def look(self, allowance: Allowance, key: str, *, at: datetime) -> Left | None:
        if not allowance.most:
            return None
        left = _left(allowance, self._weight(allowance, key, at))
        if not left.uses:
            raise TooManyRequests(left.wait, allowance)
        return left

    def use(self, allowance: Allowance, key: str, *, at: datetime) -> Left | None:
        if self.look(allowance, key, at=at) is None:
            return None
        return _left(allowance, self._added(allowance.name, key, allowance.share, at))

    def add(self, name: str, key: str, share: timedelta, *, at: datetime) -> None:
        """Counts a use of the allowance ``name`` that has been permitted elsewhere."""
        self._added(name, key, share, at)

    def _added(self, name: str, key: str, share: timedelta, at: datetime) -> timedelta:
        weight = max(self._weighs_until.get((name, key), at) - at, timedelta(0)) + share
        self._weighs_until[name, key] = at + weight
        if len(self._weighs_until) > self.most_keys:
            self._forget(at)
        return weight

    def _weight(self, allowance: Allowance, key: str, at: datetime) -> timedelta:
        return max(self._weighs_until.get((allowance.name, key), at) - at, timedelta(0))

    def _forget(self, at: datetime) -> None:
        heavy = [(until, key) for key, until in self._weighs_until.items() if until > at]
        heavy.sort()
        self._weighs_until = {key: until for until, key in heavy[-self.most_keys // 2 :]}


def _left(allowance: Allowance, weight: timedelta) -> Left:
    share, room = allowance.share, allowance.within - weight
    uses = min(max(room // share, 0), allowance.most)
    wait = timedelta(0) if uses == allowance.most else (uses + 1) * share - room
    return Left(allowance, uses, wait.total_seconds())
