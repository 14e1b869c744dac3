"""
Tells listeners who of the people that they watch is online.

A person is online while any client of theirs is connected to this node or another, whichever socket it uses. Going offline is told only
after a pause, so that a client that reconnects is not told as gone and back again. Nothing of this is stored.

Who may watch whom is read from storage (`WatchableHandler`). When a chat ends for one of the two, their watch is suspended at
once, and storage is asked again: nothing is told in doubt. A profile is registered as doubtful before storage is read for the
first time, so that what changes meanwhile is not missed.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from typing import Final, Protocol

from attrs import Factory, define, field

from application.errors import ApplicationError, Unavailable
from application.updates.presence import TooManyWatched
from application.views import Contact
from domain.ids import ProfileId
from interfaces.live.listener import Listener
from interfaces.live.neighbours import Elsewhere
from interfaces.wire import all_chats as news
from interfaces.wire.server_frames import Availability

log: Final = logging.getLogger(__name__)

Watchable = Callable[[ProfileId, Sequence[ProfileId]], Awaitable[Sequence[Contact]]]

READS_MOST: Final = 5
"""How often storage is asked until no chat has ended meanwhile."""

CHECKS_AT_ONCE: Final = 4
"""Listeners about which storage is asked at the same time. A chat that ends may concern thousands."""

SEEN_REMEMBERED: Final = 10_000
"""Profiles of which it is remembered when they were last online. Of the others, storage knows when a session was last used."""


class Watcher(Listener, Protocol):
    """A listener that can watch others."""

    @property
    def is_connected(self) -> bool:
        """False once it has been ended."""
        ...

    @property
    def has_room(self) -> bool:
        """Whether the client reads fast enough to be told changes now."""
        ...


@define(eq=False)
class Watch:
    """The people that one listener watches."""

    watcher: Watcher
    people: dict[ProfileId, bool] = Factory(dict)
    """By profile, whether the client was told that the person is online."""
    fallback: dict[ProfileId, datetime | None] = Factory(dict)
    """When a session of each was last used, as storage said."""
    asked: Sequence[ProfileId] = ()
    """The profiles that the client wants to watch, while storage is asked about them."""
    doubtful: dict[ProfileId, None] = Factory(dict)
    """The watched profiles of which nothing may be told until storage was asked again."""
    doubts: int = 0
    """How often something became doubtful. A read that began before the latest doubt cannot clear it."""
    untold: dict[ProfileId, None] = Factory(dict)
    """The profiles whose change waits until the client reads faster."""
    is_checking: bool = False


@define(eq=False, kw_only=True)
class Presence:
    watchable: Watchable
    now: Callable[[], datetime]
    pause: float
    """Seconds until a person whose last client has gone is told as offline."""
    most: int
    """The most people that one listener may watch."""
    interval: float
    """Seconds until a failed read is tried again."""
    changed: Callable[[ProfileId, bool], None] = lambda _profile_id, _is_online: None
    """Called when the first client of a profile has come to this node, or its last one has gone."""
    elsewhere: Elsewhere = field(init=False, factory=Elsewhere)
    _here: dict[ProfileId, int] = field(init=False, factory=dict)
    """The number of connected clients of each profile."""
    _leaving: dict[ProfileId, float] = field(init=False, factory=dict)
    """Profiles whose last client has gone, and until when they are shown as online nevertheless. The first one ends first."""
    _seen: dict[ProfileId, datetime] = field(init=False, factory=dict)
    _watches: dict[Listener, Watch] = field(init=False, factory=dict)
    _watched: dict[ProfileId, dict[Watch, None]] = field(init=False, factory=dict)
    """The watches of each watched profile."""
    _of_watcher: dict[ProfileId, dict[Watch, None]] = field(init=False, factory=dict)
    _behind: dict[Watch, None] = field(init=False, factory=dict)
    """Watches with changes that wait for their client to read faster."""
    _checks: asyncio.Semaphore = field(init=False, factory=lambda: asyncio.Semaphore(CHECKS_AT_ONCE))
    _timer: asyncio.TimerHandle | None = field(init=False, default=None)
    _tasks: asyncio.TaskGroup | None = field(init=False, default=None)

    def start(self, tasks: asyncio.TaskGroup) -> None:
        """Begins to ask storage again about what became doubtful, in tasks of ``tasks``."""
        self._tasks = tasks

    def stop(self) -> None:
        self._tasks = None
        self._leaving.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @property
    def is_empty(self) -> bool:
        return not (self._here or self._leaving or self._watches or self._watched or self._of_watcher)

    # Who is online

    def arrived(self, profile_id: ProfileId) -> None:
        """Notes that one more client of a profile is connected."""
        before = self._here.get(profile_id, 0)
        self._here[profile_id] = before + 1
        if not before:
            self.changed(profile_id, True)
        if self._leaving.pop(profile_id, None) is None:
            self._tell(profile_id)

    def departed(self, profile_id: ProfileId) -> None:
        """Notes that a client of a profile has gone."""
        left = self._here.pop(profile_id) - 1
        if left:
            self._here[profile_id] = left
            return
        self.changed(profile_id, False)
        self._gone(profile_id, self.now())

    @property
    def here(self) -> Iterable[ProfileId]:
        """The profiles that have a client on this node."""
        return self._here.keys()

    def arrived_elsewhere(self, profile_id: ProfileId, node: str, until: float) -> None:
        """Notes that a profile has a client on another node, which counts ``until`` then."""
        was_there = profile_id in self.elsewhere
        self.elsewhere.note(profile_id, node, until)
        if self._leaving.pop(profile_id, None) is None and not was_there:
            self._tell(profile_id)

    def departed_elsewhere(self, profile_id: ProfileId, node: str, at: datetime) -> None:
        """Notes that the last client of a profile on another node has gone."""
        if profile_id in self.elsewhere:
            self.elsewhere.forget(profile_id, node)
            self._gone(profile_id, at)

    def expire_elsewhere(self, now: float) -> None:
        """Notes that other nodes have said nothing of their people for too long."""
        for profile_id in self.elsewhere.expire(now):
            self._gone(profile_id, self.now())

    def _gone(self, profile_id: ProfileId, at: datetime) -> None:
        if profile_id in self._here or profile_id in self.elsewhere:
            return
        self._remember(profile_id, at)
        if profile_id in self._watched:
            self._leaving.pop(profile_id, None)  # those that end later come later
            self._leaving[profile_id] = asyncio.get_running_loop().time() + self.pause
            self._wind_up()

    def is_online(self, profile_id: ProfileId) -> bool:
        return profile_id in self._here or profile_id in self._leaving or profile_id in self.elsewhere

    def _remember(self, profile_id: ProfileId, at: datetime) -> None:
        self._seen.pop(profile_id, None)
        self._seen[profile_id] = at
        if len(self._seen) > SEEN_REMEMBERED:
            del self._seen[next(iter(self._seen))]

    def _wind_up(self) -> None:
        if self._timer is None and self._leaving:
            first = next(iter(self._leaving.values()))
            self._timer = asyncio.get_running_loop().call_at(first, self._settle)

    def _settle(self) -> None:
        self._timer, now = None, asyncio.get_running_loop().time()
        for profile_id in [each for each, until in self._leaving.items() if until <= now]:
            del self._leaving[profile_id]
            self._tell(profile_id)
        self._wind_up()

    # Watching

    async def watch(self, watcher: Watcher, wanted: Sequence[ProfileId]) -> Sequence[Availability]:
        """
        Makes a listener watch those of ``wanted`` that it may watch, and nobody else. Returns their present state; changes
        are told from then on.

        Raises:
            TooManyWatched: Nothing has changed.
            Unavailable: Storage did not answer; nothing has changed.
        """
        asked = [*dict.fromkeys(wanted)]
        if len(asked) > self.most:
            raise TooManyWatched(self.most)
        if not watcher.is_connected:
            return []  # it has gone, and would not be forgotten again
        watch = self._opened(watcher)
        watch.asked = asked
        for profile_id in asked:
            self._watched.setdefault(profile_id, {})[watch] = None
        may: dict[ProfileId, Contact] = {}
        try:
            may = {contact.profile_id: contact for contact in await self._certain(watch, asked)}
        finally:
            watch.asked = ()
            self._forget(watch, [each for each in asked if each not in may and each not in watch.people])
        if watcher not in self._watches:
            self._forget(watch, may)
            return []
        self._forget(watch, [each for each in watch.people if each not in may])
        for profile_id, contact in may.items():
            watch.fallback[profile_id] = contact.last_used_at
            watch.doubtful.pop(profile_id, None)
            watch.untold.pop(profile_id, None)
            watch.people[profile_id] = self.is_online(profile_id)
        return [self._state(watch, profile_id) for profile_id in watch.people]

    def _opened(self, watcher: Watcher) -> Watch:
        if (watch := self._watches.get(watcher)) is None:
            watch = self._watches[watcher] = Watch(watcher)
            self._of_watcher.setdefault(watcher.profile_id, {})[watch] = None
        return watch

    async def _certain(self, watch: Watch, asked: Sequence[ProfileId]) -> Sequence[Contact]:
        """
        Raises:
            Unavailable: Storage did not answer, or chats end faster than it answers.
        """
        for _ in range(READS_MOST):
            doubts = watch.doubts
            contacts = await self.watchable(watch.watcher.profile_id, asked)
            if watch.doubts == doubts:
                return contacts
        raise Unavailable("chats end faster than they are read")

    def leave(self, listener: Listener) -> None:
        """Forgets what a listener watches."""
        if watch := self._watches.pop(listener, None):
            self._forget(watch, {**watch.people, **dict.fromkeys(watch.asked)})
            self._behind.pop(watch, None)
            _discard(self._of_watcher, listener.profile_id, watch)

    def _forget(self, watch: Watch, profiles: Iterable[ProfileId]) -> None:
        for profile_id in [*profiles]:
            for kept in (watch.people, watch.fallback, watch.doubtful, watch.untold):
                kept.pop(profile_id, None)
            _discard(self._watched, profile_id, watch)
            if profile_id not in self._watched:
                self._leaving.pop(profile_id, None)

    # Telling

    def _state(self, watch: Watch, profile_id: ProfileId) -> Availability:
        is_online = self.is_online(profile_id)
        seen = None if is_online else self._seen.get(profile_id, watch.fallback.get(profile_id))
        return news.availability(profile_id, is_online, seen)

    def _tell(self, profile_id: ProfileId) -> None:
        for watch in self._watched.get(profile_id, ()):
            self._refresh(watch, profile_id)

    def _refresh(self, watch: Watch, profile_id: ProfileId) -> None:
        """Tells a client the state of a person, unless it knows it already, may not know it, or reads too slowly."""
        is_online = self.is_online(profile_id)
        if profile_id not in watch.people or profile_id in watch.doubtful:
            return
        if watch.people[profile_id] == is_online:
            watch.untold.pop(profile_id, None)
        elif not watch.watcher.has_room:
            watch.untold[profile_id] = self._behind[watch] = None
        else:
            watch.untold.pop(profile_id, None)
            watch.people[profile_id] = is_online
            watch.watcher.tell(news.presence(self._state(watch, profile_id)))

    def tell_untold(self) -> None:
        """Tells clients that read again what has changed meanwhile: the latest state of each person, once."""
        for watch in [watch for watch in self._behind if watch.watcher.has_room]:
            del self._behind[watch]
            for profile_id in [*watch.untold]:
                self._refresh(watch, profile_id)

    # Doubts

    def doubt(self, profile_id: ProfileId) -> None:
        """Suspends all watches of and by a profile that has lost a chat or its account, and asks storage about them."""
        for watch in self._of_watcher.get(profile_id, ()):
            self._suspend(watch, watch.people)
        for watch in self._watched.get(profile_id, ()):
            self._suspend(watch, (profile_id,))

    def _suspend(self, watch: Watch, profiles: Iterable[ProfileId]) -> None:
        watch.doubts += 1
        watch.doubtful.update({each: None for each in profiles if each in watch.people})
        if watch.doubtful and not watch.is_checking and self._tasks is not None:
            watch.is_checking = True
            self._tasks.create_task(self._check(watch))

    async def _check(self, watch: Watch) -> None:
        try:
            while watch.doubtful and watch.watcher in self._watches:
                try:
                    async with self._checks:
                        self._decide(watch, asked := [*watch.doubtful], await self._certain(watch, asked))
                except ApplicationError as error:
                    log.warning("could not look who may be watched", extra={"reason": error.code})
                    await asyncio.sleep(self.interval)
        finally:
            watch.is_checking = False

    def _decide(self, watch: Watch, asked: Sequence[ProfileId], contacts: Sequence[Contact]) -> None:
        may = {contact.profile_id for contact in contacts}
        for profile_id in asked:
            if profile_id not in watch.doubtful:
                continue  # the client has asked about it meanwhile, and was answered
            if profile_id in may:
                del watch.doubtful[profile_id]
                self._refresh(watch, profile_id)
            else:
                self._forget(watch, [profile_id])
                watch.watcher.tell(news.presence_ended(profile_id))


def _discard(index: dict[ProfileId, dict[Watch, None]], profile_id: ProfileId, watch: Watch) -> None:
    watches = index.get(profile_id, {})
    watches.pop(watch, None)
    if not watches:
        index.pop(profile_id, None)
