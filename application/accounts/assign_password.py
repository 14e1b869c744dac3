from attrs import field, frozen

from application.accounts.disable_account import lock_by_email
from application.accounts.own_sessions import end_all
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.passwords import Passwords
from application.ports.storage import Begin
from domain.account import Email, Password, PasswordRule
from domain.events import SessionEnd
from domain.notification import Letter, Template
from domain.session import Origin


@frozen(kw_only=True)
class AssignPassword:
    email: Email
    password: Password = field(repr=False)


@frozen(kw_only=True)
class AssignPasswordHandler:
    """
    Gives an account a password that an operator has chosen. All its sessions end, links in letters under way stop working,
    and the owner is told by mail. An unconfirmed account becomes confirmed: the operator vouches for its address.
    """

    begin: Begin
    clock: Clock
    ids: Ids
    passwords: Passwords
    rule: PasswordRule

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
            await work.letters.add(
                Letter.reporting(
                    Template.PASSWORD_CHANGED,
                    id=self.ids.letter(),
                    account_id=account.id,
                    recipient=account.email,
                    at=now,
                    origin=Origin(),
                )
            )
        return len(ended)
