"""Reads. Each is one consistent picture, whatever is written meanwhile; none holds anything up."""

from collections.abc import Sequence
from typing import Protocol, assert_never

from attrs import frozen

from application.paging import ChatPlace, MemberPlace, Page, Paging, ReaderPlace
from application.ports.updates import ChatUpdate
from application.views import (
    ChatDetails,
    ChatView,
    HistoryPage,
    LiveSession,
    MemberView,
    ReaderView,
    Snapshot,
)
from domain.errors import NotFound
from domain.ids import AccountId, ChatId, MessageId, Position, ProfileId, Seq, SessionId


class MessageNotFound(NotFound):
    code = "message_not_found"


@frozen
class Newest:
    """The last messages of a chat."""


@frozen
class PageNumber:
    """The original messenger's paging: 1 is the newest page, 2 the one before it. Numbers begin at 1."""

    number: int


@frozen
class Before:
    seq: Seq


@frozen
class After:
    seq: Seq


@frozen
class Around:
    """Half the page before ``seq``, the rest from ``seq`` on."""

    seq: Seq


Where = Newest | PageNumber | Before | After | Around


class Views(Protocol):
    async def live_session(self, account_id: AccountId, session_id: SessionId) -> LiveSession | None:
        """None: there is none, or it has ended. One indexed read, for it precedes every request."""
        ...

    async def list_chats(self, reader: ProfileId) -> Sequence[ChatView]:
        """All chats of a profile, newest activity first, in a constant number of reads."""
        ...

    async def page_of_chats(self, reader: ProfileId, paging: Paging[ChatPlace]) -> Page[ChatView, ChatPlace]:
        """
        A part of `list_chats`. Of the chats outside the page only the time of the last activity is read.

        Raises:
            BadPlace: Another storage gave out the place.
        """
        ...

    async def get_chat(self, reader: ProfileId, chat_id: ChatId) -> ChatDetails:
        """
        Raises:
            ChatNotFound: No such chat.
            NotAMember: Not the reader's.
        """
        ...

    async def history(self, reader: ProfileId, chat_id: ChatId, where: Where, limit: int) -> HistoryPage:
        """
        Raises:
            ChatNotFound: No such chat.
            NotAMember: Not the reader's.
        """
        ...

    async def snapshot(self, reader: ProfileId, chat_id: ChatId, limit: int) -> Snapshot:
        """
        What a socket begins with; ``limit`` bounds its page of history, which costs more than the rest: 0 is none.

        Raises:
            ChatNotFound: No such chat.
            NotAMember: Not the reader's.
        """
        ...

    async def members(self, reader: ProfileId, chat_id: ChatId) -> Sequence[MemberView]:
        """
        The owner first, the others in the order of joining.

        Raises:
            ChatNotFound: No such chat.
            NotAMember: Not the reader's.
        """
        ...

    async def page_of_members(
        self, reader: ProfileId, chat_id: ChatId, paging: Paging[MemberPlace]
    ) -> Page[MemberView, MemberPlace]:
        """
        A part of `members`; nobody outside the page is read.

        Raises:
            ChatNotFound: No such chat.
            NotAMember: Not the reader's.
        """
        ...

    async def readers(
        self, reader: ProfileId, chat_id: ChatId, message_id: MessageId
    ) -> Sequence[ReaderView]:
        """
        Who has read a message, the first one first; its author is not among them.

        Raises:
            ChatNotFound: No such chat.
            NotAMember: Not the reader's.
            MessageNotFound: No such message in it.
        """
        ...

    async def page_of_readers(
        self, reader: ProfileId, chat_id: ChatId, message_id: MessageId, paging: Paging[ReaderPlace]
    ) -> Page[ReaderView, ReaderPlace]:
        """
        A part of `readers`; of readers outside the page only the time is read.

        Raises:
            ChatNotFound: No such chat.
            NotAMember: Not the reader's.
            MessageNotFound: No such message in it.
        """
        ...

    async def check_member(self, reader: ProfileId, chat_id: ChatId) -> None:
        """
        One indexed read of what is committed.

        Raises:
            ChatNotFound: No such chat.
            NotAMember: Not the reader's.
        """
        ...

    async def unread_count(self, reader: ProfileId, chat_id: ChatId) -> int:
        """
        Raises:
            ChatNotFound: No such chat.
            NotAMember: Not the reader's.
        """
        ...

    async def log(self, chat_id: ChatId, after: Position, limit: int) -> Sequence[ChatUpdate]:
        """What happened in a chat after ``after``, in order; fewer than ``limit`` means that this was all."""
        ...

    async def probe(self) -> None:
        """
        Checks that storage can be read and written.

        Raises:
            Unavailable: Storage does not answer, or accepts no writes at present.
        """
        ...


def span(where: Where, limit: int, last_seq: Seq) -> range:
    """
    The numbers of a page of at most ``limit`` messages, in a chat whose messages are 1 to ``last_seq``.

    Numbers have no holes, so that a page is arithmetic: nothing is counted and nothing skipped. A page that lies past
    the end is empty; its ``start`` still says on which side.
    """
    match where:
        case PageNumber(number):
            first = last_seq - number * limit + 1
        case Before(seq):
            first = min(seq - 1, last_seq) - limit + 1
        case After(seq):
            first = max(seq, 0) + 1
        case Around(seq):
            first = seq - limit // 2
        case Newest():
            first = last_seq - limit + 1
        case _:
            assert_never(where)
    last = min(first + limit - 1, last_seq)
    return range(max(first, 1), max(last, 0) + 1)
