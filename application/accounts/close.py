from collections.abc import Callable

from attrs import field, frozen

from application.accounts.closing import close
from application.accounts.failures import FailureLimits
from application.accounts.own_sessions import lock_own
from application.actor import Actor
from application.ports.clock import Clock
from application.ports.passwords import Passwords, Requester
from application.ports.storage import Begin
from application.recording import RecordEvent
from domain.account import PasswordHash, PasswordWrong
from domain.security import SecurityAct
from domain.session import Origin


@frozen(kw_only=True)
class CloseAccount:
    password: str = field(repr=False)
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
    passwords: Passwords
    account_is_closed: Callable[[], None]
    """Called after the commit, so that the chats do not wait for the next round."""
    failures: FailureLimits
    record: RecordEvent

    async def __call__(self, actor: Actor, command: CloseAccount) -> None:
        """
        Raises:
            PasswordWrong: The password is wrong; nothing was done.
            TooManyRequests: It was wrong too often.
            NotAuthenticated: The actor's session ended meanwhile.
        """
        now = self.clock.now()
        keys = self.failures.of_known_device(str(actor.account_id), str(actor.session_id))
        self.failures.look(keys, at=now)
        async with self.begin() as work:
            account, _ = await lock_own(work, actor)
        verified = account.password_hash
        requester = Requester(network=command.origin.network, account=str(actor.account_id), is_known=True)
        if not await self.passwords.verify(command.password, verified, requester):
            self.failures.count(keys, at=now)
            raise PasswordWrong
        if await self._close(actor, verified):
            self.account_is_closed()
        else:
            # The password changed while it was being verified; the result was about the former one.
            await self(actor, command)

    async def _close(self, actor: Actor, verified: PasswordHash | None) -> bool:
        """Returns False, and does nothing, if the password was changed meanwhile."""
        now = self.clock.now()
        async with self.begin() as work:
            account, sessions = await lock_own(work, actor)
            if account.password_hash != verified:
                return False
            await close(work, account, sessions, at=now)
            await self.record(
                work, SecurityAct.ACCOUNT_CLOSED, account.id, at=now, session_id=actor.session_id
            )
        return True
