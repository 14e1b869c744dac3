"""
The interface of clients that get updates as they happen.

The socket of one chat is a listener. A socket of all chats or a stream of server-sent events can be another one: the rest
of this package delivers updates to listeners, and does not depend on the transport to the client.
"""

from enum import Enum, auto
from typing import Protocol

from attrs import Factory, frozen

from application.ports.updates import ChatUpdate, NewMessage
from domain.ids import ChatId, ProfileId, SessionId
from interfaces.wire.frames import Frame


class End(Enum):
    """Why a listener gets no more updates."""

    SESSION_ENDED = auto()
    NOT_A_MEMBER = auto()
    """Somebody removed the person from the chat."""
    LEFT = auto()
    """The person left the chat."""
    CHAT_DELETED = auto()
    HISTORY_CHANGED = auto()
    """The database was restored: updates that were already delivered may not be in it any more."""


@frozen(eq=False)
class Run:
    """Neighbouring messages of one chat, which are told together. They are no more than may be written to a socket at once."""

    messages: list[NewMessage] = Factory(list)
    frames: list[Frame] = Factory(list)
    """The frames that tell them."""


class Listener(Protocol):
    """
    One client.

    `tell`, `tell_run` and `end` return at once and never raise. They must not make a listener join or leave the hub, which calls them
    while it iterates over the listeners of a chat.
    """

    @property
    def profile_id(self) -> ProfileId: ...

    @property
    def session_id(self) -> SessionId: ...

    @property
    def is_present(self) -> bool:
        """
        Whether this listener counts as presence in its chats, and hears of the presence of others. A listener of all chats
        does not: it would join and leave hundreds of chats at once.
        """
        ...

    def tell(self, frame: Frame, update: ChatUpdate | None = None, *, ephemeral: bool = False) -> None:
        """
        Passes a frame on to the client.

        ``update`` is the update of which a frame with a position was made. An ``ephemeral`` frame may be dropped if the
        client reads slowly.
        """
        ...

    def tell_run(self, run: Run) -> None:
        """
        Does what `tell` does with each message of a run, for a listener among many in a chat. The client may get them some
        milliseconds later, with those that follow.
        """
        ...

    def end(self, why: End, chat_id: ChatId | None = None) -> None:
        """Ends the updates of ``chat_id``, or of all chats if it is None."""
        ...
