"""The faults that the chaos switch injects, and their rates. docs/clients.md explains the switch; only LOCAL allows it."""

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
    """Each rate is a share between 0 and 1."""

    drops: float = 0.002
    """The share of the server's frames that are not sent because the connection breaks first."""
    tears: float = 0.001
    """The share of the server's frames that are cut in half, because the connection breaks in the middle."""
    delays: float = 0.02
    """The share of the server's frames that are delayed, together with all frames behind them."""
    delay_seconds: float = 0.3
    """The longest delay, in seconds."""
    repeats: float = 0.02
    """The share of durable frames that are sent twice."""
    resets: float = 0.05
    """The share of attempts to resume that fail with a `reset`."""
    lost_answers: float = 0.02
    """The share of requests that are carried out, but answered with an error that leaves their outcome unknown."""


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
