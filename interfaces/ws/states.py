"""The state machine of a socket as one table. A transition that is not in it raises KeyError."""

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final


class State(Enum):
    GREETING = auto()
    """The client has not authenticated yet."""
    ENTERING = auto()
    """The client has sent its token and is entering. Its next frames wait."""
    OPEN = auto()
    """The client gets the updates of its chat."""
    DETACHED = auto()
    """The client sent `leave_chat`. It may still send requests, and gets no updates."""
    CLOSED = auto()
    """Frames in either direction are discarded."""


class Step(Enum):
    GREETED = auto()
    """The client sent its token."""
    ENTERED = auto()
    LEFT = auto()
    """The client sent `leave_chat`."""
    ENDED = auto()
    """The client disconnected, or the server refused or closed the socket."""


TRANSITIONS: Final[Mapping[State, Mapping[Step, State]]] = {
    State.GREETING: {Step.GREETED: State.ENTERING, Step.ENDED: State.CLOSED},
    State.ENTERING: {Step.ENTERED: State.OPEN, Step.ENDED: State.CLOSED},
    State.OPEN: {Step.LEFT: State.DETACHED, Step.ENDED: State.CLOSED},
    State.DETACHED: {Step.LEFT: State.DETACHED, Step.ENDED: State.CLOSED},
    State.CLOSED: dict.fromkeys(Step, State.CLOSED),
}
