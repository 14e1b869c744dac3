"""Access tokens that a person makes for programs: made, listed and ended by their owner, on a device."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from attrs import field, frozen

from application.accounts.own_sessions import end_all, lock_own
from application.accounts.step_up import FullReauthentication, StepUp
from application.accounts.telling import TellOwner
from application.actor import Actor
from application.errors import OutcomeUnknown, Overloaded, Unavailable
from application.ports.access_tokens import AccessTokens
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.storage import Begin
from application.recording import RecordEvent
from domain.events import SessionEnd
from domain.ids import AccountId, SessionId
from domain.scope import (
    AccessTokenNotFound,
    AccessTokensUnavailable,
    Grant,
    Scope,
    TokenName,
    TooManyAccessTokens,
)
from domain.security import SecurityAct
from domain.session import Fingerprint, Pair, Session, SessionNotFound


@frozen(kw_only=True)
class MakeAccessToken(FullReauthentication):
    name: TokenName
    scopes: frozenset[Scope]
    lifetime: timedelta | None = None
    """None asks for as long as this messenger permits. More than that is cut short."""


@frozen(kw_only=True)
class MadeAccessToken:
    session: Session
    text: str = field(repr=False)
    """Shown once."""


@frozen(kw_only=True)
class MakeAccessTokenHandler:
    """
    Makes an access token for a program. It is a session of its own, without refresh token: it is in the same storage, and
    ends with everything that ends the sessions of the account, sockets included.
    """

    clock: Clock
    ids: Ids
    access_tokens: AccessTokens
    step_up: StepUp
    most: int
    """An account may have this many at once. With 0 nobody can make one."""
    longest: timedelta
    tell: TellOwner

    async def __call__(self, actor: Actor, command: MakeAccessToken) -> MadeAccessToken:
        """
        Raises:
            ScopeMissing: A program asks for a token.
            AccessTokensUnavailable: This messenger has none.
            TooManyAccessTokens: The account has as many as it may have.
            ProofUnfit: The proof is not of this session, too old or used already.
            PasswordWrong: The password is wrong.
            CodeWrong: The account has a second factor, and the code is missing or wrong.
            TooManyRequests: One of the two was wrong too often.
        """
        actor.require_device()
        if not self.most:
            raise AccessTokensUnavailable
        async with self.step_up.proven(actor, command) as proven:
            work, account, now = proven.work, proven.account, self.clock.now()
            await self.step_up.code(proven, actor, command.code)
            if len(_tokens(proven.sessions, now)) >= self.most:
                raise TooManyAccessTokens
            id = self.ids.session()
            made = self.access_tokens.new(account.id, id)
            expires_at = now + min(command.lifetime or self.longest, self.longest)
            session = Session.open(
                id=id,
                account_id=account.id,
                profile_id=actor.profile_id,
                # a name that no device takes: devices of one name share a session
                fingerprint=Fingerprint(f"token {id.hex}"),
                origin=command.origin,
                pair=Pair(
                    access_id=made.digest,
                    refresh_id=self.ids.token_id(),
                    issued_at=now,
                    access_expires_at=expires_at,
                    refresh_expires_at=expires_at,
                ),
                at=now,
                grant=Grant(command.name, command.scopes),
            )
            await work.sessions.add(session)
            await self.tell(
                work, SecurityAct.ACCESS_TOKEN_MADE, account.id, actor.email, at=now, session_id=id
            )
        return MadeAccessToken(session=session, text=made.text)


@frozen(kw_only=True)
class ListAccessTokensHandler:
    """Lists the actor's access tokens that can still be used, the newest first."""

    begin: Begin
    clock: Clock

    async def __call__(self, actor: Actor) -> Sequence[Session]:
        """
        Raises:
            ScopeMissing: A program asks.
        """
        actor.require_device()
        async with self.begin() as work:
            sessions = await work.sessions.not_ended(actor.account_id)
        found = _tokens(sessions, self.clock.now())
        return sorted(found, key=lambda each: (each.created_at, each.id), reverse=True)


@frozen(kw_only=True)
class EndAccessToken:
    token_id: SessionId
    """The id of the session that the token is."""


@frozen(kw_only=True)
class EndAccessTokenHandler:
    """Ends one of the actor's access tokens, and closes the sockets of the program."""

    begin: Begin
    clock: Clock
    record: RecordEvent

    async def __call__(self, actor: Actor, command: EndAccessToken) -> None:
        """
        Raises:
            ScopeMissing: A program asks.
            AccessTokenNotFound: The actor has no such token, or it has ended.
        """
        async with self.begin() as work:
            _, sessions = await lock_own(work, actor)
            chosen = [each for each in sessions if each.id == command.token_id and each.grant]
            if not chosen:
                raise AccessTokenNotFound
            now = self.clock.now()
            await end_all(work, chosen, SessionEnd.REVOKED, at=now)
            await self.record(
                work,
                SecurityAct.ACCESS_TOKEN_ENDED,
                actor.account_id,
                at=now,
                session_id=command.token_id,
            )


NOTED_AFTER: Final = timedelta(minutes=1)
"""The last use of a token is stored at most once in this time. Storing each use would cost every request a write."""

MOST_NOTED: Final = 10_000
"""Tokens of which this process remembers when it noted their use."""


@frozen(kw_only=True, eq=False)
class NoteUse:
    """
    Notes when a program last used its access token, at most once a minute. That it cannot be noted is no reason to refuse what
    the program asks for: the next minute tries again.
    """

    begin: Begin
    _noted: dict[SessionId, datetime] = field(factory=dict, init=False)
    """Requests that come while one is noting the use do not wait for the session one after the other."""

    async def __call__(self, account_id: AccountId, session_id: SessionId, *, at: datetime) -> None:
        noted = self._noted.get(session_id)
        if noted is not None and at - noted < NOTED_AFTER:
            return
        self._noted.pop(session_id, None)  # the oldest are first
        self._noted[session_id] = at
        if len(self._noted) > MOST_NOTED:
            del self._noted[next(iter(self._noted))]
        try:
            async with self.begin() as work:
                session = await work.sessions.lock(account_id, session_id)
                session.use(at=at)
                await work.sessions.save(session)
        except (Unavailable, Overloaded, OutcomeUnknown, SessionNotFound):
            return


def _tokens(sessions: Sequence[Session], at: datetime) -> list[Session]:
    return [each for each in sessions if each.grant and each.is_live(at)]
