"""Rate limits. Ordinary use stays far below them; guessing and flooding do not."""

from collections.abc import Hashable
from datetime import datetime, timedelta
from typing import Protocol

from attrs import field, frozen

from domain.errors import Limited


@frozen
class Allowance:
    """Up to ``most`` uses at once, then as many again evenly over ``within``. Zero means no limit."""

    name: str
    most: int
    within: timedelta
    is_shared: bool = False
    """Whether several people share it. The rest is then not reported, because it would reveal what others do."""
    is_of_process: bool = False
    """If true, each process counts its own uses only. Telling the others would cost more than the actions that are counted."""
    share: timedelta = field(init=False, eq=False)
    """The time in which one use is given back."""

    @share.default
    def _share(self) -> timedelta:
        # Rounded down: rounded up, ``most`` shares would not fit into the period.
        return max(self.within // self.most, timedelta.resolution) if self.most else timedelta(0)

    def weight(self, uses: int) -> timedelta:
        """The part of ``within`` that so many uses take up: never more than the whole, so that any number is possible."""
        return self.share if uses == 1 else min(uses, self.most) * self.share


@frozen
class Left:
    """The rest of ``allowance``: ``uses`` at once, and one more after ``wait`` seconds (0.0 if nothing is used up)."""

    allowance: Allowance
    uses: int
    wait: float


class TooManyRequests(Limited):
    """Too little is left of ``allowance`` for ``wait`` seconds."""

    code = "too_many_requests"

    def __init__(self, wait: float, allowance: Allowance) -> None:
        super().__init__(wait, allowance)
        self.wait = wait
        self.allowance = allowance


class Limiter(Protocol):
    """
    Counts uses by allowance and key. The key says whose use it is. Counts may be lost with the process.

    ``uses`` is how many they are at once; what is more than the whole allowance counts as the whole, so that it is possible at
    all. No use at all is never refused.
    """

    def look(self, allowance: Allowance, key: Hashable, *, at: datetime, uses: int = 1) -> Left | None:
        """
        Asks without using anything up. Returns what is left, or None if there is no limit.

        Raises:
            TooManyRequests: Too little is left just now.
        """
        ...

    def use(self, allowance: Allowance, key: Hashable, *, at: datetime, uses: int = 1) -> None:
        """
        Raises:
            TooManyRequests: Too little is left just now, and nothing is used up.
        """
        ...
