from attrs import frozen

from application.ports.clock import Clock
from application.ports.storage import Begin, UnitOfWork
from application.ports.updates import Updates
from domain.account import Account, AccountNotFound, Email
from domain.events import SessionEnd, SessionEnded


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
    updates: Updates

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
            ended = await self._end_all(work, account) if command.disable else []
        self.updates.publish(ended)
        return len(ended)

    async def _end_all(self, work: UnitOfWork, account: Account) -> list[SessionEnded]:
        ended = []
        for session in await work.sessions.lock_all_live(account.id):
            ended.append(session.end(SessionEnd.DISABLED, at=self.clock.now()))
            await work.sessions.save(session)
        await work.personal.add(ended)
        return ended
