"""The devices that a person is signed in on: list them, and sign them out from afar."""

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
    """Lists the actor's live sessions, the newest first."""

    begin: Begin
    clock: Clock

    async def __call__(
        self, actor: Actor, paging: Paging[SessionPlace] | None = None
    ) -> Page[Session, SessionPlace]:
        actor.require_device()
        async with self.begin() as work:
            return await work.sessions.page_of_live(actor.account_id, self.clock.now(), paging or Paging())


@frozen(kw_only=True)
class RevokeSession:
    session_id: SessionId


@frozen(kw_only=True)
class RevokeSessionHandler:
    """Ends one of the actor's sessions, which may be the present one."""

    begin: Begin
    clock: Clock

    async def __call__(self, actor: Actor, command: RevokeSession) -> None:
        """
        Raises:
            SessionNotFound: The actor has no such session, or it has ended.
        """
        async with self.begin() as work:
            _, sessions = await lock_own(work, actor)
            chosen = [session for session in sessions if session.id == command.session_id]
            if not chosen:
                raise SessionNotFound
            await end_all(work, chosen, SessionEnd.REVOKED, at=self.clock.now())


@frozen(kw_only=True)
class RevokeOthersHandler:
    """Ends all of the actor's sessions but the present one."""

    begin: Begin
    clock: Clock

    async def __call__(self, actor: Actor) -> int:
        """Returns how many sessions ended."""
        async with self.begin() as work:
            _, sessions = await lock_own(work, actor)
            ended = await end_others(work, sessions, actor, SessionEnd.REVOKED, at=self.clock.now())
        return len(ended)
