"""Calculates the pause before a client connects again. It is random (full jitter), so that many clients do not connect at once."""

from collections.abc import Callable


class Pauses:
    """
    Random pauses below a bound that doubles with every failure.

    Args:
        uniform: Draws a number between two others.
        first: The first bound, in seconds.
        longest: The greatest bound.
    """

    def __init__(
        self, uniform: Callable[[float, float], float], *, first: float = 1.0, longest: float = 60.0
    ) -> None:
        self._uniform = uniform
        self._first = first
        self._longest = longest
        self._bound = first

    def next(self, at_least: float | None = None) -> float:
        """A pause, never shorter than what the server demanded."""
        drawn = self._uniform(0, self._bound)
        self._bound = min(2 * self._bound, self._longest)
        if at_least is None:
            return drawn
        # drawn on top of it: everybody who was told the same number must not come back at the same moment
        return at_least + drawn

    def reset(self) -> None:
        self._bound = self._first
