"""Executes the requests on the socket of all chats."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, cast

from attrs import define, evolve, field
from typing_extensions import override

from application.actor import Actor
from application.chats.add_members import AddMembers
from application.chats.change import ChangeChat
from application.chats.change_role import ChangeRole
from application.chats.create import CreateChat
from application.chats.delete import DeleteChat
from application.chats.open_direct import OpenDirect
from application.chats.remove_member import RemoveMember
from application.errors import ApplicationError, Overloaded, Unavailable
from application.paging import BadPlace, Paging
from application.ports.updates import ChatUpdate
from application.receipts.mark_read import MarkRead
from application.receipts.mark_single import MarkSingle
from application.updates.presence import WatchPresence
from application.updates.typing import ShowTyping
from application.views import ChatView, HistoryPage, MemberView
from domain.chat_errors import ChatNotFound
from domain.errors import DomainError
from domain.ids import ChatId, Position, ProfileId
from interfaces.pace import CHANGE
from interfaces.slices import made
from interfaces.wire import frames
from interfaces.wire import server_frames as types
from interfaces.wire.cursors import InvalidCursor
from interfaces.ws.all_chats_connection import AllChatsConnection
from interfaces.ws.all_chats_frames import CatchUp, More, ReadPage, ReadReaders, Request
from interfaces.ws.chat_frames import Ping
from interfaces.ws.exchange import Desk
from interfaces.ws.outbox import Shedding
from interfaces.ws.refusals import Error
from interfaces.ws.services import SocketServices
from interfaces.ws.typing import TypingSignal

CHANGES: Final = (CreateChat, OpenDirect, ChangeChat, AddMembers, ChangeRole, RemoveMember, DeleteChat)
"""The requests that count as several (`interfaces.pace`)."""

TYPING_MOST: Final = 16
"""Chats whose typing is remembered for one socket before those that are silent are forgotten."""

READERS_MOST: Final = 1000


@define(eq=False)
class AllChatsDesk(Desk):
    _services: SocketServices
    connection: AllChatsConnection
    _typing: dict[ChatId, TypingSignal] | None = field(init=False, default=None)
    """Created when the client first sends a typing frame."""

    def __attrs_post_init__(self) -> None:
        percent = self._services.options.gap_percent
        self.connection.outbox.shedding = Shedding(percent, self._skip)

    def _skip(self, chat_id: ChatId, after: Position) -> None:
        connection = self.connection
        self._services.hub.all_chats.skip(connection, chat_id, after, connection.outbox.emptied)

    @property
    @override
    def listener(self) -> AllChatsConnection:
        return self.connection

    @property
    @override
    def named(self) -> Mapping[str, str]:
        return {"chat": "all"}

    @override
    async def enter(self, has_read: Callable[[], None]) -> None:
        await self._services.hub.all_chats.enter(self.connection, has_read)

    @override
    def takes_at_once(self, request: Any) -> bool:
        if isinstance(request.asks, Ping):
            self.connection.answer_ping(request.asks)
            return True
        return False

    @override
    async def execute(self, request: Any) -> None:
        await self.connection.outbox.relaxed()  # an answer may be long
        if isinstance(request.asks, More):
            await self._read_more(request, request.asks)
        else:
            self.connection.answer(request, await self._execute(request.asks))

    @override
    def refuse(self, request: Any, error: Error) -> None:
        self.connection.answer_failed(request, error)

    async def _read_more(self, request: Request, asked: More) -> None:
        connection, hub = self.connection, self._services.hub
        try:
            place = connection.place_of(asked.next)
        except InvalidCursor:
            raise BadPlace from None
        paging = Paging(limit=hub.all_chats.page, after=place)
        page = await self._services.messenger.chats.list(connection.profile_id, paging)
        # a chat that was left meanwhile must not come back: its removal was told already
        heard = await hub.all_chats.as_heard(connection, page.items)
        connection.answer_page(request, evolve(page, items=heard))

    async def _execute(self, asked: Any) -> types.AnswerFields:
        actor = self.connection.actor
        assert actor is not None, "only entered clients have requests"
        reader, messages, chats = (
            actor.profile_id,
            self._services.messenger.messages,
            self._services.messenger.chats,
        )
        if isinstance(asked, CHANGES):
            await self._take_moment(actor, asked)
        match asked:
            case MarkRead():
                marked = await messages.mark_read(actor, asked)
                if marked.mark is None:
                    raise ChatNotFound
                count = await messages.unread_count(reader, asked.chat_id)
                return {"read_up_to": marked.mark, "unread_count": count}
            case MarkSingle():
                await messages.mark_single(actor, asked)
                return {}
            case ShowTyping():
                await self._type(asked)
                return {}
            case ReadPage():
                return _history(await messages.history(reader, asked.chat_id, asked.where, asked.limit))
            case ReadReaders():
                paging: Paging[Any] = Paging(limit=READERS_MOST)
                page = await messages.readers(reader, asked.chat_id, asked.message_id, paging)
                return {"readers": [frames.reader_fields(each) for each in page.items]}
            case WatchPresence():
                watching = await self._services.hub.presence.watch(self.connection, asked.profile_ids)
                return types.Watching(watching=[*watching])
            case CatchUp():
                return await self._catch_up(asked)
            case CreateChat():
                return _chat(await chats.create(actor, asked))
            case OpenDirect():
                return _chat(await chats.open_direct(actor, asked))
            case ChangeChat():
                return _chat(await chats.change(actor, asked))
            case AddMembers():
                return await _members(await chats.add_members(actor, asked))
            case ChangeRole():
                return await _members(await chats.change_role(actor, asked))
            case RemoveMember():
                await chats.remove_member(actor, asked)
                return {}
            case DeleteChat():
                await chats.delete(actor, asked)
                return {}
            case _:
                raise AssertionError(f"{type(asked).__name__} is not executed here")

    async def _take_moment(self, actor: Actor, change: Any) -> None:
        """
        Waits for the moment of a change, however far away it is. The frame has had the moment of a small request already, before it
        was read.

        Raises:
            Unavailable: The socket was closed meanwhile, perhaps because its session has ended. The change is not made.
        """
        pace, is_taken = self._services.pace, False
        while not is_taken:
            try:
                wait, is_taken = pace.take(actor.account_id, CHANGE - 1), True
            except Overloaded as error:  # there are more waiting sockets of the account than moments
                wait = error.retry_after
            if wait:
                await asyncio.sleep(wait)
                if self.connection.is_closed:
                    raise Unavailable("the socket was closed before the moment of its change")
        pace.charge_named(actor.account_id, len(_named(change)))

    async def _catch_up(self, asked: CatchUp) -> types.CaughtUp:
        feed = self._services.messenger.feed
        snapshot = await feed.snapshot(self.connection.profile_id, asked.chat_id, 0)
        # nothing after the moment at which the client was certainly a member
        last = snapshot.position if asked.before is None else min(snapshot.position, asked.before - 1)
        wanted = max(min(last - asked.after, asked.limit), 0)
        updates: Sequence[ChatUpdate] = []
        if wanted:
            updates = await feed.log(asked.chat_id, asked.after, wanted)
        position = updates[-1].position if updates else asked.after
        return {
            "chat_id": asked.chat_id,
            "events": [cast(types.DurableFrame, frames.told(update).fragment) for update in updates],
            "position": position,
            "has_more": bool(updates) and position < last,
        }

    # Typing

    async def _type(self, asked: ShowTyping) -> None:
        """
        Publishes the state, or leaves it to a timer if it came too soon.

        Raises:
            ChatNotFound, NotAMember: The client may not type there.
        """
        signal = self._signal(asked.chat_id)
        if signal.is_too_soon(asked.is_typing) and self._services.hub.all_chats.hears(
            self.connection, asked.chat_id
        ):
            return
        actor = self.connection.actor
        assert actor is not None, "only entered clients can type"
        try:
            await self._services.show_typing(actor, asked)
        except (DomainError, ApplicationError):
            signal.forget()
            raise

    def _signal(self, chat_id: ChatId) -> TypingSignal:
        if self._typing is None:
            self._typing = {}
        if chat_id not in self._typing:
            if len(self._typing) >= TYPING_MOST:
                for silent in [id for id, signal in self._typing.items() if signal.is_silent]:
                    self._typing.pop(silent).forget()
            typist = chat_id, self.connection.profile_id
            self._typing[chat_id] = self._services.typing_signal(typist, self._show_typing)
        return self._typing[chat_id]

    @override
    def note_message(self, chat_id: ChatId) -> None:
        if self._typing and (signal := self._typing.get(chat_id)):
            signal.forget()

    @override
    def stop_typing(self, *, is_busy: bool) -> None:
        for signal in (self._typing or {}).values():
            signal.stop(is_busy=is_busy)

    def _show_typing(self, request: ShowTyping) -> None:
        self._services.tasks.spawn(self._publish_typing(request))

    async def _publish_typing(self, request: ShowTyping) -> None:
        actor = self.connection.actor
        assert actor is not None, "only entered clients can type"
        with suppress(
            DomainError, ApplicationError
        ):  # typing is not answered, and a lost state does not matter later
            await self._services.show_typing(actor, request)


def _named(change: Any) -> Sequence[ProfileId]:
    """Returns the people whom a change puts into a group."""
    match change:
        case CreateChat() | ChangeChat():
            return change.member_ids
        case AddMembers():
            return change.profile_ids
        case _:
            return ()


def _chat(chat: ChatView) -> types.EntryOfChat:
    return {"chat_id": chat.id, **frames.chat_entry(chat)}


async def _members(members: Sequence[MemberView]) -> types.Members:
    return {"members": await made(frames.member_fields, members)}


def _history(page: HistoryPage) -> types.History:
    return {
        "messages": [frames.message_fields(view) for view in page.messages],
        "total_count": page.total_count,
        "has_before": page.has_before,
        "has_after": page.has_after,
    }
