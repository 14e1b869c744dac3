"""
Checks of security that are taken away, one at a time, beside a test that finds each: what a check is for shows when it is
gone. Missing checks of authorization are in `test_mutants`, planted failures of the server in `tests.fuzzing`.
"""

import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

import pytest

from application.accounts import sessions
from application.accounts.failures import FailureLimits
from application.accounts.refresh import RefreshHandler
from application.recording import Watch
from infrastructure.crypto import tokens
from infrastructure.crypto.tokens import Claims
from infrastructure.memory.accounts import MemoryConfirmations
from infrastructure.system import security_log
from interfaces.browsers import Pages
from interfaces.http import chats, signing_in
from interfaces.http.hosts import AllowedHosts
from interfaces.http.middleware import SAFE_HEADERS
from tests.infrastructure.crypto import test_tokens
from tests.interfaces.http import test_cookies, test_foreign_pages, test_long_pages, test_security_log
from tests.interfaces.http.conftest import PASSWORD, HttpWorld, make_world
from tests.interfaces.http.test_hosts import NAMES

Patch = pytest.MonkeyPatch
Check = Callable[[HttpWorld, Patch], Awaitable[None]]


def _any_origin(patch: Patch) -> None:
    patch.setattr(Pages, "accept", lambda *_: True)


def _origin_by_beginning(patch: Patch) -> None:
    def careless(self: Pages, scope: Any) -> bool:
        origins = [value.decode() for name, value in scope["headers"] if name == b"origin"]
        return all(one.startswith(("http://server", *self.allowed)) for one in origins)

    patch.setattr(Pages, "accept", careless)


def _any_host(patch: Patch) -> None:
    patch.setattr(AllowedHosts, "accept", lambda *_: True)


def _no_nbf(patch: Patch) -> None:
    of = Claims.of.__func__  # type: ignore[attr-defined]

    def careless(cls: Any, payload: Any) -> Any:
        return of(cls, {name: value for name, value in payload.items() if name != "nbf"})

    patch.setattr(Claims, "of", classmethod(careless))


def _names_twice(patch: Patch) -> None:
    patch.setattr(tokens, "_once", dict)


def _any_audience(patch: Patch) -> None:
    text = tokens._text

    def careless(payload: Any, name: str) -> str:
        return test_tokens.TOKENS.audience if name == "aud" else text(payload, name)

    patch.setattr(tokens, "_text", careless)


def _unlogged_reuse(patch: Patch) -> None:
    async def silent(*_: object, **__: object) -> None: ...

    call = RefreshHandler.__call__

    async def careless(self: RefreshHandler, command: Any) -> Any:
        object.__setattr__(self, "tell", silent)
        return await call(self, command)

    patch.setattr(RefreshHandler, "__call__", careless)


def _unlogged_denials(patch: Patch) -> None:
    patch.setattr(Watch, "refused", lambda *_: None)


def _counts_refused_tries(patch: Patch) -> None:
    look = FailureLimits.look

    def careless(self: FailureLimits, keys: Sequence[Any], *, at: Any) -> None:
        look(self, keys, at=at)
        self.count(keys, at=at)

    patch.setattr(FailureLimits, "look", careless)


def _second_letter_beside_the_first(patch: Patch) -> None:
    async def careless(*_: object) -> None: ...

    patch.setattr(MemoryConfirmations, "void_resets", careless)


def _endless_log(patch: Patch) -> None:
    patch.setattr(security_log, "MOST", 10**9)


def _framed(patch: Patch) -> None:
    patch.delitem(SAFE_HEADERS, "X-Frame-Options")


def _cookies_of_neighbours(patch: Patch) -> None:
    patch.setattr(signing_in, "is_of_browser", lambda _: False)


def _finished_for_an_ended_session(patch: Patch) -> None:
    async def careless(*_: object) -> None: ...

    patch.setattr(chats, "authenticate", careless)


def _others_end_by_a_session_alone(patch: Patch) -> None:
    patch.setattr(sessions, "_proven", lambda step_up, actor, *_, **__: step_up.proven_if_given(actor, None))


# What finds them


async def _foreign_pages(world: HttpWorld, _: Patch) -> None:
    await test_foreign_pages.test_a_foreign_page_neither_rotates_nor_ends_anything(
        world, {"Origin": "http://server.evil.example"}
    )


async def _hosts(world: HttpWorld, _: Patch) -> None:
    client = world.client(promised=False, allowed_hosts=NAMES)
    assert (await client.get("/docs", headers={"Host": "evil.example"})).status_code == 421


async def _times(_: HttpWorld, __: Patch) -> None:
    test_tokens.test_a_token_is_not_used_before_its_time()


async def _twice(_: HttpWorld, __: Patch) -> None:
    test_tokens.test_no_claim_is_there_twice("sub")


async def _houses(_: HttpWorld, __: Patch) -> None:
    test_tokens.test_tokens_of_other_houses()


async def _reuse_is_told(world: HttpWorld, _: Patch) -> None:
    ann = await test_foreign_pages.signed_in(world)
    first = ann.cookies["refresh_token"]
    await ann.post("/accounts/token/refresh/", json={"fingerprint": None})
    world.clock.at += world.accounts.rules.sessions.grace * 2
    ann.cookies.clear()
    ann.cookies.set("refresh_token", first)
    assert (await ann.post("/accounts/token/refresh/", json={"fingerprint": None})).status_code == 401
    again = await test_foreign_pages.sign_in(world)
    types = [each["type"] for each in (await again.get("/accounts/events/")).json()["data"]]
    assert "token_reused" in types


async def _denials(world: HttpWorld, _: Patch) -> None:
    lines: list[Any] = []
    handler = _Lines(lines)
    security_log.log.addHandler(handler)
    try:
        ann, eve = await world.person("ann@example.com"), await world.person("eve@example.com")
        chat = (await ann.client.post("/chats/", json={"name": "Kino", "members": []})).json()["data"]["id"]
        await eve.client.get(f"/chats/{chat}/history/")
    finally:
        security_log.log.removeHandler(handler)
    assert "access_denied" in [line["act"] for line in lines]


async def _right_passwords_are_not_counted(world: HttpWorld, __: Patch) -> None:
    ann = await test_foreign_pages.signed_in(world)
    for _ in range(world.accounts.rules.failures.most + 5):
        answer = await ann.post(
            "/accounts/sign-in/",
            json={"email": test_foreign_pages.EMAIL, "password": PASSWORD},
        )
        assert answer.status_code == 200


async def _first_letter_is_void(world: HttpWorld, __: Patch) -> None:
    await test_foreign_pages.signed_in(world)
    for _ in range(2):
        await world.client().post("/accounts/password/reset/", json={"email": test_foreign_pages.EMAIL})
        await world.deliver()
    first, second = world.mailbox.tokens[-2:]
    client = world.client()
    body = {"fingerprint": "new"}
    refused = await client.post("/accounts/token/redeem/", json={**body, "confirmationToken": first})
    assert refused.status_code == 401
    redeemed = await client.post("/accounts/token/redeem/", json={**body, "confirmationToken": second})
    assert redeemed.status_code == 200


async def _flood(_: HttpWorld, __: Patch) -> None:
    lines: list[Any] = []
    handler = _Lines(lines)
    security_log.log.addHandler(handler)
    try:
        test_security_log.test_a_flood_of_refusals_is_counted_and_not_written(
            lambda: [lines.pop() for _ in lines[:]]
        )
    finally:
        security_log.log.removeHandler(handler)


class _Lines(logging.Handler):
    def __init__(self, lines: list[Any]) -> None:
        super().__init__()
        self.lines = lines

    def emit(self, record: Any) -> None:
        self.lines.append(vars(record))


async def _headers(world: HttpWorld, _: Patch) -> None:
    answer = await world.client().get("/livez")
    assert answer.headers.get("x-frame-options") == "DENY"


async def _neighbours(world: HttpWorld, _: Patch) -> None:
    await test_cookies.test_a_cookie_that_a_neighbour_has_set_signs_nobody_in(world)


async def _ended_sessions(_: HttpWorld, __: Patch) -> None:
    await test_long_pages.test_whose_session_has_ended_gets_no_end()


async def _others_stay(world: HttpWorld, _: Patch) -> None:
    ann = await world.person("ann@example.com")
    assert (await ann.client.delete("/accounts/sessions/")).status_code == 403


MUTANTS: list[tuple[Callable[[Patch], None], Check]] = [
    (_any_origin, _foreign_pages),
    (_origin_by_beginning, _foreign_pages),
    (_any_host, _hosts),
    (_no_nbf, _times),
    (_names_twice, _twice),
    (_any_audience, _houses),
    (_unlogged_reuse, _reuse_is_told),
    (_unlogged_denials, _denials),
    (_counts_refused_tries, _right_passwords_are_not_counted),
    (_second_letter_beside_the_first, _first_letter_is_void),
    (_endless_log, _flood),
    (_framed, _headers),
    (_cookies_of_neighbours, _neighbours),
    (_finished_for_an_ended_session, _ended_sessions),
    (_others_end_by_a_session_alone, _others_stay),
]


@pytest.fixture(autouse=True)
def no_token_is_known() -> Iterator[None]:
    """Forgets the tokens that were accepted while a check was missing: a later test in this process would find them accepted."""
    yield
    test_tokens.TOKENS._known.clear()


@pytest.mark.parametrize(("plant", "check"), MUTANTS, ids=[plant.__name__[1:] for plant, _ in MUTANTS])
async def test_a_missing_check_is_found(
    monkeypatch: Patch, plant: Callable[[Patch], None], check: Check, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "security")
    await check(make_world(), monkeypatch)  # it holds while nothing is planted
    plant(monkeypatch)
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        await check(make_world(), monkeypatch)
