"""Records what happens to the security of an account, and tells its owner by mail."""

from datetime import datetime

from attrs import frozen

from application.accounts.mailed import LetterLimits, report
from application.actor import Actor
from application.ports.ids import Ids
from application.ports.storage import UnitOfWork
from application.recording import RecordEvent
from domain.account import Email
from domain.ids import AccountId, SessionId
from domain.notification import Template
from domain.security import SecurityAct


@frozen(kw_only=True)
class TellOwner:
    """
    Adds an event to a unit of work, and a letter about it. Whether the letter is sent or was one too many, the event is there.

    The letter leaves with the next round of the worker that sends letters, a few seconds later.
    """

    record: RecordEvent
    ids: Ids
    limits: LetterLimits | None
    """None for what the operator does."""

    async def __call__(
        self,
        work: UnitOfWork,
        act: SecurityAct,
        account_id: AccountId,
        email: str,
        *,
        at: datetime,
        session_id: SessionId | None = None,
    ) -> None:
        """``act`` is one that a template of the same name reports."""
        await self.record(work, act, account_id, at=at, session_id=session_id)
        await report(
            Template(act.value),
            account_id,
            Email(email),
            work=work,
            limits=self.limits,
            id=self.ids.letter(),
            origin=self.record.where(),
            at=at,
        )

    async def of_own(self, work: UnitOfWork, act: SecurityAct, actor: Actor, *, at: datetime) -> None:
        """Tells the owner of something that the actor has done to their own account."""
        await self(work, act, actor.account_id, actor.email, at=at, session_id=actor.session_id)
