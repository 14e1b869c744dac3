from collections.abc import Iterator
from datetime import datetime

from attrs import field, frozen

from application.errors import NotAuthenticated
from application.ports.access_tokens import AccessTokens, PresentedToken
from application.ports.clock import Clock
from application.ports.storage import Begin
from application.ports.tokens import SessionToken, SessionTokenType, Tokens
from application.recording import RecordEvent
from domain.events import SessionEnd
from domain.security import SecurityAct
from domain.session import Lifetimes, Session, SessionNotFound


@frozen(kw_only=True)
class SignOut:
    """The tokens that the client still has: either, both or none. The access token may be that of a program."""

    access_token: str | None = field(default=None, repr=False)
    refresh_token: str | None = field(default=None, repr=False)


@frozen(kw_only=True)
class SignOutHandler:
    """Ends the sessions that these tokens belong to. A token that opens no session is not an error."""

    begin: Begin
    clock: Clock
    tokens: Tokens
    access_tokens: AccessTokens
    lifetimes: Lifetimes
    record: RecordEvent

    async def __call__(self, command: SignOut) -> None:
        now = self.clock.now()
        # In one order, or two sign-outs with the same two tokens could wait for each other.
        tokens = sorted(self._readable(command, now), key=lambda token: (token.account_id, token.session_id))
        if not tokens:
            return
        ended = []
        async with self.begin() as work:
            for token in tokens:
                try:
                    session = await work.sessions.lock(token.account_id, token.session_id)
                except SessionNotFound:
                    continue
                if session.ended_at is None and self._opens(token, session, now):
                    ended.append(session.end(SessionEnd.SIGNED_OUT, at=now))
                    await work.sessions.save(session)
                    act = SecurityAct.ACCESS_TOKEN_ENDED if session.grant else SecurityAct.SIGNED_OUT
                    await self.record(work, act, session.account_id, at=now, session_id=session.id)
            if ended:
                await work.personal.add(ended)

    def _readable(self, command: SignOut, now: datetime) -> Iterator[SessionToken | PresentedToken]:
        if presented := self.access_tokens.read(command.access_token or ""):
            yield presented
        for read, text in (
            (self.tokens.read_access, command.access_token),
            (self.tokens.read_refresh, command.refresh_token),
        ):
            try:
                yield read(text or "", at=now)
            except NotAuthenticated:
                continue

    def _opens(self, token: SessionToken | PresentedToken, session: Session, now: datetime) -> bool:
        if isinstance(token, PresentedToken):
            return session.grant is not None and token.fits(session.pair.access_id)
        if token.type is SessionTokenType.ACCESS:
            return self.lifetimes.accepts_access(token.token_id, newest=session.pair.access_id)
        return session.answers_to_refresh(token.token_id, at=now, grace=self.lifetimes.grace)
