"""How often something may be done. Ordinary use never comes near; guessing and flooding do."""

from datetime import datetime, timedelta
from typing import Protocol

from attrs import frozen

from domain.errors import Limited


class TooManyRequests(Limited):
    """``wait`` is in seconds."""

    code = "too_many_requests"

    def __init__(self, wait: float) -> None:
        super().__init__(wait)
        self.wait = wait


@frozen
class Allowance:
    """``most`` at once, then as many again evenly over ``within``. Zero: as many as one likes."""

    name: str
    most: int
    within: timedelta


class Limiter(Protocol):
    """Counts by allowance and key: whose it is, in whatever terms. What it knows may be lost with the process."""

    def look(self, allowance: Allowance, key: str, *, at: datetime) -> None:
        """
        Ask without using anything up.

        Raises:
            TooManyRequests: Nothing is left just now.
        """
        ...

    def use(self, allowance: Allowance, key: str, *, at: datetime) -> None:
        """
        Raises:
            TooManyRequests: Nothing is left just now, and nothing is used up.
        """
        ...
