"""
People who are connected to other nodes.

Each node tells the others who has come and who has gone, and from time to time who is still there. Nothing of this is stored,
and each word may get lost: what is not said again counts for `LASTS` seconds. The people of a node that dies are gone then.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final

from attrs import define, field

from application.ports.updates import Attendance, AttendingThere, OnlineThere, PresenceUpdate, WhoIsThere
from domain.ids import ChatId, ProfileId

RENEWED_EVERY: Final = 10.0
"""Seconds after which a node says again who is there."""

LASTS: Final = 25.0
"""Seconds for which such a word counts. One of them may get lost without any effect."""

SAID_AT_ONCE: Final = 200
"""The fewest chats about which a node says again at once who is there, if it has so many."""

AT_ONCE: Final = 150
"""Profiles in one update: it must fit into a notification of PostgreSQL."""


@define(eq=False)
class Elsewhere:
    """The other nodes on which each profile is, and until when that counts."""

    _nodes: dict[ProfileId, dict[str, float]] = field(init=False, factory=dict)

    def __contains__(self, profile_id: ProfileId) -> bool:
        return profile_id in self._nodes

    def note(self, profile_id: ProfileId, node: str, until: float) -> None:
        self._nodes.setdefault(profile_id, {})[node] = until

    def forget(self, profile_id: ProfileId, node: str) -> None:
        nodes = self._nodes.get(profile_id)
        if nodes is not None:
            nodes.pop(node, None)
            if not nodes:
                del self._nodes[profile_id]

    def expire(self, now: float) -> list[ProfileId]:
        """Forgets what does not count any more, and returns the profiles that are on no other node now."""
        over = [
            (profile_id, node)
            for profile_id, nodes in self._nodes.items()
            for node, until in nodes.items()
            if until <= now
        ]
        for profile_id, node in over:
            self.forget(profile_id, node)
        return [profile_id for profile_id, _ in over if profile_id not in self._nodes]


@define(eq=False, kw_only=True)
class Neighbours:
    """Tells the other nodes about the people of this one. Without a ``node`` there are no others, and nothing is told."""

    node: str
    """Identifies this node among the others."""
    announce: Callable[[Sequence[PresenceUpdate]], None]
    now: Callable[[], datetime]
    _changed: dict[ProfileId, bool] = field(init=False, factory=dict)
    """Profiles that came or went in this turn of the event loop, and whether they are here now."""

    def is_other(self, node: str) -> bool:
        return node != self.node

    def ask(self) -> None:
        """Asks the others who is there: this node has just started."""
        if self.node:
            self.announce([WhoIsThere(node=self.node)])

    def changed(self, profile_id: ProfileId, *, is_online: bool) -> None:
        """Tells that the first client of a profile has come, or its last one has gone."""
        if self.node:
            if not self._changed:
                asyncio.get_running_loop().call_soon(self._tell_changed)
            self._changed[profile_id] = is_online

    def attends(self, chat_id: ChatId, profile_id: ProfileId, change: Attendance) -> None:
        if self.node:
            self.announce([self._attending(chat_id, [profile_id], change)])

    def say_again(
        self, online: Iterable[ProfileId], attending: Iterable[tuple[ChatId, Sequence[ProfileId]]]
    ) -> None:
        """Tells who is here. ``attending`` are the people who have a chat open."""
        if not self.node:
            return
        self.announce(
            [
                *self._online(online, is_online=True),
                *(
                    self._attending(chat_id, part, Attendance.JOINED, again=True)
                    for chat_id, profile_ids in attending
                    for part in _parts(profile_ids)
                ),
            ]
        )

    def _tell_changed(self) -> None:
        changed, self._changed = self._changed, {}
        self.announce(
            [
                *self._online((each for each, is_here in changed.items() if is_here), is_online=True),
                *self._online((each for each, is_here in changed.items() if not is_here), is_online=False),
            ]
        )

    def _online(self, profile_ids: Iterable[ProfileId], *, is_online: bool) -> Iterator[OnlineThere]:
        for part in _parts([*profile_ids]):
            yield OnlineThere(node=self.node, profile_ids=part, is_online=is_online, at=self.now())

    def _attending(
        self, chat_id: ChatId, profile_ids: Sequence[ProfileId], change: Attendance, *, again: bool = False
    ) -> AttendingThere:
        return AttendingThere(
            node=self.node,
            chat_id=chat_id,
            profile_ids=tuple(profile_ids),
            change=change,
            at=self.now(),
            again=again,
        )


def _parts(profile_ids: Sequence[ProfileId]) -> Iterator[tuple[ProfileId, ...]]:
    for start in range(0, len(profile_ids), AT_ONCE):
        yield tuple(profile_ids[start : start + AT_ONCE])
