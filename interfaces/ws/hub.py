"""
Who on this node listens to which chat.

A channel is one chat as this node hears it: how far it has been told, and to whom. All listeners of a channel stand at
its position, so that a position is kept by chat and none by connection. An update that does not follow the channel's
position is early: it waits for its neighbours, and what does not come is read from the log, for everybody.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, Final, Literal, assert_never

from attrs import Factory, define, evolve, field

from application.errors import ApplicationError, Unavailable
from application.ports.changes import Changes, Cursor, ReadRange
from application.ports.clock import Clock
from application.ports.updates import ChatUpdate, Moved, NewMember, NewMessage, Typing, Update
from application.views import Snapshot
from domain.events import (
    ChatAdded,
    ChatChanged,
    ChatRemoved,
    MemberRemoved,
    MessagesRead,
    Removal,
    RoleChanged,
    SessionEnded,
)
from domain.ids import ChatId, Position, ProfileId, SessionId
from interfaces.wire import frames
from interfaces.wire.frames import Frame
from interfaces.ws.connection import NO_MEMBER, POLICY, RESTART, SESSION_OVER, Connection

log: Final = logging.getLogger(__name__)

CROWD: Final = 100
"""Members. Beyond it, what is told of each to each would be most of what is told."""

Absence = Literal["user_left", "user_disconnected"]
Presence = Literal["user_joined"] | Absence

PAGE: Final = 100
"""Entries of a log that are read at once."""

REMEMBERED: Final = 10_000
"""Sessions that ended lately, for a socket that was let in just before and joins just after; and acts of reading."""

BREATH: Final = 0.01
"""Seconds between two pages of what everybody missed, so that healthy readers can keep up."""

ReadKey = tuple[ChatId, ProfileId, int, int]


@define(eq=False)
class Channel:
    chat_id: ChatId
    position: Position | None = None
    """None until somebody has entered: what happens before that is in their snapshot."""
    heard: Position = Position(0)
    """The greatest position that was named, told or not."""
    hints: int = 0
    """How often one was named: a read that began before the last time cannot say that it was wrong."""
    listeners: dict[Connection, None] = Factory(dict)
    guests: dict[Connection, list[MessagesRead]] = Factory(dict)
    """
    Those who hear when it ends, but not what is said: detached, or on their way in, with what was read meanwhile and
    their snapshot may lack.
    """
    present: dict[ProfileId, int] = Factory(dict)
    """How many listeners each profile has."""
    member_count: int = 0
    unsaid: dict[tuple[ProfileId, ProfileId], MessagesRead] = Factory(dict)
    """What readers marked last, by reader and author, in a crowded chat."""
    early: dict[Position, ChatUpdate] = Factory(dict)
    healing: asyncio.Lock = Factory(asyncio.Lock)
    is_scheduled: bool = False

    def hear_of(self, position: Position) -> None:
        self.heard = max(self.heard, position)
        self.hints += 1

    @property
    def is_crowded(self) -> bool:
        """Nobody is told who comes and goes, and only authors who has read them."""
        return self.member_count > CROWD

    @property
    def is_behind(self) -> bool:
        return self.position is not None and self.position < self.heard


@define(eq=False, kw_only=True)
class Hub:
    """`run` heals: from the log of a chat where something is missing, from a cursor over all logs each ``interval``."""

    snapshot: Callable[[ProfileId, ChatId, int], Awaitable[Snapshot]]
    log: Callable[[ChatId, Position, int], Awaitable[Sequence[ChatUpdate]]]
    changes: Changes
    clock: Clock
    interval: float = 1.0
    """Seconds."""
    _channels: dict[ChatId, Channel] = field(init=False, factory=dict)
    _sessions: dict[SessionId, dict[Connection, None]] = field(init=False, factory=dict)
    _ended: dict[SessionId, None] = field(init=False, factory=dict)
    _told: dict[ReadKey, None] = field(init=False, factory=dict)
    """Acts of reading that were told lately. The cursor may come to one before or after it is published."""
    _tasks: asyncio.TaskGroup | None = field(init=False, default=None)
    _is_over: bool = field(init=False, default=False)
    _is_watching: asyncio.Event = field(init=False, factory=asyncio.Event)
    """There is a cursor: from now on nothing that happens is missed."""

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Start what a socket or a chat waits for; it ends with the hub at the latest, and then begins no more."""
        if self._is_over:
            work.close()
            return
        assert self._tasks is not None, "sockets are served while the hub runs"
        self._tasks.create_task(work)

    # Coming and going

    async def watching(self) -> None:
        """
        Wait until what happens anywhere is seen here. Who was let in before that would not hear of what came between.

        Raises:
            Unavailable: Storage does not answer.
        """
        if not self._is_watching.is_set():
            try:
                async with asyncio.timeout(self.interval):
                    await self._is_watching.wait()
            except TimeoutError:
                raise Unavailable("nothing is seen yet") from None

    async def enter(
        self, connection: Connection, history: int, has_read: Callable[[], None] = lambda: None
    ) -> None:
        """
        Welcome a connection whose actor is known, and let it listen from exactly where its snapshot ends.

        ``has_read`` is called when that has been read: what follows takes as long as the client does.

        It is registered before the snapshot is read, so that an end that comes meanwhile reaches it. Between the last
        comparison of positions and its going live there is no await.

        Raises:
            DomainError: It may not enter.
            Unavailable: Storage did not answer.
        """
        channel = self._register(connection)
        reader, chat_id = connection.profile_id, connection.chat_id
        snapshot = await self.snapshot(reader, chat_id, 0 if connection.comes_back else history)
        resume = connection.resume_from(snapshot)
        if connection.comes_back and not isinstance(resume, int):
            snapshot = await self.snapshot(reader, chat_id, history)
            resume = connection.resume_from(snapshot)
        has_read()
        connection.welcome(snapshot)
        channel.member_count = snapshot.member_count
        match resume:
            case int():
                await self._replay(connection, Position(resume), snapshot.position)
                connection.resumed(snapshot)
            case _:
                connection.begin(snapshot, resume)
        position = snapshot.position
        if channel.position is None:
            channel.position = position
        while channel.position != position and connection.is_entering:
            if channel.position < position:
                channel.hear_of(position)
                await self._heal(channel)
            else:
                position = await self._replay(connection, position, channel.position, is_news=True)
        if connection.is_entering:
            self._go_live(channel, connection)
        self._heal_soon(channel)

    async def _replay(
        self, connection: Connection, after: Position, up_to: Position, *, is_news: bool = False
    ) -> Position:
        """
        Tell one connection what the log has between two positions. Returns how far it came.

        ``is_news``: it came after the connection's snapshot, so that its own removal is the end.
        """
        position = after
        while position < up_to and connection.is_entering:
            await connection.outbox.relaxed()
            entries = await self.log(connection.chat_id, position, PAGE)
            for update in entries:
                # what has no room now is read again then: many slow readers would hold many pages
                has_room = update.position <= up_to and connection.outbox.is_relaxed
                if not (has_room and connection.is_entering):
                    break
                connection.tell(frames.told(update), update)
                position = update.position
                if is_news:
                    _end_if_removed(connection, update)
            if not entries:
                break
        return position

    def _go_live(self, channel: Channel, connection: Connection) -> None:
        """There is no await between the comparison of positions and this."""
        unheard = channel.guests.pop(connection)
        channel.listeners[connection] = None
        connection.opened()
        for read in unheard:
            self._tell_one_of_reading(channel, connection, read)
        profile_id = connection.profile_id
        count = channel.present[profile_id] = channel.present.get(profile_id, 0) + 1
        if count == 1:
            self._tell_presence(channel, "user_joined", profile_id)

    def _no_longer_live(self, channel: Channel, connection: Connection, what: Absence | None) -> None:
        """``what`` the others are told if it was the profile's last; None: nothing."""
        del channel.listeners[connection]
        profile_id = connection.profile_id
        channel.present[profile_id] -= 1
        if not channel.present[profile_id]:
            del channel.present[profile_id]
            if what:
                self._tell_presence(channel, what, profile_id)

    def detach(self, connection: Connection) -> None:
        """It hears no more of what is said, but still when the chat or its session ends."""
        channel = self._channels.get(connection.chat_id)
        if channel and connection in channel.listeners:
            self._no_longer_live(channel, connection, "user_left")
            channel.guests[connection] = []

    def leave(self, connection: Connection) -> None:
        if channel := self._channels.get(connection.chat_id):
            if connection in channel.listeners:
                self._no_longer_live(channel, connection, "user_disconnected")
            channel.guests.pop(connection, None)
            if not channel.listeners and not channel.guests:
                del self._channels[connection.chat_id]
        if connection.actor and (ours := self._sessions.get(connection.session_id)):
            ours.pop(connection, None)
            if not ours:
                del self._sessions[connection.session_id]

    def _register(self, connection: Connection) -> Channel:
        channel = self._channels.get(connection.chat_id)
        if channel is None:
            channel = self._channels[connection.chat_id] = Channel(connection.chat_id)
        channel.guests[connection] = []
        self._sessions.setdefault(connection.session_id, {})[connection] = None
        if connection.session_id in self._ended:
            connection.end(SESSION_OVER, "session ended")
        return channel

    # What happens

    def receive(self, updates: Sequence[Update]) -> None:
        """Tell who listens. Encodes once, writes to outboxes, waits for nobody."""
        for update in updates:
            match update:
                case NewMessage() | ChatChanged() | NewMember() | MemberRemoved() | RoleChanged():
                    self._advance(update)
                case Moved():
                    self._hear_of(update.chat_id, update.position)
                case MessagesRead():
                    self._tell_read(update)
                case Typing():
                    self._tell_typing(update)
                case ChatRemoved():
                    self._end_in_chat(update)
                case SessionEnded():
                    self._end_session(update)
                case ChatAdded():
                    pass  # concerns sockets that hear of all chats
                case _:
                    assert_never(update)

    def _advance(self, update: ChatUpdate) -> None:
        channel = self._channels.get(update.chat_id)
        if channel is None:
            return
        channel.hear_of(update.position)
        if channel.position is None or update.position <= channel.position:
            return
        if update.position > channel.position + 1:
            if len(channel.early) < PAGE:
                channel.early[update.position] = update
            self._heal_soon(channel)
            return
        self._tell(channel, update)
        while channel.early and (following := channel.early.pop(Position(channel.position + 1), None)):
            self._tell(channel, following)

    def _tell(self, channel: Channel, update: ChatUpdate) -> None:
        """``update`` is the one after the channel's position."""
        channel.position = update.position
        if channel.listeners:
            frame = frames.told(update)
            for connection in channel.listeners:
                connection.tell(frame, update)
        if isinstance(update, NewMember):
            channel.member_count += 1
        elif isinstance(update, MemberRemoved):
            channel.member_count -= 1
            self._end_removed(channel, update)

    def _end_removed(self, channel: Channel, update: MemberRemoved) -> None:
        gone = [c for c in (*channel.listeners, *channel.guests) if c.profile_id == update.profile_id]
        for connection in gone:
            if connection.is_entering:
                continue  # whether this is news to it, it finds out on its way in
            if connection in channel.listeners:
                self._no_longer_live(channel, connection, None)
                channel.guests[connection] = []
            _end_if_removed(connection, update)

    def _hear_of(self, chat_id: ChatId, position: Position | None) -> None:
        channel = self._channels.get(chat_id)
        if channel is None:
            return
        if position is None:  # it may have moved, nobody knows how far: one entry will show
            position = Position((channel.position or 0) + 1)
        channel.hear_of(position)
        self._heal_soon(channel)

    def _tell_read(self, read: MessagesRead) -> None:
        key = _key(read.chat_id, read.reader_id, read.from_seq, read.to_seq)
        if key in self._told:
            return
        self._told[key] = None
        if len(self._told) > REMEMBERED:
            del self._told[next(iter(self._told))]
        channel = self._channels.get(read.chat_id)
        if channel is None:
            return
        for guest, unheard in channel.guests.items():
            if guest.is_entering:
                unheard.append(read)
        if not channel.listeners:
            return
        if read.is_single:
            self._tell_profiles(channel, dict.fromkeys(read.by_author, frames.message_read(read)))
            return
        if channel.is_crowded:
            self._tell_authors_later(channel, read)
            return
        everybody = frames.messages_read(read)
        for connection in channel.listeners:
            connection.tell(everybody)
        self._tell_authors(channel, read)

    def _tell_one_of_reading(self, channel: Channel, connection: Connection, read: MessagesRead) -> None:
        is_author = connection.profile_id in read.by_author
        if read.is_single:
            if is_author:
                connection.tell(frames.message_read(read))
            return
        if not channel.is_crowded:
            connection.tell(frames.messages_read(read))
        if is_author:
            connection.tell(frames.your_messages_read(read, connection.profile_id))

    def _tell_authors_later(self, channel: Channel, read: MessagesRead) -> None:
        for author_id in read.by_author.keys() & channel.present.keys():
            pair = read.reader_id, author_id
            before = channel.unsaid[pair].by_author[author_id] if pair in channel.unsaid else 0
            channel.unsaid[pair] = evolve(read, by_author={author_id: before + read.by_author[author_id]})

    def _tell_authors(self, channel: Channel, read: MessagesRead) -> None:
        present = read.by_author.keys() & channel.present.keys()
        self._tell_profiles(channel, {author: frames.your_messages_read(read, author) for author in present})

    def _tell_profiles(self, channel: Channel, told: Mapping[ProfileId, Frame]) -> None:
        if told:
            for connection in channel.listeners:
                if frame := told.get(connection.profile_id):
                    connection.tell(frame)

    def _tell_unsaid(self) -> None:
        """Marks in crowded chats, which are told to authors alone and not more often than this is called."""
        for channel in self._channels.values():
            unsaid, channel.unsaid = channel.unsaid, {}
            for (_, author_id), read in unsaid.items():
                self._tell_profiles(channel, {author_id: frames.your_messages_read(read, author_id)})

    def _tell_presence(self, channel: Channel, kind: Presence, profile_id: ProfileId) -> None:
        if channel.is_crowded:
            return
        frame = frames.presence(kind, channel.chat_id, profile_id, self.clock.now())
        for connection in channel.listeners:
            if connection.profile_id != profile_id:
                connection.tell(frame, ephemeral=True)

    def _tell_typing(self, update: Typing) -> None:
        channel = self._channels.get(update.chat_id)
        if channel is None or not channel.listeners:
            return
        frame = frames.typing(update)
        for connection in channel.listeners:
            if connection.profile_id != update.profile_id:
                connection.tell(frame, ephemeral=True)

    def _end_in_chat(self, removed: ChatRemoved) -> None:
        """Only with the chat: who was put out or left hears of it in the order of the chat's log."""
        channel = self._channels.get(removed.chat_id)
        if channel is None or removed.reason is not Removal.CHAT_DELETED:
            return
        for connection in (*channel.listeners, *channel.guests):
            if connection.profile_id == removed.profile_id:
                connection.end(POLICY, "Chat not found")

    def _end_session(self, ended: SessionEnded) -> None:
        self._ended[ended.session_id] = None
        if len(self._ended) > REMEMBERED:
            del self._ended[next(iter(self._ended))]
        for connection in self._sessions.get(ended.session_id, ()):
            connection.end(SESSION_OVER, "session ended")

    # What was missed

    async def run(self) -> None:
        """Until it is cancelled."""
        async with asyncio.TaskGroup() as self._tasks:
            try:
                await self._look_again_and_again()
            finally:
                self._is_over = True

    async def _look_again_and_again(self) -> None:
        cursor: Cursor | None = None
        while True:
            self._tell_unsaid()
            try:
                cursor = await self._look(cursor)
                self._is_watching.set()
            except ApplicationError as error:
                log.warning("could not look for what was missed", extra={"reason": error.code})
            await asyncio.sleep(self.interval)

    async def _look(self, cursor: Cursor | None) -> Cursor:
        if cursor is None:
            return await self.changes.now()
        news = await self.changes.since(cursor)
        if news.cursor.epoch != cursor.epoch:
            log.warning("storage tells another history now: all sockets begin anew")
            for channel in self._channels.values():
                for connection in (*channel.listeners, *channel.guests):
                    connection.end(RESTART, "history changed")
            return news.cursor
        for chat_id, position in news.moved.items():
            self._hear_of(chat_id, position)
        self.receive(news.personal)
        for read in news.read:
            await self._recall(read)
        return news.cursor

    async def _recall(self, read: ReadRange) -> None:
        key = _key(read.chat_id, read.reader_id, read.from_seq, read.to_seq)
        if key not in self._told and read.chat_id in self._channels:
            self._tell_read(await self.changes.recall(read))

    def _heal_soon(self, channel: Channel) -> None:
        if channel.is_behind and not channel.is_scheduled and self._tasks:
            channel.is_scheduled = True
            self.spawn(self._heal_later(channel))

    async def _heal_later(self, channel: Channel) -> None:
        try:
            await asyncio.sleep(0)  # what is early may have its neighbours in the same tick
            while channel.is_behind and self._channels.get(channel.chat_id) is channel:
                try:
                    await self._heal(channel)
                except ApplicationError as error:
                    log.warning("could not read what was missed", extra={"reason": error.code})
                    await asyncio.sleep(self.interval)
        finally:
            channel.is_scheduled = False

    async def _heal(self, channel: Channel) -> None:
        """Read what lies between the channel's position and the greatest one heard of, and tell it to everybody."""
        async with channel.healing:
            while channel.is_behind and self._channels.get(channel.chat_id) is channel:
                assert channel.position is not None
                hints = channel.hints
                missed = await self.log(channel.chat_id, channel.position, PAGE)
                for update in missed:
                    self._advance(update)
                if not missed and channel.hints == hints:
                    channel.heard = channel.position  # the hint was wrong: there is nothing there
                elif channel.is_behind:
                    await asyncio.sleep(BREATH)
            channel.early.clear()


def _end_if_removed(connection: Connection, update: ChatUpdate) -> None:
    if isinstance(update, MemberRemoved) and update.profile_id == connection.profile_id:
        connection.end(NO_MEMBER, "no longer a member")


def _key(chat_id: ChatId, reader_id: ProfileId, from_seq: int, to_seq: int) -> ReadKey:
    return chat_id, reader_id, from_seq, to_seq
