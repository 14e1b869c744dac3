from attrs import field, frozen

from application.accounts.disable_account import lock_by_email
from application.accounts.other_ways import TellOfPassword
from application.accounts.own_sessions import end_all
from application.ports.clock import Clock
from application.ports.passwords import Passwords
from application.ports.storage import Begin
from domain.account import Email, Password, PasswordRule
from domain.events import SessionEnd
from domain.session import Origin


@frozen(kw_only=True)
class AssignPassword:
    email: Email
    password: Password = field(repr=False)


@frozen(kw_only=True)
class AssignPasswordHandler:
    """
    Gives an account a password that an operator has chosen. All its sessions end, links in letters under way stop working,
    and the owner is told by mail. Passkeys and identities at providers stay. An unconfirmed account becomes confirmed: the operator vouches for its address.
    """

    begin: Begin
    clock: Clock
    passwords: Passwords
    rule: PasswordRule
    tell: TellOfPassword

    async def __call__(self, command: AssignPassword) -> int:
        """
        Returns how many sessions ended.

        Raises:
            AccountNotFound: No account has the address.
            PasswordUnfit: The password may not be chosen.
        """
        self.rule.check(command.password)
        password_hash = await self.passwords.hash(command.password.text)
        now = self.clock.now()
        async with self.begin() as work:
            account = await lock_by_email(work, command.email)
            if account.is_confirmed:
                account.change_password(password_hash)
            else:
                account.vouch(password_hash, at=now)
            await work.accounts.save(account)
            await work.confirmations.void_all(account.id)
            sessions = await work.sessions.lock_not_ended(account.id)
            ended = await end_all(work, sessions, SessionEnd.PASSWORD_CHANGED, at=now)
            await self.tell(work, account, origin=Origin(), at=now)
        return len(ended)
