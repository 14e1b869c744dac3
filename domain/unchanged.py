"""A value for fields of a command that stay as they are, where None would clear the field."""

from enum import Enum
from typing import Final


class Unchanged(Enum):
    UNCHANGED = "unchanged"


UNCHANGED: Final = Unchanged.UNCHANGED
