"""Views: the flat results of reads. They hold what clients are shown, and nothing that they must not see."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from attrs import frozen

from domain.chat import Kind
from domain.ids import ChatId, Position, ProfileId, Seq
from domain.message import Message
from domain.profile import Profile
from domain.role import Role
from domain.scope import Scope


@frozen(kw_only=True)
class ProfileView:
    """A person as others see them: without e-mail address, phone number and account id."""

    id: ProfileId
    first_name: str | None = None
    last_name: str | None = None
    middle_name: str | None = None
    username: str | None = None

    @property
    def shown_name(self) -> str:
        """The name of a direct chat with this person. Never empty."""
        if self.id == NOBODY.id:
            return NO_LONGER_HERE
        names = " ".join(name for name in (self.first_name, self.last_name) if name)
        return names or self.username or str(self.id)[:8]

    @classmethod
    def of(cls, profile: Profile) -> "ProfileView":
        return cls(
            id=profile.id,
            first_name=profile.first_name.text if profile.first_name else None,
            last_name=profile.last_name.text if profile.last_name else None,
            middle_name=profile.middle_name.text if profile.middle_name else None,
            username=profile.username.text if profile.username else None,
        )


@frozen(kw_only=True)
class LiveSession:
    """A session that has not ended, as far as authentication needs it."""

    profile: ProfileView
    email: str
    access_id: str
    expires_at: datetime
    """When the refresh token expires, or the access token of a program."""
    last_used_at: datetime
    scopes: frozenset[Scope] | None
    """The permissions of a program beside reading. None stands for a device of the owner."""


@frozen(kw_only=True)
class Contact:
    """A person with whom somebody shares a chat."""

    profile_id: ProfileId
    last_used_at: datetime | None
    """When a session of theirs was last used. Open sockets do not count; None if no session is kept."""


NOBODY: Final = ProfileView(id=ProfileId(UUID(int=0)))
"""Stands in for a profile that is gone with its account. Clients read ``sender.id``, so it is never left out."""

NO_LONGER_HERE: Final = "Учётная запись закрыта / Account closed"
"""The name of a direct chat when the account of the other person is closed."""


@frozen(kw_only=True)
class MessageView:
    message: Message
    position: Position
    sender: ProfileView
    read_at: datetime | None = None
    """When anyone but the author first read it."""


@frozen(kw_only=True)
class ChatView:
    """A chat as one of its members sees it."""

    id: ChatId
    kind: Kind
    name: str
    description: str | None
    owner: ProfileView
    other: ProfileView | None = None
    """The other person of a direct chat, None for a group."""
    role: Role
    """The reader's own."""
    member_count: int
    created_at: datetime
    updated_at: datetime
    last_message: MessageView | None
    last_seq: Seq
    last_position: Position
    read_up_to: Seq
    unread_count: int


@frozen(kw_only=True)
class ChatDetails:
    chat: ChatView
    members: Sequence[ProfileView]
    """The owner first, the others by name."""


@frozen(kw_only=True)
class MemberView:
    profile: ProfileView
    role: Role
    joined_at: datetime
    read_up_to: Seq


def by_name(owner_id: ProfileId, id: ProfileId, one: ProfileView) -> tuple[bool, str, str, str, ProfileId]:
    """The order in which a chat shows its members: the owner first, the others by name."""
    return (id != owner_id, one.first_name or "", one.last_name or "", one.username or "", id)


@frozen(kw_only=True)
class ReaderView:
    profile: ProfileView
    read_at: datetime


@frozen(kw_only=True)
class HistoryPage:
    total_count: int
    messages: Sequence[MessageView]
    """In ascending order."""
    has_before: bool
    has_after: bool

    @classmethod
    def of(cls, numbers: range, last_seq: Seq, messages: Sequence[MessageView]) -> "HistoryPage":
        """
        The page of these numbers (`application.ports.views.span`) in a chat whose last message is ``last_seq``.

        A page past the end is empty, and everything lies before it.
        """
        return cls(
            total_count=last_seq,
            messages=messages,
            has_before=min(numbers.start, last_seq + 1) > 1,
            has_after=numbers.stop <= last_seq,
        )


@frozen(kw_only=True)
class Snapshot:
    """A chat at one moment. It includes everything up to ``position``; updates after that follow."""

    epoch: str
    """Identifies this line of history. Positions of different epochs cannot be compared."""
    seq: Seq
    position: Position
    unread_count: int
    read_up_to: Seq
    others_read_up_to: Seq
    """The furthest read mark of the other members."""
    member_count: int
    history: HistoryPage
