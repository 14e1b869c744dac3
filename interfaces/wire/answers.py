"""
The types of REST answers: `interfaces.wire.codec` returns them, and `/openapi.json` is generated from them.

Attribute names are the names on the wire. Clients must ignore names that they do not know.
"""

from typing import Annotated, Literal, NotRequired, TypedDict
from uuid import UUID

from domain.chat import Kind
from domain.role import Role
from domain.scope import Scope
from domain.security import SecurityAct
from interfaces.wire import examples
from interfaces.wire.schema import FieldDoc, FrameFields, Moment, WebAuthnJson

Position = Annotated[
    int,
    FieldDoc("The position of the event in the chat's log, which sockets resume from", 16),
]
Seq = Annotated[int, FieldDoc("The number of the message in its chat: 1, 2, 3, ... without holes", 16)]
ReadUpTo = Annotated[int, FieldDoc("The `seq` up to which the person has read the chat", 16)]


class SyncAnswer(TypedDict):
    """A snapshot of the chats of a person, or what was missed in all of them since a cursor."""

    frames: Annotated[
        list[FrameFields],
        FieldDoc("The frames that the socket of all chats sends, field for field and in that order"),
    ]
    cursor: Annotated[
        str | None,
        FieldDoc(
            "The cursor for the next request, to be kept once the frames are handled. Null for a further page of a snapshot,"
            " which leaves the cursor as it is",
            "AAECAwQFBgcICQoLDA0OD3sifQ",
        ),
    ]
    hasMore: Annotated[
        bool,
        FieldDoc(
            "Whether more was missed than the answers so far tell: ask again at once, with the cursor",
            example=False,
        ),
    ]


class Account(TypedDict):
    """An account: what a person signs in to."""

    email: Annotated[str, FieldDoc("The address with which the account signs in", examples.EMAIL)]
    id: Annotated[
        UUID,
        FieldDoc("The id of the account. In chats the person has another id, `profileId`", examples.ACCOUNT),
    ]


class Me(Account):
    """The account that is signed in."""

    profileId: Annotated[UUID, FieldDoc("The id of the person in chats and on sockets", examples.ANNA)]


class Tokens(TypedDict):
    """The access token of a session. The refresh token comes as a cookie."""

    accessToken: Annotated[
        str,
        FieldDoc(
            "The token for `Authorization: Bearer ...` and for the `auth` frame of sockets", examples.TOKEN
        ),
    ]
    expiresIn: Annotated[int, FieldDoc("For how many more seconds the access token is good", 1800)]


class Factors(TypedDict):
    """Whether the account has a second factor."""

    available: Annotated[
        bool, FieldDoc("Whether a second factor can be set up on this messenger", example=True)
    ]
    totp: Annotated[bool, FieldDoc("Whether signing in takes a code of an application", example=False)]
    recoveryCodesLeft: Annotated[int, FieldDoc("How many recovery codes are left", 0)]


class TotpSecret(TypedDict):
    """The secret of an application for codes, shown once."""

    secret: Annotated[str, FieldDoc("The secret in Base32, to be typed", examples.TOTP_SECRET)]
    uri: Annotated[
        str,
        FieldDoc(
            "The same as a URI, to be shown as a QR code",
            f"otpauth://totp/Messenger:{examples.EMAIL}?secret={examples.TOTP_SECRET}&issuer=Messenger"
            "&algorithm=SHA1&digits=6&period=30",
        ),
    ]


class NewRecoveryCodes(TypedDict):
    """Recovery codes, shown once."""

    recoveryCodes: Annotated[
        list[str],
        FieldDoc(
            "Codes to keep in a safe place; each is good once, in place of a code", [examples.RECOVERY_CODE]
        ),
    ]


class Provider(TypedDict):
    """A provider of identities, through which people may sign in."""

    id: Annotated[str, FieldDoc("Its id in requests", examples.PROVIDER)]
    name: Annotated[str, FieldDoc("Its name for people", "Example")]


class Ways(TypedDict):
    """The ways to sign in beside the password."""

    providers: Annotated[
        list[Provider],
        FieldDoc(
            "Providers of identities, in the order to show them in", [{"id": "example", "name": "Example"}]
        ),
    ]
    passkeys: Annotated[bool, FieldDoc("Whether people may sign in with passkeys", example=True)]


class OwnWays(TypedDict):
    """By which ways the account can be signed in to."""

    password: Annotated[
        bool,
        FieldDoc(
            "Whether it has a password. Without one a new password takes the session alone", example=True
        ),
    ]
    secondFactor: Annotated[
        bool, FieldDoc("Whether signing in by a password or a provider takes a code", example=False)
    ]
    passkeys: Annotated[int, FieldDoc("The number of its passkeys", 1)]
    identities: Annotated[int, FieldDoc("The number of identities at providers that it is linked with", 0)]


class Departure(TypedDict):
    """The page to which to send the browser."""

    url: Annotated[str, FieldDoc("The provider's page, to which the browser goes", examples.VISIT_URL)]


class Identity(TypedDict):
    """An identity at a provider that the account may be signed in through."""

    id: Annotated[UUID, FieldDoc("The id of the link, to remove it", examples.SESSION)]
    issuer: Annotated[str, FieldDoc("The provider's address as an issuer", "https://accounts.example")]
    provider: Annotated[
        str | None,
        FieldDoc("The id of the provider; null if this messenger has it no more", examples.PROVIDER),
    ]
    email: Annotated[
        str | None, FieldDoc("The address that the provider told last; null if none", "anna@accounts.example")
    ]
    linkedAt: Annotated[Moment, FieldDoc("When it was linked, in UTC", examples.MOMENT)]
    lastUsedAt: Annotated[
        Moment | None,
        FieldDoc("When somebody last signed in through it, in UTC; null before", examples.MOMENT),
    ]


class PasskeyCeremony(TypedDict):
    """A question for a device with passkeys."""

    options: Annotated[
        WebAuthnJson,
        FieldDoc(
            "The options for `navigator.credentials`, as `PublicKeyCredential.parseCreationOptionsFromJSON` or"
            " `parseRequestOptionsFromJSON` takes them",
            {"challenge": "AAEC", "rpId": "chat.example", "userVerification": "required"},
        ),
    ]
    token: Annotated[
        str,
        FieldDoc(
            "The sealed challenge, to be sent back with the answer within five minutes", examples.SEALED
        ),
    ]


class Passkey(TypedDict):
    """A passkey of the account."""

    id: Annotated[UUID, FieldDoc("The id of the passkey, to rename or remove it", examples.SESSION)]
    name: Annotated[str, FieldDoc("The name that its owner gave it", "My phone")]
    backedUp: Annotated[
        bool,
        FieldDoc("Whether it is kept in more than one place, so that it outlives the device", example=True),
    ]
    createdAt: Annotated[Moment, FieldDoc("When it was added, in UTC", examples.MOMENT)]
    lastUsedAt: Annotated[
        Moment | None, FieldDoc("When it was last used, in UTC; null before", examples.MOMENT)
    ]


class Proof(TypedDict):
    """A proof by a passkey, which requests take in place of the password and a code."""

    proof: Annotated[str, FieldDoc("The proof, good once and in this session", examples.SEALED)]
    expiresIn: Annotated[int, FieldDoc("For how many more seconds it is good", 300)]


class AccessToken(TypedDict):
    """An access token of a program."""

    id: Annotated[UUID, FieldDoc("The id of the token, to end it", examples.SESSION)]
    name: Annotated[str, FieldDoc("The name that its owner gave it", "Weather bot")]
    scopes: Annotated[list[Scope], FieldDoc("What it permits beside reading", [Scope.MESSAGES.value])]
    createdAt: Annotated[Moment, FieldDoc("When it was made, in UTC", examples.MOMENT)]
    lastUsedAt: Annotated[
        Moment | None,
        FieldDoc("When it was last used, in UTC, to the minute; null before", examples.MOMENT),
    ]
    expiresAt: Annotated[Moment, FieldDoc("Until when it is good, in UTC", examples.MOMENT)]


class NewAccessToken(AccessToken):
    """An access token of a program, with the token itself, which is shown once."""

    token: Annotated[str, FieldDoc("The token for `Authorization: Bearer ...`", examples.ACCESS_TOKEN)]


class Session(TypedDict):
    """A device on which the account is signed in."""

    id: Annotated[UUID, FieldDoc("The id of the session", examples.SESSION)]
    fingerprint: Annotated[
        str | None,
        FieldDoc("The name that the device gave itself; null if it gave none", examples.FINGERPRINT),
    ]
    createdAt: Annotated[Moment, FieldDoc("When the device signed in, in UTC", examples.MOMENT)]
    lastUsedAt: Annotated[
        Moment, FieldDoc("When the device last refreshed its tokens, in UTC", examples.MOMENT)
    ]
    userAgent: Annotated[
        str | None, FieldDoc("The `User-Agent` of the sign-in", "Mozilla/5.0 (X11; Linux x86_64)")
    ]
    address: Annotated[str | None, FieldDoc("The IP address of the sign-in", "203.0.113.7")]
    current: Annotated[bool, FieldDoc("Whether this is the session that asks", example=True)]


class AccountEvent(TypedDict):
    """Something that happened to the security of the account."""

    id: Annotated[UUID, FieldDoc("The id of the event", examples.SESSION)]
    type: Annotated[SecurityAct, FieldDoc("What happened", "signed_in")]
    at: Annotated[Moment, FieldDoc("When it happened, in UTC", examples.MOMENT)]
    session: Annotated[
        UUID | None,
        FieldDoc("The id of the session that it is about; null if it is about none", examples.SESSION),
    ]
    userAgent: Annotated[
        str | None, FieldDoc("The `User-Agent` of the request", "Mozilla/5.0 (X11; Linux x86_64)")
    ]
    address: Annotated[str | None, FieldDoc("The IP address of the request", "203.0.113.7")]


class Revoked(TypedDict):
    """How many sessions ended."""

    revoked: Annotated[int, FieldDoc("The number of sessions that ended", 2)]


class Entry(TypedDict):
    """An entry of a catalogue."""

    key: Annotated[str, FieldDoc("The key, which is the same in every language", "test")]
    value: Annotated[str, FieldDoc("What is shown for the key, in the language of the answer", "Тест")]


class Exists(TypedDict):
    """Whether a confirmed account has the address."""

    exists: Annotated[bool, FieldDoc("Whether a confirmed account has the address", example=True)]


class Profile(TypedDict):
    """A person, as others see them."""

    firstName: Annotated[str | None, FieldDoc("The first name", "Анна")]
    lastName: Annotated[str | None, FieldDoc("The last name", "Морозова")]
    middleName: Annotated[str | None, FieldDoc("The middle name or patronymic", "Игоревна")]
    username: Annotated[str | None, FieldDoc("The name under which others find the person", "anna")]
    id: Annotated[UUID, FieldDoc("The id of the person in chats and on sockets", examples.ANNA)]


class OwnProfile(Profile):
    """A person, as they see themselves."""

    phone: Annotated[
        str | None, FieldDoc("The phone number (E.164), which nobody else sees", "+447700900103")
    ]


class Message(TypedDict):
    """A message of a chat."""

    id: Annotated[UUID, FieldDoc("The id of the message", examples.MESSAGE)]
    text: Annotated[
        str, FieldDoc("The text, without whitespace around it", "Иду! Мне, пожалуйста, без сахара.")
    ]
    sender: Annotated[Profile, FieldDoc("The author; a placeholder if the account is closed")]
    readAt: Annotated[
        Moment | None,
        FieldDoc("When somebody else first read the message, in UTC; null before", examples.MOMENT),
    ]
    sentAt: Annotated[Moment, FieldDoc("When the message was stored, in UTC", examples.MOMENT)]
    chatId: Annotated[UUID, FieldDoc("The chat that the message is in", examples.CHAT)]
    seq: Seq
    position: Position
    nonce: NotRequired[
        Annotated[str, FieldDoc("The client's own name of the message, if it gave one", examples.KEY)]
    ]


class Chat(TypedDict):
    """A chat, as the caller sees it."""

    id: Annotated[UUID, FieldDoc("The id of the chat", examples.CHAT)]
    name: Annotated[
        str, FieldDoc("The name of the group; of a direct chat, the name of the other person", "Обед")
    ]
    description: Annotated[str | None, FieldDoc("What the group is about", "Куда идём и кто с нами")]
    owner: Annotated[Profile, FieldDoc("The owner of the group; of a direct chat, who opened it")]
    other: Annotated[Profile | None, FieldDoc("The other person of a direct chat; null in a group")]
    kind: Annotated[Kind, FieldDoc("`group`, or `direct` for the one chat of two people", "group")]
    role: Annotated[Role, FieldDoc("The caller's role in the chat", "owner")]
    lastMessage: Annotated[Message | None, FieldDoc("The newest message; null in an empty chat")]
    unreadCount: Annotated[int, FieldDoc("The number of messages of others that the caller has not read", 0)]
    readUpTo: ReadUpTo
    lastSeq: Annotated[int, FieldDoc("The `seq` of the newest message; 0 in an empty chat", 16)]
    lastPosition: Annotated[int, FieldDoc("The position of the newest event in the chat's log", 16)]
    memberCount: Annotated[int, FieldDoc("The number of members", 3)]


class ChatDetails(Chat):
    """A chat and its members."""

    createdAt: Annotated[Moment, FieldDoc("When the chat was created, in UTC", examples.MOMENT)]
    updatedAt: Annotated[
        Moment, FieldDoc("When name, description or members last changed, in UTC", examples.MOMENT)
    ]
    members: Annotated[list[Profile], FieldDoc("All members, the owner first")]


class Member(TypedDict):
    """A member of a chat."""

    profile: Annotated[Profile, FieldDoc("The person")]
    role: Annotated[Role, FieldDoc("The role in the chat", "member")]
    joinedAt: Annotated[Moment, FieldDoc("When the person joined, in UTC", examples.MOMENT)]
    readUpTo: ReadUpTo


class ReaderOfMessage(TypedDict):
    """A member who has read a message."""

    profile: Annotated[Profile, FieldDoc("The reader")]
    readAt: Annotated[Moment, FieldDoc("When the person read the message, in UTC", examples.MOMENT)]


class History(TypedDict):
    """A page of a chat's messages, in the order of `seq`."""

    totalCount: Annotated[int, FieldDoc("The number of messages in the chat", 16)]
    entities: Annotated[list[Message], FieldDoc("The messages of the page, the oldest first")]
    hasBefore: Annotated[bool, FieldDoc("Whether there are older messages", example=True)]
    hasAfter: Annotated[bool, FieldDoc("Whether there are newer messages", example=False)]


class Reading(TypedDict):
    """How far the caller has read the chat."""

    readUpTo: ReadUpTo
    unreadCount: Annotated[int, FieldDoc("The number of messages of others that are left unread", 0)]


class HealthReport(TypedDict):
    """The process answers, and with it what the path asks about."""

    health: Annotated[Literal["ok"], FieldDoc("Always `ok`: what is not well is an error", "ok")]
