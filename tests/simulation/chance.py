"""What a run's number decides."""

import asyncio
from collections.abc import Sequence
from random import Random
from typing import TypeVar

from attrs import define

T = TypeVar("T")


@define(eq=False)
class Chance:
    """``calm``: from now on nothing goes wrong and nothing takes long."""

    random: Random
    calm: bool = False

    def happens(self, probability: float) -> bool:
        """A fault."""
        return not self.calm and self.random.random() < probability

    def decides(self, probability: float) -> bool:
        """Something that people may do."""
        return self.random.random() < probability

    def below(self, limit: int) -> int:
        return int(self.random.random() * limit)

    def one_of(self, things: Sequence[T]) -> T:
        return things[self.below(len(things))]

    def wait(self, longest: float) -> float:
        """Mostly short, sometimes as long as that, in seconds."""
        if self.calm:
            return 0.001
        chosen = self.random.random()
        if chosen < 0.4:
            return 0.0
        if chosen < 0.9:
            return chosen * longest / 20
        return self.random.random() * longest

    async def delay(self, longest: float) -> None:
        wait = self.wait(longest)
        if wait or self.random.random() < 0.3:  # else it takes no time at all, and nothing else has a turn
            await asyncio.sleep(wait)
