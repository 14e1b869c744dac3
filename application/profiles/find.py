from typing import Final

from attrs import frozen

from application.actor import Actor
from application.limits import Action, ActionLimits
from application.paging import Page, PersonPlace
from application.ports.storage import Begin
from application.views import ProfileView
from domain.text import refuse_unstorable

MOST: Final = 20


@frozen(kw_only=True)
class FindProfiles:
    query: str
    limit: int = MOST
    after: PersonPlace | None = None
    """The place at which the last page ended; None for the first page."""


@frozen(kw_only=True)
class FindProfilesHandler:
    """
    Find people by the beginning of their username, first or last name, at most 20 at a time. An empty query finds nobody.

    Exact matches come first.
    """

    begin: Begin
    limits: ActionLimits

    async def __call__(self, actor: Actor, command: FindProfiles) -> Page[ProfileView, PersonPlace]:
        """
        Raises:
            TooManyRequests: The actor searches too often.
        """
        refuse_unstorable(command.query)
        self.limits.use(Action.SEARCH, actor)
        prefix = command.query.strip()
        if not prefix or command.limit < 1:
            return Page([])
        async with self.begin() as work:
            page = await work.profiles.search(prefix, min(command.limit, MOST), command.after)
        return Page([ProfileView.of(profile) for profile in page.items], page.next)
