"""
Remembers which sessions were live within the last second.

After a disconnection of many clients, most of what a socket costs that comes back is reading from storage. A session that
was read within the last second, or whose socket was open until then, need not be read again: another process may end it
meanwhile, and this one notices ends of other processes within a second anyway.
"""

from collections.abc import Callable
from typing import Final

from attrs import define, field

from application.actor import Actor
from domain.ids import AccountId, SessionId

SECONDS: Final = 1.0
"""
How long a session counts as seen: not longer than the interval at which a process notices what others have ended, so that
the bound for other processes stays the same.
"""

ENDED_REMEMBERED: Final = 10_000
"""Ended sessions to remember, because a read that began before the end may finish after it."""


@define(eq=False)
class RecentSessions:
    """
    Sessions that were live a moment ago, and have not ended since as far as this process knows.

    ``now`` is a clock in seconds that is never set.
    """

    _now: Callable[[], float]
    _seen: dict[SessionId, tuple[Actor, float]] = field(init=False, factory=dict)
    """Actors and the times until which they count, the earliest first."""
    _ended: dict[SessionId, None] = field(init=False, factory=dict)

    def __len__(self) -> int:
        return len(self._seen)

    def moment(self) -> float:
        """The time to give to `see`, taken before the session is read."""
        return self._now()

    def see(self, actor: Actor, at: float | None = None) -> None:
        """Notes that a session was live at the moment ``at``; now, if that is None."""
        id = actor.session_id
        now = self._now()
        if id not in self._ended:
            self._seen.pop(id, None)
            self._seen[id] = actor, (now if at is None else at) + SECONDS
        self._forget_old(now)

    def find(self, account_id: AccountId, session_id: SessionId) -> Actor | None:
        actor, until = self._seen.get(session_id, (None, 0.0))
        if actor is None or actor.account_id != account_id or until <= self._now():
            return None
        return actor

    def end(self, session_id: SessionId) -> None:
        """Forgets a session at once, because it has ended. A session never begins again."""
        self._seen.pop(session_id, None)
        self._ended[session_id] = None
        if len(self._ended) > ENDED_REMEMBERED:
            del self._ended[next(iter(self._ended))]

    def clear(self) -> None:
        """Forgets everything, because storage has been restored to an earlier state."""
        self._seen.clear()
        self._ended.clear()

    def _forget_old(self, now: float) -> None:
        while self._seen:
            id, (_, until) = next(iter(self._seen.items()))
            if until > now:
                return
            del self._seen[id]
