"""Reads. Each one sees a consistent snapshot of the data and blocks no write."""

from collections.abc import Collection, Sequence
from typing import Final, Protocol, assert_never

from attrs import frozen

from application.paging import ChatPlace, MemberPlace, Page, Paging, ReaderPlace
from application.ports.updates import ChatUpdate
from application.views import (
    ChatDetails,
    ChatView,
    Contact,
    HistoryPage,
    LiveSession,
    MemberView,
    ReaderView,
    Snapshot,
)
from domain.chat_errors import ChatNotFound, NotAMember
from domain.errors import NotFound
from domain.ids import AccountId, ChatId, MessageId, Position, ProfileId, Seq, SessionId


class MessageNotFound(NotFound):
    code = "message_not_found"


@frozen
class Newest:
    """The last messages of a chat."""


@frozen
class PageNumber:
    """A page by its number, as in the original messenger: 1 is the newest page, 2 the one before it."""

    number: int


@frozen
class Before:
    seq: Seq


@frozen
class After:
    seq: Seq


@frozen
class Around:
    """Half of the page lies before ``seq``, the rest begins with ``seq``."""

    seq: Seq


Where = Newest | PageNumber | Before | After | Around

LAST: Final = 2**62
"""A number above that of any message."""


@frozen
class LogSpan:
    """The entries of a chat's log after one position up to and including another."""

    chat_id: ChatId
    after: Position
    last: Position


@frozen(kw_only=True)
class PageAsked:
    """A page of history that a request asks for. See `Views.history_unless_known`."""

    chat_id: ChatId
    where: Where
    limit: int
    known: Collection[str] = ()


class Views(Protocol):
    async def live_session(self, account_id: AccountId, session_id: SessionId) -> LiveSession | None:
        """
        Find a session that has not ended. Every request begins with it, so it is a single indexed read.
        """
        ...

    async def list_chats(self, reader: ProfileId) -> Sequence[ChatView]:
        """List all chats of a profile, newest activity first, in a constant number of statements."""
        ...

    async def page_of_chats(self, reader: ProfileId, paging: Paging[ChatPlace]) -> Page[ChatView, ChatPlace]:
        """
        Read a page of `list_chats`. Of the chats outside the page it reads only the time of the last activity.

        Raises:
            BadPlace: Another storage made the place.
        """
        ...

    async def some_chats(self, reader: ProfileId, chat_ids: Sequence[ChatId]) -> Sequence[ChatView]:
        """
        Read those of the given chats that the reader is in, in no order, in a constant number of statements. The others are
        left out, as are chats that do not exist.
        """
        ...

    async def get_chat(self, reader: ProfileId, chat_id: ChatId) -> ChatDetails:
        """
        Raises:
            ChatNotFound: There is no such chat.
            NotAMember: The reader is not in the chat.
        """
        ...

    async def history(self, reader: ProfileId, chat_id: ChatId, where: Where, limit: int) -> HistoryPage:
        """
        Raises:
            ChatNotFound: There is no such chat.
            NotAMember: The reader is not in the chat.
        """
        ...

    async def history_unless_known(
        self, reader: ProfileId, chat_id: ChatId, where: Where, limit: int, known: Collection[str]
    ) -> HistoryPage:
        """
        Read a page of `history` for a client that has the ``known`` versions of it. If the present version is among them,
        the page comes without its messages, and `HistoryPage.is_known` is true.

        Raises:
            ChatNotFound: There is no such chat.
            NotAMember: The reader is not in the chat.
        """
        ...

    async def session_and_history(
        self, account_id: AccountId, session_id: SessionId, reader: ProfileId, asked: PageAsked
    ) -> tuple[LiveSession | None, HistoryPage | None]:
        """
        Find a session as `live_session` does, and read the page that `history_unless_known` shows to ``reader``, in one exchange
        with storage where that is possible. The page is None if the reader may not see the chat.

        The page is read for ``reader`` whatever the session is: the caller drops it unless the session is live and theirs.
        """
        ...

    async def snapshot(self, reader: ProfileId, chat_id: ChatId, limit: int) -> Snapshot:
        """
        Read the state that a socket begins with. ``limit`` bounds its page of history, which costs more than the rest; 0
        leaves it out.

        Raises:
            ChatNotFound: There is no such chat.
            NotAMember: The reader is not in the chat.
        """
        ...

    async def members(self, reader: ProfileId, chat_id: ChatId) -> Sequence[MemberView]:
        """
        List the members of a chat: the owner first, the others in the order of joining.

        Raises:
            ChatNotFound: There is no such chat.
            NotAMember: The reader is not in the chat.
        """
        ...

    async def page_of_members(
        self, reader: ProfileId, chat_id: ChatId, paging: Paging[MemberPlace]
    ) -> Page[MemberView, MemberPlace]:
        """
        Read a page of `members`, and nobody outside it.

        Raises:
            ChatNotFound: There is no such chat.
            NotAMember: The reader is not in the chat.
        """
        ...

    async def readers(
        self, reader: ProfileId, chat_id: ChatId, message_id: MessageId
    ) -> Sequence[ReaderView]:
        """
        List who has read a message, the first reader first. The author is not among them.

        Raises:
            ChatNotFound: There is no such chat.
            NotAMember: The reader is not in the chat.
            MessageNotFound: The chat has no such message.
        """
        ...

    async def page_of_readers(
        self, reader: ProfileId, chat_id: ChatId, message_id: MessageId, paging: Paging[ReaderPlace]
    ) -> Page[ReaderView, ReaderPlace]:
        """
        Read a page of `readers`.

        Raises:
            ChatNotFound: There is no such chat.
            NotAMember: The reader is not in the chat.
            MessageNotFound: The chat has no such message.
        """
        ...

    async def check_member(self, reader: ProfileId, chat_id: ChatId) -> None:
        """
        Check that the reader is in the chat, by one indexed read.

        Raises:
            ChatNotFound: There is no such chat.
            NotAMember: The reader is not in the chat.
        """
        ...

    async def contacts(self, reader: ProfileId, wanted: Sequence[ProfileId]) -> Sequence[Contact]:
        """
        Find those of ``wanted`` (no duplicates) who share a chat with the reader, in no order, by one statement. Closed accounts
        and profiles that do not exist are left out, as are strangers.
        """
        ...

    async def unread_count(self, reader: ProfileId, chat_id: ChatId) -> int:
        """
        Count the messages of a chat that the reader has not read.

        Raises:
            ChatNotFound: There is no such chat.
            NotAMember: The reader is not in the chat.
        """
        ...

    async def log(self, chat_id: ChatId, after: Position, limit: int) -> Sequence[ChatUpdate]:
        """Read the log of a chat after a position, in order. Fewer than ``limit`` entries mean that there are no more."""
        ...

    async def logs(self, spans: Sequence[LogSpan]) -> Sequence[ChatUpdate]:
        """
        Read parts of the logs of several chats in a constant number of statements: span by span, each in order. No two spans
        may be of the same chat. They are read whole, so the caller bounds them.
        """
        ...

    async def probe(self) -> None:
        """
        Checks that storage can be read and written.

        Raises:
            Unavailable: Storage does not answer, or accepts no writes at present.
        """
        ...


@frozen
class Start:
    """
    The number of the first message of a page, as a formula over the number of the chat's last message. Storage may compute
    it where the last number is known, without asking for that first.
    """

    anchor: int
    beyond: int
    """The greatest distance in `seq` between the last message of the chat and an anchor behind it."""
    shift: int

    @classmethod
    def of(cls, where: Where, limit: int) -> "Start":
        match where:
            case PageNumber(number):
                return cls(LAST, 0, max(1 - number * limit, -LAST))
            case Before(seq):
                return cls(seq - 1, 0, 1 - limit)
            case After(seq):
                return cls(max(seq, 0), 0, 1)
            case Around(seq):
                half = limit // 2
                return cls(seq, half + 1, -half)
            case Newest():
                return cls(LAST, 0, 1 - limit)
            case _:
                assert_never(where)

    def first(self, last_seq: Seq) -> int:
        """Return the number, which is below 1 or above ``last_seq`` if the page lies past an end of the chat."""
        return min(self.anchor, last_seq + self.beyond) + self.shift


def span(where: Where, limit: int, last_seq: Seq) -> range:
    """
    The numbers of a page of at most ``limit`` messages, in a chat whose messages are numbered 1 to ``last_seq``.

    The numbers have no gaps, so pages are arithmetic and nothing has to be counted or skipped. A page past either end is
    empty; its ``start`` still tells which end.
    """
    first = Start.of(where, limit).first(last_seq)
    last = min(first + limit - 1, last_seq)
    return range(max(first, 1), max(last, 0) + 1)


async def session_then_history(
    views: Views, account_id: AccountId, session_id: SessionId, reader: ProfileId, asked: PageAsked
) -> tuple[LiveSession | None, HistoryPage | None]:
    """Does what `Views.session_and_history` does, one read after the other."""
    session = await views.live_session(account_id, session_id)
    try:
        return session, await views.history_unless_known(
            reader, asked.chat_id, asked.where, asked.limit, asked.known
        )
    except (ChatNotFound, NotAMember):
        return session, None
