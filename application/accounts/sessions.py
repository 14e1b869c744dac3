"""The devices that one is signed in on: seen, and signed out from afar."""

from attrs import frozen

from application.accounts.own_sessions import end_all, end_others, lock_own
from application.actor import Actor
from application.paging import Page, Paging, SessionPlace
from application.ports.clock import Clock
from application.ports.storage import Begin
from domain.events import SessionEnd
from domain.ids import SessionId
from domain.session import Session, SessionNotFound


@frozen(kw_only=True)
class ListSessionsHandler:
    """List the actor's live sessions, the newest first."""

    begin: Begin
    clock: Clock

    async def __call__(
        self, actor: Actor, paging: Paging[SessionPlace] | None = None
    ) -> Page[Session, SessionPlace]:
        async with self.begin() as work:
            return await work.sessions.page_of_live(actor.account_id, self.clock.now(), paging or Paging())


@frozen(kw_only=True)
class RevokeSession:
    session_id: SessionId


@frozen(kw_only=True)
class RevokeSessionHandler:
    """End one session of one's own, the present one as well."""

    begin: Begin
    clock: Clock

    async def __call__(self, actor: Actor, command: RevokeSession) -> None:
        """
        Raises:
            SessionNotFound: None of the actor's, or ended already.
        """
        async with self.begin() as work:
            _, sessions = await lock_own(work, actor)
            chosen = [session for session in sessions if session.id == command.session_id]
            if not chosen:
                raise SessionNotFound
            await end_all(work, chosen, SessionEnd.REVOKED, at=self.clock.now())


@frozen(kw_only=True)
class RevokeOthersHandler:
    """End every session of one's own but the present one."""

    begin: Begin
    clock: Clock

    async def __call__(self, actor: Actor) -> int:
        """How many that were."""
        async with self.begin() as work:
            _, sessions = await lock_own(work, actor)
            ended = await end_others(work, sessions, actor, SessionEnd.REVOKED, at=self.clock.now())
        return len(ended)
