"""Why a client does not get exactly the updates that it missed."""

from enum import StrEnum


class Reset(StrEnum):
    """Why a client gets the present state instead of the updates that it missed."""

    EPOCH = "epoch"
    AHEAD = "ahead"
    TOO_FAR = "too_far"
    MALFORMED = "malformed"
