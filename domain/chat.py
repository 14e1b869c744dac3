"""The place where messages get their order, and where it is decided who may say or change what."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from attrs import define, field, frozen
from attrs.setters import frozen as never

from domain.errors import Conflict, Forbidden, Invalid, Limited, NotFound
from domain.events import (
    ChatAdded,
    ChatChanged,
    ChatRemoved,
    MemberAdded,
    MemberRemoved,
    MessageSent,
    Removal,
    RoleChanged,
)
from domain.ids import ChatId, MessageId, Position, ProfileId, Seq
from domain.message import Body, Message, Nonce
from domain.role import MAY, Act, Role
from domain.text import is_nameable, refuse_unstorable, trimmed

NAME_LIMIT: Final = 100
DESCRIPTION_LIMIT: Final = 250


class ChatNotFound(NotFound):
    code = "chat_not_found"


class MemberNotFound(NotFound):
    """The one whose role or place is to change is not in the chat."""

    code = "no_such_member"


class NotAMember(Forbidden):
    code = "not_a_member"


class NotAllowed(Forbidden):
    """A member, but not one who may do this: `MAY` says who."""

    code = "not_allowed"


class NotTheOwner(NotAllowed):
    code = "not_the_owner"


class OnlyInGroups(Conflict):
    """The two of a direct chat stay two, and neither owns it alone."""

    code = "only_in_groups"


class NotToOneself(Invalid):
    code = "not_to_oneself"


class TooFrequent(Limited):
    """The author has said just this moments ago. ``wait`` is in seconds."""

    code = "too_frequent"

    def __init__(self, wait: float) -> None:
        super().__init__(wait)
        self.wait = wait


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
    DIRECT = "direct"
    """Of two people, who have no other."""


@frozen
class About:
    """What a chat is called: a name of 1 to 100 characters, and up to 250 on what it is for."""

    name: str = field(converter=trimmed)
    description: str | None = None

    @name.validator
    def _is_a_name(self, _: object, name: str) -> None:
        refuse_unstorable(name)
        if not (1 <= len(name) <= NAME_LIMIT and is_nameable(name)):
            raise BadChatName

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
        roles = {owner_id: Role.OWNER} | {other: Role.MEMBER for other in others if other != owner_id}
        return cls._open(Kind.GROUP, id, about, owner_id, roles, at)

    @classmethod
    def open_direct(
        cls, *, id: ChatId, opener_id: ProfileId, other_id: ProfileId, at: datetime
    ) -> "tuple[Chat, list[Member], list[ChatAdded]]":
        """
        *The* chat of two people; that there is no other, storage knows. It has no name of its own: each sees the other's.

        Raises:
            NotToOneself: They are one.
        """
        if opener_id == other_id:
            raise NotToOneself
        roles = {opener_id: Role.MEMBER, other_id: Role.MEMBER}
        return cls._open(Kind.DIRECT, id, About("direct"), opener_id, roles, at)

    @classmethod
    def _open(
        cls,
        kind: Kind,
        id: ChatId,
        about: About,
        owner_id: ProfileId,
        roles: Mapping[ProfileId, Role],
        at: datetime,
    ) -> "tuple[Chat, list[Member], list[ChatAdded]]":
        chat = cls(
            id=id,
            kind=kind,
            about=about,
            owner_id=owner_id,
            created_at=at,
            updated_at=at,
            member_count=len(roles),
        )
        members = [
            Member(chat_id=id, profile_id=profile_id, role=role, joined_at=at)
            for profile_id, role in roles.items()
        ]
        return chat, members, [ChatAdded(profile_id=m.profile_id, chat_id=id, at=at) for m in members]

    def post(
        self,
        author: Member | None,
        body: Body,
        *,
        id: MessageId,
        nonce: Nonce | None,
        at: datetime,
        just_said: datetime | None = None,
        interval: timedelta = timedelta(0),
    ) -> MessageSent:
        """
        ``just_said`` is when the author has said the same here within the last moments. It counts only for messages
        without a nonce: whoever names messages means each of them.

        Raises:
            ChatNotFound: The chat was deleted.
            NotAMember: The author is not here, or no longer.
            TooFrequent: ``just_said`` is less than ``interval`` ago, and that is not zero.
        """
        if self.deleted_at is not None:
            raise ChatNotFound
        if author is None or author.left_at is not None:
            raise NotAMember
        if interval and nonce is None and just_said is not None and at - just_said < interval:
            raise TooFrequent(max(0.0, (just_said + interval - at).total_seconds()))
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
        actor = self.allowed(by, Act.DESCRIBE)
        self.updated_at = at
        if about == self.about:
            return None
        self.about = about
        return ChatChanged(
            chat_id=self.id,
            position=self._next_position(),
            name=about.name,
            description=about.description,
            by=actor.profile_id,
            at=at,
        )

    def add(
        self, by: Member | None, newcomer: ProfileId, *, at: datetime
    ) -> tuple[Member, MemberAdded, ChatAdded]:
        """The caller has made sure that ``newcomer`` exists and is not a member."""
        actor = self.allowed(by, Act.ADD)
        self.updated_at = at
        self.member_count += 1
        return (
            Member(chat_id=self.id, profile_id=newcomer, role=Role.MEMBER, joined_at=at),
            MemberAdded(
                chat_id=self.id,
                position=self._next_position(),
                profile_id=newcomer,
                by=actor.profile_id,
                at=at,
            ),
            ChatAdded(profile_id=newcomer, chat_id=self.id, at=at),
        )

    def remove(
        self, by: Member | None, member: Member | None, *, at: datetime
    ) -> tuple[MemberRemoved, ChatRemoved]:
        """
        Put somebody out. The owner puts out everybody else, an admin only members; going oneself is `leave`.

        Raises:
            NotAllowed: Not by this one.
            MemberNotFound: There is nobody to remove.
        """
        actor = self.allowed(by, Act.REMOVE)
        if member is None or member.left_at is not None:
            raise MemberNotFound
        if member.role is not Role.MEMBER and actor.role is not Role.OWNER:
            raise NotAllowed
        if member.profile_id == actor.profile_id:
            raise NotAllowed
        return self._out(member, Removal.REMOVED, by=actor.profile_id, at=at)

    def leave(
        self, member: Member | None, others: Sequence[Member], *, at: datetime
    ) -> tuple[list[MemberRemoved | RoleChanged], ChatRemoved]:
        """
        Go. ``others`` are all who stay.

        Ownership passes to the longest-standing admin, else the longest-standing member; with the last one goes the
        chat.

        Raises:
            NotAMember: Gone already.
            OnlyInGroups: A direct chat is not left.
        """
        self._present(member)
        self._must_be_group()
        return self.withdraw(member, others, at=at)

    def withdraw(
        self, member: Member | None, others: Sequence[Member], *, at: datetime
    ) -> tuple[list[MemberRemoved | RoleChanged], ChatRemoved]:
        """`leave`, from chats of every kind: a person is no more."""
        gone = self._present(member)
        removed, left = self._out(gone, Removal.LEFT, by=gone.profile_id, at=at)
        events: list[MemberRemoved | RoleChanged] = [removed]
        if not others:
            self.deleted_at = at
        elif gone.role is Role.OWNER:
            heir = min(others, key=lambda m: (m.role is not Role.ADMIN, m.joined_at, m.profile_id))
            events.append(self._crown(heir, by=gone.profile_id, at=at))
        return events, left

    def owner_among(self, members: Sequence[Member]) -> Member | None:
        """The one of ``members`` who owns the chat: of those who stay when the owner went, the heir."""
        return next((member for member in members if member.profile_id == self.owner_id), None)

    def appoint(
        self, by: Member | None, member: Member | None, role: Role, *, at: datetime
    ) -> list[RoleChanged]:
        """
        Give somebody a role. To make an owner is to hand the chat over: the former owner becomes an admin.

        Raises:
            NotAllowed: Not by this one.
            MemberNotFound: There is nobody to appoint.
        """
        owner = self.allowed(by, Act.APPOINT)
        if member is None or member.left_at is not None:
            raise MemberNotFound
        if member.role is role:
            return []
        if member.profile_id == owner.profile_id:
            raise NotAllowed  # a chat has an owner: somebody else is made one, and this one is it no more
        if role is Role.OWNER:
            crowned = self._crown(member, by=owner.profile_id, at=at)
            owner.role = Role.ADMIN
            return [crowned, self._role_changed(owner, by=owner.profile_id, at=at)]
        member.role = role
        return [self._role_changed(member, by=owner.profile_id, at=at)]

    def delete(self, by: Member | None, members: Sequence[Member], *, at: datetime) -> list[ChatRemoved]:
        """``members`` are all who are in it; they leave with it. A direct chat may be ended by either."""
        if self.kind is Kind.DIRECT:
            self._present(by)
        else:
            self.allowed(by, Act.DELETE)
        self.deleted_at = self.updated_at = at
        self.member_count = 0
        for member in members:
            member.left_at = at
        return [
            ChatRemoved(profile_id=m.profile_id, chat_id=self.id, reason=Removal.CHAT_DELETED, at=at)
            for m in members
        ]

    def allowed(self, by: Member | None, act: Act) -> Member:
        """
        Whoever asks, if they may.

        Raises:
            NotAllowed: They may not; where only the owner may, `NotTheOwner`.
            OnlyInGroups: Nobody may, for it is a direct chat.
        """
        refusal = NotTheOwner if MAY[act] == {Role.OWNER} else NotAllowed
        if self.deleted_at is not None or by is None or by.left_at is not None:
            raise refusal
        self._must_be_group()
        if by.role not in MAY[act]:
            raise refusal
        return by

    def _present(self, member: Member | None) -> Member:
        if self.deleted_at is not None:
            raise ChatNotFound
        if member is None or member.left_at is not None:
            raise NotAMember
        return member

    def _must_be_group(self) -> None:
        if self.kind is Kind.DIRECT:
            raise OnlyInGroups

    def _out(
        self, member: Member, reason: Removal, *, by: ProfileId, at: datetime
    ) -> tuple[MemberRemoved, ChatRemoved]:
        member.left_at = self.updated_at = at
        self.member_count -= 1
        return (
            MemberRemoved(
                chat_id=self.id,
                position=self._next_position(),
                profile_id=member.profile_id,
                by=by,
                at=at,
            ),
            ChatRemoved(profile_id=member.profile_id, chat_id=self.id, reason=reason, at=at),
        )

    def _crown(self, heir: Member, *, by: ProfileId, at: datetime) -> RoleChanged:
        heir.role = Role.OWNER
        self.owner_id = heir.profile_id
        return self._role_changed(heir, by=by, at=at)

    def _role_changed(self, member: Member, *, by: ProfileId, at: datetime) -> RoleChanged:
        self.updated_at = at
        return RoleChanged(
            chat_id=self.id,
            position=self._next_position(),
            profile_id=member.profile_id,
            role=member.role,
            by=by,
            at=at,
        )

    def _next_position(self) -> Position:
        self.last_position = Position(self.last_position + 1)
        return self.last_position
