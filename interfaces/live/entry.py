"""
Lets a listener enter a chat: it gets a snapshot or the updates that it missed, and then every update from exactly there.

The listener is registered before its snapshot is read, so that it learns if its session or the chat ends meanwhile. There
is no await between the last comparison of positions and its going live: no update is lost or delivered twice.
"""

from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from attrs import define, frozen

from application.errors import Unavailable
from application.ports.updates import ChatUpdate
from application.ports.views import LogSpan
from application.views import Snapshot
from domain.events import MemberRemoved
from domain.ids import ChatId, Position, ProfileId
from interfaces.live.channel import PAGE, Channel, Channels
from interfaces.live.listener import End, Listener
from interfaces.live.notices import Notices
from interfaces.live.replays import Replays
from interfaces.live.roster import Roster
from interfaces.wire.frames import Frame
from interfaces.wire.reasons import Reset

REPLAY_MOST: Final = 1000
"""The most updates that are replayed after a break. A client that missed more starts with a page of history."""

ReadSnapshot = Callable[[ProfileId, ChatId, int], Awaitable[Snapshot]]
"""Returns a chat as one profile sees it, with its newest messages up to a limit."""


@frozen
class Since:
    """The position up to which a client knows a chat, and the epoch in which that position is valid."""

    epoch: str
    position: int


class Arriving(Protocol):
    """Somebody on the way into one chat."""

    @property
    def chat_id(self) -> ChatId: ...

    @property
    def profile_id(self) -> ProfileId: ...

    @property
    def is_entering(self) -> bool:
        """False once it has been ended."""
        ...

    @property
    def has_room(self) -> bool:
        """Whether the client reads fast enough for more of the replay."""
        ...

    async def drained(self) -> None:
        """Waits until it `has_room` or has been ended."""
        ...

    def tell(self, frame: Frame, update: ChatUpdate | None = None, *, ephemeral: bool = False) -> None:
        """See `Listener.tell`."""
        ...

    def end(self, why: End, chat_id: ChatId | None = None) -> None:
        """See `Listener.end`."""
        ...


class Entrant(Arriving, Listener, Protocol):
    """A listener that listens to one chat only, on its way into it."""

    @property
    def since(self) -> Since | Reset | None:
        """The position to resume from; None for a new client, or a `Reset` if the client sent it malformed."""
        ...

    def welcome(self, snapshot: Snapshot) -> None:
        """Confirms the entry. The history or replay that follows ends at the snapshot's position."""
        ...

    def begin(self, snapshot: Snapshot, why: Reset | None) -> None:
        """Sends the snapshot's history; ``why`` is the reason why a returning client gets no replay."""
        ...

    def resumed(self, snapshot: Snapshot) -> None:
        """Confirms that every missed update has been sent."""
        ...

    def opened(self) -> None:
        """Marks the listener as live: from now on it gets every update of the chat."""
        ...


def resume_after(since: Since | Reset | None, snapshot: Snapshot) -> Position | Reset | None:
    """Returns the position after which to replay, or why the client must start anew, or None for a new client."""
    if not isinstance(since, Since):
        return since
    if since.epoch != snapshot.epoch:
        return Reset.EPOCH
    if since.position > snapshot.position:
        return Reset.AHEAD
    if since.position < snapshot.position - REPLAY_MOST:
        return Reset.TOO_FAR
    return Position(since.position)


@define(eq=False, kw_only=True)
class Entry:
    snapshot: ReadSnapshot
    channels: Channels
    replays: Replays
    roster: Roster
    notices: Notices

    async def enter(
        self, entrant: Entrant, history: int, has_read: Callable[[], None] = lambda: None
    ) -> None:
        """
        Welcomes an authenticated client, and lets it listen from exactly where its snapshot ends.

        ``history`` is the number of messages that it gets first. ``has_read`` is called when the snapshot has been read
        from storage: the time that follows depends on how fast the client reads.

        Raises:
            DomainError: The client may not enter.
            Unavailable: Storage did not answer.
        """
        channel = self._register(entrant)
        snapshot, after = await self._read(entrant, history)
        has_read()
        entrant.welcome(snapshot)
        channel.audience.member_count = snapshot.member_count
        if after is None or isinstance(after, Reset):
            entrant.begin(snapshot, after)
        else:
            await self._replay(entrant, after, snapshot.position, snapshot.epoch)
            entrant.resumed(snapshot)
        await self.catch_up(channel, entrant, snapshot.position, snapshot.epoch)
        if entrant.is_entering:
            entrant.opened()
            self.go_live(channel, entrant)
        self.channels.heal_soon(channel)

    def _register(self, entrant: Entrant) -> Channel:
        channel = self.channels.open(entrant.chat_id)
        self.roster.join(entrant, channel.audience)
        return channel

    async def _read(self, entrant: Entrant, history: int) -> tuple[Snapshot, Position | Reset | None]:
        """Reads the snapshot, without history for a client that can resume from its position."""
        chat_id, since = entrant.chat_id, entrant.since
        comes_back = isinstance(since, Since)
        snapshot = await self.snapshot(entrant.profile_id, chat_id, 0 if comes_back else history)
        after = resume_after(since, snapshot)
        if comes_back and isinstance(after, Reset):
            snapshot = await self.snapshot(entrant.profile_id, chat_id, history)
            after = resume_after(since, snapshot)
        return snapshot, after

    async def catch_up(
        self, channel: Channel, entrant: Arriving, position: Position, epoch: str | None = None
    ) -> None:
        """
        Brings the channel and the entrant, whose snapshot ends at ``position``, to the same position. ``epoch`` is that of the
        snapshot, if it is known.

        Raises:
            Unavailable: Storage did not answer, or its history has changed and this node has yet to see that.
        """
        if channel.position is None:
            channel.position = position
        while channel.position != position and entrant.is_entering:
            if channel.position < position:
                channel.hear_of(position)
                await self.channels.heal(channel)
            else:
                reached = await self._replay(entrant, position, channel.position, epoch, is_news=True)
                if reached == position and entrant.is_entering:
                    raise Unavailable("the log ends before what this node has told: history has changed")
                position = reached

    async def _replay(
        self,
        entrant: Arriving,
        after: Position,
        up_to: Position,
        epoch: str | None,
        *,
        is_news: bool = False,
    ) -> Position:
        """
        Sends one client the log entries between two positions of a line of history. Returns the position that was reached.

        ``is_news`` says that the entries are newer than the client's snapshot: if one removes the client, it is ended.
        """
        position = after
        while position < up_to and entrant.is_entering:
            await entrant.drained()
            span = LogSpan(entrant.chat_id, position, Position(min(up_to, position + PAGE)))
            entries = await self.replays.read(epoch, [span])
            for entry in entries:
                # the rest is read again later: pages kept for many slow readers would take much memory
                if not (entrant.has_room and entrant.is_entering):
                    break
                entrant.tell(entry.frame, entry.update)
                position = entry.position
                if is_news:
                    end_if_removed(entrant, entry.update)
            if not entries:
                break
        return position

    def go_live(self, channel: Channel, listener: Listener) -> None:
        """Must follow the comparison of positions without an await in between."""
        audience, profile_id = channel.audience, listener.profile_id
        is_first = listener.is_present and (
            audience.is_crowded or not self.roster.has_present(audience, profile_id)
        )
        missed = self.roster.go_live(listener, audience)
        for read in missed:
            self.notices.tell_missed(audience, listener, read)
        if is_first:
            self.notices.came(audience, profile_id)


def end_if_removed(listener: Arriving | Listener, update: ChatUpdate) -> None:
    if isinstance(update, MemberRemoved) and update.profile_id == listener.profile_id:
        listener.end(End.LEFT if update.by == update.profile_id else End.NOT_A_MEMBER, update.chat_id)
