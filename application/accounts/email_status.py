from attrs import field, frozen

from application.ports.clock import Clock
from application.ports.limiter import Allowance, Limiter
from application.ports.storage import Begin
from domain.account import Email
from domain.session import Origin


@frozen(kw_only=True)
class EmailStatus:
    email: Email | None = None
    """None: whoever asks named none, and there is none."""
    origin: Origin = field(factory=Origin)


@frozen(kw_only=True)
class EmailStatusHandler:
    """Whether an address belongs to a confirmed account. Asked one after the other they would be a list of who is here."""

    begin: Begin
    clock: Clock
    limiter: Limiter
    allowance: Allowance

    async def __call__(self, command: EmailStatus) -> bool:
        """
        Raises:
            TooManyRequests: The same address asks too often.
        """
        self.limiter.use(self.allowance, command.origin.network, at=self.clock.now())
        if command.email is None:
            return False
        async with self.begin() as work:
            account = await work.accounts.find_by_email(command.email)
        return account is not None and account.is_confirmed
