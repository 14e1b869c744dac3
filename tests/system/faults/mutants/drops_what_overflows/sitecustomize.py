"""A mutant: what does not fit into the outbox of a slow reader is dropped without a word."""

from interfaces.ws.outbox import Outbox
from tests.simulation.mutants import drops_what_overflows

Outbox._keep = drops_what_overflows  # type: ignore[method-assign]
