"""
The table of authorization: every endpoint and every frame of clients, with what each caller gets.

An endpoint or a frame without a row fails `test_table`, and so does an answer that is not the one in the table.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from attrs import field, frozen

from application.ports.seals import Purpose
from interfaces.wire.registry import Channel
from tests.authorization.callers import PASSWORD, RECOVERY_CODE, SIGNED_IN, Caller, Group

OK: Final = "ok"
"""The request is carried out."""

IGNORED: Final = "ignored"
"""The request is answered as if it were carried out, and does nothing, as in the original messenger."""

Answers = Mapping[Caller, str]
Filled = Callable[[Group, Caller], Any]
"""Fills in a part of a request; it may be asynchronous."""

PROGRAMS: Final = (Caller.PROGRAM, Caller.READING)

READING: Final = frozenset(
    {
        "auth",
        "ping",
        "leave_chat",
        "get_chat_history",
        "get_unread_count",
        "get_history",
        "get_readers",
        "catch_up",
        "more",
        "watch_presence",
    }
)
"""Frames that every program may send."""

UNKNOWN: Final = (Caller.NOBODY, Caller.ENDED, Caller.OTHERS)
"""Those who are not authenticated."""


@frozen(kw_only=True)
class Request:
    """A request over HTTP. Answers are statuses; 2xx is `OK`."""

    endpoint: str
    """Method and path, as in the routes."""
    answers: Answers
    case: str = ""
    """Tells rows of one endpoint apart."""
    body: Filled | None = None
    form: Filled | None = None
    query: Filled | None = None
    path: Filled | None = None
    """The path, if it is not that of the route with the ids of the group."""
    has_cookie: bool = False
    """The caller sends its refresh token in place of its access token."""
    visit: Filled | None = None
    """The cookie of a visit to a provider."""
    writes: bool = False
    """Being carried out changes what is stored."""

    def __attrs_post_init__(self) -> None:
        # what programs get follows from what their owner gets, unless the row says otherwise
        object.__setattr__(self, "answers", {**self._of_programs, **self.answers})

    @property
    def _of_programs(self) -> Answers:
        owner, nobody = self.answers[Caller.OWNER], self.answers[Caller.NOBODY]
        method, _, path = self.endpoint.partition(" ")
        if nobody != "401" or owner == "401":
            return dict.fromkeys(PROGRAMS, owner)
        if self.has_cookie:
            return dict.fromkeys(PROGRAMS, "401")
        if path.startswith("/accounts/") and self.endpoint not in {
            "GET /accounts/me/",
            "GET /accounts/profile/",
        }:
            return dict.fromkeys(PROGRAMS, "403")
        return {Caller.PROGRAM: owner, Caller.READING: owner if method == "GET" else "403"}

    @property
    def name(self) -> str:
        return f"{self.endpoint} {self.case}".strip()


@frozen(kw_only=True)
class FrameRow:
    """A frame of a client. Answers are codes of errors; those in brackets refuse the entry, before the frame."""

    channel: Channel
    type: str
    answers: Answers
    fields: Filled = field(default=lambda _, __: {})
    writes: bool = False

    def __attrs_post_init__(self) -> None:
        owner = self.answers[Caller.OWNER]
        programs = {Caller.PROGRAM: owner, Caller.READING: owner if self.type in READING else "scope_missing"}
        object.__setattr__(self, "answers", {**programs, **self.answers})

    @property
    def name(self) -> str:
        where = {Channel.CHAT: "WS /chats/{chat_id}/ws", Channel.ALL_CHATS: "WS /ws"}[self.channel]
        return f"{where} {self.type}"


def everybody(answer: str = OK) -> Answers:
    return dict.fromkeys(Caller, answer)


def signed_in(unknown: str = "401") -> Answers:
    return dict.fromkeys(SIGNED_IN, OK) | dict.fromkeys(UNKNOWN, unknown)


def in_group(owner: str, admin: str, member: str, outside: str, unknown: str = "401") -> Answers:
    """Former members and strangers are outside, and get the same."""
    return {
        Caller.OWNER: owner,
        Caller.ADMIN: admin,
        Caller.MEMBER: member,
        Caller.FORMER: outside,
        Caller.STRANGER: outside,
        **dict.fromkeys(UNKNOWN, unknown),
    }


def members(outside: str) -> Answers:
    return in_group(OK, OK, OK, outside)


# Parts of requests


def email(group: Group, caller: Caller) -> str:
    return group.people.get(caller, group.people[Caller.OWNER]).actor.email


def stranger(group: Group) -> str:
    return str(group.people[Caller.STRANGER].actor.profile_id)


async def letter(group: Group, caller: Caller) -> Any:
    return {"confirmationToken": await group.letter(caller), "fingerprint": "new"}


async def link(group: Group, caller: Caller) -> Any:
    return {"token": await group.letter(caller)}


def password(_: Group, __: Caller) -> Any:
    return {"password": PASSWORD}


async def password_and_code(group: Group, caller: Caller) -> Any:
    await group.with_factor(caller)
    return {"password": PASSWORD, "code": RECOVERY_CODE}


async def password_alone(group: Group, caller: Caller) -> Any:
    await group.with_factor(caller)
    return {"password": PASSWORD}


async def sign_in_of_two(group: Group, caller: Caller) -> Any:
    await group.with_factor(caller)
    return {"email": email(group, caller), "password": PASSWORD}


async def finish(group: Group, caller: Caller) -> Any:
    return {"pendingToken": await group.pending(caller), "code": RECOVERY_CODE}


async def finish_wrongly(group: Group, caller: Caller) -> Any:
    return {"pendingToken": await group.pending(caller), "code": "123456"}


def newcomers(group: Group, _: Caller) -> Any:
    return {"profileIds": [stranger(group)]}


def renamed(_: Group, __: Caller) -> Any:
    return {"name": "Renamed", "description": None, "members": []}


OUR_PAGES: Final = (
    "/livez",
    "/readyz",
    "/healthcheck/",
    "/app/",
    "/chats/ui/",
    "/app/manifest.webmanifest",
    "/app/worker.js",
    "/setup-new-password",
    "/confirm-email",
    "/errors/{code}",
    "/",
    "/openapi.json",
    "/asyncapi.json",
    "/docs",
    "/docs/protocol",
    "/docs/events",
    "/docs/look.css",
    "/docs/swagger-ui.css",
    "/docs/swagger-ui-bundle.js",
    "/docs/start.js",
)

CHAT: Final = "/chats/{chat_id}/"

FOR_EVERYBODY: Final[Sequence[Request]] = (
    *(Request(endpoint=f"GET {path}", answers=everybody()) for path in OUR_PAGES),
    Request(
        endpoint="GET /app/{digest}/{path:path}",
        answers=everybody("404"),
        case="of another version",
        path=lambda _, __: "/app/0/web/static/main.js",
    ),
    *(Request(endpoint=f"GET {path}", answers=everybody("426")) for path in ("/ws", "/chats/{chat_id}/ws")),
    Request(
        endpoint="POST /accounts/sign-up/",
        answers=everybody(),
        body=lambda _, __: {"email": "new@example.com", "password": "Another-password-1"},
        writes=True,
    ),
    Request(
        endpoint="POST /accounts/sign-in/",
        answers=everybody(),
        body=lambda group, caller: {"email": email(group, caller), "password": PASSWORD},
        writes=True,
    ),
    Request(
        endpoint="POST /accounts/sign-in/",
        case="with a wrong password",
        answers=everybody("401"),
        body=lambda group, caller: {"email": email(group, caller), "password": "Wrong-password-1"},
    ),
    Request(
        endpoint="POST /accounts/sign-in/swagger/",
        answers=everybody(),
        form=lambda group, caller: {"username": email(group, caller), "password": PASSWORD},
        writes=True,
    ),
    Request(
        endpoint="GET /accounts/email/status/",
        answers=everybody(),
        query=lambda group, caller: {"email": email(group, caller)},
    ),
    Request(
        endpoint="POST /accounts/password/reset/",
        answers=everybody(),
        body=lambda group, caller: {"email": email(group, caller)},
        writes=True,
    ),
)

PROVIDERS: Final[Sequence[Request]] = (
    Request(endpoint="GET /accounts/ways/", answers=everybody()),
    Request(
        endpoint="POST /accounts/sign-in/provider/",
        answers=everybody(),
        body=lambda _, __: {"provider": "example"},
    ),
    Request(endpoint="GET /accounts/sign-in/provider/callback/{provider}/", answers=everybody()),
    Request(
        endpoint="POST /accounts/sign-in/provider/finish/",
        answers=everybody(),
        visit=lambda group, caller: group.visit(caller),
        writes=True,
    ),
    Request(
        endpoint="POST /accounts/sign-in/provider/finish/",
        case="without having been there",
        answers=everybody("401"),
    ),
    Request(
        endpoint="POST /accounts/sign-in/provider/finish/",
        case="after a visit to link",
        answers=everybody("401"),
        visit=lambda group, _: group.visit(Caller.OWNER, to_link=True),
    ),
    Request(endpoint="GET /accounts/identities/", answers=signed_in()),
    Request(
        endpoint="POST /accounts/identities/",
        answers=signed_in(),
        body=lambda _, __: {"provider": "example", "password": PASSWORD},
    ),
    Request(
        endpoint="POST /accounts/identities/finish/",
        answers=signed_in(),
        visit=lambda group, caller: group.visit(caller, to_link=caller in SIGNED_IN),
        writes=True,
    ),
    Request(
        endpoint="POST /accounts/identities/finish/",
        case="after a visit of the owner's",
        answers=dict.fromkeys((*SIGNED_IN, *UNKNOWN), "401")
        | {Caller.OWNER: OK}
        | dict.fromkeys(PROGRAMS, "403"),
        visit=lambda group, _: group.visit(Caller.OWNER, to_link=True),
        writes=True,
    ),
    Request(
        endpoint="DELETE /accounts/identities/{identity_id}/",
        case="of nobody's",
        answers=dict.fromkeys(SIGNED_IN, "404") | dict.fromkeys(UNKNOWN, "401"),
        body=password,
    ),
)

PASSKEYS: Final[Sequence[Request]] = (
    Request(endpoint="POST /accounts/sign-in/passkey/begin/", answers=everybody()),
    Request(
        endpoint="POST /accounts/sign-in/passkey/",
        answers=everybody(),
        body=lambda group, caller: group.answered(caller, Purpose.SIGN_IN),
        writes=True,
    ),
    Request(
        endpoint="POST /accounts/sign-in/passkey/",
        case="with a question of the owner's session",
        answers=everybody("401"),
        body=lambda group, _: group.answered(Caller.OWNER, Purpose.PROVE),
        writes=True,
    ),
    Request(endpoint="GET /accounts/passkeys/", answers=signed_in()),
    Request(endpoint="POST /accounts/passkeys/begin/", answers=signed_in(), body=password),
    Request(
        endpoint="POST /accounts/passkeys/",
        case="with a question of nobody's",
        answers={**everybody("401"), **dict.fromkeys(PROGRAMS, "403")},
        body=lambda _, __: {"token": "nonsense", "credential": {}, "name": "Mine"},
    ),
    Request(
        endpoint="PATCH /accounts/passkeys/{passkey_id}/",
        case="of nobody's",
        answers=dict.fromkeys(SIGNED_IN, "404") | dict.fromkeys(UNKNOWN, "401"),
        body=lambda _, __: {"name": "Mine"},
    ),
    Request(
        endpoint="DELETE /accounts/passkeys/{passkey_id}/",
        case="of nobody's",
        answers=dict.fromkeys(SIGNED_IN, "404") | dict.fromkeys(UNKNOWN, "401"),
        body=password,
    ),
    Request(
        endpoint="POST /accounts/proof/begin/",
        case="without a passkey",
        answers=dict.fromkeys(SIGNED_IN, "404") | dict.fromkeys(UNKNOWN, "401"),
    ),
    Request(
        endpoint="POST /accounts/proof/",
        answers=signed_in(),
        body=lambda group, caller: group.answered(caller, Purpose.PROVE),
        writes=True,
    ),
)

SECOND: Final[Sequence[Request]] = (
    Request(
        endpoint="POST /accounts/sign-in/",
        case="with a second factor",
        answers=everybody("403"),
        body=sign_in_of_two,
    ),
    Request(
        endpoint="POST /accounts/sign-in/second/",
        answers=everybody(),
        body=finish,
        writes=True,
    ),
    Request(
        endpoint="POST /accounts/sign-in/second/",
        case="with a wrong code",
        answers=everybody("403"),
        body=finish_wrongly,
    ),
    Request(
        endpoint="POST /accounts/sign-in/second/",
        case="with an access token",
        answers=everybody("401"),
        body=lambda group, _: {"pendingToken": group.tokens[Caller.OWNER], "code": RECOVERY_CODE},
    ),
)

BY_LETTER: Final[Sequence[Request]] = (
    Request(
        endpoint="POST /accounts/email/confirm/",
        case="with a letter, confirmed before",
        answers=everybody("409"),
        body=letter,
    ),
    Request(
        endpoint="POST /accounts/email/confirm/",
        case="with an access token",
        answers=everybody("401"),
        body=lambda group, _: {"confirmationToken": group.tokens[Caller.OWNER], "fingerprint": "new"},
    ),
    Request(
        endpoint="POST /accounts/token/redeem/",
        case="with a letter",
        answers=everybody(),
        body=letter,
        writes=True,
    ),
    Request(
        endpoint="POST /accounts/token/redeem/",
        case="with an access token",
        answers=everybody("401"),
        body=lambda group, _: {"confirmationToken": group.tokens[Caller.OWNER], "fingerprint": "new"},
    ),
    Request(endpoint="POST /confirm-email", case="without a letter", answers=everybody("410")),
    Request(
        endpoint="POST /confirm-email",
        case="with a letter, confirmed before",
        answers=everybody("410"),
        query=link,
    ),
    Request(
        endpoint="POST /setup-new-password",
        case="without a letter",
        answers=everybody("410"),
        form=lambda _, __: {"first": "Another-password-1", "second": "Another-password-1"},
    ),
    Request(
        endpoint="POST /setup-new-password",
        case="with a letter",
        answers=everybody(),
        query=link,
        form=lambda _, __: {"first": "Another-password-1", "second": "Another-password-1"},
        writes=True,
    ),
)

WITH_COOKIE: Final[Sequence[Request]] = (
    Request(
        endpoint="POST /accounts/token/refresh/",
        case="with the cookie",
        answers=signed_in(),
        body=lambda _, caller: {"fingerprint": f"of {caller}"},
        has_cookie=True,
        writes=True,
    ),
    Request(
        endpoint="POST /accounts/token/refresh/",
        case="with an access token alone",
        answers=everybody("401"),
        body=lambda _, caller: {"fingerprint": f"of {caller}"},
    ),
    Request(
        endpoint="POST /accounts/sign-out/", case="with the cookie", answers=everybody(), has_cookie=True
    ),
    Request(endpoint="POST /accounts/sign-out/", answers=everybody()),
)

OWN: Final[Sequence[Request]] = (
    Request(endpoint="GET /accounts/me/", answers=signed_in()),
    Request(endpoint="GET /accounts/me/ways/", answers=signed_in()),
    Request(
        endpoint="DELETE /accounts/me/",
        answers=signed_in(),
        body=password,
        writes=True,
    ),
    Request(
        endpoint="DELETE /accounts/me/",
        case="with a wrong password",
        answers=dict.fromkeys(SIGNED_IN, "403") | dict.fromkeys(UNKNOWN, "401"),
        body=lambda _, __: {"password": "Wrong-password-1"},
    ),
    Request(
        endpoint="POST /accounts/password/set/",
        answers=signed_in(),
        body=lambda _, __: {"password": "Another-password-1"},
        writes=True,
    ),
    Request(endpoint="GET /accounts/factors/", answers=signed_in()),
    Request(endpoint="POST /accounts/factors/totp/", answers=signed_in(), body=password, writes=True),
    Request(
        endpoint="POST /accounts/factors/totp/confirm/",
        case="of a factor that was not set up",
        answers=dict.fromkeys(SIGNED_IN, "409") | dict.fromkeys(UNKNOWN, "401"),
        body=lambda _, __: {"code": RECOVERY_CODE},
    ),
    Request(
        endpoint="POST /accounts/factors/recovery-codes/",
        answers=signed_in(),
        body=password_and_code,
        writes=True,
    ),
    Request(
        endpoint="DELETE /accounts/factors/totp/",
        answers=signed_in(),
        body=password_and_code,
        writes=True,
    ),
    Request(
        endpoint="DELETE /accounts/me/",
        case="with a second factor and without a code",
        answers=dict.fromkeys(SIGNED_IN, "403") | dict.fromkeys(UNKNOWN, "401"),
        body=password_alone,
    ),
    Request(endpoint="GET /accounts/tokens/", answers=signed_in()),
    Request(
        endpoint="POST /accounts/tokens/",
        answers=signed_in(),
        body=lambda _, __: {"name": "A program", "scopes": [], "password": PASSWORD},
        writes=True,
    ),
    Request(
        endpoint="DELETE /accounts/tokens/{token_id}/",
        case="of nobody's",
        answers=dict.fromkeys(SIGNED_IN, "404") | dict.fromkeys(UNKNOWN, "401"),
    ),
    Request(endpoint="GET /accounts/sessions/", answers=signed_in()),
    Request(endpoint="GET /accounts/events/", answers=signed_in()),
    Request(endpoint="DELETE /accounts/sessions/", answers=signed_in(), body=password, writes=True),
    Request(
        endpoint="DELETE /accounts/sessions/{session_id}/",
        case="of one's own",
        answers=signed_in(),
        path=lambda group, caller: f"/accounts/sessions/{group.own_session(caller)}/",
        body=password,
        writes=True,
    ),
    Request(
        endpoint="DELETE /accounts/sessions/{session_id}/",
        case="of another account",
        answers=dict.fromkeys(SIGNED_IN, "404") | dict.fromkeys(UNKNOWN, "401"),
        body=password,
    ),
    *(
        Request(endpoint=f"GET {path}", answers=signed_in())
        for path in ("/catalogues/", "/catalogues/{name}/")
    ),
    Request(endpoint="GET /accounts/profile/", answers=signed_in()),
    Request(
        endpoint="PATCH /accounts/profile/",
        answers=signed_in(),
        body=lambda _, __: {"firstName": "Renamed"},
        writes=True,
    ),
    Request(endpoint="GET /profiles/", answers=signed_in()),
    Request(endpoint="GET /profiles/{profile_id}/", answers=signed_in()),
    Request(endpoint="GET /sync/", answers=signed_in()),
    Request(
        endpoint="GET /sync/",
        case="with the next page of the owner",
        answers=in_group(OK, "422", "422", "422"),
        query=lambda group, _: {"next": group.more},
    ),
    Request(endpoint="GET /events/", answers=signed_in()),
    Request(endpoint="GET /chats/", answers=signed_in()),
    Request(
        endpoint="POST /chats/",
        answers=signed_in(),
        body=lambda group, _: {
            "name": "A new group",
            "members": [str(group.other.actor.profile_id)],
        },
        writes=True,
    ),
    Request(
        endpoint="POST /chats/direct/",
        answers=signed_in(),
        body=lambda group, _: {"profileId": str(group.other.actor.profile_id)},
        writes=True,
    ),
)

IN_CHATS: Final[Sequence[Request]] = (
    Request(endpoint=f"GET {CHAT}", answers=members("403")),
    Request(
        endpoint=f"PUT {CHAT}",
        answers=in_group(OK, OK, "403", "403"),
        body=renamed,
        writes=True,
    ),
    Request(endpoint=f"DELETE {CHAT}", answers=in_group(OK, "403", "403", "403"), writes=True),
    Request(endpoint=f"GET {CHAT}history/", answers=members("404")),
    Request(endpoint=f"GET {CHAT}members/", answers=members("404")),
    Request(
        endpoint=f"POST {CHAT}members/",
        answers=in_group(OK, OK, "403", "404"),
        body=newcomers,
        writes=True,
    ),
    Request(
        endpoint=f"POST {CHAT}members/",
        case="to add oneself",
        answers=in_group(OK, OK, "403", "404"),
        body=lambda group, caller: {
            "profileIds": [str(group.people.get(caller, group.other).actor.profile_id)]
        },
    ),
    Request(
        endpoint=f"PUT {CHAT}members/{{profile_id}}/",
        answers=in_group(OK, "403", "403", "404"),
        body=lambda _, __: {"role": "admin"},
        writes=True,
    ),
    Request(
        endpoint=f"PUT {CHAT}members/{{profile_id}}/",
        case="to make oneself the owner",
        answers=in_group(OK, "403", "403", "404"),
        path=lambda group, caller: (
            f"/chats/{group.chat_id}/members/{group.people.get(caller, group.other).actor.profile_id}/"
        ),
        body=lambda _, __: {"role": "owner"},
    ),
    Request(
        endpoint=f"DELETE {CHAT}members/{{profile_id}}/",
        answers=in_group(OK, OK, "403", "404"),
        writes=True,
    ),
    Request(
        endpoint=f"DELETE {CHAT}members/{{profile_id}}/",
        case="an admin or the owner",
        answers=in_group(OK, "403", "403", "404"),
        path=lambda group, caller: (
            f"/chats/{group.chat_id}/members/"
            f"{group.people[Caller.ADMIN if caller is Caller.OWNER else Caller.OWNER].actor.profile_id}/"
        ),
        writes=True,
    ),
    Request(
        endpoint=f"DELETE {CHAT}members/{{profile_id}}/",
        case="oneself",
        answers=in_group(OK, OK, OK, "404"),
        path=lambda group, caller: (
            f"/chats/{group.chat_id}/members/{group.people.get(caller, group.other).actor.profile_id}/"
        ),
        writes=True,
    ),
    Request(
        endpoint=f"POST {CHAT}messages/",
        answers=members("404"),
        body=lambda _, __: {"text": "Hello too"},
        writes=True,
    ),
    Request(
        endpoint=f"PUT {CHAT}read/",
        answers=members("404"),
        body=lambda _, __: {"upTo": 1},
    ),
    Request(endpoint=f"GET {CHAT}messages/{{message_id}}/readers/", answers=members("404")),
)

HTTP: Final[Sequence[Request]] = (
    *FOR_EVERYBODY,
    *PROVIDERS,
    *PASSKEYS,
    *SECOND,
    *BY_LETTER,
    *WITH_COOKIE,
    *OWN,
    *IN_CHATS,
)


def inside() -> dict[Caller, str]:
    """Answers on the socket of one chat: members enter, and all others are refused the entry."""
    return dict(in_group(OK, OK, OK, "(not_a_member)", "(token_invalid)"))


def on_all_chats(owner: str = OK, admin: str = OK, member: str = OK, outside: str = OK) -> Answers:
    return in_group(owner, admin, member, outside, "(token_invalid)")


def this_chat(group: Group, _: Caller) -> Any:
    return {"chat_id": str(group.chat_id)}


def this_message(group: Group, _: Caller) -> Any:
    return {"chat_id": str(group.chat_id), "message_id": str(group.message_id)}


ONE: Final = Channel.CHAT
ALL: Final = Channel.ALL_CHATS

FRAMES: Final[Sequence[FrameRow]] = (
    *(FrameRow(channel=ONE, type=each, answers=inside()) for each in ("auth", "ping", "leave_chat")),
    FrameRow(
        channel=ONE,
        type="send_message",
        answers=inside(),
        fields=lambda _, __: {"text": "Hello too", "nonce": "n"},
        writes=True,
    ),
    FrameRow(
        channel=ONE,
        type="mark_read",
        answers=inside(),
        fields=lambda group, _: {"last_read_message_id": str(group.message_id)},
    ),
    FrameRow(channel=ONE, type="mark_single_read", answers=inside(), fields=this_message),
    # never answered, and without its scope not shown to anybody
    FrameRow(
        channel=ONE,
        type="typing",
        answers=inside() | {Caller.READING: IGNORED},
        fields=lambda _, __: {"is_typing": True},
    ),
    FrameRow(channel=ONE, type="get_chat_history", answers=inside()),
    FrameRow(channel=ONE, type="get_unread_count", answers=inside()),
    *(FrameRow(channel=ALL, type=each, answers=on_all_chats()) for each in ("auth", "ping")),
    FrameRow(
        channel=ALL,
        type="send_message",
        answers=on_all_chats(outside="not_a_member"),
        fields=lambda group, _: {"chat_id": str(group.chat_id), "text": "Hello too", "nonce": "n"},
        writes=True,
    ),
    FrameRow(
        channel=ALL,
        type="mark_read",
        answers=on_all_chats(outside="chat_not_found"),
        fields=lambda group, _: {"chat_id": str(group.chat_id), "up_to": 1},
    ),
    FrameRow(
        channel=ALL,
        type="mark_single_read",
        answers=on_all_chats(outside=IGNORED),
        fields=this_message,
    ),
    FrameRow(
        channel=ALL,
        type="typing",
        answers=on_all_chats(outside="not_a_member"),
        fields=lambda group, _: {"chat_id": str(group.chat_id), "is_typing": True},
    ),
    FrameRow(channel=ALL, type="get_history", answers=on_all_chats(outside="not_a_member"), fields=this_chat),
    FrameRow(
        channel=ALL, type="get_readers", answers=on_all_chats(outside="not_a_member"), fields=this_message
    ),
    FrameRow(channel=ALL, type="catch_up", answers=on_all_chats(outside="not_a_member"), fields=this_chat),
    FrameRow(
        channel=ALL,
        type="create_chat",
        answers=on_all_chats(),
        fields=lambda group, _: {"name": "New", "members": [str(group.other.actor.profile_id)]},
        writes=True,
    ),
    FrameRow(
        channel=ALL,
        type="open_direct",
        answers=on_all_chats(),
        fields=lambda group, _: {"profile_id": str(group.other.actor.profile_id)},
        writes=True,
    ),
    FrameRow(
        channel=ALL,
        type="change_chat",
        answers=on_all_chats(member="not_allowed", outside="not_the_owner"),
        fields=lambda group, caller: this_chat(group, caller) | renamed(group, caller),
        writes=True,
    ),
    FrameRow(
        channel=ALL,
        type="add_members",
        answers=on_all_chats(member="not_allowed", outside="chat_not_found"),
        fields=lambda group, caller: this_chat(group, caller) | {"profile_ids": [stranger(group)]},
        writes=True,
    ),
    FrameRow(
        channel=ALL,
        type="remove_member",
        answers=on_all_chats(member="not_allowed", outside="chat_not_found"),
        fields=lambda group, _: {
            "chat_id": str(group.chat_id),
            "profile_id": str(group.other.actor.profile_id),
        },
        writes=True,
    ),
    FrameRow(
        channel=ALL,
        type="change_role",
        answers=on_all_chats(admin="not_the_owner", member="not_the_owner", outside="chat_not_found"),
        fields=lambda group, _: {
            "chat_id": str(group.chat_id),
            "profile_id": str(group.other.actor.profile_id),
            "role": "admin",
        },
        writes=True,
    ),
    FrameRow(
        channel=ALL,
        type="delete_chat",
        answers=on_all_chats(admin="not_the_owner", member="not_the_owner", outside="not_the_owner"),
        fields=this_chat,
        writes=True,
    ),
    FrameRow(
        channel=ALL,
        type="more",
        answers=on_all_chats(admin="cursor_invalid", member="cursor_invalid", outside="cursor_invalid"),
        fields=lambda group, _: {"next": group.more},
    ),
    FrameRow(
        channel=ALL,
        type="watch_presence",
        answers=on_all_chats(outside="nobody"),
        fields=lambda group, _: {"profile_ids": [str(group.other.actor.profile_id)]},
    ),
)
