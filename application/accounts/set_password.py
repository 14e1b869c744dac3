from collections.abc import Callable

from attrs import field, frozen

from application.accounts.mailed import LetterLimits, report
from application.accounts.own_sessions import end_others, lock_own
from application.actor import Actor
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.passwords import Passwords, Requester
from application.ports.storage import Begin
from domain.account import Password, PasswordRule
from domain.events import SessionEnd
from domain.notification import Template
from domain.session import Origin


@frozen(kw_only=True)
class SetPassword:
    password: Password
    origin: Origin = field(factory=Origin)


@frozen(kw_only=True)
class SetPasswordHandler:
    """
    Changes the actor's password. All other sessions of the account end, links in letters under way stop working, and the
    owner is told by mail.
    """

    begin: Begin
    clock: Clock
    ids: Ids
    passwords: Passwords
    rule: PasswordRule
    limits: LetterLimits
    letter_is_due: Callable[[], None]

    async def __call__(self, actor: Actor, command: SetPassword) -> None:
        """
        Raises:
            PasswordUnfit: The password may not be chosen.
            NotAuthenticated: The actor's session ended meanwhile.
        """
        actor.require_device()
        self.rule.check(command.password)
        requester = Requester(network=command.origin.network, account=str(actor.account_id), is_known=True)
        password_hash = await self.passwords.hash(command.password.text, requester)
        now = self.clock.now()
        async with self.begin() as work:
            account, sessions = await lock_own(work, actor)
            account.change_password(password_hash)
            await work.accounts.save(account)
            await work.confirmations.void_all(account.id)
            await end_others(work, sessions, actor, SessionEnd.PASSWORD_CHANGED, at=now)
            await report(
                Template.PASSWORD_CHANGED,
                account,
                work=work,
                limits=self.limits,
                id=self.ids.letter(),
                origin=command.origin,
                at=now,
            )
        self.letter_is_due()
