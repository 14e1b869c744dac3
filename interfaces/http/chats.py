from collections.abc import Mapping, Sequence
from functools import partial
from hashlib import blake2b
from typing import Final

from attrs import frozen
from starlette.requests import Request
from starlette.responses import Response

from application.chats.create import CreateChat
from application.messenger import Messenger
from application.paging import ChatPlace
from application.ports.views import After, Around, Before, Newest, PageAsked, PageNumber, Where
from application.views import HistoryPage
from domain.chat import About
from domain.ids import ChatId, ProfileId, Seq
from interfaces.http.authentication import (
    actor_and_page,
    actor_of,
    authenticate,
    changer_of,
    charge_named,
)
from interfaces.http.described import CHATS, described
from interfaces.http.envelope import has, next_link, polled, success, tags_in, unchanged
from interfaces.http.errors import CHAT_DETAILS, NO_CHAT, OWNERS_ONLY
from interfaces.http.long_pages import history_answer
from interfaces.http.options import HttpOptions
from interfaces.http.paging import Listing, listed
from interfaces.http.requests import json_object, key, path, query
from interfaces.http.routes import Endpoint
from interfaces.slices import made
from interfaces.wire import answers, codec
from interfaces.wire.codec import HistoryQuery, dumps
from interfaces.wire.commands import REFUSALS
from interfaces.wire.faults import SEVERAL_PLACES
from interfaces.wire.validation import FieldFault, RequestInvalid

LAST_PAGE: Final = 2**31
"""A bound on page numbers, far above any chat, so that the offset computed from one fits the database's integers."""


@frozen
class Chats:
    messenger: Messenger
    options: HttpOptions

    def routes(self) -> list[Endpoint]:
        chats = f"{self.options.prefix}/chats/"
        chat = chats + "{chat_id}/"
        return [
            Endpoint("GET", chats, self.read_all),
            Endpoint("POST", chats, self.create, NO_CHAT),
            Endpoint("POST", f"{chats}direct/", self.open_direct, NO_CHAT),
            Endpoint("GET", chat, self.read, CHAT_DETAILS),
            Endpoint("PUT", chat, self.change, OWNERS_ONLY),
            Endpoint("DELETE", chat, self.delete, OWNERS_ONLY),
            Endpoint("GET", f"{chat}history/", self.history, NO_CHAT),
        ]

    @described(
        summary="List my chats, newest activity first",
        description="Without `limit` the list is complete. `Link` leads to the next page, and following it shows "
        "every chat exactly once.",
        tag=CHATS,
        answer=list[answers.Chat],
        query=codec.LIST,
        is_polled=True,
        has_next=True,
    )
    async def read_all(self, request: Request) -> Response:
        actor = await actor_of(request, self.messenger)
        asked = codec.LIST.decode(query(request), within="query")
        listing = Listing(self.options.cursor_key, ChatPlace, f"chats {actor.profile_id}")
        read = partial(self.messenger.chats.list, actor.profile_id)
        return await listed(request, listing, asked, read, codec.chat_json)

    @described(
        summary="Create a group",
        description="The caller owns it. The people named in `members` are members at once.",
        tag=CHATS,
        answer=answers.Chat,
        body=codec.CREATE_CHAT,
        refuses=REFUSALS["create_chat"],
    )
    async def create(self, request: Request) -> Response:
        actor = await changer_of(request, self.messenger)
        new = codec.CREATE_CHAT.decode(await json_object(request) | key(request), within="body")
        charge_named(request, actor, new.member_ids)
        command = CreateChat(about=About(new.name, new.description), member_ids=new.member_ids, key=new.key)
        return success(codec.chat_json(await self.messenger.chats.create(actor, command)))

    @described(
        summary="Open the direct chat with another person, or find it",
        description="Two people have one direct chat, also when both open it at once.",
        tag=CHATS,
        answer=answers.Chat,
        body=codec.OPEN_DIRECT,
        refuses=REFUSALS["open_direct"],
    )
    async def open_direct(self, request: Request) -> Response:
        actor = await changer_of(request, self.messenger)
        command = codec.OPEN_DIRECT.decode(await json_object(request) | key(request), within="body")
        return success(codec.chat_json(await self.messenger.chats.open_direct(actor, command)))

    @described(
        summary="Read a chat and its members",
        description="Chats of others, and chats that do not exist, are answered alike.",
        tag=CHATS,
        answer=answers.ChatDetails,
        query=codec.IN_CHAT,
        refuses=REFUSALS["get_chat"],
        is_polled=True,
    )
    async def read(self, request: Request) -> Response:
        actor = await actor_of(request, self.messenger)
        chat_id = codec.IN_CHAT.decode({}, within="query", path=path(request)).chat_id
        details = await self.messenger.chats.get(actor.profile_id, chat_id)
        return polled(request, codec.details_json(details, await made(codec.profile_json, details.members)))

    @described(
        summary="Rename or describe a chat, or add members; what is not sent stays as it is",
        description="The owner and admins may do it. `members` only adds people; removing has a path of its own.",
        tag=CHATS,
        answer=answers.Chat,
        body=codec.CHANGE_CHAT,
        refuses=REFUSALS["change_chat"],
    )
    async def change(self, request: Request) -> Response:
        actor = await changer_of(request, self.messenger)
        command = codec.CHANGE_CHAT.decode(await json_object(request), within="body", path=path(request))
        charge_named(request, actor, command.member_ids)
        return success(codec.chat_json(await self.messenger.chats.change(actor, command)))

    @described(
        summary="Delete a chat with all its messages",
        description="Only the owner of a group may do it. Open sockets of the chat close with 1008.",
        tag=CHATS,
        query=codec.DELETE_CHAT,
        refuses=REFUSALS["delete_chat"],
    )
    async def delete(self, request: Request) -> Response:
        actor = await changer_of(request, self.messenger)
        command = codec.DELETE_CHAT.decode({}, within="query", path=path(request))
        await self.messenger.chats.delete(actor, command)
        return success(None)

    @described(
        summary="Read a page of messages, in ascending order",
        tag=CHATS,
        description=(
            "By default the newest page. `before`, `after` and `around` take a `seq`. With `limit` and `offset` together, "
            "`offset` is a page number counted from the newest page, which is 1."
        ),
        answer=answers.History,
        query=codec.HISTORY,
        refuses=REFUSALS["get_history"],
        is_polled=True,
        may_lack_tag=True,
        has_next=True,
    )
    async def history(self, request: Request) -> Response:
        try:
            asked = self._asked_page(request)
        except RequestInvalid:
            await actor_of(request, self.messenger)  # who is not signed in hears that first
            raise
        actor, page = await actor_and_page(request, self.messenger, asked)
        if page is None:
            page = await self.messenger.messages.history_unless_known(
                actor.profile_id, asked.chat_id, asked.where, asked.limit, asked.known
            )
        headers, tag = _next(request, asked, page), tag_of(page.version)
        if page.is_known or has(request, tag):
            return unchanged(tag, headers)
        read_after = partial(self._read_after, request, actor.profile_id, asked.chat_id)
        return history_answer(request, page, tag, headers, read_after)

    def _asked_page(self, request: Request) -> PageAsked:
        asked = codec.HISTORY.decode(query(request), within="query", path=path(request))
        return PageAsked(
            chat_id=asked.chat_id,
            where=place(asked),
            limit=min(asked.limit or self.options.history_page, self.options.history_most),
            known=versions_in(request),
        )

    async def _read_after(
        self, request: Request, reader: ProfileId, chat_id: ChatId, seq: Seq, limit: int
    ) -> HistoryPage:
        """Read the rest of a page for a client that has let it wait, unless its session has ended since."""
        await authenticate(request, self.messenger)
        return await self.messenger.messages.history(reader, chat_id, After(seq), limit)


SHAPE: Final = blake2b(
    dumps([sorted(each.__annotations__) for each in (answers.History, answers.Message, answers.Profile)]),
    digest_size=4,
).hexdigest()
"""Stands in the tags of pages of history, because the next release may encode the same page otherwise."""


def tag_of(version: str) -> str:
    """Return the ``ETag`` of a page of history. It comes from storage, which need not read the page for a client that has it."""
    return f'"{SHAPE}{version}"'


def versions_in(request: Request) -> Sequence[str]:
    """Return the versions of a page of history that the client has."""
    start = f'"{SHAPE}'
    return [tag[len(start) : -1] for tag in tags_in(request) if tag.startswith(start)]


def _next(request: Request, asked: PageAsked, page: HistoryPage) -> Mapping[str, str]:
    """Return the ``Link`` to the next page: to older messages, or to newer ones if the request had ``after``."""
    going: dict[str, int] = {}
    if isinstance(asked.where, After):
        if page.has_after and page.numbers:
            going = {"after": page.numbers[-1]}
    elif page.has_before and page.numbers:
        # Also for a page requested by number: numbers count from the newest message, so the next page by number would
        # repeat messages if new ones arrived in between.
        going = {"before": page.numbers[0]}
    return next_link(request, {**going, "limit": asked.limit}) if going else {}


def place(asked: HistoryQuery) -> Where:
    """
    Return the place of the requested page of history.

    ``limit`` and ``offset`` together are the original messenger's paging. With only one of them the original returned
    all messages; here that is the newest page.

    Raises:
        RequestInvalid: More than one of ``before``, ``after`` and ``around`` was given.
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
