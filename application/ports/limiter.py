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
    is_shared: bool = False
    """Others use it up as well: nobody is told what is left of it, or they would learn what others do."""


@frozen
class Left:
    """Of ``allowance``: so many ``uses`` at once, and one more after ``wait`` seconds; 0.0 where all are left."""

    allowance: Allowance
    uses: int
    wait: float


class TooManyRequests(Limited):
    """Of ``allowance`` nothing is left for ``wait`` seconds."""

    code = "too_many_requests"

    def __init__(self, wait: float, allowance: Allowance) -> None:
        super().__init__(wait, allowance)
        self.wait = wait
        self.allowance = allowance


class Limiter(Protocol):
    """
    Counts by allowance and key: whose it is, in whatever terms. What it knows may be lost with the process.

    Answers with what is left then; None where there is no limit.
    """

    def look(self, allowance: Allowance, key: str, *, at: datetime) -> Left | None:
        """
        Ask without using anything up.

        Raises:
            TooManyRequests: Nothing is left just now.
        """
        ...

    def use(self, allowance: Allowance, key: str, *, at: datetime) -> Left | None:
        """
        Raises:
            TooManyRequests: Nothing is left just now, and nothing is used up.
        """
        ...
