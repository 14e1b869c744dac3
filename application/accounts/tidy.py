from datetime import timedelta

from attrs import frozen

from application.accounts.own_sessions import end_all
from application.ports.clock import Clock
from application.ports.storage import Begin
from domain.events import SessionEnd


@frozen(kw_only=True)
class TidyAccountsHandler:
    """
    End what has run out, and forget what is of no use to anybody: confirmations that nobody can follow any more, letters
    and sessions that ended long ago.

    Ended sessions are kept for a while: by them a device is known again.
    """

    begin: Begin
    clock: Clock
    keep_letters: timedelta = timedelta(days=30)
    keep_sessions: timedelta = timedelta(days=180)
    at_once: int = 100

    async def __call__(self) -> bool:
        """True: there may be more."""
        now = self.clock.now()
        async with self.begin() as work:
            expired = await work.sessions.lock_expired(now, self.at_once)
            ended = await end_all(work, expired, SessionEnd.EXPIRED, at=now)
        async with self.begin() as work:
            await work.confirmations.remove_expired(now)
            await work.keys.remove_expired(now)
            await work.letters.remove_settled(now - self.keep_letters)
            await work.sessions.remove_ended(now - self.keep_sessions)
        return len(ended) == self.at_once
