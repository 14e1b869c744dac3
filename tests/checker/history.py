"""
What somebody saw of a messenger, in the order in which it was seen.

A history is a list of these events, written by one observer: what stands earlier was seen earlier, and ``at`` is in seconds
of one clock. Nothing in it comes from inside the messenger, except `Kept`. Profiles, chats, sessions and messages go by
their ids as text.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import frozen


@frozen(kw_only=True)
class Said:
    """A message as it was shown."""

    id: str
    chat: str
    seq: int
    position: int
    author: str
    text: str
    nonce: str | None
    sent_at: str
    """ISO 8601, as in frames."""


# Sending


@frozen(kw_only=True)
class SendStarted:
    at: float
    send: int
    """Names this attempt. A retry is another one, under the same nonce."""
    connection: int | None
    """Is None if the request did not come through a socket."""
    chat: str
    profile: str
    session: str
    text: str
    nonce: str | None


@frozen(kw_only=True)
class Acked:
    at: float
    send: int
    id: str
    seq: int
    position: int
    duplicate: bool


@frozen(kw_only=True)
class Refused:
    """The answer promised that this attempt stored nothing. ``first``: id and seq of what has the nonce already."""

    at: float
    send: int
    code: str
    first: tuple[str, int] | None = None


@frozen(kw_only=True)
class TooOften:
    """A message without a nonce was refused, as said just before; which one of this connection's, nobody was told."""

    at: float
    connection: int


@frozen(kw_only=True)
class Unknown:
    """The answer promised nothing. An attempt without any answer is the same, unless its connection lives."""

    at: float
    send: int


# Sockets


@frozen(kw_only=True)
class Connecting:
    """Somebody said who they are."""

    at: float
    connection: int
    chat: str
    profile: str
    session: str
    node: str
    since: int | None = None
    epoch: str | None = None
    is_garbled: bool = False
    """Whether its ``since`` was nonsense."""
    device: str | None = None
    """What keeps what it was told from one connection to the next; None: nothing does."""


@frozen(kw_only=True)
class Entered:
    """Live begins behind ``position``; with ``since`` the replay ends there."""

    at: float
    connection: int
    epoch: str
    seq: int
    position: int


@frozen(kw_only=True)
class Resumed:
    at: float
    connection: int
    position: int
    others_read_up_to: int


@frozen(kw_only=True)
class Reset:
    """There is no replay from ``since``: a snapshot follows."""

    at: float
    connection: int
    reason: str


@frozen(kw_only=True)
class Told:
    """A durable frame: a message, or another change as text that is the same for all who are told it."""

    at: float
    connection: int
    position: int
    after: int
    what: Said | str


@frozen(kw_only=True)
class Detached:
    """The client sent `leave_chat`."""

    at: float
    connection: int


@frozen(kw_only=True)
class Ended:
    """The last that was seen of a connection."""

    at: float
    connection: int
    code: int


@frozen(kw_only=True)
class Backlog:
    """The most frames that the server let wait for a slow reader, and the most that it may."""

    at: float
    connection: int
    frames: int
    limit: int


# The socket of all chats


@frozen(kw_only=True)
class AllConnecting:
    """Somebody said who they are on a socket of all chats. ``device`` keeps what it knows from one connection to the next."""

    at: float
    connection: int
    profile: str
    session: str
    node: str
    device: str
    has_cursor: bool
    """Without one it has forgotten everything before."""
    epoch: str | None = None
    """The line of history of its cursor, if that is known."""
    goes_on: bool = False
    """Whether it asks for the next part of a walk whose part before was its last connection."""
    is_garbled: bool = False
    """Whether its ``since`` was nonsense."""
    is_restored: bool = False
    """Whether it begins with what its storage held before: it may know again what it had forgotten since then."""


@frozen(kw_only=True)
class AllWatching:
    """Asks to watch these profiles, and nobody else. The answer has the same ``request`` as its id."""

    at: float
    connection: int
    request: str
    profiles: Sequence[str]


@frozen(kw_only=True)
class AllHeard:
    """Any frame of such a socket, but for answers that have an event of their own."""

    at: float
    connection: int
    frame: Mapping[str, Any]


@frozen(kw_only=True)
class AllEnded:
    at: float
    connection: int
    code: int


# Reading


@frozen(kw_only=True)
class Asked:
    """Somebody asks; the answer has the same ``ask``."""

    at: float
    ask: int
    connection: int | None
    chat: str
    profile: str
    session: str


@frozen(kw_only=True)
class Answered:
    """With an answer that this history has no other event for, an error among them."""

    at: float
    ask: int


@frozen(kw_only=True)
class HistoryRead:
    at: float
    ask: int
    messages: Sequence[Said]
    total: int
    size: int
    """How many were asked for."""
    page: int = 1
    """1 is the newest."""
    is_snapshot: bool = False
    """Whether it is the snapshot of an entry, after which everything is told."""


@frozen(kw_only=True)
class UnreadRead:
    at: float
    ask: int
    count: int


@frozen(kw_only=True)
class MarkSeen:
    """How far ``profile`` of the question has read."""

    at: float
    ask: int
    seq: int


@frozen(kw_only=True)
class MarkStarted:
    at: float
    chat: str
    profile: str
    up_to: int


@frozen(kw_only=True)
class ReadTold:
    """One act of reading, as a socket was told it."""

    at: float
    connection: int
    reader: str
    from_seq: int
    to_seq: int
    count: int


# Who may hear


@frozen(kw_only=True)
class Cut:
    """
    Acknowledged: this profile is no longer in this chat, this chat is no more, or this session is over. What is None does
    not matter.
    """

    at: float
    chat: str | None = None
    profile: str | None = None
    session: str | None = None
    node: str | None = None
    """The node that carried it out and announced it, or None if it was not announced."""


@frozen(kw_only=True)
class Looked:
    """What a node told shows that it has read all changes which were stored at the moment ``since``."""

    at: float
    node: str
    since: float


@frozen(kw_only=True)
class Joined:
    """From now on this profile may be in this chat, again or for the first time."""

    at: float
    chat: str
    profile: str


@frozen(kw_only=True)
class Belongs:
    """Acknowledged: this profile is in this chat."""

    at: float
    chat: str
    profile: str


@frozen(kw_only=True)
class Leaving:
    """From now on this profile, or everybody where it is None, may be out of this chat."""

    at: float
    chat: str
    profile: str | None = None


# The end


@frozen(kw_only=True)
class Quiet:
    """Every fault is healed since long enough, and everybody was reading."""

    at: float


@frozen(kw_only=True)
class Restored:
    """
    Storage is as it was before, in a line of history of its own. What was stored until then stands in front of it as `Kept`,
    one for each chat; memberships and marks of the restored state follow it.
    """

    at: float
    before: str
    """The epoch that ended."""
    epoch: str
    positions: Mapping[str, int]
    """By chat, the last position of the restored state."""


@frozen(kw_only=True)
class Kept:
    """All that is stored of a chat."""

    at: float
    chat: str
    messages: Sequence[Said]
    changes: Mapping[int, str]
    """What else stands in its log, by position."""
    members: Sequence[str] | None = None
    """Nobody if the chat is deleted; None where nobody looked."""


@frozen(kw_only=True)
class Failure:
    """The server said something that it never should, in its log or to its event loop."""

    at: float
    what: str


Event = (
    SendStarted
    | Acked
    | Refused
    | TooOften
    | Unknown
    | Connecting
    | Entered
    | Resumed
    | Reset
    | Told
    | Detached
    | Ended
    | Backlog
    | AllConnecting
    | AllWatching
    | AllHeard
    | AllEnded
    | Asked
    | Answered
    | HistoryRead
    | UnreadRead
    | MarkSeen
    | MarkStarted
    | ReadTold
    | Cut
    | Looked
    | Joined
    | Belongs
    | Leaving
    | Quiet
    | Restored
    | Kept
    | Failure
)

History = Sequence[Event]
