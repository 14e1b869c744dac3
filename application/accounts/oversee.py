"""Lists of accounts and sessions, for operators."""

from collections.abc import AsyncIterator, Sequence

from attrs import frozen

from application.ports.storage import Begin
from domain.account import Account, AccountNotFound, Email
from domain.session import Session

PAGE = 500


@frozen(kw_only=True)
class ListAccountsHandler:
    begin: Begin

    async def __call__(self) -> AsyncIterator[Account]:
        """Yields all accounts by address. They are read a page at a time, so an account made meanwhile may be missing."""
        after = ""
        while True:
            async with self.begin() as work:
                page = await work.accounts.page(after, PAGE)
            for after, account in page:  # noqa: B007  # the last one is where the next page begins
                yield account
            if len(page) < PAGE:
                return


@frozen(kw_only=True)
class ListSessionsOfHandler:
    begin: Begin

    async def __call__(self, email: Email) -> Sequence[Session]:
        """
        Returns the sessions that have not ended, the most recently used first.

        Raises:
            AccountNotFound: No account has the address.
        """
        async with self.begin() as work:
            account = await work.accounts.find_by_email(email)
            if account is None:
                raise AccountNotFound
            return await work.sessions.not_ended(account.id)
