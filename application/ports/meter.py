from typing import Literal, Protocol

Kind = Literal["messages", "marks"]
"""Of what is carried out in batches."""


class Meter(Protocol):
    """What an operator wants to see of a running node. Every method takes next to no time and never raises; durations in seconds."""

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request. ``route`` is the pattern that it matched, not its path: there are few of them."""
        ...

    def carried_out(self, kind: Kind, commands: int, seconds: float) -> None:
        """A batch: everything from its beginning to after the commit."""
        ...

    def committed(self, kind: Kind, seconds: float) -> None:
        """What of it the commit took."""
        ...

    def told(self, seconds: float) -> None:
        """From a commit until everybody on this node who listens had it in their socket or outbox."""
        ...

    def looked(self) -> None:
        """The node knows of everything that was committed until now, whatever hints were lost."""
        ...

    def letter(self, outcome: str) -> None:
        """``sent``, ``failed`` (will be tried again) or ``error`` (will not)."""
        ...

    def opened(self) -> None:
        """A socket."""
        ...

    def closed(self) -> None: ...

    def heard(self) -> None:
        """A frame from a client."""
        ...

    def said(self) -> None:
        """A frame to one client."""
        ...

    def waiting(self, size: int) -> None:
        """By how many bytes what waits in outboxes has grown; negative: shrunk."""
        ...


class Unmetered:
    """For nobody."""

    def answered(self, method: str, route: str, status: int, seconds: float) -> None: ...

    def carried_out(self, kind: Kind, commands: int, seconds: float) -> None: ...

    def committed(self, kind: Kind, seconds: float) -> None: ...

    def told(self, seconds: float) -> None: ...

    def looked(self) -> None: ...

    def letter(self, outcome: str) -> None: ...

    def opened(self) -> None: ...

    def closed(self) -> None: ...

    def heard(self) -> None: ...

    def said(self) -> None: ...

    def waiting(self, size: int) -> None: ...
