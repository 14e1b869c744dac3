from collections.abc import Callable

from attrs import frozen

from application.accounts.closing import close
from application.accounts.step_up import FullReauthentication, StepUp
from application.actor import Actor
from application.ports.clock import Clock
from application.recording import RecordEvent
from domain.security import SecurityAct


@frozen(kw_only=True)
class CloseAccount(FullReauthentication):
    pass


@frozen(kw_only=True)
class CloseAccountHandler:
    """
    Closes the actor's account. One transaction ends all sessions, removes the profile and frees address and username.
    `ClearClosedAccountsHandler` takes the owner out of their chats afterwards, and resumes whatever interrupts it.

    Messages stay where they are, with a placeholder for their author.
    """

    clock: Clock
    account_is_closed: Callable[[], None]
    """Called after the commit, so that the chats do not wait for the next round."""
    record: RecordEvent
    step_up: StepUp

    async def __call__(self, actor: Actor, command: CloseAccount) -> None:
        """
        Raises:
            ProofUnfit: The proof is not of this session, too old or used already.
            PasswordWrong: The password is wrong; nothing was done.
            CodeWrong: The account has a second factor, and the code is missing or wrong; nothing was done.
            TooManyRequests: One of the two was wrong too often.
            NotAuthenticated: The actor's session ended meanwhile.
        """
        actor.require_device()
        async with self.step_up.proven(actor, command) as proven:
            work, account, now = proven.work, proven.account, self.clock.now()
            await self.step_up.code(proven, actor, command.code)
            await close(work, account, proven.sessions, at=now)
            await self.record(
                work, SecurityAct.ACCOUNT_CLOSED, account.id, at=now, session_id=actor.session_id
            )
        self.account_is_closed()
