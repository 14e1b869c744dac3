"""Access tokens of programs as clients see them, over HTTP and sockets."""

from typing import Any

import httpx
import pytest

from tests.interfaces.http.conftest import PASSWORD, HttpPerson, HttpWorld


def data(answer: httpx.Response, status: int = 200) -> Any:
    assert answer.status_code == status, answer.text
    return answer.json()["data"]


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


@pytest.fixture
async def one(world: HttpWorld) -> HttpPerson:
    return await world.person("one@example.com")


async def make(one: HttpPerson, *scopes: str, **more: Any) -> Any:
    body = {"name": "Weather bot", "scopes": list(scopes), "password": PASSWORD, **more}
    answer = await one.client.post("/accounts/tokens/", json=body)
    if answer.is_success:
        assert answer.headers["cache-control"] == "no-store"
    return data(answer)


async def test_made_listed_used_and_ended(world: HttpWorld, one: HttpPerson) -> None:
    made = await make(one, "messages", "chats", days=30)
    token = made.pop("token")
    assert token.startswith("messenger_pat_")
    assert made == {
        "id": made["id"],
        "name": "Weather bot",
        "scopes": ["chats", "messages"],
        "createdAt": "2026-11-23T03:34:09.900840",
        "lastUsedAt": None,
        "expiresAt": "2026-12-23T03:34:09.900840",
    }
    assert data(await one.client.get("/accounts/tokens/")) == [made]
    world.clock.pass_by(minutes=2)
    async with world.client(token) as bot:
        assert data(await bot.get("/accounts/me/"))["profileId"] == one.id
        chat = data(await bot.post("/chats/", json={"name": "Bots", "members": []}))
        said = await bot.post(f"/chats/{chat['id']}/messages/", json={"text": "Beep"})
        assert data(said)["sender"]["id"] == one.id
        (listed,) = data(await one.client.get("/accounts/tokens/"))
        assert listed["lastUsedAt"] == "2026-11-23T03:36:09.900840"
        assert len(data(await one.client.get("/accounts/sessions/"))) == 1
        data(await one.client.delete(f"/accounts/tokens/{made['id']}/"))
        assert refusal(await bot.get("/chats/")) == (401, "AUTH_ERROR")
    again = await one.client.delete(f"/accounts/tokens/{made['id']}/")
    assert refusal(again) == (404, "ACCESS_TOKEN_NOT_FOUND")


async def test_without_scopes_it_reads_alone(world: HttpWorld, one: HttpPerson) -> None:
    chat = data(await one.client.post("/chats/", json={"name": "Ours", "members": []}))
    data(await one.client.post(f"/chats/{chat['id']}/messages/", json={"text": "Hello"}))
    async with world.client((await make(one))["token"]) as bot:
        assert len(data(await bot.get(f"/chats/{chat['id']}/history/"))["entities"]) == 1
        assert data(await bot.get("/sync/"))["frames"]
        for method, path, body in (
            ("POST", f"/chats/{chat['id']}/messages/", {"text": "Beep"}),
            ("PUT", f"/chats/{chat['id']}/read/", {"upTo": 1}),
            ("POST", "/chats/", {"name": "Bots", "members": []}),
            ("DELETE", f"/chats/{chat['id']}/", None),
            ("PATCH", "/accounts/profile/", {"firstName": "Bot"}),
            ("POST", "/accounts/password/set/", {"password": "Another-One1"}),
            ("DELETE", "/accounts/me/", {"password": PASSWORD}),
            ("POST", "/accounts/tokens/", {"name": "More", "scopes": [], "password": PASSWORD}),
            ("GET", "/accounts/tokens/", None),
            ("GET", "/accounts/sessions/", None),
            ("GET", "/accounts/factors/", None),
        ):
            answer = await bot.request(method, path, json=body)
            assert refusal(answer) == (403, "SCOPE_MISSING"), path


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": ""}, ["body", "name"]),
        ({"name": " "}, ["body", "name"]),
        ({"name": "x" * 61}, ["body", "name"]),
        ({"name": "a\u0007b"}, ["body", "name"]),
        ({"scopes": None}, ["body", "scopes"]),
        ({"scopes": "chats"}, ["body", "scopes"]),
        ({"scopes": ["chats", "everything"]}, ["body", "scopes", 1]),
        ({"scopes": [["chats"]]}, ["body", "scopes", 0]),
        ({"days": 0}, ["body", "days"]),
        ({"days": 1.5}, ["body", "days"]),
        ({"days": True}, ["body", "days"]),
    ],
)
async def test_what_is_no_request_for_one(one: HttpPerson, wrong: dict[str, Any], field: list[Any]) -> None:
    body = {"name": "Weather bot", "scopes": [], "password": PASSWORD} | wrong
    answer = await one.client.post("/accounts/tokens/", json=body)
    assert answer.status_code == 422
    assert [each["field"] for each in answer.json()["error"]["fields"]] == [field]


async def test_the_most_that_an_account_may_have(one: HttpPerson) -> None:
    for _ in range(3):
        await make(one)
    body = {"name": "One more", "scopes": [], "password": PASSWORD}
    answer = await one.client.post("/accounts/tokens/", json=body)
    assert refusal(answer) == (409, "TOO_MANY_ACCESS_TOKENS")
