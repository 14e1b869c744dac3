from attrs import frozen

from application.accounts.own_sessions import end_all
from application.ports.clock import Clock
from application.ports.storage import Begin
from domain.account import AccountNotFound, Email
from domain.events import SessionEnd


@frozen(kw_only=True)
class DisableAccount:
    email: Email
    disable: bool = True
    """False: let its owner sign in again."""


@frozen(kw_only=True)
class DisableAccountHandler:
    """Keep somebody out: every session ends, sockets included, and none begins. What they said stays."""

    begin: Begin
    clock: Clock

    async def __call__(self, command: DisableAccount) -> int:
        """
        How many sessions ended.

        Raises:
            AccountNotFound: Nobody has the address.
        """
        async with self.begin() as work:
            found = await work.accounts.find_by_email(command.email)
            if found is None:
                raise AccountNotFound
            account = await work.accounts.lock(found.id)
            account.disabled_at = self.clock.now() if command.disable else None
            await work.accounts.save(account)
            ended = []
            if command.disable:
                sessions = await work.sessions.lock_not_ended(account.id)
                ended = await end_all(work, sessions, SessionEnd.DISABLED, at=self.clock.now())
        return len(ended)
