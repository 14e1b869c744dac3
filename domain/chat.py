"""A chat: it gives messages their order and decides who may say or change what."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from attrs import define, field, frozen

from domain.chat_errors import (
    BadChatDescription,
    BadChatName,
    ChatNotFound,
    MemberNotFound,
    NotAllowed,
    NotAMember,
    NotTheOwner,
    NotToOneself,
    OnlyInGroups,
    TooFrequent,
)
from domain.decision import Decision
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
from domain.group_rules import GroupRules
from domain.ids import ChatId, MessageId, Position, ProfileId, Seq
from domain.member import Member, by_seniority
from domain.message import Body, Message, Nonce
from domain.role import MAY, Act, Role
from domain.text import is_nameable, refuse_unstorable, trimmed
from domain.unchanged import UNCHANGED, Unchanged

NO_RULES: Final = GroupRules()

NAME_LIMIT: Final = 100
DESCRIPTION_LIMIT: Final = 250


class Kind(StrEnum):
    GROUP = "group"
    DIRECT = "direct"
    """A chat of exactly two people, who have only one such chat."""


@frozen
class About:
    """A chat's name, 1 to 100 characters, and its description, up to 250."""

    name: str = field(converter=trimmed)
    description: str | None = field(default=None)

    @name.validator
    def _is_a_name(self, _: object, name: str) -> None:
        _refuse_name(name)

    @description.validator
    def _is_a_description(self, _: object, description: str | None) -> None:
        _refuse_description(description)

    @classmethod
    def unjudged(cls, name: str, description: str | None) -> "About":
        """Rebuilds name and description as they are stored, perhaps from before today's rules."""
        about = cls.__new__(cls)
        object.__setattr__(about, "name", name)
        object.__setattr__(about, "description", description)
        return about

    def edited(
        self, *, name: str | Unchanged = UNCHANGED, description: str | Unchanged | None = UNCHANGED
    ) -> "About":
        """
        The same with another name or description. Only what differs is judged: what is repeated may be older than the
        rules, and must not stand in the way of the rest.

        Raises:
            BadChatName, BadChatDescription, UnstorableText: The new name or description is refused.
        """
        name = self.name if isinstance(name, Unchanged) else trimmed(name)
        if isinstance(description, Unchanged):
            description = self.description
        if name != self.name:
            _refuse_name(name)
        if description != self.description:
            _refuse_description(description)
        return About.unjudged(name, description)


def _refuse_name(name: str) -> None:
    refuse_unstorable(name)
    if not (1 <= len(name) <= NAME_LIMIT and is_nameable(name)):
        raise BadChatName(name)


def _refuse_description(description: str | None) -> None:
    if description is not None:
        if len(description) > DESCRIPTION_LIMIT:
            raise BadChatDescription
        refuse_unstorable(description)


@define(eq=False, kw_only=True)
class Chat:
    """
    A chat numbers its messages by ``seq`` and all of its durable events by ``position``.

    A chat must be locked while it changes, so that numbers are handed out one by one. Methods that change it return a
    `Decision`, except `post`: many messages of many chats are stored at once, and a message is exactly one event.
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
    """When the newest message was sent; the next one never gets an earlier time."""
    member_count: int = 0

    @classmethod
    def open(
        cls,
        *,
        id: ChatId,
        about: About,
        owner_id: ProfileId,
        others: Sequence[ProfileId],
        at: datetime,
        rules: GroupRules = NO_RULES,
    ) -> "tuple[Chat, Decision]":
        """
        Open a group with its first members. This takes no position in the log, which begins with the next event.

        Raises:
            TooManyMembers: These are more than a group may have.
        """
        roles = {owner_id: Role.OWNER} | {other: Role.MEMBER for other in others if other != owner_id}
        rules.check_size(len(roles))
        return cls._open(Kind.GROUP, id, about, owner_id, roles, at)

    @classmethod
    def open_direct(
        cls, *, id: ChatId, opener_id: ProfileId, other_id: ProfileId, at: datetime
    ) -> "tuple[Chat, Decision]":
        """
        Open the direct chat of two people; storage guarantees that there is only one. It has no name of its own: each
        person sees the other's name.

        Raises:
            NotToOneself: Both are the same person.
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
    ) -> "tuple[Chat, Decision]":
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
        added = [ChatAdded(profile_id=m.profile_id, chat_id=id, at=at) for m in members]
        return chat, Decision(joined=tuple(members), personal=tuple(added))

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
        Number a new message.

        ``just_said`` is when the author last sent the same text to this chat, if that was recently. It only matters for
        messages without a nonce: a client that gives each message a nonce means every one of them.

        Raises:
            ChatNotFound: The chat was deleted.
            NotAMember: The author is not in the chat.
            TooFrequent: ``just_said`` is less than ``interval`` ago.
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

    def change(self, by: Member | None, about: About, *, at: datetime) -> Decision:
        """
        Rename or describe the chat. The decision is empty if nothing changed; ``updated_at`` still moves.

        Raises:
            NotAllowed: The actor's role does not allow it.
            OnlyInGroups: It is a direct chat.
        """
        actor = self.allowed(by, Act.DESCRIBE)
        self.updated_at = at
        if about == self.about:
            return Decision()
        self.about = about
        changed = ChatChanged(
            chat_id=self.id,
            position=self._next_position(),
            name=about.name,
            description=about.description,
            by=actor.profile_id,
            at=at,
        )
        return Decision(events=(changed,))

    def add(
        self,
        by: Member | None,
        newcomers: Sequence[ProfileId],
        *,
        at: datetime,
        rules: GroupRules = NO_RULES,
    ) -> Decision:
        """
        Add people, as plain members. The caller has made sure that they exist and that none of them is in the chat.

        Raises:
            NotAllowed: The actor's role does not allow it.
            OnlyInGroups: It is a direct chat.
            TooManyMembers: The group would have more than it may.
        """
        actor = self.allowed(by, Act.ADD)
        if newcomers:
            rules.check_size(self.member_count + len(newcomers))
        self.updated_at = at
        self.member_count += len(newcomers)
        return Decision(
            joined=tuple(
                Member(chat_id=self.id, profile_id=newcomer, role=Role.MEMBER, joined_at=at)
                for newcomer in newcomers
            ),
            events=tuple(
                MemberAdded(
                    chat_id=self.id,
                    position=self._next_position(),
                    profile_id=newcomer,
                    by=actor.profile_id,
                    at=at,
                )
                for newcomer in newcomers
            ),
            personal=tuple(ChatAdded(profile_id=newcomer, chat_id=self.id, at=at) for newcomer in newcomers),
        )

    def remove(self, by: Member | None, member: Member | None, *, at: datetime) -> Decision:
        """
        Remove another member; to go oneself is `leave`. The owner may remove anyone else, an admin only plain members.

        Raises:
            NotAllowed: The actor's role does not allow it, or the actor would remove themselves.
            MemberNotFound: The person is not in the chat.
            OnlyInGroups: It is a direct chat.
        """
        actor = self.allowed(by, Act.REMOVE)
        if member is None or member.left_at is not None:
            raise MemberNotFound
        if member.role is not Role.MEMBER and actor.role is not Role.OWNER:
            raise NotAllowed
        if member.profile_id == actor.profile_id:
            raise NotAllowed
        return self._out(member, Removal.REMOVED, by=actor.profile_id, at=at)

    def leave(self, member: Member | None, members: Sequence[Member], *, at: datetime) -> Decision:
        """
        Take a member out at their own wish. ``members`` are all present members; ``member`` may be among them.

        Ownership passes to the longest-standing admin, or to the longest-standing member if there is no admin. When the
        last member leaves, the chat is over.

        Raises:
            ChatNotFound: The chat was deleted.
            NotAMember: The member has left already.
            OnlyInGroups: A direct chat cannot be left.
        """
        self._present(member)
        self._must_be_group()
        return self.withdraw(member, members, at=at)

    def withdraw(self, member: Member | None, members: Sequence[Member], *, at: datetime) -> Decision:
        """Like `leave`, but allowed in direct chats too. It is used when the person's account is closed."""
        gone = self._present(member)
        left = self._out(gone, Removal.LEFT, by=gone.profile_id, at=at)
        others = [other for other in members if other.profile_id != gone.profile_id]
        if not others:
            self.deleted_at = at
            return left + Decision(ends_chat=True)
        if gone.role is Role.OWNER:
            heir = min(by_seniority(others), key=lambda other: other.role is not Role.ADMIN)
            return left + self._crown(heir, by=gone.profile_id, at=at)
        return left

    def appoint(self, by: Member | None, member: Member | None, role: Role, *, at: datetime) -> Decision:
        """
        Give a member a role. Making a member the owner hands the chat over: the former owner becomes an admin. The decision
        is empty if the member has the role already.

        Raises:
            NotAllowed: The actor is not the owner, or would give up ownership without naming a successor.
            MemberNotFound: The person is not in the chat.
            OnlyInGroups: It is a direct chat.
        """
        owner = self.allowed(by, Act.APPOINT)
        if member is None or member.left_at is not None:
            raise MemberNotFound
        if member.role is role:
            return Decision()
        if member.profile_id == owner.profile_id:
            raise NotAllowed
        if role is Role.OWNER:
            crowned = self._crown(member, by=owner.profile_id, at=at)
            return crowned + self._give(owner, Role.ADMIN, by=owner.profile_id, at=at)
        return self._give(member, role, by=owner.profile_id, at=at)

    def delete(self, by: Member | None, members: Sequence[Member], *, at: datetime) -> Decision:
        """
        End the chat for everybody. ``members`` are all present members; each of them is notified, in the order of joining.
        Either person may end a direct chat.

        Raises:
            NotTheOwner: The chat is a group that somebody else owns.
            ChatNotFound: The direct chat was deleted before.
            NotAMember: The actor is not in the direct chat.
        """
        if self.kind is Kind.DIRECT:
            self._present(by)
        else:
            self.allowed(by, Act.DELETE)
        self.deleted_at = self.updated_at = at
        self.member_count = 0
        leaving = by_seniority(members)
        for member in leaving:
            member.left_at = at
        return Decision(
            changed=tuple(leaving),
            personal=tuple(
                ChatRemoved(profile_id=m.profile_id, chat_id=self.id, reason=Removal.CHAT_DELETED, at=at)
                for m in leaving
            ),
            ends_chat=True,
        )

    def allowed(self, by: Member | None, act: Act) -> Member:
        """
        Return the actor if they may do this.

        Raises:
            NotAllowed: Their role does not allow it, or they are not in the chat. For acts that are the owner's alone, this
                is `NotTheOwner`.
            OnlyInGroups: It is a direct chat, in which nobody may do this.
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

    def _out(self, member: Member, reason: Removal, *, by: ProfileId, at: datetime) -> Decision:
        member.left_at = self.updated_at = at
        self.member_count -= 1
        removed = MemberRemoved(
            chat_id=self.id,
            position=self._next_position(),
            profile_id=member.profile_id,
            by=by,
            at=at,
        )
        lost = ChatRemoved(profile_id=member.profile_id, chat_id=self.id, reason=reason, at=at)
        return Decision(events=(removed,), personal=(lost,), changed=(member,))

    def _crown(self, heir: Member, *, by: ProfileId, at: datetime) -> Decision:
        self.owner_id = heir.profile_id
        return self._give(heir, Role.OWNER, by=by, at=at)

    def _give(self, member: Member, role: Role, *, by: ProfileId, at: datetime) -> Decision:
        member.role = role
        self.updated_at = at
        changed = RoleChanged(
            chat_id=self.id,
            position=self._next_position(),
            profile_id=member.profile_id,
            role=role,
            by=by,
            at=at,
        )
        return Decision(events=(changed,), changed=(member,))

    def _next_position(self) -> Position:
        self.last_position = Position(self.last_position + 1)
        return self.last_position
