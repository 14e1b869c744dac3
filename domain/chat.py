"""The place where messages get their order, and where it is decided who may say or change what."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final

from attrs import define, field, frozen
from attrs.setters import frozen as never

from domain.errors import Forbidden, Invalid, NotFound
from domain.events import ChatAdded, ChatChanged, ChatRemoved, MemberAdded, MessageSent, Removal
from domain.ids import ChatId, MessageId, Position, ProfileId, Seq
from domain.message import Body, Message, Nonce, refuse_unstorable, trimmed

NAME_LIMIT: Final = 100
DESCRIPTION_LIMIT: Final = 250


class ChatNotFound(NotFound):
    code = "chat_not_found"


class NotAMember(Forbidden):
    code = "not_a_member"


class NotTheOwner(Forbidden):
    code = "not_the_owner"


class BadChatName(Invalid):
    code = "bad_chat_name"


class BadChatDescription(Invalid):
    code = "bad_chat_description"


class MembersNotFound(NotFound):
    """Some profiles that were to become members do not exist; nobody was added."""

    code = "member_not_found"

    def __init__(self, missing: Sequence[ProfileId]) -> None:
        super().__init__(missing)
        self.missing = missing


class Kind(StrEnum):
    GROUP = "group"


class Role(StrEnum):
    OWNER = "owner"
    MEMBER = "member"


@frozen
class About:
    """What a chat is called: a name of 1 to 100 characters, and up to 250 on what it is for."""

    name: str = field(converter=trimmed)
    description: str | None = None

    @name.validator
    def _is_a_name(self, _: object, name: str) -> None:
        if not 1 <= len(name) <= NAME_LIMIT:
            raise BadChatName
        refuse_unstorable(name)

    def __attrs_post_init__(self) -> None:
        if self.description is not None:
            if len(self.description) > DESCRIPTION_LIMIT:
                raise BadChatDescription
            refuse_unstorable(self.description)


@define(eq=False, kw_only=True)
class Member:
    """One profile's place in one chat. Who left keeps a place that says so."""

    chat_id: ChatId = field(on_setattr=never)
    profile_id: ProfileId = field(on_setattr=never)
    role: Role
    joined_at: datetime
    left_at: datetime | None = None


@define(eq=False, kw_only=True)
class Chat:
    """
    Numbers what happens in it: messages by ``seq``, every durable event by ``position``.

    Whoever changes a chat holds it locked, so that numbers are handed out one by one.
    """

    id: ChatId
    kind: Kind
    about: About
    owner_id: ProfileId
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = None
    last_seq: Seq = Seq(0)
    last_position: Position = Position(0)
    last_at: datetime | None = None
    """When the newest message was sent; the next one is never sent before it."""
    member_count: int = 0

    @classmethod
    def open(
        cls, *, id: ChatId, about: About, owner_id: ProfileId, others: Sequence[ProfileId], at: datetime
    ) -> "tuple[Chat, list[Member], list[ChatAdded]]":
        """A new group with its first members. Takes no position: its log begins after it exists."""
        chat = cls(
            id=id,
            kind=Kind.GROUP,
            about=about,
            owner_id=owner_id,
            created_at=at,
            updated_at=at,
        )
        roles = {owner_id: Role.OWNER} | {other: Role.MEMBER for other in others if other != owner_id}
        members = [
            Member(chat_id=id, profile_id=profile_id, role=role, joined_at=at)
            for profile_id, role in roles.items()
        ]
        chat.member_count = len(members)
        return chat, members, [ChatAdded(profile_id=m.profile_id, chat_id=id, at=at) for m in members]

    def post(
        self, author: Member | None, body: Body, *, id: MessageId, nonce: Nonce | None, at: datetime
    ) -> MessageSent:
        """
        Raises:
            ChatNotFound: The chat was deleted.
            NotAMember: The author is not here, or no longer.
        """
        if self.deleted_at is not None:
            raise ChatNotFound
        if author is None or author.left_at is not None:
            raise NotAMember
        if self.last_at is None or at > self.last_at:
            self.last_at = at
        self.last_seq = Seq(self.last_seq + 1)
        message = Message(
            id=id,
            chat_id=self.id,
            seq=self.last_seq,
            author_id=author.profile_id,
            body=body,
            nonce=nonce,
            sent_at=self.last_at,
        )
        return MessageSent(chat_id=self.id, position=self._next_position(), message=message)

    def change(self, by: Member | None, about: About, *, at: datetime) -> ChatChanged | None:
        """None: it is called so already, and only ``updated_at`` moves."""
        owner = self.owned(by)
        self.updated_at = at
        if about == self.about:
            return None
        self.about = about
        return ChatChanged(
            chat_id=self.id,
            position=self._next_position(),
            name=about.name,
            description=about.description,
            by=owner.profile_id,
            at=at,
        )

    def add(
        self, by: Member | None, newcomer: ProfileId, *, at: datetime
    ) -> tuple[Member, MemberAdded, ChatAdded]:
        """The caller has made sure that ``newcomer`` exists and is not a member."""
        owner = self.owned(by)
        self.updated_at = at
        self.member_count += 1
        return (
            Member(chat_id=self.id, profile_id=newcomer, role=Role.MEMBER, joined_at=at),
            MemberAdded(
                chat_id=self.id,
                position=self._next_position(),
                profile_id=newcomer,
                by=owner.profile_id,
                at=at,
            ),
            ChatAdded(profile_id=newcomer, chat_id=self.id, at=at),
        )

    def delete(self, by: Member | None, members: Sequence[Member], *, at: datetime) -> list[ChatRemoved]:
        """``members`` are all who are in it; they leave with it."""
        self.owned(by)
        self.deleted_at = self.updated_at = at
        self.member_count = 0
        for member in members:
            member.left_at = at
        return [
            ChatRemoved(profile_id=m.profile_id, chat_id=self.id, reason=Removal.CHAT_DELETED, at=at)
            for m in members
        ]

    def owned(self, by: Member | None) -> Member:
        """
        Whoever asks, if it is the owner.

        Raises:
            NotTheOwner: Somebody else, or the chat was deleted.
        """
        if self.deleted_at is not None or by is None or by.left_at is not None or by.role is not Role.OWNER:
            raise NotTheOwner
        return by

    def _next_position(self) -> Position:
        self.last_position = Position(self.last_position + 1)
        return self.last_position
