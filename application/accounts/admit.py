"""Admits people who have proven an account: the last step that all ways to sign in have in common."""

from datetime import datetime

from attrs import frozen

from application.accounts.mailed import LetterLimits, report
from application.accounts.signed_in import OpenSession
from application.ports.ids import Ids
from application.ports.storage import UnitOfWork
from application.ports.tokens import PendingToken
from application.recording import RecordEvent
from domain.account import Account
from domain.notification import Template
from domain.security import SecurityAct
from domain.session import Fingerprint, Origin, Session


@frozen(kw_only=True)
class Admitted:
    opened: Session | PendingToken
    letter_was_added: bool


@frozen(kw_only=True)
class Admit:
    """Opens a session to a locked account, records it, and tells the owner by mail of a device that was never seen before."""

    ids: Ids
    open_session: OpenSession
    limits: LetterLimits
    record: RecordEvent

    async def __call__(
        self,
        work: UnitOfWork,
        account: Account,
        fingerprint: Fingerprint,
        origin: Origin,
        *,
        at: datetime,
        by_both: bool = False,
    ) -> Admitted:
        """
        With ``by_both`` the second factor was shown too. Otherwise an account that has one gets a pending sign-in, which is
        recorded and reported when it is finished.

        Raises:
            NotAuthenticated: Nobody may sign in to the account.
        """
        is_new = await work.sessions.is_new_device(account.id, fingerprint, origin)
        open_session = self.open_session.by_both if by_both else self.open_session
        opened = await open_session(work, account, fingerprint, origin, at=at)
        if not isinstance(opened, Session):
            return Admitted(opened=opened, letter_was_added=False)
        letter_was_added = is_new and await report(
            Template.NEW_DEVICE,
            account.id,
            account.email,
            work=work,
            limits=self.limits,
            id=self.ids.letter(),
            origin=origin,
            at=at,
        )
        await self.record(work, SecurityAct.SIGNED_IN, account.id, at=at, session_id=opened.id)
        return Admitted(opened=opened, letter_was_added=letter_was_added)
