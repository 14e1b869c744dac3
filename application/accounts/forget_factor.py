from attrs import frozen

from application.accounts.disable_account import lock_by_email
from application.accounts.telling import TellOwner
from application.ports.clock import Clock
from application.ports.storage import Begin
from domain.account import Email
from domain.factor import FactorNotOn
from domain.security import SecurityAct


@frozen(kw_only=True)
class ForgetFactor:
    email: Email


@frozen(kw_only=True)
class ForgetFactorHandler:
    """
    Removes the second factor of an account whose owner has lost the phone and the recovery codes. The operator makes sure
    who asks; the password is needed as before.
    """

    begin: Begin
    clock: Clock
    tell: TellOwner

    async def __call__(self, command: ForgetFactor) -> None:
        """
        Raises:
            AccountNotFound: No account has the address.
            FactorNotOn: The account has no second factor.
        """
        async with self.begin() as work:
            account = await lock_by_email(work, command.email)
            if await work.factors.find(account.id) is None:
                raise FactorNotOn
            await work.factors.remove(account.id)
            await self.tell(work, SecurityAct.FACTOR_OFF, account.id, account.email.text, at=self.clock.now())
