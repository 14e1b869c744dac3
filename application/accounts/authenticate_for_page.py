from collections.abc import Callable
from typing import Final

from attrs import define, field, frozen

from application.accounts.authenticate import Authenticate, AuthenticateHandler
from application.actor import Actor
from application.errors import NotAuthenticated
from application.ports.views import PageAsked, Views
from application.views import HistoryPage
from domain.ids import AccountId, ProfileId, SessionId

REMEMBERED: Final = 10_000
"""Sessions whose profile a process remembers, some 200 bytes each."""


@define(eq=False)
class Readers:
    """
    Remembers which profile a session belongs to. That never changes while the session lives, and nobody is let in because of
    it: it only tells for whom something may be read before the session was looked up.
    """

    most: int = REMEMBERED
    _profiles: dict[SessionId, ProfileId] = field(init=False, factory=dict)
    """By session, the one that was noted longest ago first."""

    def note(self, actor: Actor) -> None:
        self._profiles[actor.session_id] = actor.profile_id
        if len(self._profiles) > self.most:
            del self._profiles[next(iter(self._profiles))]

    def find(self, session_id: SessionId) -> ProfileId | None:
        return self._profiles.get(session_id)

    def forget(self, session_id: SessionId) -> None:
        self._profiles.pop(session_id, None)


@frozen(kw_only=True)
class AuthenticateForPageHandler:
    """
    Finds the actor of an access token like `AuthenticateHandler`, for a request that then reads a page of history. If this
    process has seen the session before, the page is read in the same exchange with storage as the session.
    """

    authenticate: AuthenticateHandler
    views: Views
    readers: Readers

    async def __call__(
        self, caller: Authenticate, asked: PageAsked, has_room: Callable[[AccountId], bool]
    ) -> tuple[Actor, HistoryPage | None]:
        """
        The page is None if the caller must still read it: because the session was not seen before, the actor may not see the page, or
        ``has_room`` says that the account asks too much at present, so that its requests have to wait before they cost more.

        Raises:
            NotAuthenticated: See `AuthenticateHandler`.
        """
        if presented := self.authenticate.program_of(caller):
            return await self.authenticate.actor_of_program(presented, caller.network), None
        token = self.authenticate.read(caller)
        reader = self.readers.find(token.session_id)
        if reader is None or not has_room(token.account_id):
            actor = await self.authenticate.actor_of(token, caller.network)
            self.readers.note(actor)
            return actor, None
        session, page = await self.views.session_and_history(
            token.account_id, token.session_id, reader, asked
        )
        try:
            actor = self.authenticate.admit(token, session, caller.network)
        except NotAuthenticated:
            self.readers.forget(token.session_id)
            raise
        return actor, page if actor.profile_id == reader else None
