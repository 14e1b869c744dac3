"""
Lets a listener hear all chats of its profile: those that it is in, and those that it joins later.

There is one way in for new and returning clients. A new client is given a cursor first, and then its chats as pages that it
reads when it likes; from there on both resume from their cursor. They take a seat in each chat before they read what they
missed, so that nothing is lost between the read and the seat, and go live chat by chat.

A visit takes and gives up its seats as the profile joins and leaves chats. What the profile's own log says is only a hint to
look: each time the chats concerned are read, and their state decides.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, Protocol

from attrs import Factory, define, field, frozen

from application.errors import ApplicationError, Unavailable
from application.paging import ChatPlace, Page, Paging
from application.ports.changes import Cursor
from application.ports.own_changes import Lost, Missed, OwnChanges, Standing
from application.ports.updates import ChatUpdate
from application.ports.views import LogSpan
from application.views import ChatView
from domain.events import ChatAdded, ChatRemoved, Removal
from domain.ids import ChatId, Position, ProfileId
from interfaces.live import resuming
from interfaces.live.channel import PAGE, Channel, Channels
from interfaces.live.entry import Entry
from interfaces.live.listener import End, Listener
from interfaces.live.recent_chats import RecentChats
from interfaces.live.replays import Replays
from interfaces.live.roster import Audience, Roster
from interfaces.wire import all_chats as news
from interfaces.wire.frames import Frame
from interfaces.wire.reasons import Reset

log: Final = logging.getLogger(__name__)

ListChats = Callable[[ProfileId, Paging[ChatPlace]], Awaitable[Page[ChatView, ChatPlace]]]
SomeChats = Callable[[ProfileId, Sequence[ChatId]], Awaitable[Sequence[ChatView]]]

READS_MOST: Final = 5
"""How often chats are read until they are as new as what a listener has heard."""

REMOVALS: Final[Mapping[End, Removal]] = {
    End.NOT_A_MEMBER: Removal.REMOVED,
    End.LEFT: Removal.LEFT,
    End.CHAT_DELETED: Removal.CHAT_DELETED,
}
"""Why a chat is removed from a listener's list, by the end of its updates."""


@frozen
class SinceCursor:
    """The knowledge of a returning client: everything up to a cursor, and of some chats more, up to a position."""

    cursor: Cursor
    seen: Mapping[ChatId, Position] = Factory(dict)


class AllChatsListener(Listener, Protocol):
    """
    A client that listens to all chats of its profile.

    `end` with a chat tells the client that it is no longer in that chat, and leaves the others as they are.
    """

    @property
    def since(self) -> SinceCursor | Reset | None:
        """The point from which the client resumes: None for a new client, a `Reset` if the client sent it malformed."""
        ...

    @property
    def is_connected(self) -> bool:
        """False once it has been ended."""
        ...

    @property
    def is_in_order(self) -> bool:
        """Whether everything that it was told has been written, so that a cursor after it may follow."""
        ...

    @property
    def has_room(self) -> bool:
        """Whether the client reads fast enough for more of the replay."""
        ...

    async def drained(self) -> None:
        """Waits until the listener `has_room` or has been ended."""
        ...

    def welcome(
        self,
        cursor: Cursor,
        page: Page[ChatView, ChatPlace] | None = None,
        why: Lost | Reset | None = None,
    ) -> None:
        """
        Confirms the entry. ``cursor`` is where the client resumes; ``page`` is the first page of chats of a client that is
        new, or starts anew for the reason ``why``. What `end` had to tell before follows.
        """
        ...

    def resumed(self, cursor: Cursor) -> None:
        """Confirms that everything up to ``cursor`` has been sent."""
        ...

    def opened(self) -> None:
        """Marks the listener as live."""
        ...

    def passed(self, cursor: Cursor) -> None:
        """Tells the client a later cursor: everything before it has been sent."""
        ...


@define(eq=False)
class WayIn:
    """The way of one listener into one of its chats."""

    channel: Channel
    listener: AllChatsListener
    has_ended: bool = False

    @property
    def chat_id(self) -> ChatId:
        return self.channel.chat_id

    @property
    def profile_id(self) -> ProfileId:
        return self.listener.profile_id

    @property
    def is_entering(self) -> bool:
        return self.listener.is_connected and not self.has_ended

    @property
    def has_room(self) -> bool:
        return self.listener.has_room

    async def drained(self) -> None:
        await self.listener.drained()

    def tell(self, frame: Frame, update: ChatUpdate | None = None, *, ephemeral: bool = False) -> None:
        self.listener.tell(frame, update, ephemeral=ephemeral)

    def end(self, why: End, chat_id: ChatId | None = None) -> None:
        if not self.has_ended:
            self.has_ended = True
            self.listener.end(why, chat_id)


@define(eq=False)
class Visit:
    """One listener of all chats on this node, and what is still to be looked at for it."""

    listener: AllChatsListener
    ways_in: dict[ChatId, WayIn] = Factory(dict)
    """The chats that it is on its way into."""
    to_join: dict[ChatId, None] = Factory(dict)
    """Chats that the profile may have joined."""
    to_count: dict[ChatId, None] = Factory(dict)
    """Chats in which the profile has read something."""
    to_skip: dict[ChatId, Position] = Factory(dict)
    """Chats of which the client missed the events after a position, because it reads too slowly."""
    read_on: Callable[[], Awaitable[None]] | None = None
    """Waits until the client has read everything that was sent, for `to_skip`."""
    entered_at: int | None = None
    """The number of the look (`AllChats.looks`) during which it had caught up; None until then."""
    is_working: bool = False
    cursor: Cursor | None = None
    """The latest cursor that the client was told since it has caught up."""

    @property
    def is_up_to_date(self) -> bool:
        return not (self.ways_in or self.has_work or self.is_working)

    @property
    def has_work(self) -> bool:
        return bool(self.to_join or self.to_count or self.to_skip)

    def trim(self) -> None:
        """Gives back memory: a dictionary keeps the room of the entries that were deleted from it."""
        self.ways_in, self.to_join = dict(self.ways_in), dict(self.to_join)


@define(eq=False, kw_only=True)
class AllChats:
    own_changes: OwnChanges
    list_chats: ListChats
    some_chats: SomeChats
    replays: Replays
    channels: Channels
    roster: Roster
    entry: Entry
    interval: float
    """Seconds until a failed read is tried again."""
    page: int = 50
    """Chats of the first page."""
    cursor_interval: int = 10
    """Looks between two cursors that are told."""
    recent: RecentChats = Factory(lambda: RecentChats(0))
    looks: int = field(init=False, default=0)
    _visits: dict[Listener, Visit] = field(init=False, factory=dict)
    _by_profile: dict[ProfileId, list[Visit]] = field(init=False, factory=dict)
    _lagging: list[tuple[Channel, Position]] = field(init=False, factory=list)
    """Channels that have not delivered everything before `_cursor`, with the position that they must reach."""
    _cursor: tuple[Cursor, int] | None = field(init=False, default=None)
    """The cursor that is told next, and the look that read it."""
    _told: Cursor | None = field(init=False, default=None)
    _told_at: int = field(init=False, default=0)
    _passed_over: bool = field(init=False, default=False)
    """Whether somebody was not told `_told`, because they had only just entered or had not heard everything yet."""
    _tasks: asyncio.TaskGroup | None = field(init=False, default=None)

    def start(self, tasks: asyncio.TaskGroup) -> None:
        """Begins to look after visits, in tasks of ``tasks``."""
        self._tasks = tasks

    def stop(self) -> None:
        self._tasks = None

    @property
    def is_empty(self) -> bool:
        return not self._visits and not self._by_profile

    def hears(self, listener: Listener, chat_id: ChatId) -> bool:
        """Whether a listener is live in a chat. A seat aside may be that of a chat that the profile has left."""
        channel = self.channels.find(chat_id)
        return channel is not None and self.roster.is_live(listener, channel.audience)

    async def as_heard(self, listener: Listener, views: Sequence[ChatView]) -> Sequence[ChatView]:
        """
        Leaves out the chats in which a listener is not live, and reads those again that it has heard more of since: its client
        has passed over what it was told of chats that it did not know yet.

        Raises:
            Unavailable: Storage did not answer, or chats move faster than they are read.
        """
        for _ in range(READS_MOST):
            heard = [view for view in views if self.hears(listener, view.id)]
            moved = [view.id for view in heard if self._has_moved(view)]
            if not moved:
                return heard
            newer = await self._read_views(listener, moved)
            views = [newer.get(view.id, view) for view in heard if view.id in newer or view.id not in moved]
        raise Unavailable("chats move faster than they are read")

    def _has_moved(self, view: ChatView) -> bool:
        channel = self.channels.find(view.id)
        return channel is not None and (channel.position or 0) > view.last_position

    # Entering

    async def enter(self, listener: AllChatsListener, has_read: Callable[[], None] = lambda: None) -> None:
        """
        Welcomes an authenticated client, and lets it listen from exactly where its cursor is.

        ``has_read`` is called when everything but the logs has been read from storage: the time that follows depends on
        how fast the client reads.

        Raises:
            Unavailable: Storage did not answer.
        """
        visit = self._open(listener)
        missed, seen = await self._returning(visit)
        if isinstance(missed, Missed):
            assert isinstance(listener.since, SinceCursor)
            listener.welcome(listener.since.cursor)
        else:
            missed = await self._anew(visit, missed)
        has_read()
        if missed is not None:
            await self._resume(visit, missed, seen)
            await self._skip_ahead(visit)
        if listener.is_connected and missed is not None:
            listener.opened()
            listener.resumed(missed.cursor)
            visit.entered_at = self.looks
            visit.cursor = missed.cursor
            visit.trim()
            self._work_on(visit)

    def _open(self, listener: AllChatsListener) -> Visit:
        visit = self._visits[listener] = Visit(listener)
        self._by_profile.setdefault(listener.profile_id, []).append(visit)
        self.roster.attend(listener)
        return visit

    async def _returning(
        self, visit: Visit
    ) -> tuple[Missed | Lost | Reset | None, Mapping[ChatId, Position]]:
        since = visit.listener.since
        if not isinstance(since, SinceCursor):
            return since, {}
        is_guess = self._take_likely_seats(visit)
        if not is_guess:
            await self._take_seats(visit)
        missed = await self._since(visit, since.cursor)
        if is_guess and isinstance(missed, Missed) and not _has_guessed_all(visit, missed, since.seen):
            await self._take_seats(visit)
            missed = await self._since(visit, since.cursor)
        return missed, since.seen if isinstance(missed, Missed) else {}

    async def _since(self, visit: Visit, cursor: Cursor) -> Missed | Lost:
        return await self.own_changes.since(visit.listener.profile_id, cursor, len(visit.ways_in))

    def _take_likely_seats(self, visit: Visit) -> bool:
        """
        Takes seats in the chats that the profile was in a moment ago, as far as this node knows without reading. Returns False
        if it does not know.
        """
        profile_id = visit.listener.profile_id
        chat_ids = self.recent.find(profile_id)
        if chat_ids is None:
            there = next((each for each in self._by_profile[profile_id] if each.entered_at is not None), None)
            if there is None:
                return False
            chat_ids = [audience.chat_id for audience in self.roster.audiences_of(there.listener)]
        for chat_id in chat_ids:
            self._take_seat(visit, chat_id)
        return True

    async def _anew(self, visit: Visit, why: Lost | Reset | None) -> Missed | None:
        """Gives a new cursor and the first page of chats. Returns None if the history has changed meanwhile."""
        listener, profile_id = visit.listener, visit.listener.profile_id
        cursor = await self.own_changes.here()
        await self._take_seats(visit)
        page = await self.list_chats(profile_id, Paging(limit=self.page))
        missed = await self._since(visit, cursor)
        listener.welcome(cursor, page, why)
        if isinstance(missed, Lost):
            listener.end(End.HISTORY_CHANGED)
            return None
        return missed

    async def _take_seats(self, visit: Visit) -> None:
        for chat_id in await self.own_changes.chats_of(visit.listener.profile_id):
            self._take_seat(visit, chat_id)

    def _take_seat(self, visit: Visit, chat_id: ChatId) -> None:
        """Takes a seat aside in a chat, unless the listener has one."""
        channel = self.channels.open(chat_id)
        if not self.roster.has_seat(visit.listener, channel.audience):
            self.roster.join(visit.listener, channel.audience)
            visit.ways_in[channel.chat_id] = WayIn(channel, visit.listener)

    async def _resume(self, visit: Visit, missed: Missed, seen: Mapping[ChatId, Position]) -> None:
        listener = visit.listener
        memberships = resuming.memberships(missed, seen)
        for event in memberships.removed:
            listener.tell(news.chat_removed(event.chat_id, event.reason))
        entering: list[tuple[WayIn, Standing]] = []
        joined: list[ChatId] = []
        for standing in missed.standings:  # each look at a dictionary of chats takes most of a microsecond
            seat = visit.ways_in.get(standing.chat_id)
            if seat is None or (memberships.added and standing.chat_id in memberships.added):
                joined.append(standing.chat_id)
            else:
                entering.append((seat, standing))
        if visit.to_join:
            # Word that the profile joined may come late. The seat hears it if the profile has left and joined since.
            for way, _ in entering:
                visit.to_join.pop(way.chat_id, None)
        visit.to_join.update(dict.fromkeys(joined))
        if len(entering) < len(visit.ways_in):
            here = {way.chat_id for way, _ in entering}
            for way in [way for way in visit.ways_in.values() if way.chat_id not in here]:
                self._abandon(visit, way)
        replays, jumps = [], []
        for way, standing in entering:
            way.channel.audience.member_count = standing.member_count
            after = resuming.resume_after(standing, seen.get(way.chat_id) if seen else None)
            if isinstance(after, Reset) or not resuming.is_replayed(standing, after):
                jumps.append((way, standing, after))
            else:
                after = self._tell_kept(way, after, standing.last_position, missed.cursor.epoch)
                if after < standing.last_position:
                    replays.append((way, standing, after))
                    continue
                _tell_reading(listener, standing)
                if not self._goes_in_at_once(visit, way, standing.last_position):
                    await self._go_in(visit, way, standing.last_position, missed.cursor.epoch)
        doubtful = {*joined, *await self._jump(visit, jumps)}
        await self._replay(visit, replays, missed.cursor.epoch)
        lost = [chat_id for chat_id in await self._join(visit) if chat_id in doubtful]
        if lost:
            await self._tell_lost(listener, missed.cursor, lost)

    async def _tell_lost(self, listener: AllChatsListener, cursor: Cursor, lost: Sequence[ChatId]) -> None:
        """
        Tells of chats that the profile left after ``cursor``, before the listener was live in them. The client may know them:
        from a page, or from frames that it got after its own cursor.
        """
        missed = await self.own_changes.since(listener.profile_id, cursor)
        if isinstance(missed, Lost):
            listener.end(End.HISTORY_CHANGED)
            return
        removed = {event.chat_id: event for event in missed.personal if isinstance(event, ChatRemoved)}
        for event in [removed[chat_id] for chat_id in lost if chat_id in removed]:
            listener.tell(news.chat_removed(event.chat_id, event.reason))

    async def _jump(
        self, visit: Visit, jumps: Sequence[tuple[WayIn, Standing, Position | Reset]]
    ) -> Sequence[ChatId]:
        """
        Tells the present state of chats whose logs cannot be replayed, and goes on from there. Returns those that the
        profile has left meanwhile.
        """
        listener, left = visit.listener, []
        views = await self._read_views(listener, [way.chat_id for way, _, _ in jumps])
        for way, standing, after in jumps:
            view = views.get(way.chat_id)
            if view is None or not way.is_entering:
                if not way.has_ended:
                    left.append(way.chat_id)
                visit.to_join[way.chat_id] = None  # it was left meanwhile, or is: another look tells
                self._abandon(visit, way)
                continue
            if isinstance(after, Reset):
                listener.tell(news.reset_chat(view, after))
            else:
                listener.tell(news.gap(view, after))
            if frame := resuming.reading_behind(view, standing):
                listener.tell(frame)
            await self._go_in(visit, way, view.last_position)
        return left

    async def _replay(
        self, visit: Visit, replays: Sequence[tuple[WayIn, Standing, Position]], epoch: str
    ) -> None:
        listener = visit.listener
        for group in resuming.in_groups(replays, _missed, PAGE):
            reached = {way.chat_id: after for way, _, after in group}
            while spans := [
                LogSpan(way.chat_id, reached[way.chat_id], up_to)
                for way, standing, after in group
                if way.is_entering
                and (up_to := Position(min(standing.last_position, reached[way.chat_id] + PAGE)))
                > reached[way.chat_id]
            ]:
                await listener.drained()
                if not listener.is_connected:
                    return
                entries = await self.replays.read(epoch, spans)
                if not entries:
                    break  # the chats were deleted and purged meanwhile, which their listeners are told
                for entry in entries:
                    # the rest is read again later: pages kept for many slow readers would take much memory
                    if not listener.has_room:
                        break
                    chat_id = entry.update.chat_id
                    way_in = visit.ways_in.get(chat_id)
                    if way_in and way_in.is_entering:
                        listener.tell(entry.frame, entry.update)
                        reached[chat_id] = entry.position
            for way, standing, _ in group:
                if way.is_entering:
                    _tell_reading(listener, standing)
                await self._go_in(visit, way, standing.last_position, epoch)

    def _tell_kept(self, way: WayIn, after: Position, up_to: Position, epoch: str) -> Position:
        """
        Tells a few entries that this node has kept of a chat's log, without waiting for a slow client. Returns the position that
        was reached.
        """
        if not 0 < up_to - after <= PAGE or not way.is_entering:
            return after
        listener = way.listener
        for entry in self.replays.tails.read(epoch, way.chat_id, after, up_to):
            if not listener.has_room:
                break
            listener.tell(entry.frame, entry.update)
            after = entry.position
        return after

    def _goes_in_at_once(self, visit: Visit, way: WayIn, position: Position) -> bool:
        """Goes live in a chat whose listeners know it up to the same position. Returns False if they do not."""
        channel = way.channel
        if channel.position is None:
            channel.position = position
        if channel.position != position or not way.is_entering:
            return False
        del visit.ways_in[way.chat_id]
        self.entry.go_live(channel, visit.listener)
        self.channels.heal_soon(channel)
        return True

    async def _go_in(self, visit: Visit, way: WayIn, position: Position, epoch: str | None = None) -> None:
        """Goes live in a chat that the client knows up to ``position``, in a line of history if that is known."""
        if way.is_entering:
            await self.entry.catch_up(way.channel, way, position, epoch)
        if not way.is_entering:
            self._abandon(visit, way)
            return
        del visit.ways_in[way.chat_id]
        self.entry.go_live(way.channel, visit.listener)
        self.channels.heal_soon(way.channel)

    def _abandon(self, visit: Visit, way: WayIn) -> None:
        """Gives up the seat in a chat. If the profile has just lost the chat, it may be in it again: it is looked at once more."""
        if visit.ways_in.get(way.chat_id) is not way:
            return
        del visit.ways_in[way.chat_id]
        if self.roster.has_seat(visit.listener, way.channel.audience):
            self.roster.leave_chat(visit.listener, way.channel.audience)
            self.channels.close_empty([way.channel.audience])
        if way.has_ended:
            visit.to_join[way.chat_id] = None

    # Chats that come and go

    def added(self, event: ChatAdded) -> None:
        """Looks at a chat that a profile has joined, for each of its listeners. It may be told more than once."""
        for visit in self._by_profile.get(event.profile_id, ()):
            visit.to_join[event.chat_id] = None
            self._work_on(visit)

    def ended(self, listener: Listener, audience: Audience) -> None:
        """
        Gives up the seat of a listener of all chats after `Listener.end` for one chat. Does nothing for other listeners.

        The profile may be in the chat again by now, so the chat is looked at once more.
        """
        visit = self._visits.get(listener)
        if visit is None:
            return
        if way := visit.ways_in.get(audience.chat_id):
            way.has_ended = True
            self._abandon(visit, way)
        elif self.roster.has_seat(listener, audience):
            self.roster.leave_chat(listener, audience)
            self.channels.close_empty([audience])
        visit.to_skip.pop(audience.chat_id, None)
        visit.to_join[audience.chat_id] = None
        self._work_on(visit)

    def skip(
        self,
        listener: Listener,
        chat_id: ChatId,
        after: Position,
        read_on: Callable[[], Awaitable[None]],
    ) -> None:
        """
        Notes that the durable frames of a chat after a position were dropped, because the client reads too slowly. After
        ``read_on`` the client is told the state of the chat as a gap, and hears it again. May be called while updates are
        delivered.
        """
        if visit := self._visits.get(listener):
            visit.to_skip.setdefault(chat_id, after)
            visit.read_on = read_on
            self._work_on(visit)

    def read(self, chat_id: ChatId, reader_id: ProfileId) -> None:
        """Tells the other listeners of a profile how far it has read now."""
        for visit in self._by_profile.get(reader_id, ()):
            visit.to_count[chat_id] = None
            self._work_on(visit)

    def leave(self, listener: Listener) -> None:
        """Forgets a listener whose client has gone. It gives up its seats in the roster itself."""
        if visit := self._visits.pop(listener, None):
            of_profile = self._by_profile[listener.profile_id]
            of_profile.remove(visit)
            if not of_profile:
                del self._by_profile[listener.profile_id]
                if visit.entered_at is not None:
                    chats = [audience.chat_id for audience in self.roster.audiences_of(listener)]
                    self.recent.note(listener.profile_id, chats)

    def begin_anew(self) -> None:
        """Ends all listeners, because the history has changed, and forgets the cursors of the former one."""
        self.recent.clear()
        self._cursor = self._told = None
        self._passed_over = False
        self._lagging.clear()
        for listener in [*self._visits]:
            listener.end(End.HISTORY_CHANGED)

    def _work_on(self, visit: Visit) -> None:
        if (
            visit.has_work
            and visit.entered_at is not None
            and not visit.is_working
            and self._tasks is not None
        ):
            visit.is_working = True
            self._tasks.create_task(self._work(visit))

    async def _work(self, visit: Visit) -> None:
        try:
            while visit.has_work and self._is_here(visit):
                try:
                    await self._join(visit)
                    await self._count(visit)
                    await self._skip_ahead(visit)
                except ApplicationError as error:
                    log.warning("could not look at chats", extra={"reason": error.code})
                    await asyncio.sleep(self.interval)
        finally:
            visit.is_working = False
            visit.trim()

    def _is_here(self, visit: Visit) -> bool:
        return visit.listener.is_connected and visit.listener in self._visits

    async def _join(self, visit: Visit) -> Sequence[ChatId]:
        """Goes into the chats of `Visit.to_join` that the profile is in. Returns those that it is not in."""
        listener = visit.listener
        outside: dict[ChatId, None] = {}
        while visit.to_join and self._is_here(visit):
            looked_at = [*visit.to_join]
            visit.to_join.clear()
            for chat_id in looked_at:
                self._take_seat(visit, chat_id)
            ways = [way for id in looked_at if (way := visit.ways_in.get(id))]
            try:
                views = await self._read_views(listener, [way.chat_id for way in ways])
                for way in ways:
                    outside.pop(way.chat_id, None)
                    if (view := views.get(way.chat_id)) and way.is_entering and self._is_here(visit):
                        way.channel.audience.member_count = view.member_count
                        listener.tell(news.chat_added(view))
                        await self._go_in(visit, way, view.last_position)
                    else:
                        if view is None:
                            outside[way.chat_id] = None
                        self._abandon(visit, way)
            except ApplicationError:
                for way in [way for way in ways if way.chat_id in visit.ways_in]:
                    self._abandon(visit, way)
                    visit.to_join[way.chat_id] = None
                raise
        return [*outside]

    async def _skip_ahead(self, visit: Visit) -> None:
        """Tells the gaps of `Visit.to_skip`, once the client has read what was sent before them."""
        listener = visit.listener
        while visit.to_skip and self._is_here(visit):
            cursor = await self.own_changes.here()
            skipping = [*visit.to_skip]  # those that are added later are still live in their chats
            for chat_id in skipping:
                if channel := self.channels.find(chat_id):
                    # a seat aside still hears if the profile is removed
                    self.roster.step_aside(listener, channel.audience)
            assert visit.read_on is not None, "it was given with the first chat"
            await visit.read_on()
            views = await self._read_views(listener, skipping)
            skipped = [chat_id for chat_id in skipping if await self._skip_to(visit, chat_id, views)]
            await self._tell_readings(listener, cursor, skipped)

    async def _skip_to(self, visit: Visit, chat_id: ChatId, views: Mapping[ChatId, ChatView]) -> bool:
        """Returns whether the listener is live in the chat again."""
        after, view, channel = (
            visit.to_skip.pop(chat_id, None),
            views.get(chat_id),
            self.channels.find(chat_id),
        )
        if after is None or view is None or channel is None or not self._is_here(visit):
            return False  # the profile has left the chat, and is told so
        way = visit.ways_in[chat_id] = WayIn(channel, visit.listener)
        visit.listener.tell(news.gap(view, after))
        try:
            await self._go_in(visit, way, view.last_position)
        except ApplicationError:
            self._abandon(visit, way)
            visit.to_join[chat_id] = None  # its state is told once more, as if the chat were new
            raise
        return self.hears(visit.listener, chat_id)

    async def _tell_readings(
        self, listener: AllChatsListener, cursor: Cursor, chat_ids: Sequence[ChatId]
    ) -> None:
        """Tells what was read after ``cursor`` in some chats, whose receipts the listener did not hear."""
        if not chat_ids:
            return
        missed = await self.own_changes.since(listener.profile_id, cursor)
        if isinstance(missed, Lost):
            listener.end(End.HISTORY_CHANGED)
            return
        for standing in missed.standings:
            if standing.chat_id in chat_ids and self.hears(listener, standing.chat_id):
                _tell_reading(listener, standing)

    async def _count(self, visit: Visit) -> None:
        counted = [*visit.to_count]
        visit.to_count.clear()
        try:
            views = await self._read_views(visit.listener, counted)
        except ApplicationError:
            visit.to_count.update(dict.fromkeys(counted))
            raise
        for view in views.values():
            # a chat that was left meanwhile must not come back; what is joined is told with its count
            if self._is_here(visit) and self.hears(visit.listener, view.id):
                visit.listener.tell(
                    news.read_up_to(view.id, view.read_up_to, view.unread_count, view.last_seq)
                )

    async def _read_views(self, listener: Listener, chat_ids: Sequence[ChatId]) -> Mapping[ChatId, ChatView]:
        if not chat_ids:
            return {}
        return {view.id: view for view in await self.some_chats(listener.profile_id, chat_ids)}

    # Cursors

    def looked(self, cursor: Cursor) -> None:
        """
        Takes the cursor of the node's last look. It is told once all channels have delivered what lies before it, at most
        once in `cursor_interval` looks.
        """
        self._tell_cursor()
        self.looks += 1
        is_due = self._cursor is None and self.looks - self._told_at >= self.cursor_interval
        if is_due and self._visits and (cursor != self._told or self._passed_over):
            self._cursor = cursor, self.looks
            self._lagging = [(channel, channel.heard) for channel in self.channels if channel.is_behind]
            self._tell_cursor()

    def _tell_cursor(self) -> None:
        if self._cursor is None:
            return
        self._lagging = [(channel, to) for channel, to in self._lagging if (channel.position or to) < to]
        if self._lagging:
            return
        (cursor, look), self._cursor = self._cursor, None
        self._told, self._told_at = cursor, self.looks
        self._passed_over = False
        for visit in self._visits.values():
            if visit.cursor == cursor:
                continue
            has_heard_all = visit.is_up_to_date and visit.listener.is_in_order
            if has_heard_all and visit.entered_at is not None and visit.entered_at + 1 < look:
                visit.cursor = cursor
                visit.listener.passed(cursor)
            else:
                self._passed_over = True


def _has_guessed_all(visit: Visit, missed: Missed, seen: Mapping[ChatId, Position]) -> bool:
    """Tells whether the guess has no gap: each chat that the profile was in at its cursor had a seat before ``missed`` was read."""
    added = resuming.memberships(missed, seen).added
    return all(each.chat_id in visit.ways_in or each.chat_id in added for each in missed.standings)


def _tell_reading(listener: AllChatsListener, standing: Standing) -> None:
    if frame := resuming.reading(standing):
        listener.tell(frame)


def _missed(replay: tuple[WayIn, Standing, Position]) -> int:
    """The number of log entries that a replay has to tell."""
    _, standing, after = replay
    return standing.last_position - after
