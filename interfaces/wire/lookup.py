"""Lookup tables by class, in which an entry for a base class covers the classes derived from it."""

from collections.abc import Mapping
from typing import TypeVar

V = TypeVar("V")


def along_mro(table: Mapping[type, V], kind: type) -> V | None:
    """Returns the entry of ``kind`` or of its nearest base class in the table, or None if there is no such entry."""
    return next((table[base] for base in kind.__mro__ if base in table), None)
