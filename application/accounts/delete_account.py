from attrs import frozen

from application.accounts.closing import close
from application.accounts.disable_account import lock_by_email
from application.ports.clock import Clock
from application.ports.storage import Begin
from domain.account import Email


@frozen(kw_only=True)
class DeleteAccount:
    email: Email


@frozen(kw_only=True)
class DeleteAccountHandler:
    """
    Closes an account for its owner, with the same effects: all sessions end, the profile is removed, and address and
    username become free. `ClearClosedAccountsHandler` takes the owner out of their chats. Messages stay.
    """

    begin: Begin
    clock: Clock

    async def __call__(self, command: DeleteAccount) -> int:
        """
        Returns how many sessions ended.

        Raises:
            AccountNotFound: No account has the address.
        """
        async with self.begin() as work:
            account = await lock_by_email(work, command.email)
            sessions = await work.sessions.lock_not_ended(account.id)
            await close(work, account, sessions, at=self.clock.now())
        return len(sessions)
