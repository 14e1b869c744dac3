from typing import Any

import pytest

from infrastructure.crypto.queue import FairQueue
from tests.interfaces.http.conftest import PASSWORD, HttpWorld

EMAIL = "Ann@example.com"


def error(code: str, message: str) -> dict[str, Any]:
    return {"status": "error", "error": {"code": code, "message": message}}


def ok(data: object) -> dict[str, Any]:
    return {"status": "success", "data": data}


async def test_from_sign_up_to_sign_out(world: HttpWorld) -> None:
    client = world.client()
    padded = {"email": f" {EMAIL} ", "password": f"  {PASSWORD} "}
    signed_up = await client.post("/accounts/sign-up/", json=padded)
    account = signed_up.json()["data"]
    assert signed_up.json() == ok({"email": EMAIL, "id": account["id"]})
    assert "set-cookie" not in signed_up.headers

    unconfirmed = await client.post("/accounts/sign-in/", json={"email": EMAIL, "password": PASSWORD})
    assert (unconfirmed.status_code, unconfirmed.json()) == (401, error("AUTH_ERROR", "Credentials invalid"))
    status = await client.get("/accounts/email/status/", params={"email": EMAIL})
    assert status.json() == ok({"exists": False})

    await world.deliver()
    confirmation = {"confirmationToken": world.mailbox.tokens[-1], "fingerprint": "dev"}
    confirmed = await client.post("/accounts/email/confirm/", json=confirmation)
    assert confirmed.status_code == 200
    assert set(confirmed.json()["data"]) == {"accessToken", "expiresIn"}
    again = await client.post("/accounts/email/confirm/", json=confirmation)
    assert (again.status_code, again.json()) == (401, error("AUTH_ERROR", "Token Invalid"))
    status = await client.get("/accounts/email/status/", params={"email": EMAIL.lower()})
    assert status.json() == ok({"exists": True})
    taken = await client.post("/accounts/sign-up/", json=padded)
    assert (taken.status_code, taken.json()) == (
        409,
        error("ACCOUNT_ALREADY_EXISTS", "Account already exists"),
    )

    first = await client.post("/accounts/sign-in/", json={"email": EMAIL, "password": PASSWORD})
    cookie = first.headers["set-cookie"]
    assert (
        cookie == f"refresh_token={client.cookies['refresh_token']}; HttpOnly; Path=/accounts/; SameSite=Lax"
    )
    second = await client.post("/accounts/token/refresh/", json={"fingerprint": None})
    assert second.json()["data"]["accessToken"] != first.json()["data"]["accessToken"]
    assert second.json()["data"]["expiresIn"] == 1799  # of 1,800, less what the clock is past the second
    assert second.headers["set-cookie"] != cookie

    bearer = {"Authorization": f"bearer {second.json()['data']['accessToken']}"}
    me = await client.get("/accounts/me/", headers=bearer)
    data = me.json()["data"]
    assert data == account | {"profileId": data["profileId"]}
    assert data["profileId"] != data["id"]

    signed_out = await client.post("/accounts/sign-out/")
    assert signed_out.json() == ok(None)
    assert signed_out.headers["set-cookie"] == (
        'refresh_token=""; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; Path=/accounts/; SameSite=Lax'
    )
    assert "refresh_token" not in client.cookies
    gone = await client.get("/accounts/me/", headers=bearer)
    assert (gone.status_code, gone.json()) == (401, error("AUTH_ERROR", "Token Invalid"))
    refused = await client.post("/accounts/token/refresh/", json={"fingerprint": None})
    assert (refused.status_code, refused.json()) == (401, error("AUTH_ERROR", "Token Invalid"))


@pytest.mark.parametrize(
    ("authorization", "message"),
    [
        (None, "Not authenticated"),
        ("Basic eA==", "Not authenticated"),
        ("", "Not authenticated"),
        ("Bearer", "Token Invalid"),
        ("Bearer garbage", "Token Invalid"),
    ],
)
async def test_who_is_not_let_in(world: HttpWorld, authorization: str | None, message: str) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    # Without authentication, other errors of a request are not reported.
    for method, path in (
        ("GET", "/accounts/me/"),
        ("GET", "/chats/zz/"),
        ("POST", "/chats/"),
        ("PUT", "/chats/zz/"),
    ):
        answer = await world.client().request(method, path, headers=headers)
        assert (answer.status_code, answer.json()) == (401, error("AUTH_ERROR", message))
        assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_token_of_another_kind(world: HttpWorld) -> None:
    person = await world.person(EMAIL)
    answer = await person.client.post(
        "/accounts/token/refresh/",
        json={"fingerprint": "x"},
        headers={"Cookie": f"refresh_token={person.token}"},
    )
    assert (answer.status_code, answer.json()) == (401, error("AUTH_ERROR", "Invalid token type"))


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ({}, "Credentials invalid"),
        ({"confirmationToken": "x"}, "Credentials invalid"),
        ({"confirmationToken": "x", "fingerprint": " "}, "Credentials invalid"),
        ({"confirmationToken": None, "fingerprint": "x"}, "Credentials invalid"),
        ({"confirmation_token": "a.b.c", "fingerprint": "x"}, "Credentials invalid"),
        ({"token": "a.b.c", "fingerprint": "x"}, "Credentials invalid"),
        ({"confirmationToken": "garbage", "fingerprint": "x"}, "Invalid JWT token"),
    ],
)
async def test_confirming_with_too_little(world: HttpWorld, sent: object, message: str) -> None:
    answer = await world.client().post("/accounts/email/confirm/", json=sent)
    assert (answer.status_code, answer.json()) == (401, error("AUTH_ERROR", message))


async def test_status_of_no_address(world: HttpWorld) -> None:
    assert (await world.client().get("/accounts/email/status/")).json() == ok({"exists": False})


async def test_bearer_alone_signs_out_too(world: HttpWorld) -> None:
    person = await world.person(EMAIL)
    assert (await person.client.post("/accounts/sign-out/")).json() == ok(None)
    assert (await person.client.get("/accounts/me/")).status_code == 401


@pytest.mark.parametrize("cookie", [None, "garbage", ""])
async def test_signing_out_of_nothing(world: HttpWorld, cookie: str | None) -> None:
    headers = {} if cookie is None else {"Cookie": f"refresh_token={cookie}"}
    answer = await world.client().post("/accounts/sign-out/", headers=headers)
    assert (answer.status_code, answer.json()) == (200, ok(None))


async def test_cookies_over_tls_and_under_a_prefix(world: HttpWorld) -> None:
    await world.person(EMAIL)
    client = world.client(secure_cookies=True, prefix="/api")
    answer = await client.post("/api/accounts/sign-in/", json={"email": EMAIL, "password": PASSWORD})
    assert answer.headers["set-cookie"].endswith("; HttpOnly; Path=/api/accounts/; SameSite=Lax; Secure")
    assert (await client.post("/accounts/sign-in/", json={})).status_code == 404


async def test_sessions_know_where_they_came_from(world: HttpWorld) -> None:
    await world.person(EMAIL)
    headers = {"User-Agent": "Phone " + "x" * 1000}
    sent = {"email": EMAIL, "password": PASSWORD, "fingerprint": "phone"}
    assert (await world.client().post("/accounts/sign-in/", json=sent, headers=headers)).status_code == 200
    (session,) = [
        session for session in world.storage.accounts.sessions.values() if session.fingerprint.text == "phone"
    ]
    assert session.origin.address == "127.0.0.1"
    assert session.origin.user_agent == headers["User-Agent"][:200]


@pytest.mark.parametrize(
    ("method", "path", "more"),
    [
        ("POST", "/accounts/sign-up/", {"email": "new@example.com"}),
        ("POST", "/accounts/sign-in/", {"email": EMAIL}),
        ("POST", "/accounts/password/set/", {}),
        ("DELETE", "/accounts/me/", {}),
    ],
)
async def test_while_too_many_passwords_wait(
    world: HttpWorld, method: str, path: str, more: dict[str, str]
) -> None:
    person = await world.person(EMAIL)
    world.accounts.passwords._queue = FairQueue(places=0, backlog=0, share=0)
    answer = await person.client.request(method, path, json={"password": PASSWORD, **more})
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "OVERLOADED")
    assert int(answer.headers["retry-after"]) > 0


@pytest.mark.parametrize("name", ["username", "email"])
async def test_the_form_of_swagger(world: HttpWorld, name: str) -> None:
    await world.person(EMAIL)
    client = world.client()
    more = {"grant_type": "password", "scope": "", "client_id": "", "client_secret": ""}
    sent = {name: EMAIL, "password": PASSWORD}
    answer = await client.post("/accounts/sign-in/swagger/", data=sent | more)
    assert answer.json() == {
        "access_token": answer.json()["access_token"],
        "token_type": "bearer",
        "expires_in": 1799,
    }
    assert client.cookies["refresh_token"]
    as_parts = await client.post(
        "/accounts/sign-in/swagger/", files={key: (None, value) for key, value in sent.items()}
    )
    assert as_parts.status_code == 200
    wrong = await client.post("/accounts/sign-in/swagger/", data=sent | {"password": "zzz"})
    assert (wrong.status_code, wrong.json()) == (401, error("AUTH_ERROR", "Credentials invalid"))


@pytest.mark.parametrize(
    ("sent", "fields"),
    [
        (
            {"data": {"username": "abc", "password": "zzz"}},
            [
                (
                    ["body", "username"],
                    "value is not a valid email address: An email address must have an @-sign.",
                    "abc",
                )
            ],
        ),
        ({"data": {"username": EMAIL}}, [(["body", "password"], "Field required", None)]),
        ({"data": {"password": "x"}}, [(["body", "username"], "Field required", None)]),
        (
            {"json": {"username": EMAIL, "password": PASSWORD}},
            [(["body", "username"], "Field required", None), (["body", "password"], "Field required", None)],
        ),
        (
            {"data": {"username": EMAIL}, "files": {"password": b"upload"}},
            [(["body", "password"], "Input should be a valid string", None)],
        ),
    ],
)
async def test_forms_that_say_too_little(world: HttpWorld, sent: dict[str, Any], fields: list[Any]) -> None:
    answer = await world.client().post("/accounts/sign-in/swagger/", **sent)
    assert answer.status_code == 422
    told = answer.json()["error"]["fields"]
    assert [(field["field"], field["text"], field["input"]) for field in told] == fields


@pytest.mark.parametrize(
    ("content", "content_type", "status"),
    [
        (b"--x\r\nnonsense", "multipart/form-data; boundary=x", 422),
        (b"x", "multipart/form-data", 400),
        (b"a=1&" * 2000, "application/x-www-form-urlencoded", 400),
        (b"&&&=%ff%", "application/x-www-form-urlencoded", 422),
    ],
)
async def test_broken_forms(world: HttpWorld, content: bytes, content_type: str, status: int) -> None:
    headers = {"Content-Type": content_type}
    answer = await world.client().post("/accounts/sign-in/swagger/", content=content, headers=headers)
    assert answer.status_code == status
    if status == 400:
        assert answer.json() == {"detail": "There was an error parsing the body"}


async def test_asked_again_under_one_key_it_is_one_letter(world: HttpWorld) -> None:
    client = world.client()
    for asked, body in (
        ("/accounts/sign-up/", {"email": EMAIL, "password": PASSWORD}),
        ("/accounts/password/reset/", {"email": EMAIL}),
    ):
        before = len(world.mailbox.tokens)
        answers = [
            await client.post(asked, json=body, headers={"Idempotency-Key": key}) for key in ("a", "a", "b")
        ]
        assert len({answer.content for answer in answers}) == 1
        assert answers[0].status_code == 200
        await world.deliver()
        assert len(world.mailbox.tokens) - before == 2
