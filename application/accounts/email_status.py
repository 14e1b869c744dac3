from attrs import field, frozen

from application.ports.clock import Clock
from application.ports.limiter import Allowance, Limiter
from application.ports.storage import Begin
from domain.account import Email
from domain.session import Origin


@frozen(kw_only=True)
class EmailStatus:
    email: Email | None = None
    """None if the request names no address; the answer is False then."""
    origin: Origin = field(factory=Origin)


@frozen(kw_only=True)
class EmailStatusHandler:
    """Tells whether an address belongs to a confirmed account. Rate-limited, or anyone could enumerate accounts."""

    begin: Begin
    clock: Clock
    limiter: Limiter
    allowance: Allowance

    async def __call__(self, command: EmailStatus) -> bool:
        """
        Raises:
            TooManyRequests: The same network asks too often.
        """
        self.limiter.use(self.allowance, command.origin.network, at=self.clock.now())
        if command.email is None:
            return False
        async with self.begin() as work:
            account = await work.accounts.find_by_email(command.email)
        return account is not None and account.is_confirmed
