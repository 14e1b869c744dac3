"""
The cursors of clients that hear all chats of a person: the same text on every transport, over which a client may change
from one transport to another.
"""

from collections.abc import Mapping
from typing import Final, TypeVar

from attrs import field, frozen

from application.paging import ChatPlace, Page
from application.ports.changes import Cursor
from application.views import ChatView
from domain.ids import ChatId, Position, ProfileId
from interfaces.wire.cursors import CursorCodec
from interfaces.wire.faults import InvalidValue
from interfaces.wire.values import identity, is_count

SEEN_MOST: Final = 1000
"""The most chats in ``seen``."""

KEPT: Final = 128
"""Cursors that are kept as they were read and written, of mostly 200 and at most 7 000 characters each."""

K = TypeVar("K")
V = TypeVar("V")


@frozen(kw_only=True)
class SyncPlace(Cursor):
    """
    A cursor at which an answer ended although more was missed. The chats are told in the order of their ids; those before
    ``chat_id`` were told up to ``until``, and ``chat_id`` up to ``position``.

    Transports that do not answer in parts read it as the cursor from which all parts began: some is told again.
    """

    until: str = ""
    """`Cursor.place` of the first part, which holds for all chats after the last part. Empty for a cursor after a whole answer."""
    chat_id: ChatId | None = None
    position: Position = Position(0)


@frozen
class Places:
    """
    Reads and writes what clients keep of where they are, signed with ``key``. All clients of a node are told the same cursors, so
    that the last few are kept in both forms.
    """

    key: bytes
    _texts: dict[Cursor, str] = field(init=False, factory=dict, eq=False, repr=False)
    _read: dict[str, Cursor] = field(init=False, factory=dict, eq=False, repr=False)
    _cursors: CursorCodec[Cursor] = field(init=False)

    @_cursors.default
    def _codec(self) -> CursorCodec[Cursor]:
        return CursorCodec(self.key, Cursor, "all chats")

    def _pages(self, profile_id: ProfileId) -> CursorCodec[ChatPlace]:
        return CursorCodec(self.key, ChatPlace, f"chats {profile_id}")

    def write(self, cursor: Cursor) -> str:
        """
        Raises:
            Unavailable: See `CursorCodec.write`.
        """
        text = self._texts.get(cursor)
        if text is None:
            text = self._cursors.write(cursor)
            _keep(self._texts, cursor, text)
        return text

    def read(self, cursor: str) -> Cursor:
        """
        Raises:
            InvalidCursor: It is not one that `write` returned.
        """
        found = self._read.get(cursor)
        if found is None:
            found = self._cursors.read(cursor)
            _keep(self._read, cursor, found)
        return found

    def read_part(self, cursor: str) -> SyncPlace:
        """
        Like `read`, for a reader that goes on where a part ended.

        Raises:
            InvalidCursor: It is not one that `write` returned.
        """
        return CursorCodec(self.key, SyncPlace, self._cursors.name).read(cursor)

    def next_of(self, page: Page[ChatView, ChatPlace], profile_id: ProfileId) -> str | None:
        """Returns the ``next`` of a page of chats."""
        return None if page.next is None else self._pages(profile_id).write(page.next)

    def page_after(self, following: str, profile_id: ProfileId) -> ChatPlace:
        """
        Raises:
            InvalidCursor: It is not the ``next`` of a page of this person.
        """
        return self._pages(profile_id).read(following)


def _keep(kept: dict[K, V], key: K, value: V) -> None:
    """Keeps a value, and forgets the one that was kept first if there are more than `KEPT`."""
    kept[key] = value
    if len(kept) > KEPT:
        del kept[next(iter(kept))]


def read_seen(value: object) -> dict[ChatId, Position]:
    """
    Reads ``seen``: the positions up to which a client knows some chats.

    Raises:
        InvalidValue: It is not an object of positions by chat, or has more than `SEEN_MOST` chats.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping) or len(value) > SEEN_MOST:
        raise InvalidValue
    if not all(is_count(position) for position in value.values()):
        raise InvalidValue
    return {ChatId(identity(chat_id)): Position(position) for chat_id, position in value.items()}
