"""The life of a socket as one table. Whatever is not in it cannot happen, and says so when it does."""

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final


class State(Enum):
    GREETING = auto()
    """The client has not said who it is."""
    ENTERING = auto()
    """It has, and is being let in. Its next frames wait."""
    OPEN = auto()
    """It is told what happens in its chat."""
    DETACHED = auto()
    """It has left the chat by word. It may still ask, and is told no more."""
    CLOSED = auto()
    """Nothing is heard from it and nothing is told to it."""


class Step(Enum):
    GREETED = auto()
    """The client said who it is."""
    ENTERED = auto()
    LEFT = auto()
    """The client said `leave_chat`."""
    ENDED = auto()
    """The client is gone, or was refused or ended."""


TRANSITIONS: Final[Mapping[State, Mapping[Step, State]]] = {
    State.GREETING: {Step.GREETED: State.ENTERING, Step.ENDED: State.CLOSED},
    State.ENTERING: {Step.ENTERED: State.OPEN, Step.ENDED: State.CLOSED},
    State.OPEN: {Step.LEFT: State.DETACHED, Step.ENDED: State.CLOSED},
    State.DETACHED: {Step.LEFT: State.DETACHED, Step.ENDED: State.CLOSED},
    State.CLOSED: dict.fromkeys(Step, State.CLOSED),
}
