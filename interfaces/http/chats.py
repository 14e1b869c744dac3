from typing import Final

from attrs import frozen
from starlette.requests import Request
from starlette.responses import Response

from application.chats.create import CreateChat
from application.messenger import Messenger
from application.ports.views import After, Around, Before, Newest, PageNumber, Where
from domain.chat import About
from domain.ids import Seq
from interfaces.http.authentication import actor_of
from interfaces.http.envelope import success
from interfaces.http.errors import CHAT_DETAILS, NO_CHAT, OWNERS_ONLY
from interfaces.http.options import HttpOptions
from interfaces.http.requests import json_object, path, query
from interfaces.http.routes import Endpoint
from interfaces.wire import codec
from interfaces.wire.codec import HistoryQuery
from interfaces.wire.faults import SEVERAL_PLACES
from interfaces.wire.validation import FieldFault, RequestInvalid

LAST_PAGE: Final = 2**31
"""Beyond it no chat has pages, and a database would not count so far."""


@frozen
class Chats:
    messenger: Messenger
    options: HttpOptions

    def routes(self) -> list[Endpoint]:
        chats = f"{self.options.prefix}/chats/"
        chat = chats + "{chat_id}/"
        return [
            Endpoint("GET", chats, self.read_all),
            Endpoint("POST", chats, self.create),
            Endpoint("POST", f"{chats}direct/", self.open_direct),
            Endpoint("GET", chat, self.read, CHAT_DETAILS),
            Endpoint("PUT", chat, self.change, OWNERS_ONLY),
            Endpoint("DELETE", chat, self.delete, OWNERS_ONLY),
            Endpoint("GET", f"{chat}history/", self.history, NO_CHAT),
        ]

    async def read_all(self, request: Request) -> Response:
        actor = await actor_of(request, self.messenger)
        chats = await self.messenger.list_chats(actor.profile_id)
        return success([codec.chat_json(chat) for chat in chats])

    async def create(self, request: Request) -> Response:
        actor = await actor_of(request, self.messenger)
        new = codec.CREATE_CHAT.decode(await json_object(request), within="body")
        command = CreateChat(about=About(new.name, new.description), member_ids=new.member_ids)
        return success(codec.chat_json(await self.messenger.create_chat(actor, command)))

    async def open_direct(self, request: Request) -> Response:
        actor = await actor_of(request, self.messenger)
        command = codec.OPEN_DIRECT.decode(await json_object(request), within="body")
        return success(codec.chat_json(await self.messenger.open_direct(actor, command)))

    async def read(self, request: Request) -> Response:
        actor = await actor_of(request, self.messenger)
        chat_id = codec.IN_CHAT.decode({}, within="query", path=path(request)).chat_id
        return success(codec.details_json(await self.messenger.get_chat(actor.profile_id, chat_id)))

    async def change(self, request: Request) -> Response:
        actor = await actor_of(request, self.messenger)
        command = codec.CHANGE_CHAT.decode(await json_object(request), within="body", path=path(request))
        return success(codec.chat_json(await self.messenger.change_chat(actor, command)))

    async def delete(self, request: Request) -> Response:
        actor = await actor_of(request, self.messenger)
        command = codec.DELETE_CHAT.decode({}, within="query", path=path(request))
        await self.messenger.delete_chat(actor, command)
        return success(None)

    async def history(self, request: Request) -> Response:
        actor = await actor_of(request, self.messenger)
        asked = codec.HISTORY.decode(query(request), within="query", path=path(request))
        limit = min(asked.limit or self.options.history_page, self.options.history_most)
        page = await self.messenger.history(actor.profile_id, asked.chat_id, place(asked), limit)
        return success(codec.history_json(page))


def place(asked: HistoryQuery) -> Where:
    """
    Where a page of history lies. The original messenger's paging is what both its parameters together ask for; with one
    of them alone it gave everything, now that is the newest page.

    Raises:
        RequestInvalid: In several places at once.
    """
    if asked.limit is not None and asked.offset is not None:
        return PageNumber(min(max(asked.offset, 1), LAST_PAGE))
    places: list[tuple[str, Where]] = [
        (name, kind(Seq(seq)))
        for name, kind, seq in (
            ("before", Before, asked.before),
            ("after", After, asked.after),
            ("around", Around, asked.around),
        )
        if seq is not None
    ]
    if len(places) > 1:
        raise RequestInvalid(tuple(FieldFault(("query", name), SEVERAL_PLACES) for name, _ in places[1:]))
    return places[0][1] if places else Newest()
