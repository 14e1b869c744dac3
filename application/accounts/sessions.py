"""The devices that a person is signed in on: list them, and sign them out from afar."""

from contextlib import AbstractAsyncContextManager

from attrs import frozen

from application.accounts.own_sessions import end_all, end_others
from application.accounts.step_up import Proven, Reauthentication, StepUp
from application.actor import Actor
from application.paging import EventPlace, Page, Paging, SessionPlace
from application.ports.clock import Clock
from application.ports.storage import Begin
from application.recording import RecordEvent
from domain.account import PasswordWrong
from domain.events import SessionEnd
from domain.ids import SessionId
from domain.security import AccountEvent, SecurityAct
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


def _proven(
    step_up: StepUp, actor: Actor, given: Reauthentication, *, is_needed: bool
) -> AbstractAsyncContextManager[Proven]:
    """
    Begins a unit of work in which the actor may end other sessions. The password or a proof is verified if it is given.

    Raises:
        PasswordWrong: The password is wrong, or nothing is given where it is needed.
        ProofUnfit, TooManyRequests, NotAuthenticated: See `StepUp.proven`.
    """
    is_given = bool(given.password or given.proof)
    if is_needed and not is_given:
        raise PasswordWrong
    return step_up.proven_if_given(actor, given if is_given else None)


@frozen(kw_only=True)
class RevokeSession(Reauthentication):
    session_id: SessionId


@frozen(kw_only=True)
class RevokeSessionHandler:
    """Ends one of the actor's sessions. Unless it is the present one, that may take the password or a passkey."""

    clock: Clock
    step_up: StepUp
    proof_needed: bool
    """True if a session alone does not permit it."""
    record: RecordEvent

    async def __call__(self, actor: Actor, command: RevokeSession) -> None:
        """
        Raises:
            ScopeMissing: The actor is a program.
            SessionNotFound: The actor has no such session, or it has ended.
            PasswordWrong, ProofUnfit, TooManyRequests: See `_proven`.
        """
        actor.require_device()
        is_present = command.session_id == actor.session_id
        given = Reauthentication() if is_present else command
        is_needed = self.proof_needed and not is_present
        async with _proven(self.step_up, actor, given, is_needed=is_needed) as proven:
            work = proven.work
            chosen = [session for session in proven.sessions if session.id == command.session_id]
            if not chosen:
                raise SessionNotFound
            now = self.clock.now()
            await end_all(work, chosen, SessionEnd.REVOKED, at=now)
            await self.record(
                work,
                SecurityAct.SESSION_REVOKED,
                actor.account_id,
                at=now,
                session_id=command.session_id,
            )


@frozen(kw_only=True)
class RevokeOthers(Reauthentication):
    pass


@frozen(kw_only=True)
class RevokeOthersHandler:
    """Ends all of the actor's sessions but the present one, which may take the password or a passkey."""

    clock: Clock
    step_up: StepUp
    proof_needed: bool
    """True if a session alone does not permit it."""
    record: RecordEvent

    async def __call__(self, actor: Actor, command: RevokeOthers) -> int:
        """
        Returns how many sessions ended.

        Raises:
            ScopeMissing: The actor is a program.
            PasswordWrong, ProofUnfit, TooManyRequests: See `_proven`.
        """
        actor.require_device()
        async with _proven(self.step_up, actor, command, is_needed=self.proof_needed) as proven:
            now = self.clock.now()
            ended = await end_others(proven.work, proven.sessions, actor, SessionEnd.REVOKED, at=now)
            for each in ended:
                await self.record(
                    proven.work,
                    SecurityAct.SESSION_REVOKED,
                    actor.account_id,
                    at=now,
                    session_id=each.session_id,
                )
        return len(ended)


@frozen(kw_only=True)
class ListAccountEventsHandler:
    """Lists what happened to the security of the actor's account, the newest first."""

    begin: Begin

    async def __call__(
        self, actor: Actor, paging: Paging[EventPlace] | None = None
    ) -> Page[AccountEvent, EventPlace]:
        actor.require_device()
        async with self.begin() as work:
            return await work.events.page(actor.account_id, paging or Paging())
