"""Tries every row of the table as every caller, on a messenger in memory with its real routes and sockets."""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from inspect import isawaitable
from typing import Any, Final

import httpx
from attrs import define, field, frozen

from interfaces.http.providers import VISIT_COOKIE
from interfaces.wire.registry import Channel
from tests.all_chats import House, opened
from tests.authorization.callers import LEAST_FIRST, PASSWORD, Caller, Group, gather
from tests.authorization.rows import FRAMES, HTTP, IGNORED, OK, FrameRow, Request
from tests.interfaces.http.event_client import listening
from tests.interfaces.ws.asgi import ClientSocket, Closed, connected

Row = Request | FrameRow

COOKIE: Final = "refresh_token"


@frozen
class Tried:
    """What one caller got, and whether anything that is stored became different."""

    row: Row
    caller: Caller
    answer: str
    has_changed: bool

    def faults(self) -> Iterator[str]:
        """What is not as the table says: an answer, or a change by somebody who was refused."""
        said = self.row.answers[self.caller]
        about = f"{self.row.name} by {self.caller}"
        if self.answer != (OK if said == IGNORED else said):
            yield f"{about}: {self.answer} instead of {said}"
        elif self.has_changed and said != OK:
            yield f"{about}: refused, and yet something changed"
        elif not self.has_changed and said == OK and self.row.writes:
            yield f"{about}: allowed, and yet nothing changed"


@define
class Trials:
    """Groups to try rows in. A group that was changed is not used again."""

    house: House
    _password: Any
    heard: Callable[[Request, httpx.Response], None] = field(default=lambda _, __: None)
    """Called with every answer over HTTP."""
    _group: Group | None = field(default=None)

    async def all(self, rows: Sequence[Row] = (*HTTP, *FRAMES)) -> list[Tried]:
        return [await self.one(row, caller) for row in rows for caller in LEAST_FIRST]

    async def one(self, row: Row, caller: Caller) -> Tried:
        if self._group is None:
            self._group = await gather(self.house, self._password)
        group = self._group
        if isinstance(row, Request):
            parts = {
                name: await _filled(getattr(row, name), group, caller)
                for name in ("body", "form", "query", "visit")
            }
            before = group.state()
            answer = await ask(row, caller, group, self.heard, **parts)
        else:
            before = group.state()
            answer = await say(row, caller, group)
        has_changed = group.state() != before
        # A second factor or a passkey that a row needed would stand in the way of the next row.
        if has_changed or group.memory.accounts.factors or group.memory.accounts.passkeys:
            self._group = None
        return Tried(row, caller, answer, has_changed)


@asynccontextmanager
async def trials() -> AsyncIterator[Trials]:
    async with opened(first_page=1) as house:
        await house.world.application.administration().fill_catalogues()
        yield Trials(house, await house.world.application.ports().passwords.hash(PASSWORD))


async def _filled(part: Any, group: Group, caller: Caller) -> Any:
    made = part(group, caller) if part is not None else None
    return await made if isawaitable(made) else made


async def ask(
    row: Request,
    caller: Caller,
    group: Group,
    heard: Callable[[Request, httpx.Response], None],
    body: Any,
    form: Any,
    query: Any,
    visit: Any,
) -> str:
    method, _, template = row.endpoint.partition(" ")
    path = row.path(group, caller) if row.path else group.path(template)
    token = group.tokens.get(caller)
    if template == "/events/":
        async with listening(group.house.app, token or "") as stream:
            await stream.answered()
            return OK if stream.status == 200 else str(stream.status)
    headers = {}
    if row.has_cookie:
        if caller in group.refresh_tokens:
            headers["Cookie"] = f"{COOKIE}={group.refresh_tokens[caller]}"
    elif token is not None:
        headers["Authorization"] = f"Bearer {token}"
    if visit is not None:
        headers["Cookie"] = f"{VISIT_COOKIE}={visit}"
    # a client of its own, or cookies of one caller would be sent by the next
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(group.house.app), base_url="http://server", timeout=None
    ) as client:
        answer = await client.request(method, path, headers=headers, json=body, data=form, params=query or {})
    heard(row, answer)
    return OK if answer.status_code < 400 else str(answer.status_code)


async def say(row: FrameRow, caller: Caller, group: Group) -> str:
    path = f"/chats/{group.chat_id}/ws" if row.channel is Channel.CHAT else "/ws"
    async with connected(group.house.app, path) as socket:
        socket.send_json({"type": "auth", "token": group.tokens.get(caller, "")})
        fields = await _filled(row.fields, group, caller)
        if row.type != "auth":
            socket.send_json({"type": row.type, "id": "asked", **fields})
        socket.send_json({"type": "ping", "id": "over"})
        return await _answer(row, socket)


async def _answer(row: FrameRow, socket: ClientSocket) -> str:
    """Requests are answered in their order, so what came before the pong is all that there is."""
    answer, entry = OK, ""
    try:
        while True:
            frame = await socket.receive_json()
            match frame:
                case {"type": "auth_error", "code": code}:
                    entry = f"({code})"
                case {"type": "error", "code": code}:
                    answer = code
                case {"type": "answer", "id": "asked", "watching": []}:
                    answer = "nobody"
                case {"type": "pong", "id": "over"}:
                    return answer
    except Closed:
        return entry or "closed"
