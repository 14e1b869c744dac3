"""How often something may be done. Ordinary use never comes near; guessing and flooding do."""

from datetime import datetime, timedelta
from typing import Protocol

from attrs import frozen

from domain.errors import Limited


@frozen
class Allowance:
    """``most`` at once, then as many again evenly over ``within``. Zero: as many as one likes."""

    name: str
    most: int
    within: timedelta


class TooManyRequests(Limited):
    """Of ``allowance`` nothing is left for ``wait`` seconds."""

    code = "too_many_requests"

    def __init__(self, wait: float, allowance: Allowance) -> None:
        super().__init__(wait, allowance)
        self.wait = wait
        self.allowance = allowance


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
