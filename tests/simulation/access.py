"""What people need of a messenger to use it, whether it is simulated or runs as a process."""

from collections.abc import Callable
from typing import Any, Protocol

from attrs import frozen

from domain.ids import ChatId
from interfaces.ws.closing import Close

Hear = Callable[[str | Close], None]
"""Takes the frames of a connection as texts and then one `Close`; its code is 1006 if the connection broke."""


@frozen
class Stored:
    """The answer to a message that was sent without a socket."""

    id: str
    seq: int
    position: int
    duplicate: bool


class Reading(Protocol):
    """How a client takes what the server sends."""

    def freeze(self) -> None:
        """Reads nothing from now on."""

    def thaw(self) -> None: ...


class Connected(Protocol):
    """The client's end of a connection."""

    @property
    def to_client(self) -> Reading: ...

    @property
    def takes_requests(self) -> bool:
        """False for a stream of events."""

    @property
    def backlog(self) -> int:
        """The most frames that waited for the client at once, as far as that is known."""

    def say(self, text: str | bytes) -> None: ...

    def drop(self) -> None:
        """Ends the connection without a word."""


class Access(Protocol):
    """One node. Its requests raise `ApplicationError`, `DomainError` or `TimeoutError`."""

    @property
    def name(self) -> str: ...

    @property
    def is_up(self) -> bool: ...

    @property
    def outbox_frames(self) -> int:
        """The most frames that may wait for one client."""

    def open(self, chat_id: ChatId | None, hear: Hear) -> Connected:
        """Opens the socket of one chat, or of all chats."""

    def listen(self, token: str, since: Any, hear: Hear) -> Connected:
        """Opens a stream of events."""

    async def synchronise(self, token: str, query: dict[str, str]) -> Any:
        """Returns the data of an answer of `/sync/`."""

    async def send(self, token: str, chat_id: ChatId, text: str, nonce: str | None) -> Stored: ...

    async def mark_read(self, token: str, chat_id: ChatId, up_to: int) -> None: ...

    def epoch_of(self, cursor: str) -> str:
        """The line of history of a cursor. Clients cannot read it; the checker needs it to know who must be reset."""

    def is_on_the_way(self, cursor: str) -> bool:
        """Whether the cursor stands between two parts of a walk."""
