"""
The registry of frames: which frames there are on which channel, what they mean, and what follows them.

It adds to the types of frames (`interfaces.wire.server_frames`, `interfaces.wire.client_frames`, and the shapes of
`interfaces.wire.codec` for requests that HTTP has too) what a type cannot say. `/asyncapi.json`, `/docs/events` and the checks
of `docs/protocol.md` are made from it. A frame that is decoded or encoded without a row here fails a test.
"""

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from functools import cache
from inspect import cleandoc
from itertools import combinations
from typing import Any, Final, get_args, get_type_hints

from attrs import NOTHING, fields_dict, frozen

from application.errors import OutcomeUnknown, Unavailable
from application.paging import BadPlace
from application.ports.limiter import TooManyRequests
from application.updates.presence import TooManyWatched
from domain.chat_errors import ChatNotFound, NotAMember
from domain.scope import ScopeMissing
from interfaces.wire import client_frames as asked
from interfaces.wire import codec
from interfaces.wire import server_frames as told
from interfaces.wire.commands import REFUSALS, VALUES, Errors
from interfaces.wire.frames import Malformed
from interfaces.wire.schema import Schema, example_of, schema_of
from interfaces.wire.validation import REQUIRED, Shape

REFERENCE: Final = "#/components/schemas/"


class Channel(StrEnum):
    """A connection on which frames are sent."""

    CHAT = "chat"
    """The socket of one chat."""
    ALL_CHATS = "allChats"
    """The socket of all chats."""
    EVENTS = "events"
    """The event stream of all chats, over HTTP."""


@frozen(kw_only=True)
class ChannelDoc:
    """The purpose and the path of a channel."""

    path: str
    title: str
    summary: str
    description: str


ORDER: Final = (
    "Frames of one socket are decided in the order in which they were sent. Sends may overlap; every other frame waits for"
    " the sends before it. Answers come in the order of the frames that they belong to."
)
"""The order of answers, on either socket."""

CHANNELS: Final[Mapping[Channel, ChannelDoc]] = {
    Channel.CHAT: ChannelDoc(
        path="/chats/{chat_id}/ws",
        title="The socket of one chat",
        summary="A WebSocket that hears one chat, as in the original messenger.",
        description="The first frame of the client is `auth`. The server answers `auth_success`, then `chat_history` or what"
        f" was missed, and from then on it tells everything that happens in the chat. {ORDER}",
    ),
    Channel.ALL_CHATS: ChannelDoc(
        path="/ws",
        title="The socket of all chats",
        summary="A WebSocket that hears all chats of a person, those made or joined later too.",
        description="The first frame of the client is `auth`. The server answers `auth_success`, then a `snapshot` of the"
        " chats or what was missed, then `resumed`. Every later frame of the client is a request with an `id`, and gets one"
        f" answer with that `id`. {ORDER}",
    ),
    Channel.EVENTS: ChannelDoc(
        path="/events/",
        title="The event stream of all chats",
        summary="Server-sent events over HTTP: what the socket of all chats tells, for networks without WebSockets.",
        description="The `data` of each event is one frame; events have no name. The `id` of an event is the cursor that holds"
        " once it is handled, to be sent as `Last-Event-ID` when coming back, or as `since`. The access token is sent in the"
        " header `Authorization`. Nothing can be sent over it: requests go over HTTP.",
    ),
}

CHAT: Final = (Channel.CHAT,)
ALL_CHATS: Final = (Channel.ALL_CHATS,)
SOCKETS: Final = (Channel.CHAT, Channel.ALL_CHATS)
OF_ALL: Final = (Channel.ALL_CHATS, Channel.EVENTS)
EVERYWHERE: Final = (Channel.CHAT, Channel.ALL_CHATS, Channel.EVENTS)


@frozen(kw_only=True, eq=False)
class ServerFrame:
    """A frame that the server sends."""

    fields: type
    """The type of the frame; its docstring says what the frame tells."""
    on: tuple[Channel, ...]
    do: str
    """The advice to a client that gets it."""
    feature: str = ""
    """The name in `features` of `auth` without which a socket of one chat is not sent it."""

    @property
    def key(self) -> str:
        """The name of the frame in the document, where several frames may have one ``type``."""
        return self.fields.__name__

    @property
    def type(self) -> str:
        return type_of(self.fields)

    @property
    def meaning(self) -> str:
        return cleandoc(self.fields.__doc__ or "")

    @property
    def is_durable(self) -> bool:
        return (
            "after" in self.fields.__annotations__
            or told.Durable.__annotations__.keys() <= hints(self.fields).keys()
        )

    def schema(self, named: dict[str, Schema]) -> Schema:
        """The schema of the frame. Schemas that it refers to are added to ``named``."""
        return frame_schema(self.fields, named)


@frozen(kw_only=True, eq=False)
class ClientFrame:
    """A frame that a client sends."""

    fields: Any
    """The type of the frame, or the shape of the same request over HTTP."""
    on: Channel
    named: str = ""
    """The ``type`` of a frame that is described by a shape."""
    summary: str = ""
    """The meaning of a frame that is described by a shape. Other frames have a docstring at their type."""
    answer: type | None = None
    """The frame that answers it or, on the socket of all chats, the fields of the `answer`. None if nothing does."""
    then: str = ""
    """A sentence about the frames that follow, or about why there is no answer."""
    at_most_one: tuple[str, ...] = ()
    """Fields of which no two may be sent together."""
    refuses: tuple[type[Exception], ...] = ()
    """The errors with which it may be refused, besides those of every frame (`EVERY_FRAME`)."""
    codes: tuple[str, ...] = ()
    """Codes of refusals that no error has of its own."""

    @property
    def key(self) -> str:
        """The name of the frame in the document."""
        return f"{_title(self.type)}Request{'All' if self.on is Channel.ALL_CHATS else ''}"

    @property
    def type(self) -> str:
        return self.named or type_of(self.fields)

    @property
    def meaning(self) -> str:
        return self.summary or cleandoc(self.fields.__doc__ or "")

    @property
    def refusals(self) -> Sequence[str]:
        """The codes of errors that may answer it."""
        return [*dict.fromkeys([*EVERY_FRAME, *(code_of(error) for error in self.refuses), *self.codes])]

    def schema(self, named: dict[str, Schema]) -> Schema:
        """The schema of the frame. Schemas that it refers to are added to ``named``."""
        if not isinstance(self.fields, Shape):
            schema = frame_schema(self.fields, named)
            pairs = [{"required": pair} for pair in combinations(self.at_most_one, 2)]
            return {**schema, "not": {"anyOf": pairs}} if pairs else schema
        id = frame_schema(asked.Request, named)["properties"]
        assert isinstance(id, dict)
        properties: dict[str, Schema] = {"type": {"const": self.named}, **id}
        for attribute, spec in self.fields.fields.items():
            properties[_in_snake_case(attribute, spec.name)] = spec.schema
        required = [
            _in_snake_case(attribute, spec.name)
            for attribute, spec in self.fields.fields.items()
            if spec.absent is REQUIRED and fields_dict(self.fields.command)[attribute].default is NOTHING
        ]
        return {"type": "object", "properties": properties, "required": ["type", *required]}

    def answer_schema(self, named: dict[str, Schema]) -> Schema | None:
        """The schema of the frame that answers it."""
        if self.answer is None:
            return None
        if "type" in hints(self.answer):
            return frame_schema(self.answer, named)
        answer, further = frame_schema(told.Answer, named), frame_schema(self.answer, named)
        return _both(answer, further)

    @property
    def answer_key(self) -> str:
        """The name of the frame that answers it in the document."""
        assert self.answer is not None, "a frame without an answer has no name for it"
        return self.answer.__name__ if "type" in hints(self.answer) else f"Answer{self.answer.__name__}"


Row = ServerFrame | ClientFrame

READS: Final = (Unavailable,)
WRITES: Final = (ScopeMissing, Unavailable, OutcomeUnknown)


def refusals_of(command: str, storage: Errors = READS) -> Errors:
    """The errors with which a frame of a command may be refused, with those of storage."""
    return (*VALUES.get(command, ()), *REFUSALS[command], *storage)


SENDS: Final = refusals_of("send_message", WRITES)
MARKS: Final = refusals_of("mark_read", WRITES)

EVERY_FRAME: Final = (Malformed.code,)
"""The codes with which any frame may be refused after the entry."""

UNKNOWN_TYPE: Final = "unknown_type"
"""The code for a frame of a type that the socket does not have."""

TOKEN_CODES: Final = ("token_expired", "token_invalid", "token_type", "auth_timeout", Malformed.code)
ENTRY_CODES: Final[Mapping[Channel, Sequence[str]]] = {
    Channel.CHAT: (*TOKEN_CODES, NotAMember.code, ChatNotFound.code),
    Channel.ALL_CHATS: TOKEN_CODES,
    Channel.EVENTS: (),
}
"""The codes of `auth_error` on each socket. An event stream is refused as any request over HTTP is."""

FROM_SERVER: Final[Sequence[ServerFrame]] = (
    ServerFrame(
        fields=told.AuthSuccess,
        on=CHAT,
        do="Keep `epoch`. Keep `position` once the `chat_history` after it is handled; when resuming, keep the position of"
        " each frame that follows instead.",
    ),
    ServerFrame(
        fields=told.AuthSuccessAll,
        on=OF_ALL,
        do="Keep `epoch`. Keep `cursor` once the `snapshot` after it is handled; when resuming, keep the `cursor` of"
        " `resumed` instead.",
    ),
    ServerFrame(
        fields=told.AuthError,
        on=SOCKETS,
        do="After `token_expired` refresh the tokens and connect again. After any other code do not come back with this"
        " token.",
    ),
    ServerFrame(
        fields=told.ChatHistory,
        on=CHAT,
        do="Show the messages. After `reset`, forget what was known of the chat before.",
    ),
    ServerFrame(
        fields=told.Resumed,
        on=CHAT,
        do="Take over the counts, then send again what has no `message_ack` yet, under the old nonces.",
    ),
    ServerFrame(
        fields=told.ResumedAll,
        on=OF_ALL,
        do="Keep the cursor, then send again what has no answer yet, under the old nonces.",
    ),
    ServerFrame(
        fields=told.CursorPassed, on=OF_ALL, do="Keep the cursor once the frames before it are handled."
    ),
    ServerFrame(
        fields=told.ResetOfChat, on=CHAT, do="Forget what is known of the chat, and take what follows."
    ),
    ServerFrame(
        fields=told.ResetAll,
        on=OF_ALL,
        do="Forget everything but messages that are not acknowledged, and take what follows.",
    ),
    ServerFrame(fields=told.ResetOne, on=OF_ALL, do="Replace what is known of the chat by `state`."),
    ServerFrame(
        fields=told.Snapshot,
        on=OF_ALL,
        do="Keep the entries. Read the next page with `more` when it is needed; chats are heard without that.",
    ),
    ServerFrame(
        fields=told.Gap,
        on=OF_ALL,
        do="Replace the chat by `state`. Read the events between with `catch_up`, or the messages with `get_history`, when"
        " they are needed.",
    ),
    ServerFrame(
        fields=told.ChatAdded, on=OF_ALL, do="Replace what is known of the chat, and expect its frames."
    ),
    ServerFrame(fields=told.ChatRemoved, on=OF_ALL, do="Take the chat off the list."),
    ServerFrame(
        fields=told.ReadUpToOwn,
        on=OF_ALL,
        do="Show the counts; add the messages after `last_seq` that are known already.",
    ),
    ServerFrame(fields=told.MessageAck, on=CHAT, do="Forget the nonce: the message need not be sent again."),
    ServerFrame(fields=told.CountOfUnread, on=CHAT, do="Show the count."),
    ServerFrame(fields=told.Pong, on=SOCKETS, do="Take everything sent before the `ping` for answered."),
    ServerFrame(
        fields=told.Goaway,
        on=EVERYWHERE,
        do="Within `within` seconds, at a random moment, send what has begun, close with 1000 and come back at once.",
        feature="goaway",
    ),
    ServerFrame(fields=told.PresenceTold, on=ALL_CHATS, do="Show whether the person is online."),
    ServerFrame(
        fields=told.PresenceEnded, on=ALL_CHATS, do="Show nothing about whether the person is online."
    ),
    ServerFrame(fields=told.Error, on=CHAT, do="Look the code up in the table of errors."),
    ServerFrame(fields=told.Refused, on=ALL_CHATS, do="Look the code up in the table of errors."),
    ServerFrame(
        fields=told.NewMessage,
        on=EVERYWHERE,
        do="Show the message. It is a repeat if its position is not above the last one known of the chat.",
    ),
    ServerFrame(fields=told.ChatChanged, on=EVERYWHERE, do="Show the new name and description."),
    ServerFrame(fields=told.MemberAdded, on=EVERYWHERE, do="Add the person to the members."),
    ServerFrame(fields=told.MemberRemoved, on=EVERYWHERE, do="Take the person off the members."),
    ServerFrame(fields=told.RoleChanged, on=EVERYWHERE, do="Show the new role, and offer what it allows."),
    ServerFrame(
        fields=told.Typing,
        on=EVERYWHERE,
        do="Show it, and forget it some seconds later if nothing else comes.",
    ),
    ServerFrame(
        fields=told.MessagesRead, on=EVERYWHERE, do="Mark the messages from `from_seq` to `to_seq` as read."
    ),
    ServerFrame(fields=told.YourMessagesRead, on=EVERYWHERE, do="Mark own messages as read."),
    ServerFrame(fields=told.MessageRead, on=EVERYWHERE, do="Mark this one message as read."),
    ServerFrame(
        fields=told.StreamEnd,
        on=(Channel.EVENTS,),
        do="Come back after a pause if `come_back` says so, from the last cursor; otherwise sign in again.",
    ),
    ServerFrame(fields=told.UserJoined, on=CHAT, do="Show that the person is there."),
    ServerFrame(fields=told.UserLeft, on=CHAT, do="Show that the person is away."),
    ServerFrame(fields=told.UserDisconnected, on=CHAT, do="Show that the person is away."),
)
"""The frames that the server sends, but for those `answer` frames that rows of `FROM_CLIENTS` describe."""

FROM_CLIENTS: Final[Sequence[ClientFrame]] = (
    ClientFrame(
        fields=asked.Auth,
        on=Channel.CHAT,
        answer=told.AuthSuccess,
        then="Then `chat_history`; with `since` what was missed and `resumed`, or `reset` and `chat_history`.",
    ),
    ClientFrame(
        fields=asked.SendMessage,
        on=Channel.CHAT,
        answer=told.MessageAck,
        then="Then `new_message`, like everybody else. Without a nonce only that.",
        refuses=SENDS,
    ),
    ClientFrame(
        fields=asked.MarkRead,
        on=Channel.CHAT,
        then="No answer: the chat hears `messages_read`, and authors `your_messages_read`.",
        refuses=MARKS,
    ),
    ClientFrame(
        fields=asked.MarkSingleRead,
        on=Channel.CHAT,
        then="No answer: the author hears `message_read`.",
        refuses=refusals_of("mark_single_read", WRITES),
    ),
    ClientFrame(
        fields=asked.Typing,
        on=Channel.CHAT,
        then="No answer: the others hear each state at most once a second, always the last one.",
        refuses=(TooManyRequests,),
    ),
    ClientFrame(
        fields=asked.GetChatHistory,
        on=Channel.CHAT,
        answer=told.ChatHistory,
        refuses=refusals_of("get_history"),
    ),
    ClientFrame(
        fields=asked.GetUnreadCount,
        on=Channel.CHAT,
        answer=told.CountOfUnread,
        refuses=refusals_of("get_unread_count"),
    ),
    ClientFrame(fields=asked.LeaveChat, on=Channel.CHAT, then="No answer: this socket hears no more."),
    ClientFrame(fields=asked.Ping, on=Channel.CHAT, answer=told.Pong),
    ClientFrame(
        fields=asked.AuthAll,
        on=Channel.ALL_CHATS,
        answer=told.AuthSuccessAll,
        then="Then a `snapshot`, or with `since` what was missed, and in both cases `resumed`. A `reset` comes before the"
        " `snapshot` if the cursor cannot be used.",
    ),
    ClientFrame(
        fields=asked.SendMessageTo,
        on=Channel.ALL_CHATS,
        answer=told.Sent,
        then="Then `new_message`, like everybody else.",
        refuses=SENDS,
    ),
    ClientFrame(
        fields=codec.MARK_READ,
        named="mark_read",
        summary="Marks a chat as read up to a message. A mark never goes back.",
        on=Channel.ALL_CHATS,
        answer=told.Marked,
        refuses=MARKS,
    ),
    ClientFrame(
        fields=asked.MarkSingleReadIn,
        on=Channel.ALL_CHATS,
        answer=told.Nothing,
        refuses=refusals_of("mark_single_read", WRITES),
    ),
    ClientFrame(
        fields=asked.TypingIn,
        on=Channel.ALL_CHATS,
        answer=told.Nothing,
        refuses=refusals_of("typing", (ScopeMissing, *READS)),
    ),
    ClientFrame(
        fields=asked.GetHistory,
        on=Channel.ALL_CHATS,
        answer=told.History,
        at_most_one=("before", "after", "around"),
        refuses=refusals_of("get_history"),
    ),
    ClientFrame(
        fields=asked.GetReaders,
        on=Channel.ALL_CHATS,
        answer=told.Readers,
        refuses=refusals_of("get_readers"),
    ),
    ClientFrame(
        fields=asked.CatchUp,
        on=Channel.ALL_CHATS,
        answer=told.CaughtUp,
        refuses=refusals_of("catch_up"),
    ),
    ClientFrame(
        fields=codec.CREATE_CHAT,
        named="create_chat",
        summary="Creates a group. A repeat under the same `key` is answered with the group that the first one created.",
        on=Channel.ALL_CHATS,
        answer=told.EntryOfChat,
        refuses=refusals_of("create_chat", WRITES),
    ),
    ClientFrame(
        fields=codec.OPEN_DIRECT,
        named="open_direct",
        summary="Opens the direct chat with a person: the one that there is, or a new one.",
        on=Channel.ALL_CHATS,
        answer=told.EntryOfChat,
        refuses=refusals_of("open_direct", WRITES),
    ),
    ClientFrame(
        fields=codec.CHANGE_CHAT,
        named="change_chat",
        summary="Changes the name and the description of a group, and adds people.",
        on=Channel.ALL_CHATS,
        answer=told.EntryOfChat,
        refuses=refusals_of("change_chat", WRITES),
    ),
    ClientFrame(
        fields=codec.ADD_MEMBERS,
        named="add_members",
        summary="Adds people to a group.",
        on=Channel.ALL_CHATS,
        answer=told.Members,
        refuses=refusals_of("add_members", WRITES),
    ),
    ClientFrame(
        fields=codec.REMOVE_MEMBER,
        named="remove_member",
        summary="Removes a member from a group, or leaves it (the own profile).",
        on=Channel.ALL_CHATS,
        answer=told.Nothing,
        refuses=refusals_of("remove_member", WRITES),
    ),
    ClientFrame(
        fields=codec.CHANGE_ROLE,
        named="change_role",
        summary="Changes the role of a member; `owner` hands the group over.",
        on=Channel.ALL_CHATS,
        answer=told.Members,
        refuses=refusals_of("change_role", WRITES),
    ),
    ClientFrame(
        fields=codec.DELETE_CHAT,
        named="delete_chat",
        summary="Deletes a group, for everybody.",
        on=Channel.ALL_CHATS,
        answer=told.Nothing,
        refuses=refusals_of("delete_chat", WRITES),
    ),
    ClientFrame(fields=asked.More, on=Channel.ALL_CHATS, answer=told.Snapshot, refuses=(BadPlace, *READS)),
    ClientFrame(
        fields=asked.WatchPresence,
        on=Channel.ALL_CHATS,
        answer=told.Watching,
        then="Then `presence` with each change, until the next `watch_presence` or the end of the connection.",
        refuses=(TooManyWatched, *READS),
    ),
    ClientFrame(fields=asked.Ping, on=Channel.ALL_CHATS, answer=told.Pong),
)
"""The frames that clients send."""


@frozen
class ErrorDoc:
    """The meaning of an error code, and the advice to a client that gets it."""

    meaning: str
    do: str


AGAIN: Final = "Sends again after `retry_after` seconds."
NOT_AGAIN: Final = "Does not repeat the frame: it is invalid."
LOOK: Final = "Reads the chat and its members again."

ERRORS: Final[Mapping[str, ErrorDoc]] = {
    "token_expired": ErrorDoc("The access token has expired.", "Refreshes the tokens and connects again."),
    "token_invalid": ErrorDoc(
        "The token is not a valid access token, its session has ended, or the first frame was no `auth`.",
        "Signs in again.",
    ),
    "token_type": ErrorDoc("The token is another one than an access token.", "Sends the access token."),
    "auth_timeout": ErrorDoc("No `auth` arrived in time.", "Connects again and sends `auth` at once."),
    "malformed": ErrorDoc(
        "The frame is not a JSON object, or a field has the wrong type or a value that is not allowed.",
        NOT_AGAIN,
    ),
    "unknown_type": ErrorDoc("This socket has no frame of this type.", NOT_AGAIN),
    "too_many_profiles": ErrorDoc(
        "More people are named than one connection may watch. Nothing has changed.", "Names fewer."
    ),
    "too_many_requests": ErrorDoc("The account did this too often. Nothing was done.", AGAIN),
    "too_many_members": ErrorDoc(
        "The group would have more members than it may; nobody was added.", "Names fewer."
    ),
    "too_many_chats": ErrorDoc(
        "The person, or one of those named, is in as many chats as one may be. Nothing was done.",
        "Leaves chats, or leaves that person out.",
    ),
    "not_acquainted": ErrorDoc(
        "Some of these people may not be put into a group by this person; nobody was added.",
        "Leaves them out: they must share a group with the person, or have opened or answered a direct chat.",
    ),
    "message_empty": ErrorDoc("Nothing in the text is visible.", NOT_AGAIN),
    "message_too_long": ErrorDoc("The text is longer than `limits.text`.", NOT_AGAIN),
    "unstorable_text": ErrorDoc("The text has the character U+0000.", NOT_AGAIN),
    "bad_nonce": ErrorDoc("The nonce is empty, too long, or has the character U+0000.", NOT_AGAIN),
    "nonce_reused": ErrorDoc(
        "The nonce was used for another text. The error identifies the first message.",
        "Takes a new nonce for the new text.",
    ),
    "too_frequent": ErrorDoc(
        "The same text was sent to this chat a moment ago, without a nonce.",
        "Says the same text again only later; messages with a nonce are never refused so.",
    ),
    "not_a_member": ErrorDoc("The person is not a member of the chat.", "Leaves the chat."),
    "chat_not_found": ErrorDoc(
        "There is no such chat, or none that this person knows of.", "Leaves the chat."
    ),
    "overloaded": ErrorDoc("The server is overloaded; nothing was stored.", AGAIN),
    "unavailable": ErrorDoc("Storage is unavailable; nothing was stored.", AGAIN),
    "outcome_unknown": ErrorDoc(
        "The connection to storage broke during the commit: it was stored, or it was not.",
        "Sends again with the same nonce or key.",
    ),
    "cursor_invalid": ErrorDoc(
        "`next` is not from a page of this person.", "Reads the chats again from the first page."
    ),
    "key_reused": ErrorDoc(
        "The `key` was used for another request.", "Takes a new key for each new request."
    ),
    "message_not_found": ErrorDoc("The chat has no such message.", "Forgets the message."),
    "member_not_found": ErrorDoc("Some of these profiles do not exist; nobody was added.", "Names others."),
    "no_such_member": ErrorDoc("The person is not a member of the chat.", LOOK),
    "not_allowed": ErrorDoc("The role in the chat does not allow this.", LOOK),
    "not_the_owner": ErrorDoc("Only the owner of the chat may do this.", LOOK),
    "scope_missing": ErrorDoc(
        "The access token of this program does not permit this.",
        "Does not repeat the frame: it takes a token with another scope.",
    ),
    "only_in_groups": ErrorDoc("A direct chat has no roles, and its members do not change.", NOT_AGAIN),
    "not_to_oneself": ErrorDoc("A direct chat has two members: the other one is oneself.", NOT_AGAIN),
    "bad_chat_name": ErrorDoc("A group cannot have this name.", NOT_AGAIN),
    "bad_chat_description": ErrorDoc("A group cannot have this description.", NOT_AGAIN),
}
"""Every error code of sockets."""


def code_of(error: type[Exception]) -> str:
    """The code that clients see for an error."""
    return str(vars(error).get("code") or getattr(error, "code"))  # noqa: B009 - mypy knows no class without it


def error_codes(channel: Channel) -> Sequence[str]:
    """All codes of `error` frames on a channel."""
    codes = [UNKNOWN_TYPE, *(code for row in of_clients(channel) for code in row.refusals)]
    return [*dict.fromkeys(codes)]


def of_clients(channel: Channel) -> Sequence[ClientFrame]:
    return [row for row in FROM_CLIENTS if row.on is channel]


def of_server(channel: Channel) -> Sequence[ServerFrame]:
    return [row for row in FROM_SERVER if channel in row.on]


def server_types() -> frozenset[type]:
    """All types of frames that the server can write. The `answer` is among them, whose rows are those of the requests."""
    return frozenset(get_args(told.AnyFrame))


# Schemas


@cache
def hints(fields: type) -> Mapping[str, Any]:
    return get_type_hints(fields, include_extras=True)


def type_of(fields: type) -> str:
    """The ``type`` on the wire of a type of frames."""
    (name,) = get_args(hints(fields)["type"])
    return str(name)


def frame_schema(fields: type, named: dict[str, Schema]) -> Schema:
    """Returns the schema of a type of frames itself, its own fields before those that it has in common with others."""
    known = dict(named)
    schema_of(fields, known)
    schema = dict(known.pop(fields.__name__))
    named |= known
    properties = schema["properties"]
    assert isinstance(properties, dict)
    own = getattr(fields, "__annotations__", {})  # of a TypedDict, those of its bases are among them
    first = [name for name in ("type", "id") if name in properties and name in own]
    schema["properties"] = {name: properties[name] for name in dict.fromkeys([*first, *properties])}
    return schema


def _both(first: Schema, second: Schema) -> Schema:
    """The schema of objects that have the fields of both."""
    whole: dict[str, Any] = {**second}
    for name in ("properties", "required"):
        some, more = first[name], second[name]
        if isinstance(some, dict) and isinstance(more, dict):
            whole[name] = {**some, **more}
        elif isinstance(some, list) and isinstance(more, list):
            whole[name] = [*some, *more]
    return whole


def example(row: Row) -> Mapping[str, Any]:
    """An example of a frame, made of those of its fields. A client's one works on a server with the example people."""
    named: dict[str, Schema] = {}
    made: dict[str, Any] = example_of(row.schema(named), named)
    for name in row.at_most_one[1:] if isinstance(row, ClientFrame) else ():
        del made[name]
    return made


def _in_snake_case(attribute: str, name: str) -> str:
    return "key" if name == codec.KEY else name or attribute


def _title(name: str) -> str:
    return "".join(part.title() for part in name.split("_"))


def rows() -> Iterator[Row]:
    yield from FROM_CLIENTS
    yield from FROM_SERVER
