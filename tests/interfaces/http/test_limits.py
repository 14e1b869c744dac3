"""What is left of limits: told with every answer of an endpoint that has some, and with no other."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Hashable
from datetime import datetime, timedelta
from math import ceil
from uuid import UUID

import httpx
import pytest
from attrs import frozen
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from application.ports.limiter import Allowance, Left, TooManyRequests
from config.settings.groups import Limits
from domain.factor import SealedSecret, SecondFactor
from infrastructure.memory.limiter import MemoryLimiter
from infrastructure.reporting_limiter import ReportingLimiter
from interfaces.http.limits import (
    RATE_LIMIT,
    RATE_LIMIT_POLICY,
    RateLimitHeaders,
    nothing_left,
    reports,
    what_is_left,
)
from interfaces.http.options import HttpOptions
from interfaces.http.routes import Endpoint
from tests.accounts_world import START
from tests.interfaces.http.conftest import FRONT, PASSWORD, HttpPerson, HttpWorld, make_world
from tests.interfaces.http.promises import promises_of
from tests.interfaces.http.test_openapi import DOCUMENTED, Requests, name

MINUTE = timedelta(minutes=1)
SIGN_IN = Allowance("sign-in", 10, MINUTE)

Ask = Callable[[httpx.AsyncClient, HttpPerson, int], Awaitable[httpx.Response]]
"""By a stranger's client or by Ann's, the ``n``th time."""


def test_nothing_is_left_for_a_while() -> None:
    assert nothing_left("sign-in", wait=2.1, allowance=SIGN_IN) == {
        "RateLimit": '"sign-in";r=0;t=3',
        "RateLimit-Policy": '"sign-in";q=10;w=60',
        "Retry-After": "3",
    }


def test_no_wait_is_told_as_none() -> None:
    assert nothing_left("same-text", wait=0.0) == {"RateLimit": '"same-text";r=0;t=1', "Retry-After": "1"}


def test_each_limit_is_told_by_its_name() -> None:
    letters = Allowance("letters to", 5, timedelta(hours=1))
    assert what_is_left([Left(SIGN_IN, 10, 0.0), Left(letters, 3, 719.5)]) == {
        "RateLimit": '"sign-in";r=10, "letters to";r=3;t=720',
        "RateLimit-Policy": '"sign-in";q=10;w=60, "letters to";q=5;w=3600',
    }


def test_nobody_is_told_where_no_request_is_answered() -> None:
    assert reports() is None


def post(path: str, **body: str) -> Ask:
    return lambda stranger, _, n: stranger.post(
        path, json={name: text.format(n) for name, text in body.items()}
    )


def status(stranger: httpx.AsyncClient, _: HttpPerson, n: int) -> Awaitable[httpx.Response]:
    return stranger.get("/accounts/email/status/", params={"email": f"who{n}@example.com"})


def nobodys_status(stranger: httpx.AsyncClient, _: HttpPerson, _n: int) -> Awaitable[httpx.Response]:
    return stranger.get("/accounts/email/status/")


def form(stranger: httpx.AsyncClient, _: HttpPerson, _n: int) -> Awaitable[httpx.Response]:
    body = {"email": "ann@example.com", "password": "wrong"}
    return stranger.post("/accounts/sign-in/swagger/", data=body)


def close(_stranger: httpx.AsyncClient, ann: HttpPerson, _n: int) -> Awaitable[httpx.Response]:
    return ann.client.request("DELETE", "/accounts/me/", json={"password": "wrong"})


def factor(method: str, path: str, **body: str) -> Ask:
    return lambda _, ann, n: ann.client.request(method, f"/accounts/factors/{path}", json=body)


def make_token(_: httpx.AsyncClient, ann: HttpPerson, _n: int) -> Awaitable[httpx.Response]:
    body = {"name": "A program", "scopes": [], "password": "wrong"}
    return ann.client.post("/accounts/tokens/", json=body)


def link(_: httpx.AsyncClient, ann: HttpPerson, _n: int) -> Awaitable[httpx.Response]:
    return ann.client.post("/accounts/identities/", json={"provider": "example", "password": "wrong"})


def unlink(_: httpx.AsyncClient, ann: HttpPerson, n: int) -> Awaitable[httpx.Response]:
    body = {"password": "wrong"}
    return ann.client.request("DELETE", f"/accounts/identities/{UUID(int=n)}/", json=body)


def passkeys(method: str, path: str) -> Ask:
    body = {"password": "wrong"}
    return lambda _, ann, n: ann.client.request(
        method, f"/accounts/passkeys/{path.format(UUID(int=n))}", json=body
    )


def end_sessions(_: httpx.AsyncClient, ann: HttpPerson, _n: int) -> Awaitable[httpx.Response]:
    return ann.client.request("DELETE", "/accounts/sessions/", json={"password": "wrong"})


def end_session(_: httpx.AsyncClient, ann: HttpPerson, n: int) -> Awaitable[httpx.Response]:
    path = f"/accounts/sessions/{UUID(int=n)}/"
    return ann.client.request("DELETE", path, json={"password": "wrong"})


def change_password(_: httpx.AsyncClient, ann: HttpPerson, _n: int) -> Awaitable[httpx.Response]:
    body = {"password": "Another-One1", "oldPassword": "wrong"}
    return ann.client.post("/accounts/password/set/", json=body)


async def confirm(_: httpx.AsyncClient, ann: HttpPerson, _n: int) -> httpx.Response:
    await ann.client.post("/accounts/factors/totp/", json={"password": PASSWORD})
    return await ann.client.post("/accounts/factors/totp/confirm/", json={"code": "wrong"})


async def finish(stranger: httpx.AsyncClient, _: HttpPerson, _n: int) -> httpx.Response:
    """By Bob, who has a second factor."""
    body = {"email": "bob@example.com", "password": PASSWORD}
    needed = (await stranger.post("/accounts/sign-in/", json=body)).json()["error"]
    body = {"pendingToken": needed["pendingToken"], "code": "wrong"}
    return await stranger.post("/accounts/sign-in/second/", json=body)


@frozen
class Limited:
    path: str
    ask: Ask
    status: int
    told: Allowance
    refusing: Allowance


TO = Allowance("letters to", 20, timedelta(hours=1), is_shared=True)
FROM = Allowance("letters from", 90, timedelta(hours=1))
WRONG = Allowance("wrong passwords", 20, timedelta(minutes=15))
CODES = Allowance("wrong codes", 10, timedelta(minutes=15))
STATUS = Allowance("email status", 120, timedelta(minutes=1))

NEW = post("/accounts/sign-up/", email="new@example.com", password=PASSWORD)
TAKEN = post("/accounts/sign-up/", email="ann@example.com", password=PASSWORD)
FORGOTTEN = post("/accounts/password/reset/", email="new@example.com")
FORGOTTEN_BY_MANY = post("/accounts/password/reset/", email="new{}@example.com")
GUESS = post("/accounts/sign-in/", email="ann@example.com", password="wrong")

BEGUN = Allowance("sign-ins begun", 300, timedelta(hours=1))

LIMITED = [
    Limited(
        "POST /accounts/sign-in/provider/",
        post("/accounts/sign-in/provider/", provider="example"),
        200,
        BEGUN,
        BEGUN,
    ),
    Limited(
        "POST /accounts/sign-in/passkey/begin/", post("/accounts/sign-in/passkey/begin/"), 200, BEGUN, BEGUN
    ),
    Limited("POST /accounts/sign-up/", NEW, 200, FROM, TO),
    Limited("POST /accounts/sign-up/", TAKEN, 409, FROM, TO),
    Limited("POST /accounts/password/reset/", FORGOTTEN, 200, FROM, TO),
    Limited("POST /accounts/password/reset/", FORGOTTEN_BY_MANY, 200, FROM, FROM),
    Limited("POST /accounts/sign-in/", GUESS, 401, WRONG, WRONG),
    Limited("POST /accounts/sign-in/swagger/", form, 401, WRONG, WRONG),
    Limited("POST /accounts/sign-in/second/", finish, 403, CODES, CODES),
    Limited("POST /accounts/factors/totp/", factor("POST", "totp/", password="wrong"), 403, WRONG, WRONG),
    Limited("POST /accounts/factors/totp/confirm/", confirm, 403, CODES, CODES),
    Limited(
        "POST /accounts/factors/recovery-codes/",
        factor("POST", "recovery-codes/", password="wrong", code="wrong"),
        403,
        WRONG,
        WRONG,
    ),
    Limited(
        "DELETE /accounts/factors/totp/",
        factor("DELETE", "totp/", password="wrong", code="wrong"),
        403,
        WRONG,
        WRONG,
    ),
    Limited("POST /accounts/identities/", link, 403, WRONG, WRONG),
    Limited("DELETE /accounts/identities/{identity_id}/", unlink, 403, WRONG, WRONG),
    Limited("POST /accounts/passkeys/begin/", passkeys("POST", "begin/"), 403, WRONG, WRONG),
    Limited("DELETE /accounts/passkeys/{passkey_id}/", passkeys("DELETE", "{}/"), 403, WRONG, WRONG),
    Limited("POST /accounts/tokens/", make_token, 403, WRONG, WRONG),
    Limited("DELETE /accounts/me/", close, 403, WRONG, WRONG),
    Limited("DELETE /accounts/sessions/", end_sessions, 403, WRONG, WRONG),
    Limited("DELETE /accounts/sessions/{session_id}/", end_session, 403, WRONG, WRONG),
    Limited("POST /accounts/password/set/", change_password, 403, WRONG, WRONG),
    Limited("GET /accounts/email/status/", status, 200, STATUS, STATUS),
    Limited("GET /accounts/email/status/", nobodys_status, 200, STATUS, STATUS),
]


def left(answer: httpx.Response) -> dict[str, tuple[int, int]]:
    found = re.findall(r'"([^"]+)";r=(-?\d+)(?:;t=(\d+))?', answer.headers[RATE_LIMIT])
    return {name: (int(uses), int(wait or 0)) for name, uses, wait in found}


@pytest.fixture
def world() -> HttpWorld:
    """Where there are few letters to use up."""
    return make_world(letters_per_address=FROM.most)


@pytest.fixture
def stranger(world: HttpWorld) -> httpx.AsyncClient:
    return world.client()


@pytest.fixture
async def ann(world: HttpWorld) -> HttpPerson:
    found, bob = await world.person("ann@example.com"), await world.person("bob@example.com")
    factor = SecondFactor(
        account_id=bob.actor.account_id, secret=SealedSecret(""), begun_at=START, confirmed_at=START
    )
    async with world.ports.storage.begin() as work:
        await work.factors.save(factor)
    world.clock.pass_by(hours=1)  # the letter that she was sent counts no more
    token = (await world.accounts.sign_in_as("ann@example.com", PASSWORD)).access_token
    return HttpPerson(found.actor, token, world.client(token))


def share(allowance: Allowance) -> float:
    return allowance.within.total_seconds() / allowance.most


@pytest.mark.parametrize(
    "limited", LIMITED, ids=lambda each: f"{each.path} {each.status} {each.refusing.name}"
)
async def test_what_is_left_goes_down_to_nothing_and_comes_back(
    world: HttpWorld, stranger: httpx.AsyncClient, ann: HttpPerson, limited: Limited
) -> None:
    told, refusing = limited.told, limited.refusing
    for n in range(refusing.most):
        answer = await limited.ask(stranger, ann, n)
        assert answer.status_code == limited.status
        assert left(answer) == {told.name: (told.most - n - 1, ceil(share(told)))}
        policy = f'"{told.name}";q={told.most};w={round(told.within.total_seconds())}'
        assert answer.headers[RATE_LIMIT_POLICY] == policy
    refused = await limited.ask(stranger, ann, refusing.most)
    assert refused.status_code == 429
    assert left(refused) == {refusing.name: (0, ceil(share(refusing)))}
    assert refused.headers["Retry-After"] == str(ceil(share(refusing)))
    world.clock.pass_by(seconds=share(refusing))
    statuses = [(await limited.ask(stranger, ann, 9999)).status_code for _ in range(2)]
    assert statuses == [limited.status, 429]
    world.clock.at += refusing.within
    assert left(await limited.ask(stranger, ann, 0)) == {told.name: (told.most - 1, ceil(share(told)))}


async def test_who_knows_the_password_uses_nothing_up(stranger: httpx.AsyncClient, ann: HttpPerson) -> None:
    def sign_in(password: str) -> Awaitable[httpx.Response]:
        body = {"email": "ann@example.com", "password": password, "fingerprint": "one"}
        return stranger.post("/accounts/sign-in/", json=body)

    answers = [await sign_in(password) for password in (PASSWORD, "wrong", PASSWORD)]
    assert [left(answer)["wrong passwords"] for answer in answers] == [(20, 0), (19, 45), (19, 45)]
    closed = await ann.client.request("DELETE", "/accounts/me/", json={"password": PASSWORD})
    assert (closed.status_code, closed.headers[RATE_LIMIT]) == (200, '"wrong passwords";r=20')


async def test_nobody_learns_who_else_is_written_to(world: HttpWorld, stranger: httpx.AsyncClient) -> None:
    await world.letter_to("written@example.com")
    answers = []
    for email in ("written@example.com", "new@example.com"):
        answers.append(await stranger.post("/accounts/password/reset/", json={"email": email}))
        world.clock.pass_by(seconds=share(FROM))
    assert [answer.headers[RATE_LIMIT] for answer in answers] == ['"letters from";r=89;t=40'] * 2


async def test_what_is_not_understood_is_not_counted(stranger: httpx.AsyncClient) -> None:
    for _ in range(2):
        answer = await stranger.get("/accounts/email/status/", params={"email": "nobody"})
        assert (answer.status_code, RATE_LIMIT in answer.headers) == (422, False)
    assert left(await stranger.get("/accounts/email/status/")) == {"email status": (119, 1)}


async def test_requests_that_overlap_are_told_their_own(stranger: httpx.AsyncClient, ann: HttpPerson) -> None:
    asked = [GUESS, status, nobodys_status]
    answers = await asyncio.gather(
        *(ask(stranger, ann, n) for n in range(5) for ask in asked), ann.client.get("/accounts/me/")
    )
    *limited, unlimited = (answer.headers.get(RATE_LIMIT, "") for answer in answers)
    assert unlimited == ""
    limited += [(await ask(stranger, ann, 5)).headers[RATE_LIMIT] for ask in asked]
    assert [name.partition(";")[0] for name in limited] == [
        '"wrong passwords"',
        '"email status"',
        '"email status"',
    ] * 6


def test_what_is_left_is_not_computed_for_nobody() -> None:
    """Sockets send no headers, and each message would pay for it."""
    looked = 0

    class Looking(MemoryLimiter):
        def look(self, allowance: Allowance, key: Hashable, *, at: datetime, uses: int = 1) -> Left | None:
            nonlocal looked
            looked += 1
            return super().look(allowance, key, at=at, uses=uses)

    told: list[Left] = []
    ReportingLimiter(Looking(), reports).use(SIGN_IN, "ann", at=START)
    assert looked == 0
    ReportingLimiter(Looking(), lambda: told.append).use(SIGN_IN, "ann", at=START)
    assert told == [Left(SIGN_IN, 9, 6.0)]


async def test_a_refusal_tells_of_the_limit_that_refused() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        report = reports()
        assert report is not None
        report(Left(SIGN_IN, 5, 6.0))
        await Response(headers=dict(nothing_left("letters", wait=3.0)))(scope, receive, send)

    transport = httpx.ASGITransport(RateLimitHeaders(app))
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
        answer = await client.get("/")
    assert answer.headers[RATE_LIMIT] == '"letters";r=0;t=3'
    assert RATE_LIMIT_POLICY not in answer.headers


def test_it_is_promised_where_a_limiter_may_have_been_asked(world: HttpWorld) -> None:
    operation = promises_of(world.messenger, HttpOptions()).document["paths"]["/accounts/me/"]["delete"]
    told = {
        status for status, said in operation["responses"].items() if RATE_LIMIT in said.get("headers", {})
    }
    assert (told, set(operation["responses"]) - told) == (
        {"200", "401", "403", "429", "500", "503"},
        {"400", "413", "422"},
    )


async def test_scripts_may_read_it(stranger: httpx.AsyncClient) -> None:
    answer = await stranger.get("/accounts/email/status/", headers={"Origin": FRONT})
    assert answer.headers["Access-Control-Expose-Headers"] == "RateLimit, RateLimit-Policy, X-Request-ID"


RATES = Limits(sends=2, marks=2, new_chats=2, added_people=2, searches=2, syncs=2, refreshes=2)

RATED = {
    "POST /chats/{chat_id}/messages/": "send",
    "PUT /chats/{chat_id}/read/": "mark",
    "POST /chats/": "create-chat",
    "POST /chats/direct/": "create-chat",
    "PUT /chats/{chat_id}/": "add-members",
    "POST /chats/{chat_id}/members/": "add-members",
    "GET /profiles/": "search",
    "GET /sync/": "sync",
    "POST /accounts/token/refresh/": "refresh",
}
"""What an account may do so often, and the name of the limit."""


@pytest.mark.parametrize("path", RATED)
async def test_what_an_account_may_do_so_often(path: str) -> None:
    world = make_world(RATES)
    ann, *others = [await world.person(f"{name}@example.com") for name in ("ann", "bob", "cat", "dan", "eve")]
    owner = others.pop()
    made = await owner.client.post("/chats/", json={"name": "A chat", "members": [ann.id]})
    chat = made.json()["data"]["id"]
    appoint = f"/chats/{chat}/members/{ann.id}/"
    assert (await owner.client.put(appoint, json={"role": "admin"})).is_success
    signed_in = await world.client().post(
        "/accounts/sign-in/", json={"email": "ann@example.com", "password": PASSWORD, "fingerprint": "x"}
    )
    cookie = {"Cookie": signed_in.headers["set-cookie"].partition(";")[0]}
    method, _, place = path.partition(" ")

    async def ask(n: int) -> httpx.Response:
        bodies: dict[str, dict[str, object]] = {
            "POST /chats/{chat_id}/messages/": {"text": f"{n}"},
            "PUT /chats/{chat_id}/read/": {"upTo": 1},
            "POST /chats/": {"name": "New"},
            "POST /chats/direct/": {"profileId": others[n % 3].id},
            "PUT /chats/{chat_id}/": {"members": [others[n % 3].id]},
            "POST /chats/{chat_id}/members/": {"profileIds": [others[n % 3].id]},
            "POST /accounts/token/refresh/": {"fingerprint": "x"},
        }
        return await ann.client.request(
            method,
            place.format(chat_id=chat),
            headers=cookie if "refresh" in path else {},
            params={"query": "x"} if "profiles" in path else {},
            json=bodies.get(path),
        )

    name = RATED[path]
    answers = [await ask(0), await ask(1)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert [left(answer)[name][0] for answer in answers] == [1, 0]
    refused = await ask(2)
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "TOO_MANY_REQUESTS")
    wait = left(refused)[name][1]
    assert refused.headers["Retry-After"] == str(wait)
    world.clock.pass_by(seconds=wait)
    assert (await ask(2)).status_code != 429  # an access token does not last that long


async def test_what_uses_nothing_up_tells_what_is_left() -> None:
    world = make_world(RATES)
    ann, bob = [await world.person(f"{name}@example.com") for name in ("ann", "bob")]
    answers = [await ann.client.post("/chats/direct/", json={"profileId": bob.id}) for _ in range(3)]
    assert [left(answer)["create-chat"][0] for answer in answers] == [1, 1, 1]
    made = [
        await ann.client.post("/chats/", json={"name": "A"}, headers={"Idempotency-Key": "k"}) for _ in "ab"
    ]
    assert [left(answer)["create-chat"][0] for answer in made] == [0, 0]
    again = await ann.client.post("/chats/direct/", json={"profileId": bob.id})
    assert (again.status_code, left(again)["create-chat"][0]) == (200, 0)


FINISHES = {
    "POST /accounts/sign-in/passkey/": {"token": "unknown", "credential": {}},
    "POST /accounts/sign-in/provider/finish/": {},
}
"""The last steps of signing in without a password, with a body that is refused."""


@pytest.mark.parametrize("path", FINISHES)
async def test_finishing_uses_up_nothing_of_what_may_be_begun(stranger: httpx.AsyncClient, path: str) -> None:
    await stranger.post("/accounts/sign-in/passkey/begin/")
    for _ in range(2):
        answer = await stranger.post(path.partition(" ")[2], json=FINISHES[path])
        assert answer.status_code == 401
        assert left(answer) == {BEGUN.name: (BEGUN.most - 1, ceil(share(BEGUN)))}


async def test_an_account_is_signed_in_to_so_often_in_all_ways() -> None:
    world = make_world(Limits(sign_ins=2))
    await world.person("ann@example.com")
    async with world.client() as browser:

        async def sign_in() -> httpx.Response:
            departure = await browser.post("/accounts/sign-in/provider/", json={"provider": "example"})
            state = departure.json()["data"]["url"].partition("state=")[2]
            query = {"state": state, "code": "ann@example.com"}
            await browser.get("/accounts/sign-in/provider/callback/example/", params=query)
            return await browser.post("/accounts/sign-in/provider/finish/")

        answers = [await sign_in() for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert left(answers[2]) == {"sign-in": (0, 1800)}
        world.clock.pass_by(seconds=left(answers[2])["sign-in"][1])
        assert (await sign_in()).status_code == 200


def test_every_endpoint_that_has_a_limit_is_tried_here() -> None:
    with_a_limit = {name(endpoint) for endpoint, said in DOCUMENTED if TooManyRequests in said.refuses}
    of_streams = {"GET /events/"} & with_a_limit
    tried = {limited.path for limited in LIMITED} | set(RATED) | set(FINISHES) | of_streams
    assert with_a_limit | {"POST /accounts/sign-in/swagger/"} == tried


UNLIMITED = [endpoint for endpoint, said in DOCUMENTED if TooManyRequests not in said.refuses]


@pytest.mark.parametrize("endpoint", UNLIMITED, ids=name)
async def test_where_nothing_is_limited_nothing_is_told(
    world: HttpWorld, ann: HttpPerson, endpoint: Endpoint
) -> None:
    path, sent = Requests(promises_of(world.messenger, HttpOptions())).request(endpoint)
    answer = await ann.client.request(endpoint.method, path, **sent)
    assert answer.status_code < 500
    assert not [each for each in (RATE_LIMIT, RATE_LIMIT_POLICY) if each in answer.headers]


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/accounts/email/status/", {}),
        ("/accounts/email/status/", {RATE_LIMIT: '"email status";r=1'}),
        ("/livez", {RATE_LIMIT: '"email status";r=1'}),
    ],
)
async def test_promises_of_limits_are_found_broken(
    world: HttpWorld, path: str, headers: dict[str, str]
) -> None:
    promises = promises_of(world.messenger, HttpOptions())
    endpoint = next(each for each in promises.endpoints if each.path == path)
    with pytest.raises(AssertionError, match=f"promises .*{RATE_LIMIT}"):
        promises.assert_kept(endpoint, httpx.Response(200, headers=headers))
