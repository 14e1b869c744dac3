"""The devices that one is signed in on: seen, and signed out from afar."""

from collections.abc import Sequence

from attrs import frozen

from application.accounts.own_sessions import end_all, end_others, lock_own
from application.actor import Actor
from application.ports.clock import Clock
from application.ports.storage import Begin
from domain.events import SessionEnd
from domain.ids import SessionId
from domain.session import Session, SessionNotFound


@frozen(kw_only=True)
class ListSessionsHandler:
    """Used last in front."""

    begin: Begin
    clock: Clock

    async def __call__(self, actor: Actor) -> Sequence[Session]:
        now = self.clock.now()
        async with self.begin() as work:
            found = await work.sessions.not_ended(actor.account_id)
        return [session for session in found if session.is_live(now)]


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
