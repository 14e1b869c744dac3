"""A limiter that reports what is left of each allowance, so that the HTTP layer can send RateLimit headers."""

from collections.abc import Callable, Hashable
from datetime import datetime

from attrs import frozen

from application.ports.limiter import Allowance, Left, Limiter


@frozen
class ReportingLimiter:
    """
    Calls ``report`` with the rest of an allowance, in the task of the caller. Shared allowances are not reported.

    A refusal is not reported either, because `TooManyRequests` says the same.
    """

    _limiter: Limiter
    _report: Callable[[Left], None]

    def look(self, allowance: Allowance, key: Hashable, *, at: datetime, uses: int = 1) -> Left | None:
        return self._reported(self._limiter.look(allowance, key, at=at, uses=uses))

    def use(self, allowance: Allowance, key: Hashable, *, at: datetime, uses: int = 1) -> Left | None:
        return self._reported(self._limiter.use(allowance, key, at=at, uses=uses))

    def _reported(self, left: Left | None) -> Left | None:
        if left is not None and not left.allowance.is_shared:
            self._report(left)
        return left
