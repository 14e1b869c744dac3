"""The protocol of one chat's socket, without I/O. `chat_frames` decodes the frames of the client."""

from attrs import define, field
from typing_extensions import override

from application.messages.send import SendMessage, Sent
from application.ports.updates import ChatUpdate
from application.views import HistoryPage, Snapshot
from domain.ids import ChatId
from interfaces.live.entry import Since
from interfaces.live.listener import End, Run
from interfaces.wire import frames
from interfaces.wire.frames import Fields, Frame
from interfaces.wire.reasons import Reset
from interfaces.ws.chat_frames import (
    CountUnread,
    Ping,
    ReadHistory,
    Request,
    Unacceptable,
    read_request,
    read_since,
)
from interfaces.ws.connection import Connection, Sending
from interfaces.ws.refusals import Error, refusal_of
from interfaces.ws.states import Step


@define(eq=False)
class ChatConnection(Connection):
    chat_id: ChatId
    since: Since | Reset | None = field(init=False, default=None)
    """The position from which the client resumes; None for a new client, and after the entry."""

    @override
    def _read_since(self, value: object) -> None:
        self.since = read_since(value)

    @override
    def _hear_request(self, fields: Fields) -> Sending | Request | None:
        try:
            request = read_request(self.chat_id, fields)
        except Unacceptable as error:
            self._say(frames.error(error.message, error.code, error.nonce))
            return None
        return self._expect(request) if isinstance(request, SendMessage) else request

    # Entering

    def welcome(self, snapshot: Snapshot) -> None:
        """Sends `auth_success`. Its ``seq`` and ``position`` are where the history or replay that follows will end."""
        self.since = None
        self._say(
            frames.auth_success(
                user_id=self.profile_id,
                chat_id=self.chat_id,
                session_id=self.session_id,
                epoch=snapshot.epoch,
                seq=snapshot.seq,
                position=snapshot.position,
                greeting=self._greeting,
            )
        )

    def begin(self, snapshot: Snapshot, why: Reset | None) -> None:
        if why:
            self._say(frames.reset(self.chat_id, why))
        self._say(frames.chat_history(snapshot.history, snapshot.unread_count))

    def resumed(self, snapshot: Snapshot) -> None:
        self._say(frames.resumed(self.chat_id, snapshot))

    # Answers

    @override
    def answer_sent(self, sending: Sending, sent: Sent) -> None:
        nonce = sending.command.nonce
        self._answer(sending, frames.message_ack(nonce, sent) if nonce else None)

    @override
    def answer_not_sent(self, sending: Sending, error: Error) -> None:
        refusal, nonce = refusal_of(error), sending.command.nonce
        self._answer(
            sending,
            frames.error(
                refusal.not_sent(error),
                refusal.code(error),
                nonce.value if nonce else None,
                refusal.fields(error),
            ),
        )

    def answer_history(self, page: HistoryPage, unread_count: int) -> None:
        self._say(frames.chat_history(page, unread_count))

    def answer_ping(self, ping: Ping) -> None:
        self._say(frames.pong(ping.id))

    def answer_count(self, count: int) -> None:
        self._say(frames.unread_count(self.chat_id, count))

    def answer_failed(self, request: Request, error: Error) -> None:
        match request:
            case ReadHistory():
                message = "Failed to load chat history"
            case CountUnread():
                message = "Failed to get unread count"
            case _:
                message = "Failed to process message: not done"
        refusal = refusal_of(error)
        self._say(frames.error(message, refusal.code(error), details=refusal.fields(error)))

    # As a listener

    @property
    def is_present(self) -> bool:
        return True

    def detach(self) -> None:
        """Records that the client sent `leave_chat`."""
        self._step(Step.LEFT)

    def tell(self, frame: Frame, update: ChatUpdate | None = None, *, ephemeral: bool = False) -> None:
        """Sends a frame. The echo of an own message is held back until the client has the answer for it."""
        if self._answers is None:
            self.outbox.put(frame, ephemeral=ephemeral)
        else:
            self._pass_on(self.chat_id, frame, update, ephemeral=ephemeral)

    def tell_run(self, run: Run) -> None:
        if self._answers is None:
            self.outbox.put_shared(run.frames)
        else:
            self._tell_each(run)

    def end(self, why: End, chat_id: ChatId | None = None) -> None:
        assert chat_id in {None, self.chat_id}, "this connection belongs to one chat"
        self._end(why)
