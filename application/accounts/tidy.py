from datetime import timedelta

from attrs import frozen

from application.accounts.own_sessions import end_all
from application.ports.clock import Clock
from application.ports.passwords import Passwords
from application.ports.storage import Begin
from domain.events import SessionEnd


@frozen(kw_only=True)
class TidyAccountsHandler:
    """
    Ends sessions that have expired, removes confirmations that have expired, and letters, events and sessions that ended long ago,
    and tells `Passwords` whether there still are hashes of a former kind.

    Ended sessions are kept for a while, so that a device is recognised.
    """

    begin: Begin
    clock: Clock
    passwords: Passwords
    keep_letters: timedelta = timedelta(days=30)
    keep_sessions: timedelta = timedelta(days=180)
    keep_events: timedelta = timedelta(days=90)
    at_once: int = 100

    async def __call__(self) -> bool:
        """Returns True if there may be more."""
        now = self.clock.now()
        async with self.begin() as work:
            self.passwords.expect(await work.accounts.former_hash())
        async with self.begin() as work:
            expired = await work.sessions.lock_expired(now, self.at_once)
            ended = await end_all(work, expired, SessionEnd.EXPIRED, at=now)
        async with self.begin() as work:
            await work.confirmations.remove_expired(now)
            await work.keys.remove_expired(now)
            await work.letters.remove_settled(now - self.keep_letters)
            await work.sessions.remove_ended(now - self.keep_sessions)
            await work.events.remove_older(now - self.keep_events)
        return len(ended) == self.at_once
