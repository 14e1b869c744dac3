"""The time, chance and identities that the world provides. Tests put their own in place of them."""

import random
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Surroundings:
    clock: Callable[[], float] = time.monotonic
    """Seconds since some moment. Only differences count."""
    uniform: Callable[[float, float], float] = field(default_factory=lambda: random.SystemRandom().uniform)
    new_id: Callable[[], str] = lambda: str(uuid.uuid4())
    """For nonces, idempotency keys and the fingerprint of a device."""
