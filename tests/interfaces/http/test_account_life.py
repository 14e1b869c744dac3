"""Passwords forgotten and chosen, sessions listed and revoked, accounts closed: as clients see them."""

from typing import Any

import httpx
import pytest

from domain.notification import Template
from domain.session import Origin
from infrastructure.smtp.writing import REPORTS
from tests.interfaces.http.conftest import PASSWORD, HttpWorld

OTHER = "Another-One1"


def data(answer: httpx.Response, status: int = 200) -> Any:
    assert answer.status_code == status, answer.text
    return answer.json()["data"]


def refusal(answer: httpx.Response) -> tuple[int, str, str]:
    error = answer.json()["error"]
    return answer.status_code, error["code"], error["message"]


async def sign_in(
    world: HttpWorld, email: str, password: str = PASSWORD, device: str = "other"
) -> httpx.Response:
    body = {"email": email, "password": password, "fingerprint": device}
    return await world.client().post("/accounts/sign-in/", json=body)


async def forgotten(world: HttpWorld, email: str) -> str:
    data(await world.client().post("/accounts/password/reset/", json={"email": email}))
    await world.deliver()
    return world.mailbox.tokens[-1]


async def test_reset_redeem_set(world: HttpWorld) -> None:
    one = await world.person("one@example.com")
    token = await forgotten(world, "one@example.com")
    body = {"confirmationToken": token, "fingerprint": "new"}
    redeemed = await world.client().post("/accounts/token/redeem/", json=body)
    access = data(redeemed)["accessToken"]
    assert redeemed.headers["set-cookie"].startswith("refresh_token=ey")
    again = await world.client().post("/accounts/token/redeem/", json=body)
    assert refusal(again) == (401, "AUTH_ERROR", "Token Invalid")
    async with world.client(access) as client:
        answer = await client.post("/accounts/password/set/", json={"password": OTHER})
        assert answer.json() == {"status": "success", "data": None}
        assert data(await client.get("/accounts/me/"))["email"] == "one@example.com"
    assert (await one.client.get("/accounts/me/")).status_code == 401
    assert (await sign_in(world, "one@example.com")).status_code == 401
    assert (await sign_in(world, "one@example.com", OTHER)).status_code == 200


async def test_known_and_unknown_get_the_same_answer(world: HttpWorld) -> None:
    await world.person("one@example.com")
    answers = []
    for email in ("one@example.com", "nobody@example.com"):
        answers.append(await world.client().post("/accounts/password/reset/", json={"email": email}))
        world.clock.pass_by(seconds=4)  # the same is left then of what may be asked from here
    known, unknown = ((each.status_code, each.content, dict(each.headers)) for each in answers)
    assert known == unknown == (200, b'{"status":"success","data":null}', known[2])


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"confirmationToken": "garbage", "fingerprint": "f"}, (401, "AUTH_ERROR", "Invalid JWT token")),
        ({"confirmationToken": "", "fingerprint": "f"}, (401, "AUTH_ERROR", "Credentials invalid")),
        ({"confirmationToken": "x"}, (401, "AUTH_ERROR", "Credentials invalid")),
        (
            {"confirmationToken": 1, "fingerprint": "f"},
            (422, "UNEXPECTED_VALIDATION_ERROR", "1 errors in schema"),
        ),
    ],
)
async def test_what_is_not_redeemed(
    world: HttpWorld, body: dict[str, object], expected: tuple[int, str, str]
) -> None:
    assert refusal(await world.client().post("/accounts/token/redeem/", json=body)) == expected


async def test_session_tokens_are_not_redeemed(world: HttpWorld) -> None:
    one = await world.person("one@example.com")
    body = {"confirmationToken": one.token, "fingerprint": "f"}
    answer = await world.client().post("/accounts/token/redeem/", json=body)
    assert refusal(answer) == (401, "AUTH_ERROR", "Invalid token type")


@pytest.mark.parametrize(
    ("password", "text"),
    [
        ("password1", "Value error, Password invalid"),
        ("short", "Value error, Password invalid"),
        ("a" * 129, "Value error, Password invalid"),
        ("Qwerty-Йцукен", "Value error, Password too common"),
    ],
)
async def test_passwords_that_may_not_be_chosen(world: HttpWorld, password: str, text: str) -> None:
    one = await world.person("one@example.com")
    expected = [{"field": ["body", "password"], "code": "value_error", "text": text, "input": None}]
    for answer in (
        await one.client.post("/accounts/password/set/", json={"password": password}),
        await world.client().post("/accounts/sign-up/", json={"email": "a@b.cc", "password": password}),
    ):
        assert refusal(answer)[:2] == (422, "UNEXPECTED_VALIDATION_ERROR")
        assert answer.json()["error"]["fields"] == expected
        assert password not in answer.text
    original = world.client(one.token, original_statuses=True)
    answer = await original.post("/accounts/password/set/", json={"password": password})
    assert answer.status_code == 501


async def test_the_old_password_is_verified_if_it_is_given(world: HttpWorld) -> None:
    one = await world.person("one@example.com")
    body = {"password": OTHER, "oldPassword": "not this one 1A"}
    answer = await one.client.post("/accounts/password/set/", json=body)
    assert refusal(answer) == (403, "PASSWORD_WRONG", "Password wrong")
    assert (await sign_in(world, "one@example.com", OTHER)).status_code == 401
    data(await one.client.post("/accounts/password/set/", json={**body, "oldPassword": PASSWORD}))
    assert (await sign_in(world, "one@example.com", OTHER)).status_code == 200


async def test_setting_needs_somebody(world: HttpWorld) -> None:
    answer = await world.client().post("/accounts/password/set/", json={"password": OTHER})
    assert refusal(answer) == (401, "AUTH_ERROR", "Not authenticated")


async def test_sessions(world: HttpWorld) -> None:
    one = await world.person("one@example.com")
    other = data(await sign_in(world, "one@example.com", device=" "))["accessToken"]
    listed = data(await one.client.get("/accounts/sessions/"))
    assert [each["current"] for each in listed] == [False, True]
    assert [each["fingerprint"] for each in listed] == [None, "test"]
    assert set(listed[0]) == {
        "id",
        "fingerprint",
        "createdAt",
        "lastUsedAt",
        "userAgent",
        "address",
        "current",
    }
    assert listed[0]["userAgent"].startswith("python-httpx")
    assert listed[0]["createdAt"] == "2026-11-23T03:34:09.900840"
    gone = f"/accounts/sessions/{listed[0]['id']}/"
    proven = {"password": PASSWORD}
    assert refusal(await one.client.delete(gone)) == (403, "PASSWORD_WRONG", "Password wrong")
    assert data(await one.client.request("DELETE", gone, json=proven)) is None
    answer = await one.client.request("DELETE", gone, json=proven)
    assert refusal(answer) == (404, "NOT_FOUND", "Session not found")
    assert (await one.client.delete("/accounts/sessions/nonsense/")).status_code == 422
    assert (await world.client(other).get("/accounts/me/")).status_code == 401
    for device in ("a", "b"):
        data(await sign_in(world, "one@example.com", device=device))
    for body, code in (
        ({}, "PASSWORD_WRONG"),
        ({"password": "wrong"}, "PASSWORD_WRONG"),
        ({"proof": "nonsense"}, "PROOF_UNFIT"),
    ):
        answer = await one.client.request("DELETE", "/accounts/sessions/", json=body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, code)
    for revoked in (2, 0):
        answer = await one.client.request("DELETE", "/accounts/sessions/", json=proven)
        assert data(answer) == {"revoked": revoked}
    assert (await world.client().get("/accounts/sessions/")).status_code == 401


async def test_nobody_elses_session(world: HttpWorld) -> None:
    one, other = await world.person("one@example.com"), await world.person("two@example.com")
    path = f"/accounts/sessions/{other.actor.session_id}/"
    answer = await one.client.request("DELETE", path, json={"password": PASSWORD})
    assert refusal(answer) == (404, "NOT_FOUND", "Session not found")
    assert (await other.client.get("/accounts/me/")).status_code == 200


async def test_every_letter_knows_from_where_it_was_asked_for(world: HttpWorld) -> None:
    one = await world.person("one@example.com")
    world.storage.accounts.letters.clear()
    program = {"User-Agent": "Firefox/140.0"}
    async with world.client() as client:
        client.headers.update(program)
        new = {"email": "new@example.com", "password": PASSWORD}
        data(await client.post("/accounts/sign-up/", json=new))
        data(await client.post("/accounts/password/reset/", json={"email": "one@example.com"}))
        other = {"email": "one@example.com", "password": PASSWORD, "fingerprint": "other"}
        data(await client.post("/accounts/sign-in/", json=other))
    data(await one.client.post("/accounts/password/set/", json={"password": OTHER}, headers=program))
    letters = list(world.storage.accounts.letters.values())
    of_their_own = {each for each in Template if each not in REPORTS} - {Template.PASSWORD_CHANGED_WAYS_KEPT}
    assert {letter.template for letter in letters} == of_their_own
    assert {letter.origin for letter in letters} == {Origin(user_agent="Firefox/140.0", address="127.0.0.1")}
    assert {letter.created_at for letter in letters} == {world.clock.now()}


async def delete(client: httpx.AsyncClient, body: object) -> httpx.Response:
    return await client.request("DELETE", "/accounts/me/", json=body)


async def test_closing_an_account(world: HttpWorld) -> None:
    one, other = await world.person("one@example.com"), await world.person("two@example.com")
    chat = data(await one.client.post("/chats/", json={"name": "A chat", "members": [other.id]}))["id"]
    await world.say(one, chat, "Here I was")
    assert refusal(await delete(one.client, {"password": "wrong"})) == (
        403,
        "PASSWORD_WRONG",
        "Password wrong",
    )
    assert (await delete(one.client, {})).status_code == 422
    answer = await delete(one.client, {"password": PASSWORD})
    assert data(answer) is None
    assert "refresh_token=" in answer.headers["set-cookie"]
    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert (await one.client.get("/accounts/me/")).status_code == 401
    await world.accounts.workers.closed_accounts.once()
    shown = data(await other.client.get(f"/chats/{chat}/"))
    assert (shown["owner"]["id"], shown["memberCount"], shown["role"]) == (other.id, 1, "owner")
    (said,) = data(await other.client.get(f"/chats/{chat}/history/"))["entities"]
    assert said["text"] == "Here I was"
    assert said["sender"] == {
        "firstName": None,
        "lastName": None,
        "middleName": None,
        "username": None,
        "id": "00000000-0000-0000-0000-000000000000",
    }
    assert (await other.client.get(f"/profiles/{one.id}/")).status_code == 404
    await world.person("one@example.com")


async def test_guessing_has_an_end(world: HttpWorld) -> None:
    await world.person("one@example.com")
    for _ in range(20):
        assert (await sign_in(world, "one@example.com", "wrong")).status_code == 401
    answer = await sign_in(world, "one@example.com")
    assert refusal(answer) == (429, "TOO_MANY_REQUESTS", "Too many requests. Wait 45s")
    assert answer.headers["retry-after"] == "45"


async def test_asking_who_is_here_has_an_end(world: HttpWorld) -> None:
    client = world.client()
    statuses = [
        (await client.get("/accounts/email/status/", params={"email": f"n{n}@example.com"})).status_code
        for n in range(121)
    ]
    assert statuses == [200] * 120 + [429]
