"""The protocol of the socket of all chats, without I/O. `all_chats_frames` decodes the frames of the client."""

from contextlib import suppress

from attrs import define, field
from typing_extensions import override

from application.actor import Actor
from application.errors import Unavailable
from application.messages.send import SendMessage, Sent
from application.paging import ChatPlace, Page
from application.ports.changes import Cursor
from application.ports.own_changes import Lost
from application.ports.updates import ChatUpdate
from application.views import ChatView
from domain.ids import ChatId
from interfaces.live.all_chats import REMOVALS, SinceCursor
from interfaces.live.listener import End, Run
from interfaces.wire import all_chats as news
from interfaces.wire import frames
from interfaces.wire import server_frames as types
from interfaces.wire.cursors import InvalidCursor
from interfaces.wire.faults import InvalidValue
from interfaces.wire.frames import Fields, Frame
from interfaces.wire.places import Places, read_seen
from interfaces.wire.reasons import Reset
from interfaces.wire.values import moment
from interfaces.ws.all_chats_frames import Request, is_id, read_request
from interfaces.ws.chat_frames import Ping, Unacceptable
from interfaces.ws.connection import Connection, Sending
from interfaces.ws.refusals import Error, refusal_of
from interfaces.ws.states import Step


@define(eq=False)
class AllChatsConnection(Connection):
    _places: Places
    hears_goaway: bool = field(init=False, default=True)
    since: SinceCursor | Reset | None = field(init=False, default=None)
    """The point from which the client resumes; None for a new client."""
    _early: list[Frame] | None = field(init=False, factory=list)
    """Frames that were announced before the client was welcomed; None after that."""

    @override
    def _read_since(self, value: object) -> None:
        self.since = self._since(value)

    def _since(self, value: object) -> SinceCursor | Reset | None:
        if value is None:
            return None
        if not isinstance(value, dict) or not isinstance(cursor := value.get("cursor"), str):
            return Reset.MALFORMED
        try:
            return SinceCursor(self._places.read(cursor), read_seen(value.get("seen")))
        except (InvalidCursor, InvalidValue):
            return Reset.MALFORMED

    @override
    def _hear_request(self, fields: Fields) -> Sending | Request | None:
        try:
            request = read_request(fields)
        except Unacceptable as error:
            id = fields.get("id")
            details: types.RefusalDetails = {"nonce": error.nonce} if error.nonce is not None else {}
            self._say(news.refusal(id if is_id(id) else None, error.message, error.code, details))
            return None
        if isinstance(request.asks, SendMessage):
            return self._expect(request.asks, request.id)
        return request

    # Entering

    def greet(self, actor: Actor, since: SinceCursor | Reset | None) -> None:
        """Takes the place of an ``auth`` frame, for transports that authenticate otherwise."""
        self._step(Step.GREETED)
        self.since = since
        self.recognise(actor)

    def welcome(
        self,
        cursor: Cursor,
        page: Page[ChatView, ChatPlace] | None = None,
        why: Lost | Reset | None = None,
    ) -> None:
        """See `AllChatsListener.welcome`."""
        self.since = None
        place = self._places.write(cursor)
        self._say(
            news.welcome_to_all(
                user_id=self.profile_id,
                session_id=self.session_id,
                epoch=cursor.epoch,
                cursor=place,
                greeting=self._greeting,
            )
        )
        if why:
            self._say(news.reset_all(Reset(why)))
        if page:
            self._say(news.first_snapshot(page.items, self.next_of(page), place))
        early, self._early = self._early, None
        for frame in early or ():
            self.tell(frame)

    def resumed(self, cursor: Cursor) -> None:
        self._say(news.resumed_all(self._places.write(cursor)))

    def passed(self, cursor: Cursor) -> None:
        """Tells a later cursor. A client that reads slowly does without, as all do when it would be too long."""
        with suppress(Unavailable):
            self.outbox.put(news.cursor(self._places.write(cursor)), ephemeral=True)

    @property
    def is_connected(self) -> bool:
        return not self.is_closed

    @property
    def is_in_order(self) -> bool:
        return not self.outbox.has_gaps and (self._answers is None or not self._answers.is_holding)

    # Pages of chats

    def next_of(self, page: Page[ChatView, ChatPlace]) -> str | None:
        return self._places.next_of(page, self.profile_id)

    def place_of(self, following: str) -> ChatPlace:
        """
        Raises:
            InvalidCursor: It is not the ``next`` of a page of this client.
        """
        return self._places.page_after(following, self.profile_id)

    # Answers

    @override
    def answer_sent(self, sending: Sending, sent: Sent) -> None:
        message = sent.event.message
        stored: types.SentMessage = {
            "id": message.id,
            "seq": message.seq,
            "position": sent.event.position,
            "sent_at": moment(message.sent_at),
        }
        if message.nonce:
            stored["nonce"] = message.nonce.value
        fields: types.Sent = {"chat_id": message.chat_id, "message": stored, "duplicate": sent.duplicate}
        self._answer(sending, news.answer(sending.id, fields))

    @override
    def answer_not_sent(self, sending: Sending, error: Error) -> None:
        refusal, nonce = refusal_of(error), sending.command.nonce
        details = _details(refusal.fields(error))
        if nonce:
            details["nonce"] = nonce.value
        self._answer(sending, news.refusal(sending.id, refusal.not_sent(error), refusal.code(error), details))

    def answer(self, request: Request, fields: types.AnswerFields) -> None:
        self._say(news.answer(request.id, fields))

    def answer_ping(self, ping: Ping) -> None:
        self._say(frames.pong(ping.id))

    def answer_page(self, request: Request, page: Page[ChatView, ChatPlace]) -> None:
        self._say(news.snapshot_asked_for(request.id, page.items, self.next_of(page)))

    def answer_failed(self, request: Request, error: Error) -> None:
        refusal = refusal_of(error)
        self._say(
            news.refusal(
                request.id,
                "Failed to process request: not done",
                refusal.code(error),
                _details(refusal.fields(error)),
            )
        )

    # As a listener

    @property
    def is_present(self) -> bool:
        return False

    def tell(self, frame: Frame, update: ChatUpdate | None = None, *, ephemeral: bool = False) -> None:
        """Sends a frame. The echo of an own message is held back until the client has the answer for it."""
        if self._early is not None:
            self._early.append(frame)
        elif self._answers is None:
            self.outbox.put(frame, ephemeral=ephemeral)
        else:
            self._pass_on(frame.chat_id, frame, update, ephemeral=ephemeral)

    def tell_run(self, run: Run) -> None:
        if self._answers is None and self._early is None:
            self.outbox.put_shared(run.frames)
        else:
            self._tell_each(run)

    def end(self, why: End, chat_id: ChatId | None = None) -> None:
        """Closes the socket; or tells that one chat is no longer the client's, and nothing more of it."""
        if chat_id is None:
            self._end(why)
        else:
            self.tell(news.chat_removed(chat_id, REMOVALS[why]))


def _details(details: types.ErrorDetails) -> types.RefusalDetails:
    """On this socket `id` names the request, so that the first message under a nonce is ``message_id``."""
    named: types.RefusalDetails = {}
    if "retry_after" in details:
        named["retry_after"] = details["retry_after"]
    if "id" in details and "seq" in details:
        named["message_id"], named["seq"] = details["id"], details["seq"]
    return named
