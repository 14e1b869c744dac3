"""
The JSON of the REST interface: the shape of each request, and the encoding of each answer.

Names are camelCase. Socket frames carry the same data in snake_case, see `interfaces.wire.frames`.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeVar

import orjson
from attrs import Factory, evolve, frozen

from application.accounts.access_tokens import EndAccessToken
from application.accounts.close import CloseAccount
from application.accounts.confirm_email import ConfirmEmail
from application.accounts.email_status import EmailStatus
from application.accounts.factors import ConfirmFactor, FactorState, ProveBoth, SetUpFactor
from application.accounts.finish_sign_in import FinishSignIn
from application.accounts.identities import BeginLink, Unlink
from application.accounts.other_ways import OwnWays
from application.accounts.passkey_sign_in import PasskeySignIn
from application.accounts.passkeys import (
    AddPasskey,
    BeginPasskey,
    Ceremony,
    Prove,
    Proved,
    RemovePasskey,
    RenamePasskey,
)
from application.accounts.provider_sign_in import BeginProviderSignIn
from application.accounts.redeem import RedeemToken
from application.accounts.refresh import Refresh
from application.accounts.reset_password import ResetPassword
from application.accounts.sessions import RevokeOthers, RevokeSession
from application.accounts.set_password import SetPassword
from application.accounts.sign_in import SignIn
from application.accounts.sign_up import SignUp
from application.accounts.ways import OfferedWays
from application.actor import Actor
from application.chats.add_members import AddMembers
from application.chats.change import ChangeChat
from application.chats.change_role import ChangeRole
from application.chats.delete import DeleteChat
from application.chats.open_direct import OpenDirect
from application.chats.remove_member import RemoveMember
from application.errors import NotAuthenticated
from application.messages.send import SendMessage
from application.ports.codes import NewSecret
from application.ports.providers import ProviderInfo
from application.profiles.edit import EditProfile
from application.profiles.read import ReadProfile
from application.receipts.mark_read import MarkRead
from application.views import (
    ChatDetails,
    ChatView,
    HistoryPage,
    MemberView,
    MessageRow,
    MessageView,
    ProfileView,
    ReaderView,
)
from domain.account import EMAIL_LIMIT, PASSWORD_LEAST, PASSWORD_LIMIT, Email, EmailIncorrect, Password
from domain.catalogue import Entry, Language
from domain.chat import DESCRIPTION_LIMIT, About
from domain.chat import NAME_LIMIT as CHAT_NAME_LIMIT
from domain.errors import Invalid
from domain.identity import Identity
from domain.ids import AccountId, ChatId, MessageId, Position, ProfileId, Seq, SessionId
from domain.message import BODY_LIMIT, NONCE_LIMIT, Body, BodyTooLong, EmptyBody, Nonce
from domain.passkey import NAME_LIMIT as PASSKEY_NAME_LIMIT
from domain.passkey import Passkey, PasskeyName
from domain.profile import NAME_LIMIT, USERNAME_LIMITS, Name, Phone, Profile, Unfit, Username
from domain.role import Role
from domain.scope import NAME_LIMIT as TOKEN_NAME_LIMIT
from domain.scope import Scope, TokenName
from domain.security import AccountEvent
from domain.session import FINGERPRINT_LIMIT, Fingerprint, Origin, Session
from domain.text import refuse_unstorable
from interfaces.wire import answers, examples
from interfaces.wire.faults import (
    NO_AT_SIGN,
    NOT_A_LIST,
    NOT_A_ROLE,
    NOT_A_SCOPE,
    NOT_AN_ADDRESS,
    NOT_AN_INTEGER,
    NOT_AN_OBJECT,
    SEEN_INVALID,
    InvalidValue,
    ValueFault,
    less_than,
    too_long,
    too_short,
)
from interfaces.wire.places import read_seen
from interfaces.wire.schema import IDENTITY, FieldDoc, Schema, WebAuthnJson, taken_by, takes
from interfaces.wire.validation import REQUIRED, FieldSpec, shape
from interfaces.wire.values import (
    FINDINGS_LIMIT,
    GREATEST,
    boolean,
    identity,
    integer,
    members,
    moment,
    nullable,
    text,
)

Json = dict[str, object]

V = TypeVar("V")

dumps: Final = orjson.dumps

EMAIL: Final[Schema] = {
    "type": "string",
    "format": "email",
    "maxLength": EMAIL_LIMIT,
}
FINGERPRINT: Final[Schema] = {
    "type": ["string", "null"],
    "maxLength": FINGERPRINT_LIMIT,
}

CODE_LIMIT: Final = 64
"""Characters of a code that a person types: any code of ours is shorter."""

KEY: Final = "Idempotency-Key"
"""The header with which a client names a request: a repeat with the same key is not executed again."""

_text: Final = text()


@takes(EMAIL)
def _email(value: object) -> Email:
    return Email(_text(value))


@takes(EMAIL)
def _strict_email(value: object) -> Email:
    address = _text(value)
    try:
        return Email(address)
    except EmailIncorrect:
        raise InvalidValue(ValueFault(NOT_AN_ADDRESS if "@" in address else NO_AT_SIGN, value)) from None


@takes(
    {
        "type": "string",
        "format": "password",
        "minLength": PASSWORD_LEAST,
        "maxLength": PASSWORD_LIMIT,
    }
)
def _password(value: object) -> Password:
    return Password(_text(value))


@takes(FINGERPRINT)
def _fingerprint(value: object) -> Fingerprint:
    return Fingerprint(nullable(_text)(value))


@takes({"type": "string", "minLength": 1})
def _presented(value: object) -> str:
    if presented := nullable(_text)(value):
        return presented
    raise NotAuthenticated("credentials_invalid")


@takes({"type": "string", "minLength": 1, "maxLength": FINGERPRINT_LIMIT})
def _own_fingerprint(value: object) -> Fingerprint:
    return Fingerprint(_presented(value))


@takes({"type": "string", "minLength": 1, "maxLength": NAME_LIMIT})
def _name(value: object) -> Name:
    return Name(_text(value))


@takes(
    {
        "type": "string",
        "minLength": USERNAME_LIMITS[0],
        "maxLength": USERNAME_LIMITS[1],
        "pattern": r"^\S*$",
    }
)
def _username(value: object) -> Username:
    return Username(_text(value))


@takes({"type": "string", "pattern": r"^\+[1-9][0-9]{7,14}$"})
def _phone(value: object) -> Phone:
    return Phone(_text(value))


@takes({"type": "string", "enum": [role.value for role in Role]})
def _role(value: object) -> Role:
    try:
        return Role(_text(value))
    except ValueError:
        raise InvalidValue(ValueFault(NOT_A_ROLE, value)) from None


@takes({"type": "string", "minLength": 1, "maxLength": BODY_LIMIT})
def _body(value: object) -> Body:
    try:
        return Body(_text(value))
    except EmptyBody:
        raise InvalidValue(ValueFault(too_short(1), value)) from None
    except BodyTooLong:
        raise InvalidValue(ValueFault(too_long(BODY_LIMIT), value)) from None


@takes({"type": "string", "minLength": 1, "maxLength": NONCE_LIMIT})
def _nonce(value: object) -> Nonce | None:
    return None if value is None else Nonce(_text(value))


@takes({"anyOf": [{"type": "integer", "minimum": 0}, IDENTITY]})
def _seq_or_message(value: object) -> Seq | MessageId:
    if isinstance(value, str):
        return MessageId(identity(value))
    if isinstance(value, int) and not isinstance(value, bool):
        if value < 0:
            raise InvalidValue(ValueFault(less_than(0), value))
        return Seq(min(value, GREATEST))
    raise InvalidValue(ValueFault(NOT_AN_INTEGER, value))


# Fields that several requests have


def _documented(
    read: Callable[[Any], Any],
    description: str,
    example: object,
    *,
    name: str = "",
    secret: bool = False,
    absent: object = REQUIRED,
    unless: str = "",
) -> FieldSpec:
    doc = FieldDoc(description, example)
    return FieldSpec(read, name=name, secret=secret, absent=absent, unless=unless, doc=doc)


_key: Final = _documented(
    _nonce,
    "Identifies this request: a repeat under the same key is not carried out again",
    examples.KEY,
    name=KEY,
    absent=None,
)
_account_email: Final = _documented(_email, "The address of the account", examples.EMAIL)
_account_password: Final = _documented(_text, "The password of the account", examples.PASSWORD, secret=True)
_new_password: Final = _documented(
    _password,
    "The password to set: one line of 8 to 128 characters, and not one that everybody tries first. By default it has a"
    " letter a-z or Cyrillic and a letter A-Z or Cyrillic (`AUTH_PASSWORD_PATTERN`)",
    examples.NEW_PASSWORD,
    secret=True,
)
_letter_token: Final = _documented(
    _presented,
    "The `token` in the link of the letter, which works once",
    examples.TOKEN,
    name="confirmationToken",
    secret=True,
    absent=None,
)
_letter_fingerprint: Final = _documented(
    _own_fingerprint,
    "The name that the device gives itself; refreshing takes the same one",
    examples.FINGERPRINT,
    absent=None,
)
_chat_id: Final = _documented(identity, "The id of the chat", examples.CHAT)
_member_id: Final = _documented(identity, "The profile of the member", examples.MIKHAIL)

# Requests about accounts and profiles

SIGN_UP: Final = shape(
    SignUp,
    email=_documented(
        _email,
        "The address to which the letter goes, and with which the account signs in",
        examples.NEW_EMAIL,
    ),
    password=_new_password,
    key=_key,
)

_FINGERPRINT_ON_SIGN_IN: Final = (
    "The name that the device gives itself, up to 40 characters. Signing in replaces the session that the same name had;"
    " devices without a name share one. Refreshing takes the same name"
)

SIGN_IN: Final = shape(
    SignIn,
    email=_account_email,
    password=_account_password,
    fingerprint=_documented(_fingerprint, _FINGERPRINT_ON_SIGN_IN, examples.FINGERPRINT, absent=None),
)

SIGN_IN_BY_USERNAME, SIGN_IN_BY_EMAIL = (
    shape(
        SignIn,
        email=FieldSpec(_strict_email, name=name),
        password=FieldSpec(_text, secret=True),
        fingerprint=FieldSpec(_fingerprint, absent="SWAGGER"),
    )
    for name in ("username", "email")
)
"""The form that Swagger UI sends has the e-mail address in ``username``; the name ``email`` is accepted too."""

CONFIRM_EMAIL: Final = shape(ConfirmEmail, token=_letter_token, fingerprint=_letter_fingerprint)

REDEEM_TOKEN: Final = shape(RedeemToken, token=_letter_token, fingerprint=_letter_fingerprint)

RESET_PASSWORD: Final = shape(ResetPassword, email=_account_email, key=_key)

_proof: Final = _documented(
    nullable(_text),
    "A proof by a passkey, from `POST /accounts/proof/`, in place of the password and a code",
    None,
    secret=True,
    absent=None,
)

_code_if_any: Final = _documented(
    nullable(text(0, CODE_LIMIT)),
    "A code of the application, or a recovery code, if the account has a second factor",
    examples.CODE,
    secret=True,
    absent=None,
)

SET_PASSWORD: Final = shape(
    SetPassword,
    password=_new_password,
    old_password=_documented(
        nullable(_text),
        "The password until now. It is verified if it is given, and it or a `proof` is needed if the operator asks for it"
        " (`AUTH_OLD_PASSWORD_NEEDED`)",
        examples.PASSWORD,
        name="oldPassword",
        absent=None,
        secret=True,
    ),
    proof=_proof,
    code=_code_if_any,
    remove_other_ways=_documented(
        boolean,
        "Whether passkeys and identities at providers shall sign in no more. It takes the old password, and the `code` of a second"
        " factor, or a `proof`",
        example=True,
        name="removeOtherWays",
        absent=False,
    ),
)


_code: Final = _documented(
    text(1, CODE_LIMIT), "A code of the application, or a recovery code", examples.CODE, secret=True
)

_password_if_any: Final = _documented(
    _text,
    "The password of the account, unless there is a `proof`",
    examples.PASSWORD,
    secret=True,
    unless="proof",
)

_password_to_end: Final = _documented(
    _text,
    "The password of the account, unless there is a `proof`. Without both the request is refused, unless the operator has set"
    " `AUTH_PROOF_TO_END_SESSIONS=false`",
    examples.PASSWORD,
    secret=True,
    absent="",
)

REVOKE_SESSION: Final = shape(
    RevokeSession,
    session_id=_documented(identity, "The id of a session, from `GET /accounts/sessions/`", examples.SESSION),
    password=_password_to_end,
    proof=_proof,
)

REVOKE_OTHERS: Final = shape(RevokeOthers, password=_password_to_end, proof=_proof)

_PROVEN: Final = {"password": _password_if_any, "code": _code_if_any, "proof": _proof}
"""The fields of requests that take the password again, a code with a second factor, or a passkey instead of both."""

CLOSE_ACCOUNT: Final = shape(CloseAccount, **_PROVEN)

FINISH_SIGN_IN: Final = shape(
    FinishSignIn,
    pending_token=_documented(
        _presented, "The `pendingToken` of the answer `SECOND_FACTOR_NEEDED`", examples.TOKEN, secret=True
    ),
    code=_code,
)

SET_UP_FACTOR: Final = shape(SetUpFactor, password=_password_if_any, proof=_proof)

CONFIRM_FACTOR: Final = shape(ConfirmFactor, code=_code)

PROVE_BOTH: Final = shape(
    ProveBoth,
    password=_password_if_any,
    code=_documented(
        text(1, CODE_LIMIT),
        "A code of the application, or a recovery code, unless there is a `proof`",
        examples.CODE,
        secret=True,
        unless="proof",
    ),
    proof=_proof,
)

REFRESH: Final = shape(
    Refresh,
    fingerprint=_documented(
        _fingerprint,
        "The name that the device gave when it signed in, or null if it gave none. Another name ends the session",
        examples.FINGERPRINT,
    ),
)

EMAIL_STATUS: Final = shape(EmailStatus, email=_account_email)


_provider: Final = _documented(
    text(1, 32), "The id of a provider, from `GET /accounts/ways/`", examples.PROVIDER
)

BEGIN_PROVIDER_SIGN_IN: Final = shape(
    BeginProviderSignIn,
    provider=_provider,
    fingerprint=_documented(_fingerprint, _FINGERPRINT_ON_SIGN_IN, examples.FINGERPRINT, absent=None),
)

BEGIN_LINK: Final = shape(BeginLink, provider=_provider, **_PROVEN)

UNLINK: Final = shape(
    Unlink,
    identity_id=_documented(identity, "The id of a link, from `GET /accounts/identities/`", examples.SESSION),
    **_PROVEN,
)


@takes({"type": "string", "minLength": 1, "maxLength": PASSKEY_NAME_LIMIT})
def _passkey_name(value: object) -> PasskeyName:
    return PasskeyName(_text(value))


@takes({"type": "object"})
def _credential(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise InvalidValue(ValueFault(NOT_AN_OBJECT, None))
    return value


_ceremony_token: Final = _documented(
    _presented,
    "The `token` of the question that the device answers",
    examples.SEALED,
    name="token",
    secret=True,
)
_answer: Final = _documented(
    _credential,
    "The device's answer: what `toJSON()` of the `PublicKeyCredential` returns",
    examples.CREDENTIAL,
    secret=True,
)
_passkey_id: Final = _documented(
    identity, "The id of a passkey, from `GET /accounts/passkeys/`", examples.SESSION
)
_name_of_passkey: Final = _documented(
    _passkey_name, "A name by which you tell your passkeys apart", "My phone"
)

BEGIN_PASSKEY: Final = shape(BeginPasskey, **_PROVEN)

ADD_PASSKEY: Final = shape(AddPasskey, token=_ceremony_token, credential=_answer, name=_name_of_passkey)

RENAME_PASSKEY: Final = shape(RenamePasskey, passkey_id=_passkey_id, name=_name_of_passkey)

REMOVE_PASSKEY: Final = shape(RemovePasskey, passkey_id=_passkey_id, **_PROVEN)

PROVE: Final = shape(Prove, token=_ceremony_token, credential=_answer)

PASSKEY_SIGN_IN: Final = shape(
    PasskeySignIn,
    token=_ceremony_token,
    credential=_answer,
    fingerprint=_documented(_fingerprint, _FINGERPRINT_ON_SIGN_IN, examples.FINGERPRINT, absent=None),
)


@takes({"type": "string", "minLength": 1, "maxLength": TOKEN_NAME_LIMIT})
def _token_name(value: object) -> TokenName:
    return TokenName(_text(value))


@takes({"type": "array", "items": {"type": "string", "enum": [scope.value for scope in Scope]}})
def _scopes(value: object) -> frozenset[Scope]:
    if not isinstance(value, list):
        raise InvalidValue(ValueFault(NOT_A_LIST, value))
    findings = [
        ValueFault(NOT_A_SCOPE, each, (at,)) for at, each in enumerate(value) if each not in list(Scope)
    ]
    if findings:
        raise InvalidValue(*findings[:FINDINGS_LIMIT])
    return frozenset(map(Scope, value))


DAYS_LIMIT: Final = 3650


@takes({"type": "integer", "minimum": 1, "maximum": DAYS_LIMIT})
def _days(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidValue(ValueFault(NOT_AN_INTEGER, value))
    if value < 1:
        raise InvalidValue(ValueFault(less_than(1), value))
    return min(value, DAYS_LIMIT)


@frozen(kw_only=True)
class WantedToken:
    name: TokenName
    scopes: frozenset[Scope]
    password: str = ""
    code: str | None
    proof: str | None
    days: int | None
    origin: Origin


MAKE_ACCESS_TOKEN: Final = shape(
    WantedToken,
    name=_documented(_token_name, "A name by which you tell your tokens apart", "Weather bot"),
    scopes=_documented(
        _scopes, "What the token permits beside reading; an empty list permits nothing else", ["messages"]
    ),
    **_PROVEN,
    days=_documented(
        nullable(_days),
        "For how many days it is good, at most `AUTH_ACCESS_TOKEN_LIFETIME_DAYS`; without it, as many as that",
        90,
        absent=None,
    ),
)

END_ACCESS_TOKEN: Final = shape(
    EndAccessToken,
    token_id=_documented(identity, "The id of a token, from `GET /accounts/tokens/`", examples.SESSION),
)


def _or_unfit(read: Callable[[object], V]) -> Callable[[object], V | Unfit]:
    """Leaves it to the profile to judge a text that it may have from before today's rules."""

    @takes(taken_by(read))
    def read_or_not(value: object) -> V | Unfit:
        try:
            return read(value)
        except Invalid as reason:
            return Unfit(str(value), reason)

    return read_or_not


EDIT_PROFILE: Final = shape(
    EditProfile,
    first_name=_documented(nullable(_or_unfit(_name)), "The first name; null clears it", "Анна"),
    last_name=_documented(nullable(_or_unfit(_name)), "The last name; null clears it", "Морозова"),
    middle_name=_documented(
        nullable(_or_unfit(_name)), "The middle name or patronymic; null clears it", "Игоревна"
    ),
    username=_documented(
        nullable(_or_unfit(_username)),
        "The name under which others find the person. Case, width and look do not distinguish two of them; null clears it",
        "anna",
    ),
    phone=_documented(
        nullable(_or_unfit(_phone)), "The phone number (E.164); null clears it", "+447700900103"
    ),
)

READ_PROFILE: Final = shape(
    ReadProfile, profile_id=_documented(identity, "The id of the profile", examples.MIKHAIL)
)

# Requests about chats


@frozen(kw_only=True)
class NewChat:
    name: str
    description: str | None = None
    member_ids: tuple[ProfileId, ...] = ()
    key: Nonce | None = None


@frozen(kw_only=True)
class InChat:
    """A request whose only argument is a chat."""

    chat_id: ChatId


@frozen(kw_only=True)
class ListQuery:
    """Pagination; without it, everything."""

    limit: int | None = None
    skip: int = 0
    """The number of items to skip."""
    cursor: str | None = None
    """The end of the previous page, taken from the ``Link`` header of its answer."""


@frozen(kw_only=True)
class ChatListQuery(ListQuery):
    chat_id: ChatId


@frozen(kw_only=True)
class HistoryQuery:
    chat_id: ChatId
    limit: int | None = None
    offset: int | None = None
    """A page number that starts at 1, as in the original messenger; 0 also means the first page."""
    before: int | None = None
    after: int | None = None
    around: int | None = None


_chat_name_text: Final = text(1, CHAT_NAME_LIMIT)


@takes(taken_by(_chat_name_text))
def _chat_name(value: object) -> str:
    return About(_chat_name_text(value)).name


@takes(taken_by(_chat_name_text))
def _other_chat_name(value: object) -> str:
    """A name that the chat judges, unless it is the one that it has."""
    name = _chat_name_text(value)
    refuse_unstorable(name)
    return name


_description: Final = nullable(text(0, DESCRIPTION_LIMIT))

_chat_name_field: Final = _documented(_chat_name, "The name of the group", "Кино")
_description_field: Final = _documented(_description, "What the group is about", "По пятницам")
_others: Final = _documented(
    members, "Profiles of people to add. The caller need not be among them", [examples.CHLOE]
)

CREATE_CHAT: Final = shape(
    NewChat,
    name=_chat_name_field,
    description=_description_field,
    member_ids=evolve(_others, name="members"),
    key=_key,
)

CHANGE_CHAT: Final = shape(
    ChangeChat,
    chat_id=_chat_id,
    name=_documented(_other_chat_name, "The name of the group", "Кино"),
    description=_description_field,
    member_ids=evolve(_others, name="members"),
)

DELETE_CHAT: Final = shape(DeleteChat, chat_id=_chat_id)


@takes({"type": "string", "minLength": 1})
def _where_to_go_on(value: object) -> str:
    return _text(value)


_limit: Final = _documented(
    integer(1), "The most items of a page; without it, there is one page with everything", 2
)
_cursor: Final = _documented(
    _where_to_go_on, "Where to go on, from the `Link` of the page before", "AAECAwQFBgcICQoLDA0OD3sifQ"
)
_list: Final = {
    "limit": _limit,
    "skip": _documented(integer(0), "How many items to pass over, instead of a cursor", 1),
    "cursor": _cursor,
}

IN_CHAT: Final = shape(InChat, chat_id=_chat_id)

LIST: Final = shape(ListQuery, **_list)


@frozen(kw_only=True)
class FoundProfiles(ListQuery):
    query: str


FIND_PROFILES: Final = shape(
    FoundProfiles,
    query=_documented(
        _text,
        "The beginning of a username, first name or last name; without it nobody is found",
        "chl",
        absent="",
    ),
    limit=_documented(integer(1), "The most people of a page, 20 at most", 5),
    cursor=_cursor,
)

LIST_IN_CHAT: Final = shape(ChatListQuery, chat_id=_chat_id, **_list)


@frozen(kw_only=True)
class SyncQuery:
    since: str | None = None
    seen: Mapping[ChatId, Position] = Factory(dict)
    next: str | None = None
    wait: int = 0
    """Seconds to wait for news."""


@takes({"type": "string"})
def _seen(value: object) -> dict[ChatId, Position]:
    """Reads positions by chat, as ``<chat>:<position>,<chat>:<position>``."""
    pairs = [pair.rsplit(":", 1) for pair in _text(value).split(",") if pair.strip()]
    try:
        return read_seen({chat_id: int(position) for chat_id, position in pairs})
    except (InvalidValue, ValueError):
        raise InvalidValue(ValueFault(SEEN_INVALID, value)) from None


_since: Final = _documented(
    _text,
    "The last cursor of this client; without it, the answer is a snapshot",
    "AAECAwQFBgcICQoLDA0OD3sifQ",
)
_seen_field: Final = _documented(
    _seen,
    "Positions up to which the client knows chats that moved after that cursor, so that nothing is told again:"
    " `<chat>:<position>`, with commas between them",
    f"{examples.CHAT}:16",
)

SYNC: Final = shape(
    SyncQuery,
    since=_since,
    seen=_seen_field,
    next=_documented(
        _where_to_go_on, "The `next` of the snapshot before, for its next page", "AAECAwQFBgcICQoLDA0OD3sifQ"
    ),
    wait=_documented(
        integer(0), "Seconds to wait if nothing has happened, 30 at most (`SYNC_WAIT_SECONDS`)", 10
    ),
)


@frozen(kw_only=True)
class EventsQuery:
    since: str | None = None
    seen: Mapping[ChatId, Position] = Factory(dict)


EVENTS: Final = shape(EventsQuery, since=_since, seen=_seen_field)

HISTORY: Final = shape(
    HistoryQuery,
    chat_id=_chat_id,
    limit=_documented(integer(1), "The most messages of a page: 50 by default, 200 at most", 5),
    offset=_documented(
        integer(0), "With `limit`: the number of the page, counted from the newest one, which is 1", 1
    ),
    before=_documented(integer(0), "A `seq`: the messages before it, the newest of them", 16),
    after=_documented(integer(0), "A `seq`: the messages after it, the oldest of them", 3),
    around=_documented(integer(0), "A `seq`: the messages around it", 8),
)
"""At most one of ``before``, ``after`` and ``around`` may be sent."""

# Requests about members, messages and read marks

ADD_MEMBERS: Final = shape(AddMembers, chat_id=_chat_id, profile_ids=_others, key=_key)

REMOVE_MEMBER: Final = shape(RemoveMember, chat_id=_chat_id, profile_id=_member_id)

CHANGE_ROLE: Final = shape(
    ChangeRole,
    chat_id=_chat_id,
    profile_id=_member_id,
    role=_documented(
        _role, "The role to give; `owner` hands the chat over, and the caller becomes an admin", "admin"
    ),
)

OPEN_DIRECT: Final = shape(
    OpenDirect, profile_id=_documented(identity, "The profile of the other person", examples.CHLOE), key=_key
)

SEND_MESSAGE: Final = shape(
    SendMessage,
    chat_id=_chat_id,
    body=_documented(_body, "The text. Whitespace around it is removed", "Идём сегодня в кино?", name="text"),
    nonce=_documented(
        _nonce,
        "The nonce of the message: a repeat under the same key is answered with the first message",
        examples.KEY,
        name=KEY,
        absent=None,
    ),
)

MARK_READ: Final = shape(
    MarkRead,
    chat_id=_chat_id,
    up_to=_documented(_seq_or_message, "The last message that was read: its `seq`, or its id", 16),
)


@frozen(kw_only=True)
class MessageListQuery(ListQuery):
    chat_id: ChatId
    message_id: MessageId


LIST_OF_MESSAGE: Final = shape(
    MessageListQuery,
    chat_id=_chat_id,
    message_id=_documented(identity, "The id of a message of the chat", examples.MESSAGE),
    **_list,
)

# Answers


def account_json(account_id: AccountId, email: str) -> answers.Account:
    return {"email": email, "id": account_id}


def actor_json(actor: Actor) -> answers.Me:
    return {**account_json(actor.account_id, actor.email), "profileId": actor.profile_id}


def factors_json(state: FactorState) -> answers.Factors:
    return {
        "available": state.is_available,
        "totp": state.is_on,
        "recoveryCodesLeft": state.recovery_codes_left,
    }


def factor_secret_json(made: NewSecret) -> answers.TotpSecret:
    return {"secret": made.shown, "uri": made.uri}


def ways_json(ways: OfferedWays) -> answers.Ways:
    return {
        "providers": [{"id": each.id, "name": each.name} for each in ways.providers],
        "passkeys": ways.passkeys,
    }


def own_ways_json(ways: OwnWays) -> answers.OwnWays:
    return {
        "password": ways.has_password,
        "secondFactor": ways.has_second_factor,
        "passkeys": ways.passkeys,
        "identities": ways.identities,
    }


def ceremony_json(ceremony: Ceremony) -> answers.PasskeyCeremony:
    return {"options": WebAuthnJson(ceremony.options), "token": ceremony.token}


def passkey_json(passkey: Passkey) -> answers.Passkey:
    return {
        "id": passkey.id,
        "name": passkey.name.text,
        "backedUp": passkey.is_backed_up,
        "createdAt": moment(passkey.created_at),
        "lastUsedAt": moment(passkey.last_used_at) if passkey.last_used_at else None,
    }


def proof_json(proved: Proved) -> answers.Proof:
    return {"proof": proved.proof, "expiresIn": int(proved.expires_in.total_seconds())}


def identity_json(linked: Identity, providers: Iterable[ProviderInfo]) -> answers.Identity:
    issuer = linked.subject.issuer
    return {
        "id": linked.id,
        "issuer": issuer,
        "provider": next((each.id for each in providers if each.issuer == issuer), None),
        "email": linked.email,
        "linkedAt": moment(linked.linked_at),
        "lastUsedAt": moment(linked.last_used_at) if linked.last_used_at else None,
    }


def access_token_json(session: Session) -> answers.AccessToken:
    grant = session.grant
    assert grant is not None, "only sessions of programs are access tokens"
    is_used = session.last_used_at > session.created_at
    return {
        "id": session.id,
        "name": grant.name.text,
        "scopes": sorted(grant.scopes),
        "createdAt": moment(session.created_at),
        "lastUsedAt": moment(session.last_used_at) if is_used else None,
        "expiresAt": moment(session.pair.access_expires_at),
    }


def session_json(session: Session, own: SessionId) -> answers.Session:
    named = session.fingerprint
    return {
        "id": session.id,
        "fingerprint": named.text if named.is_set else None,
        "createdAt": moment(session.created_at),
        "lastUsedAt": moment(session.last_used_at),
        "userAgent": session.origin.user_agent,
        "address": session.origin.address,
        "current": session.id == own,
    }


def account_event_json(event: AccountEvent) -> answers.AccountEvent:
    return {
        "id": event.id,
        "type": event.act,
        "at": moment(event.at),
        "session": event.session_id,
        "userAgent": event.origin.user_agent,
        "address": event.origin.address,
    }


def profile_json(profile: ProfileView) -> answers.Profile:
    return {
        "firstName": profile.first_name,
        "lastName": profile.last_name,
        "middleName": profile.middle_name,
        "username": profile.username,
        "id": profile.id,
    }


def own_profile_json(profile: Profile) -> answers.OwnProfile:
    """Encodes a profile for its owner, with the fields that other people do not see."""
    return {
        **profile_json(ProfileView.of(profile)),
        "phone": profile.phone.text if profile.phone else None,
    }


def message_json(view: MessageView) -> answers.Message:
    message = view.message
    encoded: answers.Message = {
        "id": message.id,
        "text": message.body.text,
        "sender": profile_json(view.sender),
        "readAt": None if view.read_at is None else moment(view.read_at),
        "sentAt": moment(message.sent_at),
        "chatId": message.chat_id,
        "seq": message.seq,
        "position": view.position,
    }
    if message.nonce is not None:
        encoded["nonce"] = message.nonce.value
    return encoded


def chat_json(chat: ChatView) -> answers.Chat:
    return {
        "id": chat.id,
        "name": chat.name,
        "description": chat.description,
        "owner": profile_json(chat.owner),
        "other": profile_json(chat.other) if chat.other else None,
        "kind": chat.kind,
        "role": chat.role,
        "lastMessage": None if chat.last_message is None else message_json(chat.last_message),
        "unreadCount": chat.unread_count,
        "readUpTo": chat.read_up_to,
        "lastSeq": chat.last_seq,
        "lastPosition": chat.last_position,
        "memberCount": chat.member_count,
    }


def details_json(details: ChatDetails, members: list[answers.Profile]) -> answers.ChatDetails:
    """Encodes a chat with its members, who are encoded already (`profile_json`), because there may be thousands."""
    return {
        **chat_json(details.chat),
        "createdAt": moment(details.chat.created_at),
        "updatedAt": moment(details.chat.updated_at),
        "members": members,
    }


def member_json(member: MemberView) -> answers.Member:
    return {
        "profile": profile_json(member.profile),
        "role": member.role,
        "joinedAt": moment(member.joined_at),
        "readUpTo": member.read_up_to,
    }


def reader_json(reader: ReaderView) -> answers.ReaderOfMessage:
    return {"profile": profile_json(reader.profile), "readAt": moment(reader.read_at)}


def history_json(page: HistoryPage) -> Mapping[str, object]:
    """Encodes a page as `answers.History` describes it, each person once."""
    senders = encoded_senders(page)
    rows = [row_json(page.chat_id, row, senders[row.sender_id]) for row in page.rows]
    return {**history_counts(page), "entities": rows}


def history_counts(page: HistoryPage) -> Mapping[str, object]:
    """Returns what a page tells besides its messages."""
    return {
        "totalCount": page.total_count,
        "hasBefore": page.has_before,
        "hasAfter": page.has_after,
    }


def encoded_senders(page: HistoryPage) -> Mapping[str, orjson.Fragment]:
    return {id: orjson.Fragment(dumps(profile_json(person))) for id, person in page.senders.items()}


def row_json(chat_id: ChatId, row: MessageRow, sender: orjson.Fragment) -> Json:
    """Encodes a message as `message_json` does. `dumps` writes times without a time zone as `moment` does."""
    encoded: Json = {
        "id": row.id,
        "text": row.text,
        "sender": sender,
        "readAt": row.read_at,
        "sentAt": row.sent_at,
        "chatId": chat_id,
        "seq": row.seq,
        "position": row.position,
    }
    if row.nonce is not None:
        encoded["nonce"] = row.nonce
    return encoded


def entries_json(entries: Iterable[Entry], language: Language) -> list[answers.Entry]:
    return [{"key": entry.key, "value": entry.value_in(language)} for entry in entries]
