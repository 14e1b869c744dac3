"""Views: the flat results of reads. They hold what clients are shown, and nothing that they must not see."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Final, NamedTuple
from uuid import UUID

from attrs import field, frozen

from domain.chat import Kind
from domain.ids import ChatId, MessageId, Position, ProfileId, Seq
from domain.message import Body, Message, Nonce
from domain.profile import Profile
from domain.role import Role
from domain.scope import Scope
from domain.session import Lifetimes


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
    created_at: datetime
    last_used_at: datetime
    scopes: frozenset[Scope] | None
    """The permissions of a program beside reading. None stands for a device of the owner."""

    def ends_at(self, lifetimes: Lifetimes) -> datetime | None:
        """Returns when the session ends however often it is refreshed, or None if there is no such time."""
        return lifetimes.ends_at(self.created_at) if self.scopes is None else self.expires_at


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


class MessageRow(NamedTuple):
    """
    A message as a page of history has it. Pages are read and written often, so a row has the values as storage returns them
    and as clients are told, with no objects in between.
    """

    id: str
    seq: int
    position: int
    sender_id: str
    text: str
    nonce: str | None
    sent_at: datetime
    """In UTC, without a time zone; so is ``read_at``."""
    read_at: datetime | None


@frozen(kw_only=True)
class HistoryPage:
    chat_id: ChatId
    numbers: range
    """The `seq` of its messages, also if the messages themselves are left out."""
    total_count: int
    rows: Sequence[MessageRow]
    """In ascending order."""
    senders: Mapping[str, ProfileView]
    """Those of the rows, by id."""
    version: str = field(default="", eq=False)
    """Differs whenever anything differs that the page shows; it is compared with versions of the same page only."""
    is_known: bool = False
    """True if the client has this version of the page already. The messages are then left out."""

    @classmethod
    def of(
        cls,
        chat_id: ChatId,
        numbers: range,
        last_seq: int,
        messages: Sequence[MessageView] = (),
        version: str = "",
    ) -> "HistoryPage":
        return cls(
            chat_id=chat_id,
            numbers=numbers,
            total_count=last_seq,
            rows=[_row(view) for view in messages],
            senders={str(view.message.author_id): view.sender for view in messages},
            version=version,
        )

    @property
    def has_before(self) -> bool:
        """True if there are messages before the page. For a page past the end of the chat, these are all messages."""
        return min(self.numbers.start, self.total_count + 1) > 1

    @property
    def has_after(self) -> bool:
        return self.numbers.stop <= self.total_count

    @cached_property
    def messages(self) -> Sequence[MessageView]:
        """In ascending order."""
        return [self._view(row) for row in self.rows]

    def _view(self, row: MessageRow) -> MessageView:
        message = Message(
            id=MessageId(UUID(row.id)),
            chat_id=self.chat_id,
            seq=Seq(row.seq),
            author_id=ProfileId(UUID(row.sender_id)),
            body=Body.unjudged(row.text),
            nonce=None if row.nonce is None else Nonce(row.nonce),
            sent_at=row.sent_at.replace(tzinfo=UTC),
        )
        return MessageView(
            message=message,
            position=Position(row.position),
            sender=self.senders[row.sender_id],
            read_at=None if row.read_at is None else row.read_at.replace(tzinfo=UTC),
        )


def _row(view: MessageView) -> MessageRow:
    message = view.message
    return MessageRow(
        id=str(message.id),
        seq=message.seq,
        position=view.position,
        sender_id=str(message.author_id),
        text=message.body.text,
        nonce=message.nonce.value if message.nonce else None,
        sent_at=_naive(message.sent_at),
        read_at=_naive(view.read_at) if view.read_at else None,
    )


def _naive(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(tzinfo=None)


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
