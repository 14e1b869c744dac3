from collections.abc import Hashable
from datetime import datetime, timedelta
from typing import Final

from attrs import define, field

from application.ports.limiter import Allowance, Left, TooManyRequests

MOST_KEYS: Final = 100_000
"""How many keys are kept for all allowances together. Beyond that, keys with the fewest recent uses are forgotten."""

NOTHING: Final = timedelta(0)


@define(eq=False)
class MemoryLimiter:
    """
    Counts for this process alone, by the generic cell rate algorithm. It keeps one time for each key: the one until which
    past uses count, when each use counts for an even share of the allowance's period.
    """

    most_keys: int = MOST_KEYS
    _weighs_until: dict[tuple[str, Hashable], datetime] = field(factory=dict, init=False)
    _periods: dict[str, timedelta] = field(factory=dict, init=False)
    """The periods of the allowances that this process has asked about, by name."""

    def look(self, allowance: Allowance, key: Hashable, *, at: datetime, uses: int = 1) -> Left | None:
        if not allowance.most:
            return None
        self._learn(allowance, at)
        until = self._weighs_until.get((allowance.name, key), at)
        weight = until - at if until > at else NOTHING
        _refuse_excess(allowance, weight, uses)
        return _left(allowance, weight)

    def use(self, allowance: Allowance, key: Hashable, *, at: datetime, uses: int = 1) -> None:
        if not allowance.most:
            return
        self._learn(allowance, at)
        place = allowance.name, key
        until = self._weighs_until.get(place, at)
        weight = until - at if until > at else NOTHING
        weight += _refuse_excess(allowance, weight, uses)
        self._keep(place, at, weight)

    def add(self, name: str, key: Hashable, share: timedelta, *, at: datetime) -> None:
        """
        Counts uses of the allowance ``name`` that have been permitted elsewhere, and weigh ``share`` together. However many
        processes permit at once, the key waits for two of the allowance's periods at most until it is permitted all again.
        """
        place = name, key
        weight = max(self._weighs_until.get(place, at) - at, NOTHING)
        self._keep(place, at, max(weight, self._bounded(name, weight + share)))

    def _learn(self, allowance: Allowance, at: datetime) -> None:
        """Notes the period of an allowance, and bounds what was added before it was known."""
        name = allowance.name
        if self._periods.get(name) == allowance.within:
            return
        self._periods[name] = allowance.within
        for place, until in self._weighs_until.items():
            if place[0] == name:
                self._weighs_until[place] = at + self._bounded(name, until - at)

    def _bounded(self, name: str, weight: timedelta) -> timedelta:
        period = self._periods.get(name)
        return weight if period is None else min(weight, 2 * period)

    def _keep(self, place: tuple[str, Hashable], at: datetime, weight: timedelta) -> None:
        self._weighs_until[place] = at + weight
        if len(self._weighs_until) > self.most_keys:
            self._forget(at)

    def _forget(self, at: datetime) -> None:
        heavy = [(until, place) for place, until in self._weighs_until.items() if until > at]
        heavy.sort(key=lambda each: each[0])
        self._weighs_until = {place: until for until, place in heavy[-self.most_keys // 2 :]}


def _refuse_excess(allowance: Allowance, weight: timedelta, uses: int) -> timedelta:
    """Returns what ``uses`` weigh."""
    asked = allowance.weight(uses)
    if asked and weight + asked > allowance.within:
        raise TooManyRequests((weight + asked - allowance.within).total_seconds(), allowance)
    return asked


def _left(allowance: Allowance, weight: timedelta) -> Left:
    share, room = allowance.share, allowance.within - weight
    uses = min(max(room // share, 0), allowance.most)
    wait = NOTHING if uses == allowance.most else (uses + 1) * share - room
    return Left(allowance, uses, wait.total_seconds())
