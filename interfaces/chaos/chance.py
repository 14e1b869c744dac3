"""What goes wrong on purpose, and how often: for people who write clients, see docs/clients.md. Only LOCAL allows it."""

from collections.abc import Callable
from typing import Final, Protocol

from attrs import define, field, frozen


class Draw(Protocol):
    """A source of chance that gives the same numbers for the same seed."""

    def __call__(self) -> float:
        """A number from 0 up to 1."""
        ...


NewDraw = Callable[[str], Draw]
"""Makes the source for one connection or request, which has a name."""


@frozen(kw_only=True)
class Rates:
    """Shares between 0 and 1, of what each of them is about."""

    drops: float = 0.002
    """Frames of the server instead of which the connection breaks."""
    tears: float = 0.001
    """Frames of the server in the middle of which the connection breaks."""
    delays: float = 0.02
    """Frames of the server before which everything waits."""
    delay_seconds: float = 0.3
    """The longest delay."""
    repeats: float = 0.02
    """Durable frames that come twice."""
    resets: float = 0.05
    """Attempts to resume that fail with a `reset`."""
    lost_answers: float = 0.02
    """Requests that are carried out and answered with an error whose outcome is unknown."""


DEFAULTS: Final = Rates()


@define(eq=False)
class Chaos:
    """The chance of one node. Connections and requests are numbered as they come, and each has chance of its own."""

    rates: Rates
    new_draw: NewDraw
    _numbers: dict[str, int] = field(init=False, factory=dict)

    def of(self, kind: str) -> Draw:
        """The chance of the next one of this kind."""
        number = self._numbers[kind] = self._numbers.get(kind, 0) + 1
        return self.new_draw(f"{kind} {number}")
