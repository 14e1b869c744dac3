import os
from collections.abc import Callable
from random import Random


def seeded(seed: int) -> Callable[[str], Callable[[], float]]:
    """
    Makes sources of chance by name, which give numbers from 0 up to 1: the same for the same seed and name, in every process
    and on every machine.
    """

    def new(name: str) -> Callable[[], float]:
        return Random(f"{seed} {name}").random  # noqa: S311 - no secret depends on it

    return new


def unguessable(size: int) -> bytes:
    """Returns so many random bytes that nobody can predict, from the operating system."""
    return os.urandom(size)
