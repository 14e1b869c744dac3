from collections.abc import Callable

from attrs import field, frozen

from application.accounts.closing import close
from application.accounts.own_sessions import lock_own
from application.accounts.step_up import StepUp
from application.actor import Actor
from application.ports.clock import Clock
from application.ports.storage import Begin
from domain.account import PasswordHash
from domain.session import Origin


@frozen(kw_only=True)
class CloseAccount:
    password: str = field(repr=False)
    code: str | None = field(default=None, repr=False)
    """A code or a recovery code, if the account has a second factor."""
    origin: Origin = field(factory=Origin)


@frozen(kw_only=True)
class CloseAccountHandler:
    """
    Closes the actor's account. One transaction ends all sessions, removes the profile and frees address and username.
    `ClearClosedAccountsHandler` takes the owner out of their chats afterwards, and resumes whatever interrupts it.

    Messages stay where they are, with a placeholder for their author.
    """

    begin: Begin
    clock: Clock
    account_is_closed: Callable[[], None]
    """Called after the commit, so that the chats do not wait for the next round."""
    step_up: StepUp

    async def __call__(self, actor: Actor, command: CloseAccount) -> None:
        """
        Raises:
            PasswordWrong: The password is wrong; nothing was done.
            CodeWrong: The account has a second factor, and the code is missing or wrong; nothing was done.
            TooManyRequests: One of the two was wrong too often.
            NotAuthenticated: The actor's session ended meanwhile.
        """
        actor.require_device()
        verified = await self.step_up.password(actor, command.password, command.origin)
        if await self._close(actor, command.code, verified):
            self.account_is_closed()
        else:
            # The password changed while it was being verified; the result was about the former one.
            await self(actor, command)

    async def _close(self, actor: Actor, code: str | None, verified: PasswordHash | None) -> bool:
        """Returns False, and does nothing, if the password was changed meanwhile."""
        now = self.clock.now()
        async with self.begin() as work:
            account, sessions = await lock_own(work, actor)
            if account.password_hash != verified:
                return False
            await self.step_up.code(work, actor, code)
            await close(work, account, sessions, at=now)
        return True
