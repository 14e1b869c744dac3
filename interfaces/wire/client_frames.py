"""
The types of the frames that clients send, with the meaning of every field.

`interfaces.ws.chat_frames` and `interfaces.ws.all_chats_frames` decode them. Requests that HTTP has too are not here: their
fields are those of the shapes in `interfaces.wire.codec`, in snake_case. A frame that fits its type is never refused as
``malformed``. The server ignores fields that it does not know.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, NotRequired, TypedDict
from uuid import UUID

from domain.message import BODY_LIMIT, NONCE_LIMIT
from interfaces.wire import examples
from interfaces.wire.places import SEEN_MOST
from interfaces.wire.schema import Bounds, FieldDoc

HISTORY_DEFAULT = 10
"""Messages of a page that `get_chat_history` gets unasked."""
HISTORY_MOST = 100
"""The most messages of a page, on either socket."""
PAGE_DEFAULT = 50
"""Messages of a page that `get_history` gets unasked."""
CATCH_UP_MOST = 100
"""Entries of a log in one answer."""
ID_LIMIT = 64
"""The most characters of a request's id."""

Token = Annotated[
    str, FieldDoc("An access token, from `POST /accounts/sign-in/` or refreshing", examples.TOKEN)
]
ChatId = Annotated[UUID, FieldDoc("The chat", examples.CHAT)]
MessageId = Annotated[UUID, FieldDoc("The message", examples.MESSAGE)]
Text = Annotated[
    str,
    FieldDoc(
        f"The text. Whitespace around it is removed, and 1 to {BODY_LIMIT:,} characters must be left, one of them visible",
        "Идём сегодня в кино?",
    ),
]
Nonce = Annotated[
    str | None,
    FieldDoc(
        f"The client's own name of the message, 1 to {NONCE_LIMIT} characters. Sending again under it stores nothing twice",
        examples.KEY,
    ),
]
Features = Annotated[
    list[str] | None,
    FieldDoc(
        "The names of frames that the client understands beyond those of the original messenger: `goaway`. The server"
        " ignores other names",
        ["goaway"],
    ),
]
IsTyping = Annotated[bool, FieldDoc("Whether the person is typing; false if it is missing", example=True)]


# The socket of one chat


class Since(TypedDict):
    """The place at which a returning client goes on with one chat."""

    epoch: Annotated[
        str,
        FieldDoc("The `epoch` of the last `auth_success`", "5f0d2ab1-74c1-4d0a-9c1e-0a9f2c6b7d11"),
    ]
    position: Annotated[int, FieldDoc("The last position that the client has handled", 16), Bounds(minimum=0)]


class Auth(TypedDict):
    """Signs in, as the first frame. It must come within ten seconds (`WS_AUTH_SECONDS`)."""

    type: Literal["auth"]
    token: Token
    since: NotRequired[
        Annotated[Since | None, FieldDoc("Where to go on; without it the newest messages come")]
    ]
    features: NotRequired[Features]


class SendMessage(TypedDict):
    """Sends a message. A message without a nonce is not acknowledged, and an empty one is ignored."""

    type: Literal["send_message"]
    text: Text
    nonce: NotRequired[Nonce]


class MarkRead(TypedDict):
    """Marks the chat as read up to a message. A mark that names no message of the chat is ignored."""

    type: Literal["mark_read"]
    last_read_message_id: MessageId


class MarkSingleRead(TypedDict):
    """Marks one message as read. A mark that names no message of the chat is ignored."""

    type: Literal["mark_single_read"]
    message_id: MessageId


class Typing(TypedDict):
    """Shows the others that the person types, or has stopped."""

    type: Literal["typing"]
    is_typing: NotRequired[IsTyping]


class GetChatHistory(TypedDict):
    """Reads a page of messages, counted from the newest one."""

    type: Literal["get_chat_history"]
    limit: NotRequired[
        Annotated[
            int | None,
            FieldDoc(
                f"The most messages of the page: {HISTORY_DEFAULT} by default, {HISTORY_MOST} at most; 0 reads the counts only",
                5,
            ),
            Bounds(minimum=0),
        ]
    ]
    offset: NotRequired[
        Annotated[
            int | None,
            FieldDoc("The number of the page; 1, like 0, is the newest one", 1),
            Bounds(minimum=0),
        ]
    ]


class GetUnreadCount(TypedDict):
    """Counts the messages of others that the person has not read."""

    type: Literal["get_unread_count"]


class LeaveChat(TypedDict):
    """Ends the updates on this socket, which stays open for requests. The person stays a member."""

    type: Literal["leave_chat"]


class Ping(TypedDict):
    """Asks for a `pong`, which comes after the answers to all frames before it."""

    type: Literal["ping"]
    id: NotRequired[Annotated[Any, FieldDoc("Any JSON value, which the `pong` carries", 17)]]


# The socket of all chats


class SinceCursor(TypedDict):
    """The place at which a returning client goes on with all chats."""

    cursor: Annotated[str, FieldDoc("The last cursor that the client was told", examples.CURSOR)]
    seen: NotRequired[
        Annotated[
            Mapping[str, Annotated[int, Bounds(minimum=0)]] | None,
            FieldDoc(
                f"The last handled position of chats of which more was handled since the cursor, {SEEN_MOST:,} at most, by the"
                " id of the chat",
                {examples.CHAT: 16},
            ),
            Bounds(maxProperties=SEEN_MOST),
        ]
    ]


class AuthAll(TypedDict):
    """Signs in, as the first frame. It must come within ten seconds (`WS_AUTH_SECONDS`)."""

    type: Literal["auth"]
    token: Token
    since: NotRequired[
        Annotated[SinceCursor | None, FieldDoc("Where to go on; without it a cursor and the chats come")]
    ]
    features: NotRequired[Features]


class Request(TypedDict):
    """The field that every request on the socket of all chats has."""

    id: NotRequired[
        Annotated[
            Annotated[str, Bounds(maxLength=ID_LIMIT)] | int | None,
            FieldDoc(
                f"The name of the request, a string of up to {ID_LIMIT} characters or an integer. The answer carries it",
                17,
            ),
        ]
    ]


class SendMessageTo(Request):
    """Sends a message."""

    type: Literal["send_message"]
    chat_id: ChatId
    text: Text
    nonce: NotRequired[Nonce]


class MarkSingleReadIn(Request):
    """Marks one message as read."""

    type: Literal["mark_single_read"]
    chat_id: ChatId
    message_id: MessageId


class TypingIn(Request):
    """Shows the others that the person types, or has stopped."""

    type: Literal["typing"]
    chat_id: ChatId
    is_typing: NotRequired[IsTyping]


class GetHistory(Request):
    """Reads a page of messages: the newest ones, or those before, after or around a `seq`, of which one may be given."""

    type: Literal["get_history"]
    chat_id: ChatId
    limit: NotRequired[
        Annotated[
            int | None,
            FieldDoc(f"The most messages of the page: {PAGE_DEFAULT} by default, {HISTORY_MOST} at most", 5),
            Bounds(minimum=0),
        ]
    ]
    before: NotRequired[
        Annotated[
            int | None, FieldDoc("A `seq`: the messages before it, the newest of them", 16), Bounds(minimum=0)
        ]
    ]
    after: NotRequired[
        Annotated[
            int | None, FieldDoc("A `seq`: the messages after it, the oldest of them", 3), Bounds(minimum=0)
        ]
    ]
    around: NotRequired[
        Annotated[int | None, FieldDoc("A `seq`: the messages around it", 8), Bounds(minimum=0)]
    ]


class GetReaders(Request):
    """Lists the readers of a message, the first reader first. The author is not among them."""

    type: Literal["get_readers"]
    chat_id: ChatId
    message_id: MessageId


class CatchUp(Request):
    """Reads a part of the chat's log, to fill a `gap`."""

    type: Literal["catch_up"]
    chat_id: ChatId
    after: NotRequired[
        Annotated[
            int | None, FieldDoc("The position after which to read; 0 by default", 3), Bounds(minimum=0)
        ]
    ]
    before: NotRequired[
        Annotated[
            int | None,
            FieldDoc("The position before which to end; by default the end of the log", 9),
            Bounds(minimum=0),
        ]
    ]
    limit: NotRequired[
        Annotated[
            int | None,
            FieldDoc(f"The most events of the part, {CATCH_UP_MOST} at most and by default", 50),
            Bounds(minimum=0),
        ]
    ]


class More(Request):
    """Reads the next page of chats."""

    type: Literal["more"]
    next: Annotated[str, FieldDoc("The `next` of the page before", examples.CURSOR)]


class WatchPresence(Request):
    """
    Names the people whose presence is told from now on. The list replaces the one before it, and an empty list ends it. People
    who share no chat with this person are left out.
    """

    type: Literal["watch_presence"]
    profile_ids: Annotated[
        list[UUID],
        FieldDoc("The people to watch, 200 at most (`WS_WATCHED_PROFILES`)", [examples.MIKHAIL]),
    ]
