"""
Keyset pagination: each page tells after which item the next one begins.

A client that reads all pages of a list gets every item that was in it the whole time exactly once, whatever is added,
removed or moved meanwhile. Items that are added or removed during the walk may or may not be seen.

Lists are therefore ordered by values that do not change. If such a value does change (the newest activity of a chat, the
owner of a group), the place remembers what it was when the walk began. Names are the exception: a person whose name
changes during a search may be seen twice, or missed.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final, Generic, TypeVar
from uuid import UUID

from attrs import evolve, frozen

from domain.errors import Invalid
from domain.ids import ChatId, EventId, ProfileId, SessionId

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
P = TypeVar("P")
P_co = TypeVar("P_co", covariant=True)


LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)
LEAST_ID: Final = UUID(int=0)
"""`LONG_AGO` and `LEAST_ID` come before every item of a list that is ordered by a time and an id."""


MOST: Final = 2**31
"""Longer than any list; storage need not count further."""


class BadPlace(Invalid):
    """A place in a list that storage cannot have given out."""

    code = "cursor_invalid"


@frozen
class Page(Generic[T_co, P_co]):
    items: Sequence[T_co]
    next: P_co | None = None
    """The place after which the next page begins; None at the end of the list."""


@frozen(kw_only=True)
class Paging(Generic[P]):
    """The part of a list to return; by default all of it."""

    limit: int | None = None
    after: P | None = None
    """The place at which the last page ended; None at the start of the list."""
    skip: int = 0
    """How many items to pass over before the page begins."""

    @property
    def most(self) -> int | None:
        """How many items to look for: one more than is wanted, which shows whether there is a next page."""
        return None if self.limit is None else min(self.limit, MOST) + 1

    def part_of(self, found: Sequence[T]) -> Sequence[T]:
        """The items that `page_of` needs, out of all items after `after`."""
        end = None if self.most is None else self.skip + self.most
        return found[self.skip : end]


def page_of(found: Sequence[T], limit: int | None, place: Callable[[T], P]) -> Page[T, P]:
    """Makes a page of up to `Paging.most` items; the one beyond ``limit`` only shows that there is a next page."""
    if limit is None or len(found) <= limit:
        return Page(found)
    return Page(found[:limit], place(found[limit - 1]))


@frozen(kw_only=True)
class ChatPlace:
    """
    A place in a list of chats, newest activity first. Activity counts as it was when the walk began: otherwise a chat that
    gets a message meanwhile would move to a page that was read already.
    """

    began: str
    """The moment at which the walk began. Only the storage that made it can read it, as with `Cursor`."""
    activity: datetime
    id: ChatId


@frozen(kw_only=True)
class MemberPlace:
    """A place in a list of members: first the owner at the time the walk began, then the others as they joined."""

    first: ProfileId
    joined_at: datetime
    id: ProfileId

    @classmethod
    def behind(cls, owner_id: ProfileId) -> "MemberPlace":
        """The place after the owner and before everybody else."""
        return cls(first=owner_id, joined_at=LONG_AGO, id=ProfileId(LEAST_ID))

    def then(self, id: ProfileId, joined_at: datetime) -> "MemberPlace":
        """The place after this member."""
        return self if id == self.first else evolve(self, joined_at=joined_at, id=id)


@frozen(kw_only=True)
class ReaderPlace:
    """A place in a list of readers, the first reader first."""

    read_at: datetime
    id: ProfileId


@frozen(kw_only=True)
class SessionPlace:
    """A place in a list of sessions, the newest first."""

    created_at: datetime
    id: SessionId


@frozen(kw_only=True)
class EventPlace:
    """A place in a list of events of an account, the newest first."""

    at: datetime
    id: EventId


@frozen(kw_only=True)
class PersonPlace:
    """A place in a list of people who were found by name, see `Profiles.search`."""

    rank: int
    text: str
    """The name that was found, folded."""
    id: ProfileId


Place = ChatPlace | MemberPlace | ReaderPlace | SessionPlace | EventPlace | PersonPlace
