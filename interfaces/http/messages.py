from attrs import frozen
from starlette.requests import Request
from starlette.responses import Response

from application.messenger import Messenger
from application.views import MessageView
from domain.chat import ChatNotFound
from interfaces.http.authentication import actor_of
from interfaces.http.envelope import success
from interfaces.http.errors import NO_CHAT
from interfaces.http.options import HttpOptions
from interfaces.http.requests import json_object, path
from interfaces.http.routes import Endpoint
from interfaces.wire import codec

NONCE = "Idempotency-Key"


@frozen
class Messages:
    """What a socket does, for clients without one: send, mark as read; and who has read a message."""

    messenger: Messenger
    options: HttpOptions

    def routes(self) -> list[Endpoint]:
        chat = f"{self.options.prefix}/chats/{{chat_id}}/"
        return [
            Endpoint("POST", f"{chat}messages/", self.send, NO_CHAT),
            Endpoint("PUT", f"{chat}read/", self.mark_read, NO_CHAT),
            Endpoint("GET", f"{chat}messages/{{message_id}}/readers/", self.readers, NO_CHAT),
        ]

    async def send(self, request: Request) -> Response:
        """``Idempotency-Key`` is the message's nonce: sending again under it gives back the first."""
        actor = await actor_of(request, self.messenger)
        named = {NONCE: request.headers[NONCE]} if NONCE in request.headers else {}
        command = codec.SEND_MESSAGE.decode(
            await json_object(request) | named, within="body", path=path(request)
        )
        event = (await self.messenger.send_message(actor, command)).event
        view = MessageView(message=event.message, position=event.position, sender=actor.profile)
        return success(codec.message_json(view))

    async def mark_read(self, request: Request) -> Response:
        actor = await actor_of(request, self.messenger)
        command = codec.MARK_READ.decode(await json_object(request), within="body", path=path(request))
        marked = await self.messenger.mark_read(actor, command)
        if marked.mark is None:
            raise ChatNotFound
        unread_count = await self.messenger.unread_count(actor.profile_id, command.chat_id)
        return success({"readUpTo": marked.mark, "unreadCount": unread_count})

    async def readers(self, request: Request) -> Response:
        actor = await actor_of(request, self.messenger)
        asked = codec.OF_MESSAGE.decode({}, within="query", path=path(request))
        readers = await self.messenger.readers(actor.profile_id, asked.chat_id, asked.message_id)
        return success([codec.reader_json(reader) for reader in readers])
