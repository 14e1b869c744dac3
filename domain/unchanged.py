"""A value for fields of a command that say nothing about a change, where None would clear what there is."""

from enum import Enum
from typing import Final


class Unchanged(Enum):
    UNCHANGED = "unchanged"


UNCHANGED: Final = Unchanged.UNCHANGED
