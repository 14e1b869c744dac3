"""Long pages of history over sockets: what is held of them while clients read slowly, and what they get in the end."""

import asyncio
import json
from typing import Any

from application.chats.create import CreateChat
from application.ports.views import After
from domain.chat import About
from domain.chat_errors import ChatNotFound
from interfaces.http.long_answers import PART_BYTES
from tests.interfaces.http.conftest import Person, World
from tests.interfaces.http.serving import ENOUGH, Line, Site, serving
from tests.interfaces.http.test_protocol import until

MESSAGES = 200

LONG = "\N{GRINNING FACE}" * 4000
"""Sixteen thousand bytes, so that a page has more than the operating system takes for a client that does not read."""


async def talked(world: World) -> tuple[Person, str]:
    """A person, and a chat with long messages."""
    ann = await world.person("ann@example.com")
    chat = await world.messenger.chats.create(ann.actor, CreateChat(about=About("Long", None)))
    await world.say(ann, str(chat.id), *(f"{number} {LONG}"[:4000] for number in range(MESSAGES)))
    return ann, str(chat.id)


def asking(person: Person, chat_id: str, *headers: str) -> bytes:
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
        await until(lambda: len(again) >= len(lines))  # each was held up, and reads on when its client does
        await until(lambda: site.node.answers.held > len(lines) * PART_BYTES)
        assert site.node.answers.held < len(lines) * 4 * PART_BYTES, (
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
        assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", in_parts.headers["etag"])


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
