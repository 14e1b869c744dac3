"""How often a serving process looks for objects that only refer to each other."""

import gc
from typing import Final

YOUNG: Final = 20_000
"""
How many objects more than before cause a search among the new ones, which takes half a millisecond to a whole one. Python's default, 700, took
a sixth of the CPU of a busy messenger: a batch of messages makes more objects than that, and nearly none of them in cycles.
"""

MIDDLE: Final = 20
"""How many such searches cause one among those that survived one."""

OLD: Final = 100
"""How many of those cause one among all objects, which stops a process with many sockets for a tenth of a second and more."""


def collect_rarely() -> None:
    gc.set_threshold(YOUNG, MIDDLE, OLD)
