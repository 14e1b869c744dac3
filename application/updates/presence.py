from collections.abc import Sequence

from attrs import frozen

from application.ports.views import Views
from application.views import Contact
from domain.errors import Limited
from domain.ids import ProfileId


class TooManyWatched(Limited):
    code = "too_many_profiles"

    def __init__(self, most: int) -> None:
        super().__init__(f"at most {most} profiles can be watched")


@frozen(kw_only=True)
class WatchPresence:
    """Watch the presence of these people, and of nobody else."""

    profile_ids: Sequence[ProfileId]


@frozen(kw_only=True)
class WatchableHandler:
    """
    Finds whose presence a person may watch: the others with whom they share a chat.

    Strangers, closed accounts and ids that do not exist are left out alike, so that nobody learns which ids exist.
    """

    views: Views

    async def __call__(self, watcher: ProfileId, wanted: Sequence[ProfileId]) -> Sequence[Contact]:
        others = [profile_id for profile_id in wanted if profile_id != watcher]
        return await self.views.contacts(watcher, others) if others else []
