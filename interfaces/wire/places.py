"""
The cursors of clients that hear all chats of a person: the same text on every transport, over which a client may change
from one transport to another.
"""

from collections.abc import Mapping
from typing import Final

from attrs import frozen

from application.paging import ChatPlace, Page
from application.ports.changes import Cursor
from application.views import ChatView
from domain.ids import ChatId, Position, ProfileId
from interfaces.wire.cursors import CursorCodec
from interfaces.wire.faults import InvalidValue
from interfaces.wire.values import identity, is_count

SEEN_MOST: Final = 1000
"""The most chats in ``seen``."""


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
    """Reads and writes what clients keep of where they are, signed with ``key``."""

    key: bytes

    @property
    def _cursors(self) -> CursorCodec[Cursor]:
        return CursorCodec(self.key, Cursor, "all chats")

    def _pages(self, profile_id: ProfileId) -> CursorCodec[ChatPlace]:
        return CursorCodec(self.key, ChatPlace, f"chats {profile_id}")

    def write(self, cursor: Cursor) -> str:
        """
        Raises:
            Unavailable: See `CursorCodec.write`.
        """
        return self._cursors.write(cursor)

    def read(self, cursor: str) -> Cursor:
        """
        Raises:
            InvalidCursor: It is not one that `write` returned.
        """
        return self._cursors.read(cursor)

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
