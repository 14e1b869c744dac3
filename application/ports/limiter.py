"""Rate limits. Ordinary use stays far below them; guessing and flooding do not."""

from datetime import datetime, timedelta
from typing import Protocol

from attrs import frozen

from domain.errors import Limited


@frozen
class Allowance:
    """Up to ``most`` uses at once, then as many again evenly over ``within``. Zero means no limit."""

    name: str
    most: int
    within: timedelta
    is_shared: bool = False
    """Whether several people share it. The rest is then not reported, because it would reveal what others do."""

    @property
    def share(self) -> timedelta:
        """The part of ``within`` that one use takes up. There must be a limit."""
        # Rounded down: rounded up, ``most`` shares would not fit into the period.
        return max(self.within // self.most, timedelta.resolution)


@frozen
class Left:
    """The rest of ``allowance``: ``uses`` at once, and one more after ``wait`` seconds (0.0 if nothing is used up)."""

    allowance: Allowance
    uses: int
    wait: float


class TooManyRequests(Limited):
    """Nothing is left of ``allowance`` for ``wait`` seconds."""

    code = "too_many_requests"

    def __init__(self, wait: float, allowance: Allowance) -> None:
        super().__init__(wait, allowance)
        self.wait = wait
        self.allowance = allowance


class Limiter(Protocol):
    """
    Counts uses by allowance and key. The key says whose use it is. Counts may be lost with the process.

    Both methods return what is left afterwards, or None if there is no limit.
    """

    def look(self, allowance: Allowance, key: str, *, at: datetime) -> Left | None:
        """
        Asks without using anything up.

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
