"""The states of a client and the verdicts of close codes, as docs/clients.md has them."""

from enum import Enum, StrEnum, auto


class State(StrEnum):
    STOPPED = "stopped"
    REFRESHING = "refreshing"
    CONNECTING = "connecting"
    AUTHENTICATING = "authenticating"
    ENTERING = "entering"
    LIVE = "live"
    WAITING = "waiting"
    ENDED = "ended"

    @property
    def has_socket(self) -> bool:
        return self in {State.AUTHENTICATING, State.ENTERING, State.LIVE}


class Verdict(Enum):
    """The reaction of a client to the end of a connection."""

    COME_BACK = auto()
    SIGN_IN = auto()
    BY_CODE = auto()
    """The code of the `auth_error` before the close decides; without one, `STAY_AWAY`."""
    STAY_AWAY = auto()


_VERDICTS = {
    1002: Verdict.STAY_AWAY,
    1003: Verdict.STAY_AWAY,
    1007: Verdict.STAY_AWAY,
    1008: Verdict.BY_CODE,
    1009: Verdict.STAY_AWAY,
    4401: Verdict.SIGN_IN,
    4403: Verdict.STAY_AWAY,
}

ABNORMAL = 1006
"""The code of a connection that ended without a close frame."""

NORMAL = 1000

REPEATED = frozenset({"outcome_unknown", "overloaded", "unavailable"})
"""Refusals after which the same request is sent again."""


def verdict_of(code: int) -> Verdict:
    return _VERDICTS.get(code, Verdict.COME_BACK)


def verdict_of_status(status: int) -> Verdict:
    """After a handshake that was answered with an HTTP status."""
    may_pass = status >= 500 or status in {408, 425, 429}
    return Verdict.COME_BACK if may_pass or status < 400 else Verdict.STAY_AWAY
