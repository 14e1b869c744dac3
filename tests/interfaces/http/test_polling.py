"""Asking again and again: what has not changed is not sent again, and long lists say how to go on."""

import re

import httpx
import pytest

from tests.interfaces.http.conftest import Person, World


@pytest.fixture
async def ann(world: World) -> Person:
    return await world.person("ann@example.com")


async def chat(ann: Person) -> str:
    made = await ann.client.post("/chats/", json={"name": "Talk"})
    return str(made.json()["data"]["id"])


@pytest.mark.parametrize(
    "path",
    ["/chats/", "/chats/{}/", "/chats/{}/history/", "/chats/{}/members/", "/profiles/?query=x"],
)
async def test_what_is_there_already_is_not_sent_again(ann: Person, path: str) -> None:
    there = path.format(await chat(ann))
    first = await ann.client.get(there)
    tag = first.headers["etag"]
    assert first.headers["cache-control"] == "private, no-cache"
    for given in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = await ann.client.get(there, headers={"If-None-Match": given})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    other = await ann.client.get(there, headers={"If-None-Match": '"other"'})
    assert (other.status_code, other.content) == (200, first.content)


async def test_what_has_changed_has_another_tag(world: World, ann: Person) -> None:
    chat_id = await chat(ann)
    before = await ann.client.get("/chats/")
    await world.say(ann, chat_id, "Hello")
    after = await ann.client.get("/chats/", headers={"If-None-Match": before.headers["etag"]})
    assert after.status_code == 200
    assert after.headers["etag"] != before.headers["etag"]


async def read_on(ann: Person, path: str) -> list[list[str]]:
    """The texts of each page."""
    pages = []
    while True:
        page = await ann.client.get(path)
        pages.append([message["text"] for message in page.json()["data"]["entities"]])
        if (following := next_of(page)) is None:
            return pages
        path = following


def next_of(page: httpx.Response) -> str | None:
    found = re.fullmatch(r'<([^>]+)>; rel="next"', page.headers.get("link", ""))
    assert found or "link" not in page.headers
    return found[1] if found else None


@pytest.mark.parametrize(
    ("query", "pages"),
    [
        ("limit=3", [["5", "6", "7"], ["2", "3", "4"], ["1"]]),
        ("before=6&limit=3", [["3", "4", "5"], ["1", "2"]]),
        ("after=2&limit=3", [["3", "4", "5"], ["6", "7"]]),
        ("after=0&limit=7", [["1", "2", "3", "4", "5", "6", "7"]]),
        ("limit=3&offset=1", [["5", "6", "7"], ["2", "3", "4"], ["1"]]),
        ("limit=4&offset=2", [["1", "2", "3"]]),
        ("after=7", [[]]),
        ("around=4&limit=3", [["3", "4", "5"], ["1", "2"]]),
    ],
)
async def test_a_history_says_how_to_go_on(
    world: World, ann: Person, query: str, pages: list[list[str]]
) -> None:
    chat_id = await chat(ann)
    await world.say(ann, chat_id, *map(str, range(1, 8)))
    assert await read_on(ann, f"/chats/{chat_id}/history/?{query}") == pages
