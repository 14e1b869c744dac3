from attrs import evolve, field, frozen

from application.accounts.access_tokens import NOTED_AFTER, NoteUse
from application.accounts.recent_sessions import RecentSessions
from application.actor import Actor
from application.errors import NotAuthenticated
from application.ports.access_tokens import AccessTokens, PresentedToken
from application.ports.clock import Clock
from application.ports.tokens import SessionToken, Tokens
from application.ports.views import Views
from application.views import LiveSession
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
    access_tokens: AccessTokens
    note_use: NoteUse
    lifetimes: Lifetimes

    async def __call__(self, command: Authenticate) -> Actor:
        """
        Takes an access token of a session, or one that a person has made for a program.

        Raises:
            NotAuthenticated: The token is not ours or has expired, its session has ended, or `Lifetimes` accepts only
                the newest token of a session and this is an earlier one.
        """
        if presented := self.program_of(command):
            return await self.actor_of_program(presented, command.network)
        return await self.actor_of(self.read(command), command.network)

    def program_of(self, command: Authenticate) -> PresentedToken | None:
        """Returns the token of a program, or None if it is no such token. Nothing of it is proven yet."""
        return self.access_tokens.read(command.token)

    async def actor_of_program(self, token: PresentedToken, network: str = "") -> Actor:
        """
        Raises:
            NotAuthenticated: There is no such token, or it has ended or expired.
        """
        now = self.clock.now()
        session = await self.views.live_session(token.account_id, token.session_id)
        if session is None or session.scopes is None or not token.fits(session.access_id):
            raise NotAuthenticated("token_invalid")
        if session.expires_at <= now:
            raise NotAuthenticated("token_expired")
        if now - session.last_used_at >= NOTED_AFTER:
            await self.note_use(token.account_id, token.session_id, at=now)
        return self._actor(token, session, network)

    def read(self, command: Authenticate) -> SessionToken:
        """
        Raises:
            NotAuthenticated: The token is not ours or has expired.
        """
        return self.tokens.read_access(command.token, at=self.clock.now())

    async def actor_of(self, token: SessionToken, network: str = "") -> Actor:
        """
        Raises:
            NotAuthenticated: The session of a valid token has ended, also if only its present `Lifetimes` end it, which may be
                shorter than those that the token was made with; or this is not its newest one and has to be.
        """
        return self.admit(token, await self.views.live_session(token.account_id, token.session_id), network)

    def admit(self, token: SessionToken, session: LiveSession | None, network: str = "") -> Actor:
        """
        Returns the actor of a valid token, given what storage has just said of its session.

        Raises:
            NotAuthenticated: See `actor_of`.
        """
        if session is None or session.scopes is not None:
            raise NotAuthenticated("token_invalid")
        if not self.lifetimes.accepts_access(token.token_id, newest=session.access_id):
            raise NotAuthenticated("token_invalid")
        ends_at = session.ends_at(self.lifetimes)
        if ends_at is not None and ends_at <= self.clock.now():
            raise NotAuthenticated("token_expired")
        return self._actor(token, session, network)

    def _actor(self, token: SessionToken | PresentedToken, session: LiveSession, network: str) -> Actor:
        return Actor(
            account_id=token.account_id,
            session_id=token.session_id,
            email=session.email,
            profile=session.profile,
            scopes=session.scopes,
            network=network,
            ends_at=session.ends_at(self.lifetimes),
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
        if presented := self.authenticate.program_of(command):
            return await self.authenticate.actor_of_program(presented, command.network)
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
