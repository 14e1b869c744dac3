"""
Remembers for a while which chats people were in whose last client has gone.

Clients that come back take their seats in these chats before they read what they missed, so that their chats need not be read
first. It is only a guess where to listen: what a person may hear is read from storage each time, and a seat in another chat is given
up unheard.
"""

from collections.abc import Sequence
from typing import Final

from attrs import define, field

from domain.ids import ChatId, ProfileId

OF_A_PROFILE: Final = 300
OF_A_CHAT: Final = 120
"""Bytes that are counted for each profile and for each of its chats, whose identifiers may be kept by nobody else."""


@define(eq=False)
class RecentChats:
    """Takes at most ``limit`` bytes: those that have gone first are forgotten first."""

    limit: int
    used: int = field(init=False, default=0)
    _by_profile: dict[ProfileId, Sequence[ChatId]] = field(init=False, factory=dict)
    """Those that have gone first come first."""
    _old: set[ProfileId] = field(init=False, factory=set)
    """Those that were there when this was last aged, and have not been noted again."""

    def __len__(self) -> int:
        return len(self._by_profile)

    def note(self, profile_id: ProfileId, chat_ids: Sequence[ChatId]) -> None:
        """Remembers the chats of a profile whose last client has gone."""
        self.forget(profile_id)
        self._old.discard(profile_id)
        self._by_profile[profile_id] = chat_ids
        self.used += _weight(chat_ids)
        while self.used > self.limit:
            self.forget(next(iter(self._by_profile)))

    def find(self, profile_id: ProfileId) -> Sequence[ChatId] | None:
        return self._by_profile.get(profile_id)

    def forget(self, profile_id: ProfileId) -> None:
        if (chat_ids := self._by_profile.pop(profile_id, None)) is not None:
            self.used -= _weight(chat_ids)

    def age(self) -> None:
        """Forgets the profiles that were there when this was last called, and were not noted again."""
        for profile_id in self._old:
            self.forget(profile_id)
        self._old = set(self._by_profile)

    def clear(self) -> None:
        self._by_profile.clear()
        self._old.clear()
        self.used = 0


def _weight(chat_ids: Sequence[ChatId]) -> int:
    return OF_A_PROFILE + OF_A_CHAT * len(chat_ids)
