from collections.abc import Sequence
from typing import Final

from attrs import frozen

from application.actor import Actor
from application.ports.storage import Begin
from application.views import ProfileView
from domain.text import refuse_unstorable

MOST: Final = 20


@frozen(kw_only=True)
class FindProfiles:
    query: str
    limit: int = MOST


@frozen(kw_only=True)
class FindProfilesHandler:
    """People whose username or name begins with ``query``, 20 at most. An empty query finds nobody."""

    begin: Begin

    async def __call__(self, _: Actor, command: FindProfiles) -> Sequence[ProfileView]:
        refuse_unstorable(command.query)
        prefix = command.query.strip()
        if not prefix or command.limit < 1:
            return []
        async with self.begin() as work:
            found = await work.profiles.search(prefix, min(command.limit, MOST))
        return [ProfileView.of(profile) for profile in found]
