"""Asking again and again: what has not changed is not sent again, and long lists say how to go on."""

import re

import httpx
import pytest

from tests.interfaces.http.conftest import PASSWORD, HttpPerson, HttpWorld


@pytest.fixture
async def ann(world: HttpWorld) -> HttpPerson:
    return await world.person("ann@example.com")


async def chat(ann: HttpPerson) -> str:
    made = await ann.client.post("/chats/", json={"name": "Talk"})
    return str(made.json()["data"]["id"])


@pytest.mark.parametrize(
    "path",
    ["/chats/", "/chats/{}/", "/chats/{}/history/", "/chats/{}/members/", "/profiles/?query=x"],
)
async def test_what_is_there_already_is_not_sent_again(ann: HttpPerson, path: str) -> None:
    there = path.format(await chat(ann))
    first = await ann.client.get(there)
    tag = first.headers["etag"]
    assert first.headers["cache-control"] == "no-store"
    for given in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = await ann.client.get(there, headers={"If-None-Match": given})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    other = await ann.client.get(there, headers={"If-None-Match": '"other"'})
    assert (other.status_code, other.content) == (200, first.content)


async def test_what_has_changed_has_another_tag(world: HttpWorld, ann: HttpPerson) -> None:
    chat_id = await chat(ann)
    before = await ann.client.get("/chats/")
    await world.say(ann, chat_id, "Hello")
    after = await ann.client.get("/chats/", headers={"If-None-Match": before.headers["etag"]})
    assert after.status_code == 200
    assert after.headers["etag"] != before.headers["etag"]


async def read_on(ann: HttpPerson, path: str) -> list[list[str]]:
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
    world: HttpWorld, ann: HttpPerson, query: str, pages: list[list[str]]
) -> None:
    chat_id = await chat(ann)
    await world.say(ann, chat_id, *map(str, range(1, 8)))
    assert await read_on(ann, f"/chats/{chat_id}/history/?{query}") == pages


@pytest.fixture
async def many(world: HttpWorld, ann: HttpPerson) -> str:
    """A chat of five whose one message the four others have read; one of five chats, and of five devices of Ann's."""
    others = [await world.person(f"person{number}@example.com") for number in range(4)]
    made = await ann.client.post("/chats/", json={"name": "Talk", "members": [other.id for other in others]})
    chat_id = str(made.json()["data"]["id"])
    await world.say(ann, chat_id, "Hello")
    for other in others:
        await other.client.put(f"/chats/{chat_id}/read/", json={"upTo": 1})
    for number in range(4):
        await chat(ann)
        device = {"email": "ann@example.com", "password": PASSWORD, "fingerprint": f"device {number}"}
        await ann.client.post("/accounts/sign-in/", json=device)
    return chat_id


@pytest.mark.parametrize(
    ("path", "count"),
    [
        ("/chats/", 5),
        ("/chats/{chat}/members/", 5),
        ("/chats/{chat}/messages/{message}/readers/", 4),
        ("/accounts/sessions/", 5),
    ],
)
@pytest.mark.parametrize("limit", [1, 2, 4, 5, 100])
async def test_a_list_says_how_to_go_on(
    ann: HttpPerson, many: str, path: str, count: int, limit: int
) -> None:
    history = await ann.client.get(f"/chats/{many}/history/")
    there = path.format(chat=many, message=history.json()["data"]["entities"][0]["id"])
    whole = await ann.client.get(there)
    assert len(whole.json()["data"]) == count
    assert next_of(whole) is None, "without a limit it is all there"
    pages, following = [], f"{there}?limit={limit}"
    while following:
        page = await ann.client.get(following)
        pages.append(page.json()["data"])
        again = await ann.client.get(following, headers={"If-None-Match": page.headers["etag"]})
        assert (again.status_code, next_of(again)) == (304, next_of(page))
        following = next_of(page) or ""
    assert [item for page in pages for item in page] == whole.json()["data"]
    assert [len(page) for page in pages[:-1]] == [limit] * ((count - 1) // limit)
    beyond = await ann.client.get(f"{there}?skip={count}")
    assert (beyond.json()["data"], next_of(beyond)) == ([], None)


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "skip=-1", "limit="])
async def test_a_list_is_asked_in_whole_numbers(ann: HttpPerson, query: str) -> None:
    assert (await ann.client.get(f"/chats/?{query}")).status_code == 422
