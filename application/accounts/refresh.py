from attrs import field, frozen

from application.accounts.signed_in import SignedIn
from application.accounts.telling import TellOwner
from application.errors import NotAuthenticated
from application.limits import Action, ActionLimits
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.storage import Begin
from application.ports.tokens import Tokens
from domain.security import SecurityAct
from domain.session import Fingerprint, Lifetimes, SessionNotFound, SessionOver, TokenExpired


@frozen(kw_only=True)
class Refresh:
    token: str = field(repr=False)
    fingerprint: Fingerprint
    network: str = ""
    """See `Actor.network`."""


@frozen(kw_only=True)
class RefreshHandler:
    """
    Exchanges a refresh token for the session's next pair; within the grace the same exchange gives the same pair again.
    The present token from another device ends the session, and so does a token that was used before; its owner is told by mail.
    """

    begin: Begin
    clock: Clock
    ids: Ids
    tokens: Tokens
    lifetimes: Lifetimes
    rates: ActionLimits
    tell: TellOwner

    async def __call__(self, command: Refresh) -> SignedIn:
        """
        Raises:
            NotAuthenticated: The token is not ours, expired, used before, or was given to another device.
            TooManyRequests: The session, or its network, refreshes too often.
        """
        now = self.clock.now()
        token = self.tokens.read_refresh(command.token, at=now)
        # By session: the token of another session, which may be stolen, must not use up what this one has.
        self.rates.count(Action.REFRESH, token.session_id, command.network)
        access_id, refresh_id = self.ids.token_id(), self.ids.token_id()
        async with self.begin() as work:
            try:
                session = await work.sessions.lock(token.account_id, token.session_id)
                fresh = self.lifetimes.pair(
                    access_id=access_id, refresh_id=refresh_id, at=now, since=session.created_at
                )
                ended = session.refresh(
                    token.token_id, command.fingerprint, fresh, at=now, grace=self.lifetimes.grace
                )
            except (SessionNotFound, SessionOver, TokenExpired):
                raise NotAuthenticated("token_invalid") from None
            await work.sessions.save(session)
            if ended:
                await work.personal.add([ended])
                await self.tell(
                    work,
                    SecurityAct.TOKEN_REUSED,
                    session.account_id,
                    token.email,
                    at=now,
                    session_id=session.id,
                )
        # A session that ended over this is refused only here, or the unit would undo its end.
        if ended:
            raise NotAuthenticated("token_invalid")
        return SignedIn.to(session, token.email, self.tokens, at=now)
