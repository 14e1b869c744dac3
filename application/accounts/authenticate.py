from attrs import evolve, field, frozen

from application.accounts.recent_sessions import RecentSessions
from application.actor import Actor
from application.errors import NotAuthenticated
from application.ports.clock import Clock
from application.ports.tokens import SessionToken, Tokens
from application.ports.views import Views
from domain.session import Lifetimes


@frozen(kw_only=True)
class Authenticate:
    token: str = field(repr=False)
    network: str = ""
    """See `Actor.network`."""


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
        return await self.actor_of(self.read(command), command.network)

    def read(self, command: Authenticate) -> SessionToken:
        """
        Raises:
            NotAuthenticated: The token is not ours or has expired.
        """
        return self.tokens.read_access(command.token, at=self.clock.now())

    async def actor_of(self, token: SessionToken, network: str = "") -> Actor:
        """
        Raises:
            NotAuthenticated: The session of a valid token has ended, or this is not its newest one and has to be.
        """
        session = await self.views.live_session(token.account_id, token.session_id)
        if session is None or not self.lifetimes.accepts_access(token.token_id, newest=session.access_id):
            raise NotAuthenticated("token_invalid")
        return Actor(
            account_id=token.account_id,
            session_id=token.session_id,
            email=session.email,
            profile=session.profile,
            network=network,
        )


@frozen(kw_only=True)
class RecogniseHandler:
    """
    Finds the actor of an access token for a socket that comes in: without a read if this process has seen the session within
    the last second and knows of no end since.

    A socket keeps its actor as long as it is open, and is closed when the session ends. A profile that is a second old
    therefore changes nothing for it, while a request over HTTP has to see what the one before it has changed.
    """

    authenticate: AuthenticateHandler
    recent: RecentSessions

    async def __call__(self, command: Authenticate) -> Actor:
        """
        Raises:
            NotAuthenticated: See `AuthenticateHandler`.
        """
        token = self.authenticate.read(command)
        # which token is the newest of its session is only known to storage
        if not self.authenticate.lifetimes.one_access_token and (
            actor := self.recent.find(token.account_id, token.session_id)
        ):
            return actor if actor.network == command.network else evolve(actor, network=command.network)
        began = self.recent.moment()
        actor = await self.authenticate.actor_of(token, command.network)
        self.recent.see(actor, began)
        return actor
