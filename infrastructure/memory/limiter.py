from datetime import datetime, timedelta
from typing import Final

from attrs import define, field

from application.ports.limiter import Allowance, TooManyRequests

MOST_KEYS: Final = 100_000
"""Of all allowances together. Beyond it those whose turn comes soonest are forgotten: they are nearly free anyway."""


@define(eq=False)
class MemoryLimiter:
    """
    Of this process alone. One moment is kept for each key: until when its past use weighs on it, if each use weighs an
    even share of the time (the generic cell rate algorithm of telephone networks).
    """

    most_keys: int = MOST_KEYS
    _weighs_until: dict[tuple[str, str], datetime] = field(factory=dict, init=False)

    def look(self, allowance: Allowance, key: str, *, at: datetime) -> None:
        self._after_use(allowance, key, at)

    def use(self, allowance: Allowance, key: str, *, at: datetime) -> None:
        if (until := self._after_use(allowance, key, at)) is not None:
            self._weighs_until[allowance.name, key] = until
            if len(self._weighs_until) > self.most_keys:
                self._forget(at)

    def _after_use(self, allowance: Allowance, key: str, at: datetime) -> datetime | None:
        if not allowance.most:
            return None
        share = allowance.within / allowance.most
        until = max(self._weighs_until.get((allowance.name, key), at), at) + share
        if (excess := until - at - allowance.within) > timedelta(0):
            raise TooManyRequests(excess.total_seconds(), allowance)
        return until

    def _forget(self, at: datetime) -> None:
        heavy = [(until, key) for key, until in self._weighs_until.items() if until > at]
        heavy.sort()
        self._weighs_until = {key: until for until, key in heavy[-self.most_keys // 2 :]}
