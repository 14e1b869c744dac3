"""Decides which frames a returning client of all chats needs to have everything that it missed, on every transport."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from attrs import frozen

from application.ports.own_changes import Missed, Standing
from application.views import ChatView
from domain.events import ChatAdded, ChatRemoved
from domain.ids import ChatId, Position
from interfaces.live.entry import REPLAY_MOST
from interfaces.wire import all_chats as news
from interfaces.wire.frames import Frame
from interfaces.wire.reasons import Reset

T = TypeVar("T")


@frozen
class Memberships:
    """The chats that a profile left and joined."""

    removed: Sequence[ChatRemoved]
    """The last removal from each chat that the profile left, also if it joined that chat again."""
    added: frozenset[ChatId]
    """The chats that it joined, or left and joined again, but for those that the client has seen since."""


def memberships(missed: Missed, seen: Mapping[ChatId, Position]) -> Memberships:
    removed: dict[ChatId, ChatRemoved] = {}
    added: set[ChatId] = set()
    for event in missed.personal:
        if isinstance(event, ChatRemoved):
            removed[event.chat_id] = event
            added.discard(event.chat_id)
        elif isinstance(event, ChatAdded):
            added.add(event.chat_id)
    return Memberships([*removed.values()], frozenset(added - (seen.keys() - removed.keys())))


def resume_after(standing: Standing, seen: Position | None) -> Position | Reset:
    """Returns the position of a chat after which to replay, or why the client must take its present state."""
    if seen is not None and seen > standing.last_position:
        return Reset.AHEAD
    known = standing.last_position if standing.first_missed is None else Position(standing.first_missed - 1)
    return known if seen is None else max(known, seen)


def is_replayed(standing: Standing, after: Position) -> bool:
    """Tells whether the events after a position are few enough to be told one by one; otherwise they are a gap."""
    return after >= standing.last_position - REPLAY_MOST


def reading(standing: Standing) -> Frame | None:
    """Returns the frame that tells how far a chat has been read, if that may have changed."""
    if not standing.is_read:
        return None
    return news.read_up_to(
        standing.chat_id,
        standing.read_up_to,
        standing.unread_count,
        standing.last_seq,
        standing.others_read_up_to,
    )


def reading_behind(view: ChatView, standing: Standing) -> Frame | None:
    """The same after the present state of a chat, which may be newer than its standing: the counts are those of the state."""
    if not standing.is_read:
        return None
    return news.read_up_to(
        view.id, view.read_up_to, view.unread_count, view.last_seq, standing.others_read_up_to
    )


def in_groups(steps: Iterable[T], weight: Callable[[T], int], most: int) -> Iterator[Sequence[T]]:
    """Groups steps, in their order, so that each group is read at once. A group weighs at most ``most``, or is a single step."""
    group: list[T] = []
    total = 0
    for step in steps:
        more = weight(step)
        if group and total + more > most:
            yield group
            group, total = [], 0
        group.append(step)
        total += more
    if group:
        yield group
