from functools import partial

from attrs import frozen
from starlette.requests import Request
from starlette.responses import Response

from application.messenger import Messenger
from application.paging import ReaderPlace
from application.views import MessageView
from domain.chat_errors import ChatNotFound
from interfaces.http.authentication import actor_of, charge_told
from interfaces.http.described import CHATS, described
from interfaces.http.envelope import success
from interfaces.http.errors import NO_CHAT
from interfaces.http.options import HttpOptions
from interfaces.http.paging import Listing, listed
from interfaces.http.requests import json_object, key, path, query
from interfaces.http.routes import Endpoint
from interfaces.wire import answers, codec
from interfaces.wire.commands import REFUSALS


@frozen
class Messages:
    """Sends messages and read marks for clients without a socket, and lists the readers of a message."""

    messenger: Messenger
    options: HttpOptions

    def routes(self) -> list[Endpoint]:
        chat = f"{self.options.prefix}/chats/{{chat_id}}/"
        return [
            Endpoint("POST", f"{chat}messages/", self.send, NO_CHAT),
            Endpoint("PUT", f"{chat}read/", self.mark_read, NO_CHAT),
            Endpoint("GET", f"{chat}messages/{{message_id}}/readers/", self.readers, NO_CHAT),
        ]

    @described(
        summary="Send a message",
        description="The answer comes when the message is stored. Without `Idempotency-Key` the same text again "
        "within a short time is refused as too frequent.",
        tag=CHATS,
        answer=answers.Message,
        body=codec.SEND_MESSAGE,
        refuses=REFUSALS["send_message"],
    )
    async def send(self, request: Request) -> Response:
        """Send a message. ``Idempotency-Key`` is its nonce: a repeat is answered with the first message."""
        actor = await actor_of(request, self.messenger)
        command = codec.SEND_MESSAGE.decode(
            await json_object(request) | key(request), within="body", path=path(request)
        )
        sent = await self.messenger.messages.send(actor, command)
        if not sent.duplicate:
            charge_told(request, actor, command.chat_id)
        event = sent.event
        view = MessageView(message=event.message, position=event.position, sender=actor.profile)
        return success(codec.message_json(view))

    @described(
        summary="Mark a chat as read up to a message",
        description="A mark never goes back: marking an earlier message changes nothing.",
        tag=CHATS,
        answer=answers.Reading,
        body=codec.MARK_READ,
        refuses=REFUSALS["mark_read"],
    )
    async def mark_read(self, request: Request) -> Response:
        actor = await actor_of(request, self.messenger)
        command = codec.MARK_READ.decode(await json_object(request), within="body", path=path(request))
        marked = await self.messenger.messages.mark_read(actor, command)
        if marked.mark is None:
            raise ChatNotFound
        unread_count = await self.messenger.messages.unread_count(actor.profile_id, command.chat_id)
        reading: answers.Reading = {"readUpTo": marked.mark, "unreadCount": unread_count}
        return success(reading)

    @described(
        summary="List the readers of a message, the first reader first",
        description="The author is not among them. `Link` leads to the next page.",
        tag=CHATS,
        answer=list[answers.ReaderOfMessage],
        query=codec.LIST_OF_MESSAGE,
        refuses=REFUSALS["get_readers"],
        is_polled=True,
        has_next=True,
    )
    async def readers(self, request: Request) -> Response:
        actor = await actor_of(request, self.messenger)
        asked = codec.LIST_OF_MESSAGE.decode(query(request), within="query", path=path(request))
        name = f"readers {actor.profile_id} {asked.chat_id} {asked.message_id}"
        listing = Listing(self.options.cursor_key, ReaderPlace, name)
        read = partial(self.messenger.messages.readers, actor.profile_id, asked.chat_id, asked.message_id)
        return await listed(request, listing, asked, read, codec.reader_json)
