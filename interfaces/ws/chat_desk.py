"""Executes the requests on the socket of one chat."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, Final

from attrs import define, evolve, field
from typing_extensions import override

from application.errors import ApplicationError
from application.ports.limiter import TooManyRequests
from application.ports.views import After
from application.receipts.mark_read import MarkRead
from application.receipts.mark_single import MarkSingle
from application.updates.typing import ShowTyping
from application.views import HistoryPage
from domain.errors import DomainError
from domain.ids import ChatId, ProfileId, Seq
from interfaces.wire.client_frames import HISTORY_DEFAULT
from interfaces.ws.chat_connection import ChatConnection
from interfaces.ws.chat_frames import CountUnread, Leave, Ping, ReadHistory, Request
from interfaces.ws.closing import CloseCode
from interfaces.ws.exchange import Desk
from interfaces.ws.parts import LongPage, write_page
from interfaces.ws.refusals import Error
from interfaces.ws.services import SocketServices
from interfaces.ws.typing import TypingSignal

log: Final = logging.getLogger(__name__)


@define(eq=False)
class ChatDesk(Desk):
    _services: SocketServices
    connection: ChatConnection
    _takes_parts: bool
    """Whether the transport can write one message in several parts."""
    _typing: TypingSignal | None = field(init=False, default=None)
    """Created when the client first sends a typing frame."""

    @property
    @override
    def listener(self) -> ChatConnection:
        return self.connection

    @property
    @override
    def named(self) -> Mapping[str, str]:
        return {"chat": str(self.connection.chat_id)}

    @override
    async def enter(self, has_read: Callable[[], None]) -> None:
        await self._services.hub.enter(self.connection, HISTORY_DEFAULT, has_read)

    @override
    def takes_at_once(self, request: Any) -> bool:
        if isinstance(request, ShowTyping):
            return self._is_too_soon(request)
        if isinstance(request, Ping):
            self.connection.answer_ping(request)
        elif isinstance(request, Leave):
            self.connection.detach()
            self._services.hub.detach(self.connection)
            self.stop_typing()
        else:
            return False
        return True

    @override
    async def execute(self, request: Any) -> None:
        await self._execute(request)

    @override
    def refuse(self, request: Any, error: Error) -> None:
        self.connection.answer_failed(request, error)

    async def _execute(self, request: Request) -> None:
        connection, messages = self.connection, self._services.messenger.messages
        actor, chat_id = connection.actor, connection.chat_id
        assert actor is not None, "only entered clients have requests"
        match request:
            case MarkRead():
                await messages.mark_read(actor, request)
            case MarkSingle():
                await messages.mark_single(actor, request)
            case ShowTyping():
                await self._publish_typing(request)
            case ReadHistory():
                if long := await self._answer_history(actor.profile_id, request):
                    await self._answer_in_parts(actor.profile_id, long)
            case CountUnread():
                connection.answer_count(await messages.unread_count(actor.profile_id, chat_id))
            case _:
                raise AssertionError("sends, pings and leaving are not executed here")

    async def _answer_history(self, reader: ProfileId, request: ReadHistory) -> LongPage | None:
        """Answers with a short page. Returns a long page, which is written in parts and must hold the only references."""
        connection, messages = self.connection, self._services.messenger.messages
        await connection.outbox.relaxed()
        page = await messages.history(reader, connection.chat_id, request.where, max(request.limit, 1))
        count = await messages.unread_count(reader, connection.chat_id)
        if not request.limit:
            page = evolve(page, rows=())
        long = LongPage.of(page, count) if self._takes_parts else None
        if long is None:
            connection.answer_history(page, count)
        return long

    async def _answer_in_parts(self, reader: ProfileId, page: LongPage) -> None:
        connection, history = self.connection, self._services.messenger.messages.history

        def read_after(seq: Seq, limit: int) -> Awaitable[HistoryPage]:
            return history(reader, connection.chat_id, After(seq), limit)

        try:
            connection.answered += await write_page(connection.outbox, page, read_after)
        except (DomainError, ApplicationError) as error:
            log.warning("a page of history could not be finished", extra={"reason": error.code})
            connection.close(CloseCode.TRY_LATER, "try again in 1 s")

    # Typing

    def _is_too_soon(self, request: ShowTyping) -> bool:
        """Returns True if the request must not be published now. It is published later, unless others know the state already."""
        if self._typing is None:
            typist = request.chat_id, self.connection.profile_id
            self._typing = self._services.typing_signal(typist, self._show_typing)
        return self._typing.is_too_soon(request.is_typing)

    @override
    def note_message(self, chat_id: ChatId) -> None:
        self._forget_typing()

    @override
    def stop_typing(self, *, is_busy: bool = False) -> None:
        if self._typing is not None:
            self._typing.stop(is_busy=is_busy)

    def _show_typing(self, request: ShowTyping) -> None:
        self._services.tasks.spawn(self._publish_late(request))

    async def _publish_late(self, request: ShowTyping) -> None:
        with suppress(TooManyRequests):  # no frame of the client waits for an answer any more
            await self._publish_typing(request)

    async def _publish_typing(self, request: ShowTyping) -> None:
        """
        Raises:
            TooManyRequests: The client types too often.
        """
        actor = self.connection.actor
        assert actor is not None, "only entered clients can type"
        try:
            await self._services.show_typing(actor, request)
        except TooManyRequests:
            self._forget_typing()
            raise
        except (DomainError, ApplicationError):
            pass  # typing has no answer, and a lost state does not matter later

    def _forget_typing(self) -> None:
        if self._typing is not None:
            self._typing.forget()
