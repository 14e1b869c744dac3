"""
Answers clients without a connection: a snapshot, or what they missed since their cursor, in parts of limited size.

Returning clients get the same frames as on the socket of all chats (`interfaces.live.resuming`). As nobody listens between
two answers, no seats are needed: a part is read from storage, and its cursor is the place of that read. A client that waits
for news listens until the first of them, and is then answered by another read.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, assert_never

from attrs import Factory, define, field, frozen

from application.actor import Actor
from application.messenger import Feed
from application.paging import ChatPlace, Page, Paging
from application.ports.changes import Cursor
from application.ports.own_changes import Lost, Standing
from application.ports.updates import ChatUpdate
from application.ports.views import LogSpan
from application.views import ChatView
from domain.ids import ChatId, Position, ProfileId, SessionId
from interfaces.live import channel, resuming
from interfaces.live.all_chats import SinceCursor
from interfaces.live.hub import Hub
from interfaces.live.listener import End, Run
from interfaces.wire import all_chats as news
from interfaces.wire import frames
from interfaces.wire.frames import Frame
from interfaces.wire.places import SyncPlace
from interfaces.wire.reasons import Reset

SEVERAL: Final = 50
"""Chats whose present state is read at once."""


@frozen(kw_only=True)
class SyncOptions:
    chats_page: int = 50
    frames_most: int = 1000
    bytes_most: int = 1024 * 1024
    """Frames of one answer, and their bytes. An answer ends with the frame that reaches either limit."""
    wait_most: float = 30.0
    """Seconds that a client may wait for news."""


@frozen
class Beginning:
    """The answer to a client that knows nothing: its first page of chats, and the cursor from before that page was read."""

    cursor: Cursor
    page: Page[ChatView, ChatPlace]


@frozen
class Part:
    """The answer to a returning client."""

    frames: Sequence[Frame]
    cursor: Cursor
    """A `SyncPlace` if more was missed than this part has room for."""
    has_more: bool
    """Whether more was missed, also since the first of several parts, which the last one does not tell."""


@define(eq=False, kw_only=True)
class Sync:
    feed: Feed
    hub: Hub | None = None
    """Tells of news while clients wait for them. Without it they are answered at once."""
    options: SyncOptions = SyncOptions()

    async def begin(self, profile_id: ProfileId) -> Beginning:
        cursor = await self.feed.own_changes.here()
        return Beginning(cursor, await self.page(profile_id))

    async def page(self, profile_id: ProfileId, after: ChatPlace | None = None) -> Page[ChatView, ChatPlace]:
        """
        Raises:
            BadPlace: No page ended at this place.
        """
        return await self.feed.list_chats(profile_id, Paging(limit=self.options.chats_page, after=after))

    async def since(
        self, profile_id: ProfileId, cursor: Cursor, seen: Mapping[ChatId, Position]
    ) -> Part | Lost:
        """Reads what a profile missed since a cursor, as far as one answer has room for it."""
        missed = await self.feed.own_changes.since(profile_id, cursor)
        if isinstance(missed, Lost):
            return missed
        memberships = resuming.memberships(missed, seen)
        part = _PartInWork(self.options)
        start = cursor if isinstance(cursor, SyncPlace) and cursor.chat_id is not None else None
        if start is None:
            part.add(news.chat_removed(each.chat_id, each.reason) for each in memberships.removed)
            after_all = missed.cursor
            has_moved = False
        else:  # removals were told in the first part, and later ones follow the cursor after all parts
            after_all = Cursor(epoch=start.epoch, place=start.until, lineage=start.lineage)
            has_moved = missed.cursor.place != start.until
        steps = _steps(missed.standings, memberships.added, start, seen)
        for group in resuming.in_groups(steps, lambda step: step.weight, channel.PAGE):
            first = group[0].chat_id, Position(0)
            if stopped := await self._take(profile_id, group, part) if part.has_room() else first:
                chat_id, position = stopped
                on_the_way = SyncPlace(
                    epoch=cursor.epoch,
                    place=cursor.place,
                    lineage=cursor.lineage,
                    until=after_all.place,
                    chat_id=chat_id,
                    position=position,
                )
                return Part(part.frames, on_the_way, has_more=True)
        return Part(part.frames, after_all, has_more=has_moved)

    async def _take(
        self, profile_id: ProfileId, group: Sequence["_Step"], part: "_PartInWork"
    ) -> tuple[ChatId, Position] | None:
        """Adds chats to a part. Returns the chat and the position at which the part was full, or None if all had room."""
        looked_at = [step.chat_id for step in group if step.is_looked_at]
        views: dict[ChatId, ChatView] = {}
        if looked_at:
            views = {view.id: view for view in await self.feed.some_chats(profile_id, looked_at)}
        read = await self._read([step for step in group if step.is_replayed])
        for step in group:
            if not part.has_room():
                return step.chat_id, Position(0)
            if step.is_looked_at:
                # Without a view the chat was left meanwhile, which follows the cursor of this part.
                if view := views.get(step.chat_id):
                    part.add([step.state(view)])
                    if not step.is_added and (frame := resuming.reading_behind(view, step.standing)):
                        if not part.has_room():
                            return step.chat_id, view.last_position
                        part.add([frame])
                continue
            position = await self._replay(step, read.get(step.chat_id, ()), part)
            if not part.has_room() and (position < step.standing.last_position or step.standing.is_read):
                return step.chat_id, position
            if frame := resuming.reading(step.standing):
                part.add([frame])
        return None

    async def _replay(self, step: "_Step", updates: Sequence[ChatUpdate], part: "_PartInWork") -> Position:
        """Adds the missed updates of a chat, of which the first page was read. Returns the position that was reached."""
        assert not isinstance(step.after, Reset)
        position = step.after
        while updates:
            for update in updates:
                if not part.has_room():
                    return position
                part.add([frames.told(update)])
                position = update.position
            updates = (await self._read([step], position)).get(step.chat_id, ())
        return position

    async def _read(
        self, steps: Sequence["_Step"], after: Position | None = None
    ) -> Mapping[ChatId, Sequence[ChatUpdate]]:
        spans = [span for step in steps if (span := step.span(after))]
        read: dict[ChatId, list[ChatUpdate]] = {}
        for update in await self.feed.logs(spans) if spans else ():
            read.setdefault(update.chat_id, []).append(update)
        return read

    # Waiting

    async def wait(self, waiting: "Waiting", seconds: float) -> None:
        """
        Waits for at most ``seconds`` until something happens that the client must be told, or its session ends. No connection
        to storage is held meanwhile.

        Raises:
            Unavailable: Storage did not answer, or this node does not see changes yet.
        """
        if self.hub is None:
            return
        await self.hub.watching()
        try:
            await self.hub.all_chats.enter(waiting)
            async with asyncio.timeout(seconds):
                await waiting.woken.wait()
        except TimeoutError:
            pass
        finally:
            self.hub.leave(waiting)


@define(eq=False)
class Waiting:
    """A listener of all chats that only wants to know that something happened. It has heard enough with the first frame."""

    actor: Actor
    since: SinceCursor
    woken: asyncio.Event = field(init=False, factory=asyncio.Event)
    why: End | None = field(init=False, default=None)
    is_stopped: bool = field(init=False, default=False)

    @property
    def profile_id(self) -> ProfileId:
        return self.actor.profile_id

    @property
    def session_id(self) -> SessionId:
        return self.actor.session_id

    @property
    def is_present(self) -> bool:
        return False

    @property
    def is_connected(self) -> bool:
        return not self.woken.is_set()

    @property
    def is_in_order(self) -> bool:
        return True

    @property
    def has_room(self) -> bool:
        return True

    async def drained(self) -> None: ...

    def tell(self, frame: Frame, update: ChatUpdate | None = None, *, ephemeral: bool = False) -> None:  # noqa: ARG002
        if not ephemeral:
            self.woken.set()

    def tell_run(self, run: Run) -> None:  # noqa: ARG002
        self.woken.set()

    def end(self, why: End, chat_id: ChatId | None = None) -> None:
        if chat_id is None:
            self.why = self.why or why
        self.woken.set()

    def stop(self) -> None:
        """Ends the waiting because the client has gone, or the server stops."""
        self.is_stopped = True
        self.woken.set()

    def welcome(
        self,
        cursor: Cursor,  # noqa: ARG002
        page: Page[ChatView, ChatPlace] | None = None,
        why: str | None = None,
    ) -> None:
        if page or why:
            self.woken.set()  # the cursor cannot be used any more

    def resumed(self, cursor: Cursor) -> None: ...

    def opened(self) -> None: ...

    def passed(self, cursor: Cursor) -> None: ...


@define(eq=False)
class _PartInWork:
    options: SyncOptions
    frames: list[Frame] = Factory(list)
    size: int = 0

    def add(self, more: Iterable[Frame]) -> None:
        for frame in more:
            self.frames.append(frame)
            self.size += frame.size

    def has_room(self) -> bool:
        return len(self.frames) < self.options.frames_most and self.size < self.options.bytes_most


@frozen
class _Step:
    """One chat of a returning client, and what it needs to be told of it."""

    standing: Standing
    after: Position | Reset
    """The position after which events are told, or why the state of the chat is told instead."""
    is_added: bool

    @property
    def chat_id(self) -> ChatId:
        return self.standing.chat_id

    @property
    def is_replayed(self) -> bool:
        return not self.is_looked_at

    @property
    def is_looked_at(self) -> bool:
        """Whether the present state of the chat is told, and not what happened in it."""
        if self.is_added or isinstance(self.after, Reset):
            return True
        return not resuming.is_replayed(self.standing, self.after)

    @property
    def is_empty(self) -> bool:
        """Whether the client knows everything about the chat."""
        has_moved = self.after != self.standing.last_position
        return not (self.is_added or has_moved or self.standing.is_read)

    def state(self, view: ChatView) -> Frame:
        if self.is_added:
            return news.chat_added(view)
        match self.after:
            case Reset() as why:
                return news.reset_chat(view, why)
            case int() as after:
                return news.gap(view, after)
            case never:
                assert_never(never)

    def span(self, after: Position | None = None) -> LogSpan | None:
        """Returns the next page of the chat's log."""
        assert not isinstance(self.after, Reset)
        after, last = self.after if after is None else after, self.standing.last_position
        return (
            LogSpan(self.chat_id, after, Position(min(last, after + channel.PAGE))) if after < last else None
        )

    @property
    def weight(self) -> int:
        """How much of a read at once the chat takes, in log entries."""
        if self.is_looked_at:
            return channel.PAGE // SEVERAL
        assert not isinstance(self.after, Reset)
        return min(self.standing.last_position - self.after, channel.PAGE)


def _steps(
    standings: Sequence[Standing],
    added: frozenset[ChatId],
    start: SyncPlace | None,
    seen: Mapping[ChatId, Position],
) -> Iterator[_Step]:
    """Yields the chats that are still to be told, in the order of their ids."""
    for standing in sorted(standings, key=lambda standing: standing.chat_id):
        known = seen.get(standing.chat_id)
        if start is not None and start.chat_id is not None:
            if standing.chat_id < start.chat_id:
                continue
            if standing.chat_id == start.chat_id and start.position:
                known = max(known or Position(0), start.position)
        step = _Step(standing, resuming.resume_after(standing, known), standing.chat_id in added)
        if not step.is_empty:
            yield step
