"""Tables by class, for things that are said of whole families of classes and of a few members otherwise."""

from collections.abc import Mapping
from typing import TypeVar

V = TypeVar("V")


def along_mro(table: Mapping[type, V], kind: type) -> V | None:
    """The entry of ``kind``, or that of the nearest class that it is derived from. None: there is none."""
    return next((table[base] for base in kind.__mro__ if base in table), None)
