"""
Lists in pages, by keyset: each page says after which item the next one begins.

Someone who walks all pages of a list sees everything that was in it from the first page to the last exactly once,
whatever is added, removed and moved meanwhile. What is added or removed during the walk may or may not be seen.

The order of a list is therefore made of what does not change, and where it does change (the newest activity of a chat,
the owner of a group) the place remembers what it was when the walk began. Names are the exception: who is found by a
name and changes it during the walk may be seen twice, or missed.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final, Generic, TypeVar
from uuid import UUID

from attrs import evolve, frozen

from domain.errors import Invalid
from domain.ids import ChatId, ProfileId, SessionId

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
P = TypeVar("P")
P_co = TypeVar("P_co", covariant=True)


LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)
LEAST_ID: Final = UUID(int=0)
"""Together before everything in a list that is ordered by a moment and an identity."""


MOST: Final = 2**31
"""Longer than any list; storage need not count further."""


class BadPlace(Invalid):
    """A place in a list that storage cannot have given out."""

    code = "cursor_invalid"


@frozen
class Page(Generic[T_co, P_co]):
    items: Sequence[T_co]
    next: P_co | None = None
    """Where the next page begins; None at the end of the list."""


@frozen(kw_only=True)
class Paging(Generic[P]):
    """Which part of a list is wanted: by default all of it."""

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
        """Those of all the items behind `after` that a page is made of, see `page_of`."""
        end = None if self.most is None else self.skip + self.most
        return found[self.skip : end]


def page_of(found: Sequence[T], limit: int | None, place: Callable[[T], P]) -> Page[T, P]:
    """The page that begins with the first of ``found``, of which there are up to `Paging.most`."""
    if limit is None or len(found) <= limit:
        return Page(found)
    return Page(found[:limit], place(found[limit - 1]))


@frozen(kw_only=True)
class ChatPlace:
    """
    In a list of chats, newest activity first. Activity is what it was when the walk began: otherwise a chat in which
    somebody speaks meanwhile would move past the reader.
    """

    began: str
    """When the walk began, in the terms of the storage that answered: see `Changes`."""
    activity: datetime
    id: ChatId


@frozen(kw_only=True)
class MemberPlace:
    """In a list of members: whoever owned the chat when the walk began, then the others in the order of joining."""

    first: ProfileId
    joined_at: datetime
    id: ProfileId

    @classmethod
    def behind(cls, owner_id: ProfileId) -> "MemberPlace":
        """Behind the owner, and before everybody else."""
        return cls(first=owner_id, joined_at=LONG_AGO, id=ProfileId(LEAST_ID))

    def then(self, id: ProfileId, joined_at: datetime) -> "MemberPlace":
        """Behind one of the members who come after this place."""
        return self if id == self.first else evolve(self, joined_at=joined_at, id=id)


@frozen(kw_only=True)
class ReaderPlace:
    """In a list of readers, the first reader first."""

    read_at: datetime
    id: ProfileId


@frozen(kw_only=True)
class SessionPlace:
    """In a list of sessions, the newest first."""

    created_at: datetime
    id: SessionId


@frozen(kw_only=True)
class PersonPlace:
    """In a list of people found by a name: see `Profiles.search`."""

    rank: int
    text: str
    """The name that was found, folded."""
    id: ProfileId


Place = ChatPlace | MemberPlace | ReaderPlace | SessionPlace | PersonPlace
