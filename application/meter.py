from typing import Literal, Protocol

Kind = Literal["messages", "marks"]
"""The kinds of commands that are carried out in batches."""


class Meter(Protocol):
    """
    Measures a running node, for operators. Methods are cheap enough to call for every frame, and never raise. Durations
    are in seconds.
    """

    def request_answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Counts a request. ``route`` is the pattern that its path matched, so that there are few different values."""
        ...

    def batch_done(self, kind: Kind, commands: int, seconds: float) -> None:
        """Counts a batch, with the time from its beginning to the end of its commit."""
        ...

    def batch_committed(self, kind: Kind, seconds: float) -> None:
        """Records how long the commit of a batch took, with the last statement, if storage sends both together."""
        ...

    def update_delivered(self, seconds: float) -> None:
        """Records the time from a commit until the socket or outbox of every listener on this node had the update."""
        ...

    def caught_up(self) -> None:
        """Records that the node has read everything committed until now, even if updates were lost."""
        ...

    def letter_tried(self, outcome: str) -> None:
        """Counts an attempt to send a letter: ``sent``, ``failed`` (to be tried again) or ``error`` (given up)."""
        ...

    def socket_opened(self) -> None:
        """Counts an opened socket."""
        ...

    def socket_closed(self) -> None: ...

    def frame_received(self) -> None:
        """Counts a frame from a client."""
        ...

    def frames_sent(self, count: int) -> None:
        """Counts frames to one client."""
        ...

    def outbox_grew(self, size: int) -> None:
        """Adds ``size`` bytes to what waits in outboxes; negative if an outbox shrank."""
        ...


class Unmetered:
    """A meter that measures nothing."""

    def request_answered(self, method: str, route: str, status: int, seconds: float) -> None: ...

    def batch_done(self, kind: Kind, commands: int, seconds: float) -> None: ...

    def batch_committed(self, kind: Kind, seconds: float) -> None: ...

    def update_delivered(self, seconds: float) -> None: ...

    def caught_up(self) -> None: ...

    def letter_tried(self, outcome: str) -> None: ...

    def socket_opened(self) -> None: ...

    def socket_closed(self) -> None: ...

    def frame_received(self) -> None: ...

    def frames_sent(self, count: int) -> None: ...

    def outbox_grew(self, size: int) -> None: ...
