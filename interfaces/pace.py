"""Spreads the requests of one account over time, so that they do not delay everybody else's."""

import time
from collections.abc import Callable
from typing import Final

from attrs import define, field

from domain.ids import AccountId
from interfaces.throttled import ThrottledWarning

SAVED_SECONDS: Final = 5.0
"""For how many seconds an account saves up the requests that it does not make. It may then make as many at once."""

BYTES: Final = 16 * 1024
"""Each further so many bytes of an answer count as one more request, because long answers cost more than short ones."""


@define(eq=False)
class Pace:
    """
    Lets each account make ``per_second`` requests a second on this node, over HTTP and on sockets together.

    Nothing is refused: the requests beyond that wait, each for its own moment. The sum of what an account may ask for in a
    second is therefore the same with one socket and with five hundred. 0 means no limit.
    """

    per_second: int = 0
    saved_seconds: float = SAVED_SECONDS
    _now: Callable[[], float] = time.monotonic
    _taken_until: dict[AccountId, float] = field(init=False, factory=dict)
    """The time that past requests have taken up, for accounts whose time is in the future; the latest request last."""
    _waiting: ThrottledWarning = field(
        init=False,
        factory=lambda: ThrottledWarning(
            "An account asks too much at once: its requests wait (API_REQUESTS_PER_ACCOUNT_AND_SECOND)"
        ),
    )

    def take(self, account_id: AccountId) -> float:
        """
        Takes the next moment of an account for one request. Returns the seconds until then, which are 0.0 in ordinary use.
        The moment is taken for good, also if the request is never made.
        """
        if not self.per_second:
            return 0.0
        now = self._now()
        before = self._add(account_id, 1 / self.per_second, now)
        wait = before - now - self.saved_seconds
        if wait <= 0.0:
            return 0.0
        self._waiting.warn(account=str(account_id), seconds=round(wait, 3))
        return wait

    def charge(self, account_id: AccountId, answered: int) -> None:
        """Counts an answer of so many bytes, which later requests of the account wait for."""
        if self.per_second and answered >= BYTES:
            self._add(account_id, answered // BYTES / self.per_second, self._now())

    def _add(self, account_id: AccountId, seconds: float, now: float) -> float:
        """Returns the time until which the requests before this one take up."""
        taken = self._taken_until
        before = max(taken.pop(account_id, now), now)
        taken[account_id] = before + seconds
        while next(iter(taken.values())) <= now:
            del taken[next(iter(taken))]
        return before

    @property
    def busy_accounts(self) -> int:
        """How many accounts have requests that others of them may have to wait for."""
        return len(self._taken_until)
