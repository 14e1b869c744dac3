from attrs import frozen

from application.ports.storage import Begin
from domain.account import Email


@frozen(kw_only=True)
class EmailStatus:
    email: Email


@frozen(kw_only=True)
class EmailStatusHandler:
    """Whether an address belongs to a confirmed account."""

    begin: Begin

    async def __call__(self, command: EmailStatus) -> bool:
        async with self.begin() as work:
            account = await work.accounts.find_by_email(command.email)
        return account is not None and account.is_confirmed
