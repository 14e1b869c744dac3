"""A mutant: a socket reads the history first, and subscribes to what is new behind that."""

from interfaces.live.entry import Entry
from tests.simulation.mutants import enters_after_its_history

Entry.enter = enters_after_its_history  # type: ignore[assignment]
