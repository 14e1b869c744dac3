"""
What the live side serves: clients that hear what happens as it happens.

The socket of one chat is a listener. A socket of all chats or a stream of server-sent events is another one: the rest of
this package knows how updates reach a listener, and not what carries them to the client.
"""

from enum import Enum, auto
from typing import Protocol

from application.ports.updates import ChatUpdate
from domain.ids import ChatId, ProfileId, SessionId
from interfaces.wire.frames import Frame


class End(Enum):
    """Why a listener hears no more."""

    SESSION_ENDED = auto()
    NOT_A_MEMBER = auto()
    CHAT_DELETED = auto()
    HISTORY_CHANGED = auto()
    """The database was restored: what was told so far may not be what it says now."""


class Listener(Protocol):
    """
    One client.

    `tell` and `end` return at once and never raise, and a listener joins or leaves the hub in neither of them: the hub
    calls them while it goes through all listeners of a chat.
    """

    @property
    def profile_id(self) -> ProfileId: ...

    @property
    def session_id(self) -> SessionId: ...

    def tell(self, frame: Frame, update: ChatUpdate | None = None, *, ephemeral: bool = False) -> None:
        """
        Pass a frame on to the client.

        ``update`` is what a frame with a position was made from. An ``ephemeral`` frame may be dropped when the client
        reads slowly.
        """
        ...

    def end(self, why: End, chat_id: ChatId | None = None) -> None:
        """Tell nothing more: of ``chat_id``, or of anything if it is None."""
        ...
