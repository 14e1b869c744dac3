"""Errors for people: a browser that asks for a page gets one, and clients get what they always got."""

from typing import Any

import pytest
from attrs import evolve

from application.errors import Unavailable
from tests.interfaces.http.conftest import HttpWorld

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
"""What browsers send when somebody follows a link."""

HTML, ENVELOPE, PROBLEM = "text/html; charset=utf-8", "application/json", "application/problem+json"


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (BROWSER, HTML),
        ("text/html", HTML),
        ("text/html, application/json;q=0.9", HTML),
        ("text/html;q=0.8, application/json", ENVELOPE),
        ("text/html, application/json", ENVELOPE),
        ("text/html;q=0", ENVELOPE),
        ("text/*", ENVELOPE),
        ("*/*", ENVELOPE),
        ("application/json, text/plain, */*", ENVELOPE),
        ("application/problem+json, text/html", PROBLEM),
        (None, ENVELOPE),
    ],
)
async def test_whoever_asks_for_a_page_gets_one(world: HttpWorld, accept: str | None, kind: str) -> None:
    client = world.client()
    client.headers.pop("accept")
    answer = await client.get("/nope", headers={"Accept": accept} if accept else {})
    assert (answer.status_code, answer.headers["content-type"]) == (404, kind)


@pytest.mark.parametrize(
    ("method", "path", "more", "expected"),
    [
        ("GET", "/nope", {}, (404, "Nothing is here", "NOT_FOUND")),
        ("GET", "/chats/", {}, (401, "Please sign in", "AUTH_ERROR")),
        ("DELETE", "/livez", {}, (405, "This does not work that way", "METHOD_NOT_ALLOWED")),
        (
            "GET",
            "/accounts/email/status/?email=x",
            {},
            (422, "That did not work", "UNEXPECTED_VALIDATION_ERROR"),
        ),
        ("POST", "/accounts/sign-in/", {"content": b"\xff"}, (400, "That did not work", "UNREADABLE_BODY")),
        (
            "POST",
            "/accounts/sign-in/",
            {"content": b"x" * 300_000},
            (413, "That is too much at once", "BODY_TOO_LARGE"),
        ),
    ],
)
@pytest.mark.parametrize("original_statuses", [False, True])
async def test_every_kind_of_refusal_has_a_page(
    world: HttpWorld,
    method: str,
    path: str,
    more: Any,
    expected: tuple[int, str, str],
    original_statuses: bool,
) -> None:
    client = world.client(promised=False, original_statuses=original_statuses, app_url="https://chat.example")
    headers = {"Accept": BROWSER, "Accept-Language": "en"}
    answer = await client.request(method, path, headers=headers, **more)
    status, title, code = expected
    assert answer.status_code == (501 if original_statuses and status == 422 else status)
    assert answer.headers["content-type"] == HTML
    assert f"<h1>{title}</h1>" in answer.text
    assert f'{answer.status_code} · <a href="/errors/{code}">{code}</a>' in answer.text
    assert (await client.get(f"/errors/{code}")).status_code == 200
    assert '<a href="/docs">' in answer.text
    assert 'href="https://chat.example"' in answer.text
    assert answer.headers["x-request-id"] in answer.text
    assert "script" not in answer.headers["content-security-policy"]


async def test_headers_of_a_refusal_stay(world: HttpWorld) -> None:
    headers = {"Accept": BROWSER}
    client = world.client(promised=False)
    assert (await client.get("/chats/", headers=headers)).headers["www-authenticate"] == "Bearer"
    assert (await client.delete("/livez", headers=headers)).headers["allow"] == "GET, HEAD"


async def test_what_a_client_sent_is_shown_as_text(world: HttpWorld) -> None:
    path = "/accounts/email/status/?email=%3Cscript%3Ealert(1)%3C/script%3E"
    answer = await world.client(promised=False).get(path, headers={"Accept": BROWSER})
    assert "<li><code>/query/email</code> Value error, Email incorrect</li>" in answer.text
    assert "<script" not in answer.text


@pytest.mark.parametrize(
    ("error", "title"),
    [(Unavailable(), "The server does not answer just now"), (ValueError(), "The server failed")],
)
async def test_failures_have_pages_too(world: HttpWorld, error: Exception, title: str) -> None:
    async def fail(*_: object) -> bool:
        raise error

    world.messenger = evolve(world.messenger, accounts=evolve(world.messenger.accounts, email_status=fail))
    path = "/accounts/email/status/?email=a@example.com"
    answer = await world.client(promised=False).get(path, headers={"Accept": BROWSER})
    assert (answer.headers["content-type"], f"<h1>{title}</h1>" in answer.text) == (HTML, True)
