from collections.abc import Callable

from attrs import field, frozen

from application.accounts.own_sessions import end_others, lock_own
from application.actor import Actor
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.passwords import Passwords
from application.ports.storage import Begin
from domain.account import Password, PasswordRule
from domain.events import SessionEnd
from domain.notification import Letter, Template
from domain.session import Origin


@frozen(kw_only=True)
class SetPassword:
    password: Password
    origin: Origin = field(factory=Origin)


@frozen(kw_only=True)
class SetPasswordHandler:
    """
    Choose another password. Whoever else was signed in to the account is no longer, letters that were under way open
    nothing, and the owner is told by mail.
    """

    begin: Begin
    clock: Clock
    ids: Ids
    passwords: Passwords
    rule: PasswordRule
    letter_is_due: Callable[[], None]

    async def __call__(self, actor: Actor, command: SetPassword) -> None:
        """
        Raises:
            PasswordUnfit: It may not be chosen.
            NotAuthenticated: The actor's session ended meanwhile.
        """
        self.rule.check(command.password)
        password_hash = await self.passwords.hash(command.password.text)
        now = self.clock.now()
        async with self.begin() as work:
            account, sessions = await lock_own(work, actor)
            account.change_password(password_hash)
            await work.accounts.save(account)
            await work.confirmations.void_all(account.id)
            await end_others(work, sessions, actor, SessionEnd.PASSWORD_CHANGED, at=now)
            await work.letters.add(
                Letter.reporting(
                    Template.PASSWORD_CHANGED,
                    id=self.ids.letter(),
                    account_id=account.id,
                    recipient=account.email,
                    at=now,
                    origin=command.origin,
                )
            )
        self.letter_is_due()
