from collections.abc import Callable

from attrs import field, frozen

from application.accounts.mailed import proven
from application.accounts.other_ways import OtherWays, TellOfPassword
from application.accounts.own_sessions import end_all
from application.errors import NotAuthenticated
from application.ports.clock import Clock
from application.ports.passwords import Passwords, Requester
from application.ports.storage import Begin
from application.ports.tokens import Tokens
from domain.account import AccountShut, Password, PasswordRule
from domain.events import SessionEnd
from domain.session import Origin


@frozen(kw_only=True)
class ChoosePassword:
    token: str = field(repr=False)
    password: Password
    origin: Origin = field(factory=Origin)


@frozen(kw_only=True)
class ChoosePasswordHandler:
    """
    Sets a password by the link of a letter, in one step and without a session. The token is used up only by a password
    that is accepted.

    All sessions of the account end, all other tokens of it are void, and the owner is told by mail. The letter that asks
    to confirm an address works as well, and confirms it.
    """

    begin: Begin
    clock: Clock
    tokens: Tokens
    passwords: Passwords
    rule: PasswordRule
    tell: TellOfPassword
    letter_is_due: Callable[[], None]

    async def __call__(self, command: ChoosePassword) -> OtherWays:
        """
        Returns the other ways to sign in, which stay: somebody who only reads the mail must not take them from the owner.

        Raises:
            NotAuthenticated: The token is not ours, or it is expired, used or void, or nobody may sign in to the account.
            PasswordUnfit: The password may not be chosen; the token stays good.
        """
        token = self.tokens.read_confirmation(command.token, at=self.clock.now())
        self.rule.check(command.password)
        # Before the work of hashing: a used token costs no more than this read.
        async with self.begin() as work:
            await proven(work, token)
        requester = Requester(network=command.origin.network, account=str(token.account_id), is_known=True)
        password_hash = await self.passwords.hash(command.password.text, requester)
        now = self.clock.now()
        async with self.begin() as work:
            account, confirmation = await proven(work, token)
            account.redeem(confirmation, at=now)
            try:
                account.refuse_entry()
            except AccountShut:
                raise NotAuthenticated("credentials_invalid") from None
            account.change_password(password_hash)
            await work.accounts.save(account)
            await work.confirmations.void_all(account.id)
            sessions = await work.sessions.lock_not_ended(account.id)
            await end_all(work, sessions, SessionEnd.PASSWORD_CHANGED, at=now)
            left = await self.tell(work, account, origin=command.origin, at=now)
        self.letter_is_due()
        return left
