"""
The types of REST answers: `interfaces.wire.codec` returns them, and `/openapi.json` is generated from them.

Attribute names are the names on the wire. Clients must ignore names that they do not know.
"""

from typing import Literal, NotRequired, TypedDict
from uuid import UUID

from domain.chat import Kind
from domain.role import Role
from interfaces.wire.schema import Moment


class Account(TypedDict):
    email: str
    id: UUID


class Me(Account):
    profileId: UUID


class Tokens(TypedDict):
    accessToken: str
    expiresIn: int


class Session(TypedDict):
    id: UUID
    fingerprint: str | None
    createdAt: Moment
    lastUsedAt: Moment
    userAgent: str | None
    address: str | None
    current: bool


class Revoked(TypedDict):
    revoked: int


class Entry(TypedDict):
    key: str
    value: str


class Exists(TypedDict):
    exists: bool


class Profile(TypedDict):
    firstName: str | None
    lastName: str | None
    middleName: str | None
    username: str | None
    id: UUID


class OwnProfile(Profile):
    phone: str | None


class Message(TypedDict):
    id: UUID
    text: str
    sender: Profile
    readAt: Moment | None
    sentAt: Moment
    chatId: UUID
    seq: int
    position: int
    nonce: NotRequired[str]


class Chat(TypedDict):
    id: UUID
    name: str
    description: str | None
    owner: Profile
    kind: Kind
    role: Role
    lastMessage: Message | None
    unreadCount: int
    readUpTo: int
    lastSeq: int
    lastPosition: int
    memberCount: int


class ChatDetails(Chat):
    createdAt: Moment
    updatedAt: Moment
    members: list[Profile]


class Member(TypedDict):
    profile: Profile
    role: Role
    joinedAt: Moment
    readUpTo: int


class ReaderOfMessage(TypedDict):
    profile: Profile
    readAt: Moment


class History(TypedDict):
    totalCount: int
    entities: list[Message]
    hasBefore: bool
    hasAfter: bool


class Reading(TypedDict):
    readUpTo: int
    unreadCount: int


class Health(TypedDict):
    health: Literal["ok"]
