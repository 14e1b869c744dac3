"""A limiter that reports what is left of each allowance, so that the HTTP layer can send RateLimit headers."""

from collections.abc import Callable, Hashable
from datetime import datetime

from attrs import frozen

from application.ports.limiter import Allowance, Left, Limiter


@frozen
class ReportingLimiter:
    """
    Reports the rest of an allowance, in the task of the caller. Shared allowances are not reported.

    A refusal is not reported either, because `TooManyRequests` says the same.
    """

    _limiter: Limiter
    _report: Callable[[], Callable[[Left], None] | None]
    """Returns the function to report to, or None if nobody wants to know. What is left is then not computed."""

    def look(self, allowance: Allowance, key: Hashable, *, at: datetime, uses: int = 1) -> Left | None:
        left = self._limiter.look(allowance, key, at=at, uses=uses)
        if left is not None and not allowance.is_shared and (report := self._report()) is not None:
            report(left)
        return left

    def use(self, allowance: Allowance, key: Hashable, *, at: datetime, uses: int = 1) -> None:
        self._limiter.use(allowance, key, at=at, uses=uses)
        if not allowance.is_shared and self._report() is not None:
            self.look(allowance, key, at=at, uses=0)
