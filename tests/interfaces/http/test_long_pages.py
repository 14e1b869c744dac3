"""Long pages of history over sockets: what is held of them while clients read slowly, and what they get in the end."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from attrs import define, evolve, field
from starlette.requests import Request
from starlette.responses import StreamingResponse

from application.accounts.sign_out import SignOut
from application.chats.create import CreateChat
from application.ports.views import After, Newest
from application.views import HistoryPage
from domain.chat import About
from domain.chat_errors import ChatNotFound
from domain.ids import ChatId, Seq
from interfaces.http.long_answers import LONG_ANSWER
from interfaces.http.long_pages import history_answer
from interfaces.wire.parts import PART_BYTES, READ_AGAIN
from tests.interfaces.http.conftest import HttpPerson, HttpWorld, make_world
from tests.interfaces.http.serving import ENOUGH, Line, Site, serving
from tests.interfaces.http.test_protocol import until

MESSAGES = 200

LONG = "\N{GRINNING FACE}" * 4000
"""Sixteen thousand bytes, so that a page has more than the operating system takes for a client that does not read."""


async def talked(world: HttpWorld) -> tuple[HttpPerson, str]:
    """A person, and a chat with long messages."""
    ann = await world.person("ann@example.com")
    chat = await world.messenger.chats.create(ann.actor, CreateChat(about=About("Long", None)))
    await world.say(ann, str(chat.id), *(f"{number} {LONG}"[:4000] for number in range(MESSAGES)))
    return ann, str(chat.id)


def asking(person: HttpPerson, chat_id: str, *headers: str) -> bytes:
    path = f"/chats/{chat_id}/history/?limit={MESSAGES}"
    lines = [
        f"GET {path} HTTP/1.1",
        "Host: server",
        f"Authorization: Bearer {person.token}",
        *headers,
        "",
        "",
    ]
    return "\r\n".join(lines).encode()


async def chunks(line: Line) -> bytes:
    """The body of an answer in chunks (RFC 9112, 7.1), as far as it comes."""
    body = bytearray()
    async with asyncio.timeout(ENOUGH):
        head = (await line.reader.readuntil(b"\r\n\r\n")).decode().lower()
        assert head.startswith("http/1.1 200")
        assert "transfer-encoding: chunked" in head
        while size := int(await line.reader.readline() or b"0", 16):
            body += (await line.reader.readexactly(size + 2))[:-2]
    return bytes(body)


def reads_of(site: Site) -> list[tuple[Any, int]]:
    """What of history is read from now on: where, and how many messages."""
    messages = site.app.state.world.messenger.messages
    read, seen = messages.history, list[tuple[Any, int]]()

    async def noted(*asked: Any) -> Any:
        seen.append((asked[2], asked[3]))
        return await read(*asked)

    object.__setattr__(messages, "history", noted)
    return seen


async def test_a_slow_reader_gets_all_of_it_and_holds_little() -> None:
    async with serving() as site:
        ann, chat_id = await talked(site.app.state.world)
        again = reads_of(site)
        lines = [await site.line(narrow=True) for _ in range(10)]
        for line in lines:
            line.send(asking(ann, chat_id))
        await until(lambda: site.node.answers.held > len(lines) * PART_BYTES)  # each is held up
        assert site.node.answers.held < len(lines) * 3 * PART_BYTES, (
            "not whole pages, each of which has 50 parts"
        )
        page = json.loads(await chunks(lines[0]))
        assert page["status"] == "success"
        assert [message["seq"] for message in page["data"]["entities"]] == list(range(1, MESSAGES + 1))
        assert {len(message["text"]) for message in page["data"]["entities"]} == {4000}
        assert (page["data"]["totalCount"], page["data"]["hasBefore"]) == (MESSAGES, False)
        assert all(isinstance(where, After) and limit <= 10 for where, limit in again)


async def test_a_quick_reader_makes_nothing_be_read_again() -> None:
    async with serving() as site:
        world = site.app.state.world
        ann, chat_id = await talked(world)
        again = reads_of(site)
        in_parts = await ann.client.get(f"/chats/{chat_id}/history/?limit={MESSAGES}")
        assert again == []
        assert in_parts.json()["data"]["entities"][-1]["seq"] == MESSAGES
        head = await ann.client.head(f"/chats/{chat_id}/history/?limit={MESSAGES}")
        assert (head.status_code, head.content) == (200, b"")
        for answer in (in_parts, head):
            assert "etag" not in answer.headers, "a part may be newer than the tag"
            assert answer.headers["cache-control"] == "no-store"


async def test_who_may_read_no_more_gets_no_end() -> None:
    async with serving() as site:
        ann, chat_id = await talked(site.app.state.world)
        messages = site.app.state.world.messenger.messages

        async def gone(*_: object) -> None:
            raise ChatNotFound

        object.__setattr__(messages, "history", gone)
        line = await site.line(narrow=True)
        line.send(asking(ann, chat_id))
        body = await line.rest_of(2**30)
        assert len(body) > PART_BYTES
        assert not body.endswith(b"0\r\n\r\n"), "the client sees that the answer is incomplete"


async def test_whose_session_has_ended_gets_no_end() -> None:
    async with serving() as site:
        world = site.app.state.world
        ann, chat_id = await talked(world)
        line = await site.line(narrow=True)
        line.send(asking(ann, chat_id, "Connection: close"))
        await until(
            lambda: site.node.answers.held > PART_BYTES
        )  # it is held up, and what is not written yet is dropped
        await world.messenger.accounts.sign_out(SignOut(access_token=ann.token))
        body = await line.rest_of(2**30)
        assert len(body) > PART_BYTES
        assert not body.endswith(b"0\r\n\r\n"), "the client sees that the answer is incomplete"


@define(eq=False)
class SlowClient:
    """A `LongAnswer` whose client reads each part only when the server waits for that."""

    is_held_up: bool = False
    waits: int = 0
    is_aborted: bool = False
    parts: list[bytes] = field(factory=list)

    async def writable(self) -> None:
        self.waits += 1
        self.is_held_up = False

    def abort(self) -> None:
        self.is_aborted = True

    async def take(self, answer: StreamingResponse) -> None:
        async for part in cast(AsyncIterator[bytes], answer.body_iterator):
            self.parts.append(part)
            self.is_held_up = True

    def messages(self) -> list[int]:
        """The number of messages in each part."""
        return [part.count(b'"seq":') for part in self.parts]


@define(eq=False)
class ShortTexts:
    """A chat with many messages of 150 characters, whose history fills two parts."""

    world: HttpWorld
    ann: HttpPerson
    chat_id: ChatId
    reads: list[Seq] = field(factory=list)
    """The `seq` after which messages were read again."""
    are_missing: bool = False

    @classmethod
    async def said(cls) -> "ShortTexts":
        world = make_world()
        ann = await world.person("ann@example.com")
        chat = await world.messenger.chats.create(ann.actor, CreateChat(about=About("Short", None)))
        await world.say(ann, str(chat.id), *(f"{number} ".ljust(150, "x") for number in range(MESSAGES)))
        return cls(world, ann, chat.id)

    async def read_after(self, seq: Seq, limit: int) -> HistoryPage:
        self.reads.append(seq)
        page = await self.world.messenger.messages.history(
            self.ann.actor.profile_id, self.chat_id, After(seq), limit
        )
        return evolve(page, rows=[]) if self.are_missing else page

    async def answer(self, client: SlowClient) -> StreamingResponse:
        page = await self.world.messenger.messages.history(
            self.ann.actor.profile_id, self.chat_id, Newest(), MESSAGES
        )
        request = Request(
            {"type": "http", "method": "GET", "headers": [], "extensions": {LONG_ANSWER: client}}
        )
        answer = history_answer(request, page, '"tag"', {}, self.read_after)
        assert isinstance(answer, StreamingResponse)
        return answer


async def test_a_rest_that_was_dropped_is_read_ten_messages_at_a_time() -> None:
    chat, client = await ShortTexts.said(), SlowClient()
    await client.take(await chat.answer(client))
    first, second = client.messages()
    assert first + second == MESSAGES
    assert chat.reads == list(range(first, MESSAGES, READ_AGAIN)), (
        "the rest is dropped once, not at every message"
    )
    assert client.waits == 1
    page = json.loads(b"".join(client.parts))
    assert [each["seq"] for each in page["data"]["entities"]] == list(range(1, MESSAGES + 1))


async def test_a_page_whose_rest_is_missing_stays_incomplete(caplog: pytest.LogCaptureFixture) -> None:
    chat, client = await ShortTexts.said(), SlowClient()
    chat.are_missing = True
    await client.take(await chat.answer(client))
    assert client.is_aborted
    assert len(client.parts) == len(chat.reads) == 1
    assert "could not be finished" in caplog.text
