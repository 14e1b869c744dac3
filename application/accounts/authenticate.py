from attrs import field, frozen

from application.actor import Actor
from application.errors import NotAuthenticated
from application.ports.clock import Clock
from application.ports.tokens import Tokens
from application.ports.views import Views
from domain.session import Lifetimes


@frozen(kw_only=True)
class Authenticate:
    token: str = field(repr=False)


@frozen(kw_only=True)
class AuthenticateHandler:
    """Finds the actor of an access token. The session is looked up each time, so that its tokens end with it."""

    views: Views
    clock: Clock
    tokens: Tokens
    lifetimes: Lifetimes

    async def __call__(self, command: Authenticate) -> Actor:
        """
        Raises:
            NotAuthenticated: The token is not ours or has expired, its session has ended, or `Lifetimes` accepts only
                the newest token of a session and this is an earlier one.
        """
        token = self.tokens.read_access(command.token, at=self.clock.now())
        session = await self.views.live_session(token.account_id, token.session_id)
        if session is None or not self.lifetimes.accepts_access(token.token_id, newest=session.access_id):
            raise NotAuthenticated("token_invalid")
        return Actor(
            account_id=token.account_id,
            session_id=token.session_id,
            email=session.email,
            profile=session.profile,
        )
