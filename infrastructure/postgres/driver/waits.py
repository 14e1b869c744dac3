"""Counts how often, and how long, connections are waited for."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from attrs import define


@define
class Waits:
    number: int = 0
    seconds: float = 0.0

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Counts the block as one wait, also if it fails."""
        began = monotonic()
        try:
            yield
        finally:
            self.number += 1
            self.seconds += monotonic() - began
