from typing import Final

from attrs import frozen

from application.actor import Actor
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

    async def __call__(self, _: Actor, command: FindProfiles) -> Page[ProfileView, PersonPlace]:
        refuse_unstorable(command.query)
        prefix = command.query.strip()
        if not prefix or command.limit < 1:
            return Page([])
        async with self.begin() as work:
            page = await work.profiles.search(prefix, min(command.limit, MOST), command.after)
        return Page([ProfileView.of(profile) for profile in page.items], page.next)
