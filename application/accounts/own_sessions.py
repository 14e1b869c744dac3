"""Locking and ending sessions of the actor, shared by several use cases."""

from collections.abc import Sequence
from datetime import datetime

from application.actor import Actor
from application.errors import NotAuthenticated
from application.ports.storage import UnitOfWork
from domain.account import Account, AccountNotFound
from domain.events import SessionEnd, SessionEnded
from domain.session import Session


async def lock_own(work: UnitOfWork, actor: Actor) -> tuple[Account, Sequence[Session]]:
    """
    Locks the actor's account and all of its sessions that have not ended. The account is locked first, so that no session
    is opened meanwhile.

    Raises:
        NotAuthenticated: The actor's own session ended since the request was let in.
        ScopeMissing: The actor is a program, which may not change accounts and sessions.
    """
    actor.require_device()
    try:
        account = await work.accounts.lock(actor.account_id)
    except AccountNotFound:
        raise NotAuthenticated("token_invalid") from None
    sessions = await work.sessions.lock_not_ended(account.id)
    if actor.session_id not in {session.id for session in sessions}:
        raise NotAuthenticated("token_invalid")
    return account, sessions


async def end_others(
    work: UnitOfWork, sessions: Sequence[Session], actor: Actor, because: SessionEnd, *, at: datetime
) -> list[SessionEnded]:
    """Ends all of these locked sessions but the actor's."""
    return await end_all(work, [one for one in sessions if one.id != actor.session_id], because, at=at)


async def end_all(
    work: UnitOfWork, sessions: Sequence[Session], because: SessionEnd, *, at: datetime
) -> list[SessionEnded]:
    """Ends these locked sessions, and returns the events that were added to the logs of their profiles."""
    ended = [session.end(because, at=at) for session in sessions]
    for session in sessions:
        await work.sessions.save(session)
    if ended:
        await work.personal.add(ended)
    return ended
