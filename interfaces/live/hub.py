"""Routes each published update to the listeners of this node that it concerns."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from math import ceil
from typing import Final, assert_never

from attrs import define, field

from application.errors import ApplicationError, Unavailable
from application.messenger import Feed
from application.ports.changes import Cursor, ReadRange
from application.ports.clock import Clock
from application.ports.updates import (
    Attendance,
    AttendingThere,
    ChatUpdate,
    LimitUsed,
    Moved,
    NewMember,
    NewMessage,
    OnlineThere,
    PresenceUpdate,
    Typing,
    Update,
    UpdateBesideLogs,
    WhoIsThere,
)
from domain.events import (
    ChatAdded,
    ChatRemoved,
    MemberRemoved,
    MessagesRead,
    Removal,
    SessionEnd,
    SessionEnded,
)
from domain.ids import ChatId
from interfaces.live.all_chats import AllChats
from interfaces.live.channel import Channel, Channels
from interfaces.live.entry import Entrant, Entry, end_if_removed
from interfaces.live.listener import End, Listener, Run
from interfaces.live.neighbours import LASTS, RENEWED_EVERY, SAID_AT_ONCE, Neighbours
from interfaces.live.notices import Notices, receipt_key
from interfaces.live.presence import Presence
from interfaces.live.recent_chats import RecentChats
from interfaces.live.replays import Replays
from interfaces.live.roster import Audience, Roster
from interfaces.live.tails import Tails
from interfaces.live.typing import TypingNow
from interfaces.wire import frames
from interfaces.wire.frames import Frame

log: Final = logging.getLogger(__name__)

TAIL_SECONDS: Final = 60
"""A log entry is kept for clients that come back for at least this long, if there is room, and at most twice as long."""

MANY: Final = 100
"""To write to so many sockets takes about a millisecond."""

RUN_BYTES: Final = 16384
"""Bytes of messages that are told together. With more, a client that does not read would be noticed late."""

RECENT_PART: Final = 4
"""`RecentChats` has the share 1 / `RECENT_PART` of the bytes that log entries have."""


@define(eq=False, kw_only=True)
class Hub:
    """
    The live side of a node.

    Published updates arrive by `receive`. They may get lost on the way; `run` therefore reads the news of all logs every
    ``interval``, and the missing entries of a chat's log as soon as a gap is noticed.
    """

    feed: Feed
    clock: Clock
    interval: float = 1.0
    """Seconds."""
    first_page: int = 50
    """Chats of the first page for a listener of all chats."""
    cursor_interval: float = 10.0
    """Seconds between two cursors that listeners of all chats are told."""
    typing_expiry: float = 6.0
    """Seconds after which typing that a client does not renew ends."""
    tail_bytes: int = 16 * 1024 * 1024
    """Bytes of log entries that are kept for clients that come back; with 0 all are read from storage."""
    presence_pause: float = 5.0
    """Seconds until a person whose last client has gone is told as offline."""
    watched_most: int = 200
    """The most people whose presence one listener may watch."""
    many: int = MANY
    """Listeners of a chat from which on its messages may be joined with those that follow (`Listener.tell_run`)."""
    node: str = ""
    """Identifies this node among the others. Without it there are none to tell who is connected here."""
    neighbours: Neighbours = field(init=False)
    tails: Tails = field(init=False)
    presence: Presence = field(init=False)
    roster: Roster = field(init=False)
    notices: Notices = field(init=False)
    channels: Channels = field(init=False)
    typing: TypingNow = field(init=False)
    entry: Entry = field(init=False)
    all_chats: AllChats = field(init=False)
    _is_watching: asyncio.Event = field(init=False, factory=asyncio.Event)
    """Set when there is a cursor: from then on no change is missed."""
    _say_again_at: float = field(init=False, default=0.0)
    """When the other nodes are told again who is here, by the clock of the event loop."""
    _unsaid: Sequence[Channel] = field(init=False, default=())
    """The channels about which they are still to be told this time."""
    _said_at_once: int = field(init=False, default=0)

    def __attrs_post_init__(self) -> None:
        self.neighbours = Neighbours(node=self.node, announce=self.feed.tell_nodes, now=self.clock.now)
        self.presence = Presence(
            watchable=self.feed.watchable,
            now=self.clock.now,
            pause=self.presence_pause,
            most=self.watched_most,
            interval=self.interval,
            changed=lambda profile_id, is_online: self.neighbours.changed(profile_id, is_online=is_online),
        )
        self.roster = Roster(self.presence.arrived, self.presence.departed)
        self.notices = Notices(self.roster, self.clock.now, self.neighbours.attends)
        self.tails = Tails(self.tail_bytes)
        self.channels = Channels(
            read_log=self.feed.log, told=self._tell, tails=self.tails, interval=self.interval
        )
        replays = Replays(self.feed.logs, self.tails)
        self.typing = TypingNow(self._tell_typing, self.clock.now, self.typing_expiry)
        self.entry = Entry(
            snapshot=self.feed.snapshot,
            channels=self.channels,
            replays=replays,
            roster=self.roster,
            notices=self.notices,
        )
        self.all_chats = AllChats(
            own_changes=self.feed.own_changes,
            list_chats=self.feed.list_chats,
            some_chats=self.feed.some_chats,
            replays=replays,
            channels=self.channels,
            roster=self.roster,
            entry=self.entry,
            interval=self.interval,
            page=self.first_page,
            cursor_interval=max(1, round(self.cursor_interval / self.interval)),
            recent=RecentChats(self.tail_bytes // RECENT_PART),
        )

    # Entering and leaving

    async def watching(self) -> None:
        """
        Waits until this node sees all changes. A client that entered before that would miss changes.

        Raises:
            Unavailable: Storage does not answer.
        """
        if not self._is_watching.is_set():
            try:
                async with asyncio.timeout(self.interval):
                    await self._is_watching.wait()
            except TimeoutError:
                raise Unavailable("this node does not see changes yet") from None

    async def enter(
        self, entrant: Entrant, history: int, has_read: Callable[[], None] = lambda: None
    ) -> None:
        """See `Entry.enter`."""
        await self.entry.enter(entrant, history, has_read)

    def detach(self, entrant: Entrant) -> None:
        """Stops the updates of the chat for a listener. It is still told when the chat or its session ends."""
        channel = self.channels.find(entrant.chat_id)
        if channel and self.roster.step_aside(entrant, channel.audience):
            self._tell_absence(channel.audience, entrant, Attendance.LEFT)

    def leave(self, listener: Listener) -> None:
        """Removes a listener whose client has gone."""
        self.all_chats.leave(listener)
        self.presence.leave(listener)
        left = self.roster.leave(listener)
        for audience, was_live in left:
            if was_live and listener.is_present:
                self._tell_absence(audience, listener, Attendance.DISCONNECTED)
        self.channels.close_empty(audience for audience, _ in left)

    def _tell_absence(self, audience: Audience, listener: Listener, how: Attendance) -> None:
        """Tells the others that a profile is absent, if this was its last listener in the chat."""
        profile_id = listener.profile_id
        if not audience.is_crowded and not self.roster.has_present(audience, profile_id):
            self.notices.went(audience, how, profile_id)

    # Updates

    def is_listened_to(self, chat_id: ChatId) -> bool:
        """
        Whether any listener of this node is in the chat or on its way in, or was a moment ago. Updates of other chats have no
        effect.
        """
        return self.channels.find(chat_id) is not None or chat_id in self.tails

    def listening_to(self, chat_id: ChatId) -> int:
        """The number of this node's listeners that are told of messages in the chat."""
        channel = self.channels.find(chat_id)
        return 0 if channel is None else len(channel.audience.live)

    def receive(self, updates: Sequence[Update]) -> None:
        """
        Delivers updates to the listeners. Encodes each update once, and does not wait for any client.

        Neighbouring messages of one chat are passed to each listener together: most of what a delivery costs are the calls.
        """
        neighbours: list[ChatUpdate] = []
        for update in updates:
            if neighbours and not (
                isinstance(update, ChatUpdate) and update.chat_id == neighbours[0].chat_id
            ):
                self.channels.advance(neighbours[0].chat_id, neighbours)
                neighbours = []
            if isinstance(update, ChatUpdate):
                neighbours.append(update)
            else:
                self._receive(update)
        if neighbours:
            self.channels.advance(neighbours[0].chat_id, neighbours)

    def _receive(self, update: UpdateBesideLogs) -> None:
        match update:
            case Moved():
                self.channels.hear_of(update.chat_id, update.position)
            case MessagesRead():
                self._tell_read(update)
            case Typing():
                if self.channels.find(update.chat_id):
                    self.typing.heard(update)
            case ChatRemoved():
                self.presence.doubt(update.profile_id)
                self._end_in_chat(update)
            case SessionEnded():
                self._end_session(update)
            case ChatAdded():
                self.all_chats.added(update)
            case OnlineThere() | AttendingThere() | WhoIsThere():
                if self.neighbours.is_other(update.node):
                    self._hear_of_node(update)
            case LimitUsed():
                pass  # the limiter listens for itself
            case _:
                assert_never(update)

    def _tell(self, channel: Channel, updates: Sequence[ChatUpdate]) -> None:
        """Delivers the next updates of a channel."""
        run, size = Run(), 0
        for update in updates:
            frame = frames.told(update)
            self.tails.add(update, frame)
            if run.frames and not (isinstance(update, NewMessage) and size + frame.size <= RUN_BYTES):
                self._tell_run(channel.audience, run)
                run, size = Run(), 0
            if isinstance(update, NewMessage):
                run.messages.append(update)
                run.frames.append(frame)
                size += frame.size
            else:
                self._tell_change(channel.audience, frame, update)
        if run.frames:
            self._tell_run(channel.audience, run)

    def _tell_run(self, audience: Audience, run: Run) -> None:
        if len(audience.live) < self.many:
            for message, frame in zip(run.messages, run.frames, strict=True):
                self.roster.tell(audience, frame, message)
        else:
            self.roster.tell_run(audience, run)
        for message in run.messages:
            self.typing.ended(audience.chat_id, message.view.message.author_id)

    def _tell_change(self, audience: Audience, frame: Frame, update: ChatUpdate) -> None:
        self.roster.tell(audience, frame, update)
        if isinstance(update, NewMember):
            audience.member_count += 1
        elif isinstance(update, MemberRemoved):
            audience.member_count -= 1
            self.typing.ended(update.chat_id, update.profile_id)
            self._end_removed(audience, update)

    def _hear_of_node(self, told: PresenceUpdate) -> None:
        now = asyncio.get_running_loop().time()
        match told:
            case OnlineThere(is_online=True):
                for profile_id in told.profile_ids:
                    self.presence.arrived_elsewhere(profile_id, told.node, now + LASTS)
            case OnlineThere():
                for profile_id in told.profile_ids:
                    self.presence.departed_elsewhere(profile_id, told.node, told.at)
            case AttendingThere():
                if channel := self.channels.find(told.chat_id):
                    self.notices.heard(channel.audience, told, now)
            case WhoIsThere():
                self._say_again_at = 0.0
            case _:
                assert_never(told)

    def _tell_typing(self, update: Typing) -> None:
        if channel := self.channels.find(update.chat_id):
            self.notices.tell_typing(channel.audience, update)

    def _end_removed(self, audience: Audience, update: MemberRemoved) -> None:
        """Ends the listeners of a removed member. An entering listener is left out: its replay ends it if need be."""
        for listener in self.roster.settled(audience, update.profile_id):
            self.roster.step_aside(listener, audience)
            end_if_removed(listener, update)
            self.all_chats.ended(listener, audience)

    def _tell_read(self, read: MessagesRead) -> None:
        if self.notices.note(read) and (channel := self.channels.find(read.chat_id)):
            self.notices.tell_read(channel.audience, read)
            self.all_chats.read(read.chat_id, read.reader_id)

    def _end_in_chat(self, removed: ChatRemoved) -> None:
        """Ends the listeners of a deleted chat. A removed member is ended by the entry in the chat's log instead."""
        channel = self.channels.find(removed.chat_id)
        if channel is None or removed.reason is not Removal.CHAT_DELETED:
            return
        for listener in self.roster.everybody(channel.audience):
            if listener.profile_id == removed.profile_id:
                listener.end(End.CHAT_DELETED, removed.chat_id)
                self.all_chats.ended(listener, channel.audience)

    def _end_session(self, ended: SessionEnded) -> None:
        self.feed.recent_sessions.end(ended.session_id)
        if ended.reason is SessionEnd.ACCOUNT_CLOSED:
            self.presence.doubt(ended.profile_id)
        self.roster.end_session(ended.session_id)

    # Missed updates

    async def run(self) -> None:
        """Looks for missed updates until it is cancelled."""
        async with asyncio.TaskGroup() as tasks:
            self.channels.start(tasks)
            self.all_chats.start(tasks)
            self.presence.start(tasks)
            try:
                await self._look_again_and_again()
            finally:
                self.presence.stop()
                self.typing.stop()
                self.all_chats.stop()
                self.channels.stop()

    async def _look_again_and_again(self) -> None:
        cursor: Cursor | None = None
        failures, looks = 0, 0
        tail_looks = max(1, round(TAIL_SECONDS / self.interval))
        while True:
            self.notices.tell_unsaid(channel.audience for channel in self.channels)
            looks += 1
            if looks % tail_looks == 0:
                self.tails.age()
                self.all_chats.recent.age()
            self.presence.tell_untold()
            self._meet_neighbours()
            try:
                if cursor is None:
                    cursor = await self._look(cursor)
                    self.neighbours.ask()
                else:
                    cursor = await self._look(cursor)
                self._is_watching.set()
                if failures:
                    log.info("missed updates are looked for again", extra={"failures": failures})
                failures = 0
            except ApplicationError as error:
                if not failures:
                    log.warning("could not look for missed updates", extra={"reason": error.code})
                failures += 1
            await asyncio.sleep(self.interval)

    def _meet_neighbours(self) -> None:
        """
        Tells other nodes who is still here, and forgets those of whom they have said nothing for too long. Chats are told in
        parts, over half of the time until they are told again, so that they do not push messages out of the bus.
        """
        now = asyncio.get_running_loop().time()
        if not self.node:
            return
        if now >= self._say_again_at:
            self._say_again_at = now + RENEWED_EVERY
            self.presence.expire_elsewhere(now)
            for channel in [*self.channels]:
                self.notices.expire(channel.audience, now)
            self.neighbours.say_again(self.presence.here, ())
            self._unsaid = [channel for channel in self.channels if not channel.audience.is_crowded]
            looks = max(1.0, RENEWED_EVERY / 2 / self.interval)
            self._said_at_once = max(SAID_AT_ONCE, ceil(len(self._unsaid) / looks))
        part, self._unsaid = self._unsaid[: self._said_at_once], self._unsaid[self._said_at_once :]
        if part:
            audiences = [channel.audience for channel in part]
            self.neighbours.say_again((), [(each.chat_id, self.roster.present(each)) for each in audiences])

    async def _look(self, cursor: Cursor | None) -> Cursor:
        if cursor is None:
            cursor = await self.feed.changes.now()
            self.tails.begin(cursor.epoch)
            return cursor
        news = await self.feed.changes.since(cursor)
        if news.cursor.epoch != cursor.epoch:
            log.warning("the history in storage has changed: all listeners start anew")
            self._begin_anew(news.cursor.epoch)
            return news.cursor
        for chat_id, position in news.moved.items():
            self.channels.hear_of(chat_id, position)
        self.receive(news.personal)
        for read in news.read:
            await self._recall(read)
        self.all_chats.looked(news.cursor)
        return news.cursor

    def _begin_anew(self, epoch: str) -> None:
        """Ends all listeners and forgets everything that was read from storage: positions may be used again."""
        self.tails.begin(epoch)
        self.feed.recent_sessions.clear()
        former = list(self.channels)
        self.channels.forget()
        self.roster.forget_ended_sessions()
        self.notices.forget()
        for channel in former:
            for listener in self.roster.everybody(channel.audience):
                listener.end(End.HISTORY_CHANGED)
        self.all_chats.begin_anew()

    async def _recall(self, read: ReadRange) -> None:
        key = receipt_key(read.chat_id, read.reader_id, read.from_seq, read.to_seq)
        if self.channels.find(read.chat_id) and not self.notices.is_known(key):
            self._tell_read(await self.feed.changes.recall(read))
