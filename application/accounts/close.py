from collections.abc import Callable

from attrs import field, frozen

from application.accounts.own_sessions import end_all, lock_own
from application.actor import Actor
from application.keys import owned_by_address
from application.ports.clock import Clock
from application.ports.keys import LETTERS
from application.ports.limiter import Allowance, Limiter
from application.ports.passwords import Passwords
from application.ports.storage import Begin
from domain.account import PasswordHash, PasswordWrong
from domain.events import SessionEnd
from domain.session import Origin


@frozen(kw_only=True)
class CloseAccount:
    password: str = field(repr=False)
    origin: Origin = field(factory=Origin)


@frozen(kw_only=True)
class CloseAccountHandler:
    """
    Be gone. In one transaction all sessions end, the profile is removed, address and username are free. The chats are left
    afterwards, one by one, by `ClearClosedAccountsHandler`, which goes on with it whatever interrupts it.

    What was said stays where it was said, by nobody in particular.
    """

    begin: Begin
    clock: Clock
    passwords: Passwords
    account_is_closed: Callable[[], None]
    """Told after the commit, so that the chats need not wait for the next round."""
    limiter: Limiter
    failures: Allowance

    async def __call__(self, actor: Actor, command: CloseAccount) -> None:
        """
        Raises:
            PasswordWrong: And nothing is done.
            TooManyRequests: It was wrong too often.
            NotAuthenticated: The actor's session ended meanwhile.
        """
        key, now = f"{actor.account_id} {command.origin.network}", self.clock.now()
        self.limiter.look(self.failures, key, at=now)
        async with self.begin() as work:
            account, _ = await lock_own(work, actor)
        verified = account.password_hash
        if not await self.passwords.verify(command.password, verified):
            self.limiter.use(self.failures, key, at=now)
            raise PasswordWrong
        if await self._close(actor, verified):
            self.account_is_closed()
        else:
            # The password changed while this one was verified: what was found out is about the former one.
            await self(actor, command)

    async def _close(self, actor: Actor, verified: PasswordHash | None) -> bool:
        """False: the password is another one by now, and nothing was done."""
        now = self.clock.now()
        async with self.begin() as work:
            account, sessions = await lock_own(work, actor)
            if account.password_hash != verified:
                return False
            account.close(at=now)
            await work.accounts.save(account)
            await work.accounts.release_email(account)
            for operation in LETTERS:
                await work.keys.forget(owned_by_address(operation, account.email))
            await work.confirmations.void_all(account.id)
            await work.profiles.remove(await work.profiles.lock(actor.profile_id))
            await end_all(work, sessions, SessionEnd.ACCOUNT_CLOSED, at=now)
        return True
