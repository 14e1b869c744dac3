"""
The types of the frames that the server sends, with the meaning of every field.

`interfaces.wire.frames` and `interfaces.wire.all_chats` build frames of these types, and mypy checks them. The registry
(`interfaces.wire.registry`) says on which channel each frame is sent and what a client does with it; `/asyncapi.json` and
`/docs/events` are generated from both. Clients must ignore fields and frame types that they do not know.
"""

from typing import Annotated, Any, Literal, NotRequired, TypedDict
from uuid import UUID

from domain.chat import Kind
from domain.events import Removal
from domain.message import BODY_LIMIT, NONCE_LIMIT
from domain.role import Role
from interfaces.wire import examples
from interfaces.wire.reasons import Reset
from interfaces.wire.schema import Bounds, FieldDoc, Moment

ChatId = Annotated[UUID, FieldDoc("The chat", examples.CHAT)]
Position = Annotated[
    int,
    FieldDoc("The position of the event in the chat's log: 1, 2, 3, ... without holes", 16),
    Bounds(minimum=1),
]
LastPosition = Annotated[
    int,
    FieldDoc("The position of the newest event in the chat's log; 0 if there is none", 16),
    Bounds(minimum=0),
]
Seq = Annotated[
    int, FieldDoc("The number of the message in its chat: 1, 2, 3, ... without holes", 16), Bounds(minimum=1)
]
LastSeq = Annotated[
    int, FieldDoc("The `seq` of the newest message; 0 in an empty chat", 16), Bounds(minimum=0)
]
ReadUpTo = Annotated[
    int,
    FieldDoc("The `seq` up to which this person has read the chat; 0 if nothing", 16),
    Bounds(minimum=0),
]
OthersReadUpTo = Annotated[
    int,
    FieldDoc("The `seq` up to which anybody else has read the chat; 0 if nobody has", 15),
    Bounds(minimum=0),
]
UnreadCount = Annotated[
    int,
    FieldDoc("The number of messages of others that this person has not read", 0),
    Bounds(minimum=0),
]
Nonce = Annotated[
    str,
    FieldDoc("The name that the author's client gave the message", examples.KEY),
    Bounds(minLength=1, maxLength=NONCE_LIMIT),
]
SentAt = Annotated[Moment, FieldDoc("When the message was stored, in UTC", examples.MOMENT)]
At = Annotated[Moment, FieldDoc("When it happened, in UTC", examples.MOMENT)]
By = Annotated[UUID, FieldDoc("The profile of the person who did it", examples.ANNA)]
ReadBy = Annotated[UUID, FieldDoc("The profile of the reader", examples.MIKHAIL)]
RequestId = Annotated[
    str | int | None,
    FieldDoc("The `id` of the request; null if the request had none, or one that is not allowed", 17),
]
SessionId = Annotated[
    UUID, FieldDoc("The session that the token belongs to. The socket closes when it ends", examples.SESSION)
]
UserId = Annotated[UUID, FieldDoc("The profile of the person who signed in", examples.ANNA)]
Epoch = Annotated[
    str,
    FieldDoc(
        "The line of history of this database. Positions compare only within one epoch",
        "5f0d2ab1-74c1-4d0a-9c1e-0a9f2c6b7d11",
    ),
]
Cursor = Annotated[
    str,
    FieldDoc(
        "Everything before it has been sent. Keep it after the frames before it are handled, and resume from it",
        examples.CURSOR,
    ),
]
ErrorText = Annotated[
    str, FieldDoc("What went wrong, for people", "Failed to process message: invalid message")
]
ErrorCode = Annotated[str, FieldDoc("What went wrong, as a stable code", "malformed")]

# Parts of frames


class Person(TypedDict):
    """A person, as others see them. A placeholder stands for a closed account."""

    first_name: Annotated[str | None, FieldDoc("The first name", "Анна")]
    last_name: Annotated[str | None, FieldDoc("The last name", "Морозова")]
    middle_name: Annotated[str | None, FieldDoc("The middle name or patronymic", "Игоревна")]
    username: Annotated[str | None, FieldDoc("The name under which others find the person", "anna")]
    id: Annotated[UUID, FieldDoc("The id of the person in chats and on sockets: a profile", examples.ANNA)]


class Message(TypedDict):
    """A message of a chat."""

    id: Annotated[UUID, FieldDoc("The id of the message", examples.MESSAGE)]
    created_at: Annotated[Moment, FieldDoc("The same as `sent_at`", examples.MOMENT)]
    updated_at: Annotated[Moment, FieldDoc("The same as `sent_at`", examples.MOMENT)]
    text: Annotated[
        str,
        FieldDoc("The text, without whitespace around it", "Идём сегодня в кино?"),
        Bounds(minLength=1),
    ]
    sender: Annotated[Person, FieldDoc("The author")]
    read_at: Annotated[
        Moment | None,
        FieldDoc("When somebody else first read the message, in UTC; null before", examples.MOMENT),
    ]
    sent_at: SentAt
    chat_id: Annotated[UUID, FieldDoc("The chat that the message is in", examples.CHAT)]
    sender_id: Annotated[UUID, FieldDoc("The profile of the author", examples.ANNA)]
    seq: Seq
    position: Position
    nonce: NotRequired[Nonce]


class Chat(TypedDict):
    """A chat, without what differs between its members."""

    id: Annotated[UUID, FieldDoc("The id of the chat", examples.CHAT)]
    kind: Annotated[Kind, FieldDoc("`group`, or `direct` for the one chat of two people", "group")]
    name: Annotated[
        str, FieldDoc("The name of the group; of a direct chat, that of the other person", "Обед")
    ]
    description: Annotated[str | None, FieldDoc("What the group is about", "Куда идём и кто с нами")]
    owner: Annotated[Person, FieldDoc("The owner of the group; of a direct chat, who opened it")]
    other: Annotated[Person | None, FieldDoc("The other person of a direct chat; null in a group")]
    member_count: Annotated[int, FieldDoc("The number of members", 3), Bounds(minimum=0)]
    created_at: Annotated[Moment, FieldDoc("When the chat was created, in UTC", examples.MOMENT)]
    updated_at: Annotated[
        Moment, FieldDoc("When name, description or members last changed, in UTC", examples.MOMENT)
    ]


class Entry(TypedDict):
    """A chat as one of its members sees it at the moment of the read."""

    chat: Annotated[Chat, FieldDoc("What is the same for all members")]
    role: Annotated[Role, FieldDoc("This person's role in the chat", "owner")]
    last_message: Annotated[Message | None, FieldDoc("The newest message; null in an empty chat")]
    unread_count: UnreadCount
    read_up_to: ReadUpTo
    seq: LastSeq
    position: LastPosition


class Member(TypedDict):
    """A member of a chat."""

    profile: Annotated[Person, FieldDoc("The person")]
    role: Annotated[Role, FieldDoc("The role in the chat", "member")]
    joined_at: Annotated[Moment, FieldDoc("When the person joined, in UTC", examples.MOMENT)]
    read_up_to: Annotated[
        int, FieldDoc("The `seq` up to which the member has read the chat", 16), Bounds(minimum=0)
    ]


class Reader(TypedDict):
    """A member who has read a message."""

    profile: Annotated[Person, FieldDoc("The reader")]
    read_at: Annotated[Moment, FieldDoc("When the person read the message, in UTC", examples.MOMENT)]


class Limits(TypedDict):
    """The limits of this server for clients."""

    text: Annotated[int, FieldDoc("The most characters of a message's text", BODY_LIMIT)]
    frame: Annotated[
        int,
        FieldDoc("The most bytes of a WebSocket message of the client; a longer one closes with 1009", 65536),
    ]


class Greeting(TypedDict):
    """The limits and intervals that `auth_success` tells every client."""

    heartbeat_interval: Annotated[
        float,
        FieldDoc(
            "Seconds between two pings of the server (`WS_HEARTBEAT_SECONDS`)",
            25.0,
        ),
    ]
    limits: Annotated[Limits, FieldDoc("What this server accepts of a client")]


# The entry


class AuthSuccess(Greeting):
    """The client has entered. The history, or what was missed, follows."""

    type: Literal["auth_success"]
    user_id: UserId
    chat_id: ChatId
    session_id: SessionId
    epoch: Epoch
    seq: Annotated[
        int,
        FieldDoc("The `seq` of the newest message, at which the history or the replay ends", 16),
        Bounds(minimum=0),
    ]
    position: Annotated[
        int,
        FieldDoc("The position at which the history or the replay ends; live frames begin right behind", 16),
        Bounds(minimum=0),
    ]


class AuthSuccessAll(Greeting):
    """The client has entered. The first page of chats, or what was missed, follows."""

    type: Literal["auth_success"]
    user_id: UserId
    session_id: SessionId
    epoch: Epoch
    cursor: Cursor


class AuthError(TypedDict):
    """The entry is refused. The close code 1008 follows."""

    type: Literal["auth_error"]
    message: Annotated[str, FieldDoc("What went wrong, for people", "Authentication failed")]
    code: Annotated[str, FieldDoc("Why the entry is refused, as a stable code", "token_expired")]


class ChatHistory(TypedDict):
    """A page of the chat's messages: the newest ten on entry, otherwise what `get_chat_history` asked for."""

    type: Literal["chat_history"]
    messages: Annotated[list[Message], FieldDoc("The messages of the page, the oldest first")]
    total_count: Annotated[int, FieldDoc("The number of messages in the chat", 16), Bounds(minimum=0)]
    unread_count: UnreadCount


class Resumed(TypedDict):
    """Everything that was missed has been sent. The counts stand for the frames that are not replayed."""

    type: Literal["resumed"]
    chat_id: ChatId
    position: LastPosition
    unread_count: UnreadCount
    read_up_to: ReadUpTo
    others_read_up_to: OthersReadUpTo


class ResetOfChat(TypedDict):
    """The missed frames cannot be replayed. A `chat_history` follows, which replaces what was known of the chat."""

    type: Literal["reset"]
    chat_id: ChatId
    reason: Annotated[Reset, FieldDoc("Why a replay is not possible", "too_far")]


class ResumedAll(TypedDict):
    """Everything that was missed has been sent; what follows is live."""

    type: Literal["resumed"]
    cursor: Cursor


class CursorPassed(TypedDict):
    """A later cursor. It comes at most every ten seconds (`WS_CURSOR_SECONDS`), and only when something happened."""

    type: Literal["cursor"]
    cursor: Cursor


class ResetAll(TypedDict):
    """The cursor cannot be used. A `snapshot` follows, which replaces everything that was known."""

    type: Literal["reset"]
    scope: Annotated[Literal["all"], FieldDoc("`all`: everything that was known is to be forgotten", "all")]
    reason: Annotated[Reset, FieldDoc("Why the cursor cannot be used", "epoch")]


class ResetOne(TypedDict):
    """The client's state of one chat is wrong. `state` replaces it."""

    type: Literal["reset"]
    scope: Annotated[Literal["chat"], FieldDoc("`chat`: only this chat is concerned", "chat")]
    chat_id: ChatId
    reason: Annotated[
        Reset, FieldDoc("Why what was known is wrong: `seen` named a position `ahead` of the chat", "ahead")
    ]
    state: Annotated[Entry, FieldDoc("The chat as it is now")]


class Snapshot(TypedDict):
    """A page of the person's chats, newest activity first. `more` reads the next one."""

    type: Literal["snapshot"]
    id: NotRequired[
        Annotated[str | int | None, FieldDoc("The `id` of the `more`; the first page has none", 17)]
    ]
    chats: Annotated[
        list[Entry],
        FieldDoc("The chats of the page. Keep an entry unless a higher `position` of that chat is known"),
    ]
    next: Annotated[
        str | None, FieldDoc("What to send as `next` of `more`; null on the last page", examples.CURSOR)
    ]


class Gap(TypedDict):
    """Too many events of this chat were missed. Those between the two positions are not sent; `catch_up` reads them."""

    type: Literal["gap"]
    chat_id: ChatId
    after: Annotated[
        int, FieldDoc("The last position that the client knows of the chat", 41), Bounds(minimum=0)
    ]
    before: Annotated[int, FieldDoc("The position with which live frames continue", 1342), Bounds(minimum=1)]
    state: Annotated[Entry, FieldDoc("The chat as it is now, up to the position before `before`")]


class ChatAdded(TypedDict):
    """The person is in this chat, as of now or since they were away. It replaces what was known of the chat."""

    type: Literal["chat_added"]
    chat_id: ChatId
    chat: Annotated[Entry, FieldDoc("The chat as it is now")]


class ChatRemoved(TypedDict):
    """The chat is no longer this person's. Nothing more of it is told."""

    type: Literal["chat_removed"]
    chat_id: ChatId
    reason: Annotated[
        Removal,
        FieldDoc("The person was `removed`, has `left`, or the chat is `chat_deleted`", "removed"),
    ]


class ReadUpToOwn(TypedDict):
    """How far this person has read a chat, on whichever device."""

    type: Literal["read_up_to"]
    chat_id: ChatId
    seq: ReadUpTo
    unread_count: Annotated[
        int,
        FieldDoc("The number of messages of others up to `last_seq` that are not read", 0),
        Bounds(minimum=0),
    ]
    last_seq: Annotated[
        int, FieldDoc("The newest message that `unread_count` takes into account", 16), Bounds(minimum=0)
    ]
    others_read_up_to: NotRequired[
        Annotated[
            int,
            FieldDoc(
                "The `seq` up to which anybody else has read; only when resuming, and after a `gap`", 15
            ),
            Bounds(minimum=0),
        ]
    ]


# Answers


class MessageAck(TypedDict):
    """The message is on disk. The own `new_message` comes later."""

    type: Literal["message_ack"]
    nonce: Nonce
    id: Annotated[UUID, FieldDoc("The id of the message", examples.MESSAGE)]
    seq: Seq
    position: Annotated[
        int,
        FieldDoc(
            "The position of the message. Never kept as the client's own: earlier frames of others may be on their way",
            16,
        ),
        Bounds(minimum=1),
    ]
    sent_at: SentAt
    duplicate: Annotated[
        bool, FieldDoc("Whether the nonce was used before; then this is the first message", example=False)
    ]


class CountOfUnread(TypedDict):
    """Answers `get_unread_count`."""

    type: Literal["unread_count"]
    chat_id: ChatId
    count: UnreadCount


class Pong(TypedDict):
    """Answers `ping`."""

    type: Literal["pong"]
    id: Annotated[Any, FieldDoc("The `id` of the `ping`, unchanged; null if it had none", 17)]


class Goaway(TypedDict):
    """The server is about to stop. Leave within the time that it names, at a random moment, and connect again."""

    type: Literal["goaway"]
    within: Annotated[
        int,
        FieldDoc("Seconds after which the server closes the connection itself, with 1012", 30),
        Bounds(minimum=0),
    ]


class Availability(TypedDict):
    """Whether a person is online. A person is while any client of theirs is connected, on whichever socket."""

    user_id: Annotated[UUID, FieldDoc("The profile of the person", examples.MIKHAIL)]
    online: Annotated[bool, FieldDoc("Whether the person is online", example=True)]
    last_seen_at: Annotated[
        Moment | None,
        FieldDoc(
            "When the person was last online, in UTC; null while they are, or if it is not known",
            examples.MOMENT,
        ),
    ]


class PresenceTold(Availability):
    """The presence of a person whom this client watches has changed."""

    type: Literal["presence"]


class PresenceEnded(TypedDict):
    """The presence of a person is no longer told: the two share no chat any more, or that person's account is closed."""

    type: Literal["presence_ended"]
    user_id: Annotated[UUID, FieldDoc("The profile of the person", examples.MIKHAIL)]


class ErrorDetails(TypedDict, total=False):
    """Fields that some errors carry."""

    nonce: Annotated[str, FieldDoc("The nonce of the refused message", examples.KEY)]
    retry_after: Annotated[float, FieldDoc("Seconds after which to send again", 1.0), Bounds(minimum=0)]
    id: Annotated[UUID, FieldDoc("With `nonce_reused`: the id of the first message", examples.MESSAGE)]
    seq: Annotated[
        int, FieldDoc("With `nonce_reused`: the `seq` of the first message", 16), Bounds(minimum=1)
    ]


class Error(ErrorDetails):
    """A frame was refused. Errors come in the order of the frames, among the other answers."""

    type: Literal["error"]
    message: ErrorText
    code: ErrorCode


class RefusalDetails(TypedDict, total=False):
    """Fields that some refusals carry."""

    retry_after: Annotated[float, FieldDoc("Seconds after which to send again", 1.0), Bounds(minimum=0)]
    nonce: Annotated[str, FieldDoc("The nonce of the refused message", examples.KEY)]
    message_id: Annotated[
        UUID, FieldDoc("With `nonce_reused`: the id of the first message", examples.MESSAGE)
    ]
    seq: Annotated[
        int, FieldDoc("With `nonce_reused`: the `seq` of the first message", 16), Bounds(minimum=1)
    ]


class Refused(RefusalDetails):
    """A request was refused. Errors come in the order of the requests, among the other answers."""

    type: Literal["error"]
    id: NotRequired[RequestId]
    message: ErrorText
    code: ErrorCode


class Answer(TypedDict):
    """A request was carried out. Its further fields depend on the request."""

    type: Literal["answer"]
    id: RequestId


# The fields of answers besides type and id


class Nothing(TypedDict):
    """The request was carried out, and there is nothing more to say."""


class SentMessage(TypedDict):
    """A message that was sent."""

    id: Annotated[UUID, FieldDoc("The id of the message", examples.MESSAGE)]
    seq: Seq
    position: Position
    sent_at: SentAt
    nonce: NotRequired[Nonce]


class Sent(TypedDict):
    """The message is on disk. With a nonce, the own `new_message` comes after this answer."""

    chat_id: ChatId
    message: Annotated[SentMessage, FieldDoc("The message that was stored")]
    duplicate: Annotated[
        bool, FieldDoc("Whether the nonce was used before; then this is the first message", example=False)
    ]


class Marked(TypedDict):
    """How far the person has now read the chat."""

    read_up_to: ReadUpTo
    unread_count: UnreadCount


class History(TypedDict):
    """A page of messages."""

    messages: Annotated[list[Message], FieldDoc("The messages of the page, the oldest first")]
    total_count: Annotated[int, FieldDoc("The number of messages in the chat", 16), Bounds(minimum=0)]
    has_before: Annotated[bool, FieldDoc("Whether there are older messages", example=True)]
    has_after: Annotated[bool, FieldDoc("Whether there are newer messages", example=False)]


class Readers(TypedDict):
    """The members who have read a message."""

    readers: Annotated[list[Reader], FieldDoc("The readers, the first one first; 1,000 at most")]


class Watching(TypedDict):
    """The people whose presence is watched from now on."""

    watching: Annotated[
        list[Availability],
        FieldDoc("The state of those of the named people who can be watched. The others are left out"),
    ]


class EntryOfChat(Entry):
    """The chat as it is now."""

    chat_id: ChatId


class Members(TypedDict):
    """All members of the chat, as they are now."""

    members: Annotated[list[Member], FieldDoc("The members, the owner first")]


# What a chat tells


class Durable(TypedDict):
    """The fields of every frame that has a place in the chat's log and is replayed after a break."""

    chat_id: ChatId
    position: Position
    after: Annotated[
        int,
        FieldDoc("The position before this one. If it is not known, something was missed", 15),
        Bounds(minimum=0),
    ]


class NewMessage(Durable):
    """Somebody sent a message. All members hear it, the author too."""

    type: Literal["new_message"]
    message: Annotated[Message, FieldDoc("The message")]


class ChatChanged(Durable):
    """The name or the description of the chat changed."""

    type: Literal["chat_changed"]
    name: Annotated[str, FieldDoc("The name as it is now", "Кино")]
    description: Annotated[str | None, FieldDoc("The description as it is now", "По пятницам")]
    by: By
    timestamp: At


class MemberAdded(Durable):
    """Somebody joined the chat."""

    type: Literal["member_added"]
    member: Annotated[Person, FieldDoc("The new member")]
    by: By
    timestamp: At


class MemberRemoved(Durable):
    """Somebody left the chat or was removed."""

    type: Literal["member_removed"]
    user_id: Annotated[UUID, FieldDoc("The profile of the person who is gone", examples.MIKHAIL)]
    by: Annotated[
        UUID, FieldDoc("The profile of the person who did it; the same if the person left", examples.ANNA)
    ]
    timestamp: At


class RoleChanged(Durable):
    """A member has another role now."""

    type: Literal["role_changed"]
    user_id: Annotated[UUID, FieldDoc("The profile of the member", examples.MIKHAIL)]
    role: Annotated[Role, FieldDoc("The role as it is now", "admin")]
    by: By
    timestamp: At


DurableFrame = NewMessage | ChatChanged | MemberAdded | MemberRemoved | RoleChanged


class CaughtUp(TypedDict):
    """A part of the chat's log."""

    chat_id: ChatId
    events: Annotated[list[DurableFrame], FieldDoc("The durable frames of the part, in order")]
    position: Annotated[
        int, FieldDoc("The last position of the part: what to send as `after` next", 141), Bounds(minimum=0)
    ]
    has_more: Annotated[bool, FieldDoc("Whether there is more of what was asked for", example=False)]


AnswerFields = Sent | Marked | History | Readers | CaughtUp | EntryOfChat | Members | Watching | Nothing
"""The fields of answers besides type and id. `interfaces.wire.registry` says which request has which."""


class Typing(TypedDict):
    """Somebody is typing, or has stopped. Each state is told at most once a second, the last one always."""

    type: Literal["typing"]
    chat_id: ChatId
    user_id: Annotated[UUID, FieldDoc("The profile of the person who types", examples.MIKHAIL)]
    is_typing: Annotated[bool, FieldDoc("Whether the person is typing", example=True)]
    timestamp: At


class MessagesRead(TypedDict):
    """A member has read messages of others. Not told in chats of more than 100 members."""

    type: Literal["messages_read"]
    chat_id: ChatId
    read_by: ReadBy
    message_ids: Annotated[
        list[UUID], FieldDoc("The messages that became read, the newest 1,000 at most", [examples.MESSAGE])
    ]
    read_count: Annotated[int, FieldDoc("How many messages became read", 1), Bounds(minimum=0)]
    from_seq: Annotated[int, FieldDoc("The first `seq` that became read", 16), Bounds(minimum=1)]
    to_seq: Annotated[int, FieldDoc("The last `seq` that became read", 16), Bounds(minimum=1)]
    timestamp: At


class YourMessagesRead(TypedDict):
    """Somebody has read messages of this person. In chats of more than 100 members at most once a second."""

    type: Literal["your_messages_read"]
    chat_id: ChatId
    read_by: ReadBy
    read_count: Annotated[
        int, FieldDoc("How many of this person's messages became read", 1), Bounds(minimum=1)
    ]
    timestamp: At


class MessageRead(TypedDict):
    """Somebody has read one message of this person, marked by `mark_single_read`."""

    type: Literal["message_read"]
    chat_id: ChatId
    message_id: Annotated[UUID, FieldDoc("The message", examples.MESSAGE)]
    read_by: ReadBy
    timestamp: At


class Present(TypedDict):
    """Somebody who comes or goes."""

    chat_id: ChatId
    user_id: Annotated[UUID, FieldDoc("The profile of the person", examples.MIKHAIL)]
    timestamp: At


class UserJoined(Present):
    """The first socket of a person opened in this chat. Not told in chats of more than 100 members."""

    type: Literal["user_joined"]


class UserLeft(Present):
    """A person sent `leave_chat` on the last socket in this chat. Not told in chats of more than 100 members."""

    type: Literal["user_left"]


class UserDisconnected(Present):
    """The last socket of a person closed in this chat. Not told in chats of more than 100 members."""

    type: Literal["user_disconnected"]


class StreamEnd(TypedDict):
    """The last event of an event stream. It stands for the close of a socket."""

    type: Literal["end"]
    code: Annotated[int, FieldDoc("The close code with which a socket would close", 1012)]
    reason: Annotated[str, FieldDoc("The reason, for people; it may be empty", "history changed")]
    come_back: Annotated[
        bool, FieldDoc("Whether to connect again by oneself; if not, the session is over", example=True)
    ]


AnyFrame = (
    AuthSuccess
    | AuthSuccessAll
    | AuthError
    | ChatHistory
    | Resumed
    | ResumedAll
    | CursorPassed
    | ResetOfChat
    | ResetAll
    | ResetOne
    | Snapshot
    | Gap
    | ChatAdded
    | ChatRemoved
    | ReadUpToOwn
    | MessageAck
    | CountOfUnread
    | Pong
    | Goaway
    | PresenceTold
    | PresenceEnded
    | Error
    | Refused
    | Answer
    | NewMessage
    | ChatChanged
    | MemberAdded
    | MemberRemoved
    | RoleChanged
    | Typing
    | MessagesRead
    | YourMessagesRead
    | MessageRead
    | UserJoined
    | UserLeft
    | UserDisconnected
    | StreamEnd
)
"""Every frame that the server sends. A type that is not here cannot be written, and each type has a row in the registry."""
