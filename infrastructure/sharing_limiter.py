"""A limiter whose counts several processes share over the bus."""

from collections.abc import Callable, Hashable, Sequence
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Protocol

from attrs import frozen

from application.ports.limiter import Allowance, Left, Limiter
from application.ports.updates import LimitUsed, Update


class CountingLimiter(Limiter, Protocol):
    """A limiter that can be told of uses elsewhere."""

    def add(self, name: str, key: Hashable, share: timedelta, *, at: datetime) -> None:
        """Count uses of the allowance ``name`` that another process has permitted."""
        ...


@frozen(eq=False)
class SharingLimiter:
    """
    Tells the other processes of each use, and counts theirs with its own.

    What the bus loses is not counted elsewhere: an allowance may then be used a little more often than it says. Keys are
    addresses of people and of networks, and cross as digests.
    """

    _limiter: CountingLimiter
    _publish: Callable[[Sequence[Update]], None]
    _process: str
    """Identifies this process: its own uses come back to it as well."""

    def look(self, allowance: Allowance, key: Hashable, *, at: datetime, uses: int = 1) -> Left | None:
        if not allowance.is_of_process:
            key = _digest(key)
        return self._limiter.look(allowance, key, at=at, uses=uses)

    def use(self, allowance: Allowance, key: Hashable, *, at: datetime, uses: int = 1) -> None:
        if allowance.is_of_process or not allowance.most:
            self._limiter.use(allowance, key, at=at, uses=uses)
            return
        digest = _digest(key)
        self._limiter.use(allowance, digest, at=at, uses=uses)
        used = LimitUsed(
            process=self._process,
            allowance=allowance.name,
            key=digest,
            share=allowance.weight(uses),
            at=at,
        )
        self._publish([used])

    def hear(self, updates: Sequence[Update]) -> None:
        """A listener for updates."""
        for update in updates:
            if isinstance(update, LimitUsed) and update.process != self._process:
                self._limiter.add(update.allowance, update.key, update.share, at=update.at)


def _digest(key: Hashable) -> str:
    return blake2b(str(key).encode(errors="surrogatepass"), digest_size=16).hexdigest()
