"""
How a listener enters a chat: a snapshot or what it missed, and then everything from exactly there.

The listener is registered before its snapshot is read, so that an end that comes meanwhile reaches it. Between the last
comparison of positions and its going live there is no await: nothing falls between the two, and nothing is told twice.
"""

from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Final, Protocol

from attrs import define, frozen

from application.ports.updates import ChatUpdate
from application.views import Snapshot
from domain.events import MemberRemoved
from domain.ids import ChatId, Position, ProfileId
from interfaces.live.channel import PAGE, Channel, Channels
from interfaces.live.listener import End, Listener
from interfaces.live.notices import Notices
from interfaces.live.roster import Roster
from interfaces.wire import frames

REPLAY_MOST: Final = 1000
"""Updates that are told again after a break. A client that missed more begins with a page of history."""

ReadSnapshot = Callable[[ProfileId, ChatId, int], Awaitable[Snapshot]]
"""A chat as one profile sees it, with at most so many of its newest messages."""


@frozen
class Since:
    """How far a client has heard a chat, in which line of history."""

    epoch: str
    position: int


class Reset(StrEnum):
    """Why a client is told a chat anew instead of what it missed."""

    EPOCH = "epoch"
    AHEAD = "ahead"
    TOO_FAR = "too_far"
    MALFORMED = "malformed"


class Entrant(Listener, Protocol):
    """A listener on its way into one chat."""

    @property
    def chat_id(self) -> ChatId: ...

    @property
    def since(self) -> Since | Reset | None:
        """Where it was before it came back. None: it is new; a reset: it did not say so properly."""
        ...

    @property
    def is_entering(self) -> bool:
        """False once it has been ended."""
        ...

    def welcome(self, snapshot: Snapshot) -> None:
        """It is in. The history or the replay that follows ends at the snapshot's position."""
        ...

    def begin(self, snapshot: Snapshot, why: Reset | None) -> None:
        """Show the snapshot's history; ``why`` says why it is not what the client missed instead."""
        ...

    def resumed(self, snapshot: Snapshot) -> None:
        """It has been told everything that it missed."""
        ...

    def opened(self) -> None:
        """From now on it is told all that happens in the chat."""
        ...

    @property
    def has_room(self) -> bool:
        """Whether the client reads well enough to be told more of what it missed."""
        ...

    async def drained(self) -> None:
        """Wait until it `has_room` or was ended."""
        ...


def resume_after(since: Since | Reset | None, snapshot: Snapshot) -> Position | Reset | None:
    """After which position a client missed what it must be told; or why it begins anew; None: it is new."""
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
    roster: Roster
    notices: Notices

    async def enter(
        self, entrant: Entrant, history: int, has_read: Callable[[], None] = lambda: None
    ) -> None:
        """
        Welcome a client that has been authenticated, and let it listen from exactly where its snapshot ends.

        ``history`` is the number of messages that it is shown first. ``has_read`` is called when the snapshot has been
        read: what follows takes as long as the client takes to read it.

        Raises:
            DomainError: It may not enter.
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
            await self._replay(entrant, after, snapshot.position)
            entrant.resumed(snapshot)
        await self._catch_up(channel, entrant, snapshot.position)
        if entrant.is_entering:
            self._go_live(channel, entrant)
        self.channels.heal_soon(channel)

    def _register(self, entrant: Entrant) -> Channel:
        channel = self.channels.open(entrant.chat_id)
        self.roster.join(entrant, channel.audience)
        return channel

    async def _read(self, entrant: Entrant, history: int) -> tuple[Snapshot, Position | Reset | None]:
        """A client that comes back needs no history if it can go on where it was."""
        chat_id, since = entrant.chat_id, entrant.since
        comes_back = isinstance(since, Since)
        snapshot = await self.snapshot(entrant.profile_id, chat_id, 0 if comes_back else history)
        after = self._resume_after(since, snapshot)
        if comes_back and isinstance(after, Reset):
            snapshot = await self.snapshot(entrant.profile_id, chat_id, history)
            after = self._resume_after(since, snapshot)
        return snapshot, after

    def _resume_after(self, since: Since | Reset | None, snapshot: Snapshot) -> Position | Reset | None:
        return resume_after(since, snapshot)

    async def _catch_up(self, channel: Channel, entrant: Entrant, position: Position) -> None:
        """Bring the channel and the entrant, whose snapshot ends at ``position``, to the same position."""
        if channel.position is None:
            channel.position = position
        while channel.position != position and entrant.is_entering:
            if channel.position < position:
                channel.hear_of(position)
                await self.channels.heal(channel)
            else:
                position = await self._replay(entrant, position, channel.position, is_news=True)

    async def _replay(
        self, entrant: Entrant, after: Position, up_to: Position, *, is_news: bool = False
    ) -> Position:
        """
        Tell one client what the log has between two positions. Returns how far it came.

        ``is_news``: it happened after the client's snapshot, so that its own removal is the end.
        """
        position = after
        while position < up_to and entrant.is_entering:
            await entrant.drained()
            entries = await self.channels.read_log(entrant.chat_id, position, PAGE)
            for update in entries:
                # what finds no room now is read again then: many slow readers would hold many pages
                if update.position > up_to or not (entrant.has_room and entrant.is_entering):
                    break
                entrant.tell(frames.told(update), update)
                position = update.position
                if is_news:
                    end_if_removed(entrant, update)
            if not entries:
                break
        return position

    def _go_live(self, channel: Channel, entrant: Entrant) -> None:
        """There is no await between the comparison of positions and this."""
        audience, profile_id = channel.audience, entrant.profile_id
        is_first = audience.is_crowded or not self.roster.has_live(audience, profile_id)
        missed = self.roster.go_live(entrant, audience)
        entrant.opened()
        for read in missed:
            self.notices.tell_missed(audience, entrant, read)
        if is_first:
            self.notices.tell_presence(audience, "user_joined", profile_id)


def end_if_removed(listener: Listener, update: ChatUpdate) -> None:
    if isinstance(update, MemberRemoved) and update.profile_id == listener.profile_id:
        listener.end(End.NOT_A_MEMBER, update.chat_id)
