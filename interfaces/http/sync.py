import asyncio
from collections.abc import Sequence

import orjson
from attrs import field, frozen
from starlette.requests import Request
from starlette.responses import Response

from application.actor import Actor
from application.errors import NotAuthenticated
from application.messenger import Messenger
from application.paging import BadPlace
from application.ports.changes import Cursor
from application.ports.limiter import TooManyRequests
from application.ports.own_changes import Lost
from interfaces.http.authentication import actor_of
from interfaces.http.described import CHATS, described
from interfaces.http.envelope import NOT_KEPT, success
from interfaces.http.long_answers import ending, note_wait
from interfaces.http.options import HttpOptions
from interfaces.http.requests import query
from interfaces.http.routes import Endpoint
from interfaces.live.all_chats import SinceCursor
from interfaces.live.listener import End
from interfaces.live.sync import Part, Sync, Waiting
from interfaces.wire import all_chats as news
from interfaces.wire import answers, codec
from interfaces.wire.codec import SyncQuery
from interfaces.wire.cursors import InvalidCursor
from interfaces.wire.faults import CURSOR_INVALID, CURSOR_OR_NEXT
from interfaces.wire.frames import Frame
from interfaces.wire.places import Places
from interfaces.wire.reasons import Reset
from interfaces.wire.validation import FieldFault, RequestInvalid


@frozen
class Synchronisation:
    """The route for clients that hold no connection open: a snapshot of all chats, and what was missed since a cursor."""

    messenger: Messenger
    options: HttpOptions
    sync: Sync
    _places: Places = field(init=False)

    @_places.default
    def _make_places(self) -> Places:
        return Places(self.options.cursor_key)

    def routes(self) -> list[Endpoint]:
        return [Endpoint("GET", f"{self.options.prefix}/sync/", self.read)]

    @described(
        summary="Read what happened in all my chats since a cursor",
        description="Without `since` the answer is a snapshot: the first page of chats, newest activity first. `next` of a"
        " `snapshot` frame leads to its next page. With `since` the answer is what was missed, in the frames of the socket"
        " of all chats (`/docs/protocol`), or a `reset` and a snapshot if the cursor cannot be used. If it has `hasMore`, the"
        " client asks again at once. With `wait` an answer without frames comes only after that time.",
        tag=CHATS,
        answer=answers.SyncAnswer,
        query=codec.SYNC,
        refuses=(TooManyRequests,),
    )
    async def read(self, request: Request) -> Response:
        actor = await actor_of(request, self.messenger)
        asked = codec.SYNC.decode(query(request), within="query")
        self.messenger.feed.sync(actor)
        if asked.next is not None:
            return await self._page(actor, asked, asked.next)
        if asked.since is None:
            return await self._snapshot(actor)
        try:
            cursor = self._places.read_part(asked.since)
        except InvalidCursor:
            return await self._snapshot(actor, Reset.MALFORMED)
        part = await self.sync.since(actor.profile_id, cursor, asked.seen)
        if asked.wait and isinstance(part, Part) and not part.frames:
            part = await self._wait(request, actor, asked, part)
        if isinstance(part, Lost):
            return await self._snapshot(actor, part)
        return self._answer(part.frames, part.cursor, has_more=part.has_more)

    async def _snapshot(self, actor: Actor, why: Lost | Reset | None = None) -> Response:
        beginning = await self.sync.begin(actor.profile_id)
        page = beginning.page
        snapshot = news.snapshot(page.items, self._places.next_of(page, actor.profile_id))
        resets = [news.reset_all(Reset(why))] if why else []
        return self._answer([*resets, snapshot], beginning.cursor)

    async def _page(self, actor: Actor, asked: SyncQuery, following: str) -> Response:
        """
        Raises:
            RequestInvalid: ``next`` is not from a page of this person, or a cursor came with it.
        """
        if asked.since is not None:
            raise RequestInvalid((FieldFault(("query", "since"), CURSOR_OR_NEXT, asked.since),))
        try:
            after = self._places.page_after(following, actor.profile_id)
            page = await self.sync.page(actor.profile_id, after)
        except (InvalidCursor, BadPlace) as error:
            raise RequestInvalid((FieldFault(("query", "next"), CURSOR_INVALID, following),)) from error
        return self._answer([news.snapshot(page.items, self._places.next_of(page, actor.profile_id))], None)

    async def _wait(self, request: Request, actor: Actor, asked: SyncQuery, part: Part) -> Part | Lost:
        """
        Waits for news. Returns an empty part if the time is over, the client has gone, or the server stops.

        Raises:
            NotAuthenticated: The session ended meanwhile.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        until = began + min(asked.wait, self.sync.options.wait_most)
        answer: Part | Lost = part
        while isinstance(answer, Part) and not answer.frames and (left := until - loop.time()) > 0:
            waiting = Waiting(actor, SinceCursor(answer.cursor))
            async with ending(request, gone=waiting.stop, stopping=waiting.stop):
                await self.sync.wait(waiting, left)
            note_wait(request, loop.time() - began)
            if waiting.why is End.SESSION_ENDED:
                raise NotAuthenticated
            if waiting.is_stopped:
                break
            answer = await self.sync.since(actor.profile_id, answer.cursor, asked.seen)
        return answer

    def _answer(self, frames: Sequence[Frame], cursor: Cursor | None, *, has_more: bool = False) -> Response:
        data = {
            "frames": [orjson.Fragment(frame.data) for frame in frames],
            "cursor": None if cursor is None else self._places.write(cursor),
            "hasMore": has_more,
        }
        return success(data, NOT_KEPT)
