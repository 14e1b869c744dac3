from attrs import frozen

from application.accounts.own_sessions import end_all
from application.ports.clock import Clock
from application.ports.storage import Begin, UnitOfWork
from domain.account import Account, AccountNotFound, Email
from domain.events import SessionEnd


@frozen(kw_only=True)
class DisableAccount:
    email: Email


@frozen(kw_only=True)
class DisableAccountHandler:
    """Keeps the owner of an account out: all sessions end, sockets included, and no new one begins. Messages stay."""

    begin: Begin
    clock: Clock

    async def __call__(self, command: DisableAccount) -> int:
        """
        Returns how many sessions ended.

        Raises:
            AccountNotFound: No account has the address.
        """
        now = self.clock.now()
        async with self.begin() as work:
            account = await lock_by_email(work, command.email)
            account.disable(at=now)
            await work.accounts.save(account)
            sessions = await work.sessions.lock_not_ended(account.id)
            ended = await end_all(work, sessions, SessionEnd.DISABLED, at=now)
        return len(ended)


@frozen(kw_only=True)
class EnableAccount:
    email: Email


@frozen(kw_only=True)
class EnableAccountHandler:
    """Lets the owner of a disabled account sign in again."""

    begin: Begin

    async def __call__(self, command: EnableAccount) -> None:
        """
        Raises:
            AccountNotFound: No account has the address.
        """
        async with self.begin() as work:
            account = await lock_by_email(work, command.email)
            account.enable()
            await work.accounts.save(account)


async def lock_by_email(work: UnitOfWork, email: Email) -> Account:
    """
    Raises:
        AccountNotFound: No account has the address.
    """
    found = await work.accounts.find_by_email(email)
    if found is None:
        raise AccountNotFound
    return await work.accounts.lock(found.id)
