"""The pages to which letters link, as plain forms: without a browser, and over storage that fails."""

import re
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from html import unescape
from typing import Any
from uuid import uuid4

import httpx
import pytest
from attrs import evolve

from application.errors import OutcomeUnknown, Overloaded, Unavailable
from domain.account import PasswordPattern
from domain.identity import Identity, Subject
from domain.ids import IdentityId
from domain.notification import Template
from tests.interfaces.http.conftest import PASSWORD, HttpWorld

CONFIRM, CHOOSE = "/confirm-email", "/setup-new-password"
PAGES = (CONFIRM, CHOOSE)
BETTER = "Another-One1"
EMAIL = "one@example.com"


def heading(answer: httpx.Response) -> str:
    (found,) = re.findall(r"<h1>(.*?)</h1>", answer.text)
    return str(found)


def complaints(answer: httpx.Response) -> list[str]:
    """Those that can be seen."""
    return re.findall(r'data-problem="(\w+)">', answer.text)


def assert_void(answer: httpx.Response) -> None:
    """The page of a void link is a page like any other; only a form that comes with one is refused."""
    assert heading(answer) == "This link no longer works"
    assert answer.status_code == (410 if answer.request.method == "POST" else 200)


async def link_to(world: HttpWorld, path: str) -> str:
    """The token of a letter whose link leads to this page."""
    if path == CONFIRM:
        return await world.letter_to(EMAIL)
    await world.person(EMAIL)
    return await forgotten(world)


async def forgotten(world: HttpWorld) -> str:
    await world.client().post("/accounts/password/reset/", json={"email": EMAIL})
    await world.deliver()
    return world.mailbox.tokens[-1]


def fields_for(path: str, password: str = BETTER, again: str | None = None) -> dict[str, str]:
    return {"first": password, "second": password if again is None else again} if path == CHOOSE else {}


async def sign_in(world: HttpWorld, password: str, device: str = "app") -> httpx.Response:
    body = {"email": EMAIL, "password": password, "fingerprint": device}
    return await world.client().post("/accounts/sign-in/", json=body)


@pytest.mark.parametrize("path", PAGES)
async def test_a_form_is_sent_once_and_followed_by_a_page_without_the_token(
    world: HttpWorld, path: str
) -> None:
    client, at = world.client(app_url="https://chat.example"), f"{path}?token={await link_to(world, path)}"
    assert heading(await client.get(at)) in {"Confirm your address", "Choose a new password"}
    sent = await client.post(at, data=fields_for(path))
    assert (sent.status_code, sent.headers["location"]) == (303, f"{path}?done")
    done = await client.get(sent.headers["location"])
    assert heading(done) in {"Your address is confirmed", "Your password is changed"}
    assert '<a class="button" href="https://chat.example">Sign in</a>' in done.text
    assert (await sign_in(world, BETTER if path == CHOOSE else PASSWORD)).is_success
    for again in (await client.get(at), await client.post(at, data=fields_for(path))):
        assert_void(again)


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("token", ["", "x", "a.b.c", "%00", "%3Cscript%3E", "%ED%A0%80", "x" * 5000])
async def test_a_void_token_is_told_before_anything_is_typed(world: HttpWorld, path: str, token: str) -> None:
    for answer in (
        await world.client().get(f"{path}?token={token}"),
        await world.client().post(f"{path}?token={token}", data=fields_for(path)),
    ):
        assert_void(answer)
        assert "<form" not in answer.text


async def test_looking_uses_nothing_up(world: HttpWorld) -> None:
    token = await link_to(world, CONFIRM)
    for _ in range(3):
        assert (await world.client().get(CONFIRM, params={"token": token})).is_success
        assert (await world.client().head(CONFIRM, params={"token": token})).is_success
    assert (await sign_in(world, PASSWORD)).status_code == 401


async def test_the_link_of_a_confirmed_account_confirms_nothing(world: HttpWorld) -> None:
    await world.person(EMAIL)
    at = f"{CONFIRM}?token={await forgotten(world)}"
    for answer in (await world.client().get(at), await world.client().post(at)):
        assert_void(answer)


async def test_the_letter_of_a_sign_up_sets_a_password_as_well(world: HttpWorld) -> None:
    at = f"{CHOOSE}?token={await world.letter_to(EMAIL)}"
    assert (await world.client().post(at, data=fields_for(CHOOSE))).status_code == 303
    assert (await sign_in(world, BETTER)).is_success


@pytest.mark.parametrize(
    ("first", "second", "problem"),
    [
        (BETTER, "Another-One2", "differ"),
        (BETTER, "", "differ"),
        ("", "", "unfit"),
        ("Short1", None, "unfit"),
        ("x" * 129, None, "unfit"),
        ("only-small-letters", None, "unfit"),
        ("Two\nLines-1", None, "unfit"),
        ("Null-\0-Null", None, "unfit"),
        ("qWERTY-йцукен", None, "common"),
    ],
)
async def test_a_refused_password_leaves_the_link_good(
    world: HttpWorld, first: str, second: str | None, problem: str
) -> None:
    at = f"{CHOOSE}?token={await link_to(world, CHOOSE)}"
    refused = await world.client().post(at, data=fields_for(CHOOSE, first, second))
    assert (refused.status_code, complaints(refused)) == (422, [problem])
    assert first not in refused.text or not first
    reloaded = await world.client().get(at)
    assert (reloaded.status_code, complaints(reloaded)) == (200, [])
    assert (await sign_in(world, PASSWORD)).is_success
    assert (await world.client().post(at, data=fields_for(CHOOSE))).status_code == 303
    assert (await sign_in(world, BETTER)).is_success


async def test_blanks_around_a_password_are_left_out_as_in_the_interface(world: HttpWorld) -> None:
    at = f"{CHOOSE}?token={await link_to(world, CHOOSE)}"
    assert (await world.client().post(at, data=fields_for(CHOOSE, f"  {BETTER} ", BETTER))).status_code == 303
    assert (await sign_in(world, BETTER)).is_success


async def test_a_form_of_another_kind_is_refused_like_a_bad_password(world: HttpWorld) -> None:
    at = f"{CHOOSE}?token={await link_to(world, CHOOSE)}"
    client = world.client()
    for body in (
        {"files": {"first": b"Another-One1", "second": b"Another-One1"}},
        {"content": b"--", "headers": {"Content-Type": "multipart/form-data"}},
        {"json": {"first": BETTER, "second": BETTER}},
    ):
        refused = await client.post(at, **body)
        assert refused.status_code == 422
        assert complaints(refused)[0] in {"unfit", "differ"}


async def test_a_new_password_ends_every_session_and_is_reported(world: HttpWorld) -> None:
    one = await world.person(EMAIL)
    at = f"{CHOOSE}?token={await forgotten(world)}"
    await world.client().post(at, data=fields_for(CHOOSE))
    assert (await one.client.get("/accounts/me/")).status_code == 401
    letters = world.storage.accounts.letters.values()
    assert [each.template for each in letters].count(Template.PASSWORD_CHANGED) == 1


@pytest.mark.parametrize("local", ["{{7*7}}", "{%if/**/1%}1{%endif%}", "${7*7}"])
async def test_an_address_is_no_template(world: HttpWorld, local: str) -> None:
    """Nobody's address is carried out: it is shown as it is, on the page and in the letter that leads to it."""
    token = await world.letter_to(f"{local}@example.com")
    shown = await world.client().get(CONFIRM, params={"token": token})
    assert shown.status_code == 200
    assert f"{local}@example.com" in unescape(shown.text)


async def test_the_page_tells_of_ways_that_stay(world: HttpWorld) -> None:
    one = await world.person(EMAIL)
    client = world.client()
    at = f"{CHOOSE}?token={await forgotten(world)}"
    assert (await client.post(at, data=fields_for(CHOOSE))).headers["location"] == f"{CHOOSE}?done"
    assert "ways-stay" not in (await client.get(f"{CHOOSE}?done")).text
    identity = Identity(
        id=IdentityId(uuid4()),
        account_id=one.actor.account_id,
        subject=Subject("https://accounts.example", "1"),
        linked_at=world.clock.at,
    )
    async with world.storage.begin() as work:
        await work.identities.add(identity)
    at = f"{CHOOSE}?token={await forgotten(world)}"
    done = await client.post(at, data=fields_for(CHOOSE))
    assert done.headers["location"] == f"{CHOOSE}?done=ways"
    shown = await client.get(done.headers["location"])
    assert heading(shown) == "Your password is changed"
    assert "have not changed. Sign in and look at them" in shown.text


@pytest.mark.parametrize("path", PAGES)
async def test_the_page_is_no_device(world: HttpWorld, path: str) -> None:
    """Or the first sign-in, which comes from the application, would be reported as one from a new device."""
    at = f"{path}?token={await world.letter_to(EMAIL)}"
    assert (await world.client().post(at, data=fields_for(path))).status_code == 303
    token = (await sign_in(world, BETTER if path == CHOOSE else PASSWORD)).json()["data"]["accessToken"]
    devices = (await world.client(token).get("/accounts/sessions/")).json()["data"]
    assert [each["fingerprint"] for each in devices] == ["app"]
    letters = world.storage.accounts.letters.values()
    assert Template.NEW_DEVICE not in [each.template for each in letters]


@pytest.mark.parametrize("path", PAGES)
async def test_a_disabled_account_is_not_let_in_by_a_letter(world: HttpWorld, path: str) -> None:
    at = f"{path}?token={await link_to(world, path)}"
    async with world.storage.begin() as work:
        found = await work.accounts.find_by_email(next(iter(world.storage.accounts.accounts.values())).email)
        assert found
        account = await work.accounts.lock(found.id)
        account.disable(at=world.clock.now())
        await work.accounts.save(account)
    for answer in (await world.client().get(at), await world.client().post(at, data=fields_for(path))):
        assert_void(answer)


def failing(error: Exception) -> Callable[..., Any]:
    async def fail(*_: object) -> None:
        raise error

    return fail


@pytest.mark.parametrize("path", PAGES)
async def test_a_server_that_fails_for_a_while_keeps_the_link(world: HttpWorld, path: str) -> None:
    at = f"{path}?token={await link_to(world, path)}"
    works = world.messenger.accounts
    for error in (Unavailable(), Overloaded(retry_after=7)):
        broken = evolve(works, activate=failing(error), choose_password=failing(error))
        world.messenger = evolve(world.messenger, accounts=broken)
        answer = await world.client().post(at, data=fields_for(path))
        assert (answer.status_code, complaints(answer)) == (503, ["failed"])
        assert answer.headers["retry-after"] == str(int(error.retry_after))
    away = failing(Unavailable())
    world.messenger = evolve(
        world.messenger, accounts=evolve(works, read_link=away, activate=away, choose_password=away)
    )
    for answer in (await world.client().get(at), await world.client().post(at, data=fields_for(path))):
        assert (answer.status_code, heading(answer)) == (503, "That did not work")
        assert '<a class="button" href="">Try again</a>' in answer.text
        assert answer.headers["retry-after"] == "1"
    world.messenger = evolve(world.messenger, accounts=works)
    assert (await world.client().post(at, data=fields_for(path))).status_code == 303


@pytest.mark.parametrize("path", PAGES)
async def test_an_unknown_outcome_is_told_as_one_unless_the_link_shows_it(
    world: HttpWorld, path: str
) -> None:
    at = f"{path}?token={await link_to(world, path)}"
    works = world.messenger.accounts

    async def lost(*_: object) -> Any:
        raise OutcomeUnknown

    async def done_and_lost(command: Any) -> Any:
        await (works.activate if path == CONFIRM else works.choose_password)(command)
        raise OutcomeUnknown

    for act, expected in ((lost, (503, ["unknown"])), (done_and_lost, (303, []))):
        broken = evolve(works, activate=act, choose_password=act)
        world.messenger = evolve(world.messenger, accounts=broken)
        answer = await world.client().post(at, data=fields_for(path))
        assert (answer.status_code, complaints(answer)) == expected


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_may_run_its_own_script_ask_here_and_nothing_else(world: HttpWorld, path: str) -> None:
    answer = await world.client().get(path, params={"token": await link_to(world, path)})
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    assert not re.search(r"style=|onclick|src=|https?:|maxlength", answer.text)
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    for tag in ("script", "style"):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", answer.text, re.DOTALL)
        digest = b64encode(sha256(content.encode()).digest()).decode()
        assert policy.pop(f"{tag}-src") == f"'sha256-{digest}'"
    assert (policy.pop("connect-src"), policy.pop("form-action")) == ("'self'", "'self'")
    assert policy.pop("img-src") == "data:"
    assert set(policy.values()) == {"'none'"}


async def test_the_page_says_what_a_password_takes_as_the_domain_has_it(world: HttpWorld) -> None:
    token = await link_to(world, CHOOSE)
    for pattern in PasswordPattern:
        for language, wording in zip(("ru", "en"), pattern.wording, strict=True):
            headers = {"Accept-Language": language}
            client = world.client(password_pattern=pattern)
            page = (await client.get(CHOOSE, params={"token": token}, headers=headers)).text
            assert f" {wording}.</p>" in page


@pytest.mark.parametrize("path", PAGES)
async def test_behind_a_proxy_the_way_on_begins_with_the_public_path(world: HttpWorld, path: str) -> None:
    options: dict[str, Any] = {
        "public_path": "/talk",
        "prefix": "/api",
        "confirm_path": "/api/c",
        "new_password_path": "/api/p",
    }
    moved = {CONFIRM: "/api/c", CHOOSE: "/api/p"}[path]
    at = f"{moved}?token={await link_to(world, path)}"
    sent = await world.client(**options).post(at, data=fields_for(path))
    assert sent.headers["location"] == f"/talk{moved}?done"
    assert f'="/talk{moved}">' in (await world.client(**options).get(moved)).text


@pytest.mark.parametrize(
    ("asked", "language"),
    [
        (None, "en"),
        ("ru", "ru"),
        ("ru-KZ", "ru"),
        ("RU-ru;q=0.9,en;q=0.8", "ru"),
        ("en;q=0.8,ru;q=0.9", "ru"),
        ("de,en-GB;q=0.7,ru;q=0.3", "en"),
        ("de,ru;q=0", "en"),
        ("de", "en"),
        ("*", "en"),
        (";;q=,ru", "ru"),
    ],
)
async def test_pages_follow_the_language_of_the_browser(
    world: HttpWorld, asked: str | None, language: str
) -> None:
    headers = {"Accept": "text/html"} | ({"Accept-Language": asked} if asked else {})
    for path in (CONFIRM, CHOOSE, "/errors/NOT_FOUND", "/nope"):
        answer = await world.client().get(path, headers=headers)
        assert f'<html lang="{language}">' in answer.text
        assert answer.headers["content-language"] == language
        assert "Accept-Language" in answer.headers["vary"]
        assert bool(re.search("[А-я]", answer.text)) == (language == "ru")
