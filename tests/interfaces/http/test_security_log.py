"""The security log as an operator reads it, and the events of an account as its owner does."""

import logging
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from attrs import fields

from application.messages.send import SendMessage
from application.messenger import Messenger
from application.ports.limiter import TooManyRequests
from application.ports.security import Outcome, SecurityRecord
from application.profiles.find import FindProfiles
from application.receipts.mark_read import MarkRead
from config.logging import record_fields
from config.settings.groups import Limits
from domain.ids import ChatId, Seq, SessionId
from domain.message import Body
from domain.security import SecurityAct
from infrastructure.system.security_log import MOST, WITHIN, LoggedSecurity
from tests.interfaces.http.conftest import PASSWORD, HttpPerson, HttpWorld, make_world
from tests.strategies import START

EMAIL = "ann@example.com"


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Callable[[], list[dict[str, Any]]]:
    """Returns the lines of the security log since the last time, as they are written."""
    caplog.set_level(logging.INFO, "security")

    def lines() -> list[dict[str, Any]]:
        records = [record for record in caplog.records if record.name == "security"]
        caplog.clear()
        return [record_fields(record, lambda _: "") for record in records]

    return lines


Told = Callable[[], list[dict[str, Any]]]


def named(line: dict[str, Any], *names: str) -> tuple[Any, ...]:
    return tuple(str(line[name]) if name in line else None for name in names)


async def test_an_owner_reads_the_events_of_the_account_page_by_page(world: HttpWorld) -> None:
    ann = await world.person(EMAIL)
    agent = {"User-Agent": "Firefox/140.0"}
    body = {"email": EMAIL, "password": PASSWORD, "fingerprint": "other"}
    for password in ("wrong", PASSWORD):
        world.clock.pass_by(minutes=1)
        await world.client().post("/accounts/sign-in/", json={**body, "password": password}, headers=agent)
    first = await ann.client.get("/accounts/events/", params={"limit": 2})
    assert [(each["type"], each["userAgent"], each["address"]) for each in first.json()["data"]] == [
        ("signed_in", "Firefox/140.0", "127.0.0.1"),
        ("sign_in_failed", "Firefox/140.0", "127.0.0.1"),
    ]
    follow = first.headers["link"].partition(">")[0].lstrip("<")
    (last,) = (await ann.client.get(follow)).json()["data"]
    assert (last["type"], last["session"]) == ("address_confirmed", str(ann.actor.session_id))
    bob = await world.person("bob@example.com")
    assert [each["type"] for each in (await bob.client.get("/accounts/events/")).json()["data"]] == [
        "address_confirmed"
    ]
    assert (await bob.client.get(follow)).status_code == 422, "a cursor of somebody else"


async def test_signing_in_and_failing_to(world: HttpWorld, told: Told) -> None:
    ann = await world.person(EMAIL)
    told()
    headers = {"X-Request-ID": "asked-1"}
    for password in ("wrong-and-secret", PASSWORD):
        await world.client().post(
            "/accounts/sign-in/", json={"email": EMAIL, "password": password}, headers=headers
        )
    failed, done = told()
    what = ("act", "outcome", "reason", "email", "account_id", "request_id", "client")
    assert named(failed, *what) == (
        *("sign_in_failed", "refused", "credentials_invalid", EMAIL, None, "asked-1", "127.0.0.1"),
    )
    account = str(ann.actor.account_id)
    assert named(done, *what) == (*("signed_in", "done", None, None, account, "asked-1", "127.0.0.1"),)
    assert done["session_id"]
    assert "secret" not in f"{failed}{done}"


async def test_who_changed_whose_role_and_who_was_denied(world: HttpWorld, told: Told) -> None:
    ann, bob, eve = [await world.person(f"{name}@example.com") for name in ("ann", "bob", "eve")]
    made = await ann.client.post("/chats/", json={"name": "Kino", "members": [bob.id]})
    chat = made.json()["data"]["id"]
    told()

    async def does(person: HttpPerson, method: str, path: str, body: Any = None) -> httpx.Response:
        return await person.client.request(method, f"/chats/{chat}/{path}", json=body)

    await does(ann, "PUT", f"members/{bob.id}/", {"role": "admin"})
    await does(bob, "POST", "members/", {"profileIds": [eve.id]})
    await does(bob, "PUT", f"members/{eve.id}/", {"role": "owner"})
    await does(bob, "DELETE", f"members/{eve.id}/")
    await does(eve, "GET", "history/")
    await does(ann, "DELETE", "")
    lines = told()
    what = ("act", "outcome", "profile_id", "subject", "reason", "chat_id")
    assert [named(line, *what) for line in lines] == [
        ("role_changed", "done", ann.id, bob.id, None, chat),
        ("members_added", "done", bob.id, None, None, chat),
        ("access_denied", "refused", bob.id, eve.id, "not_the_owner", chat),
        ("member_removed", "done", bob.id, eve.id, None, chat),
        ("access_denied", "refused", eve.id, None, "not_a_member", chat),
        ("chat_deleted", "done", ann.id, None, None, chat),
    ]
    assert (lines[0]["role"], lines[1]["subjects"]) == ("admin", [eve.id])
    assert all(line["account_id"] for line in lines[:4])


async def test_a_limit_that_is_met(world: HttpWorld, told: Told) -> None:
    await world.person(EMAIL)
    told()
    for _ in range(world.accounts.rules.failures.most + 1):
        await world.client().post("/accounts/sign-in/", json={"email": EMAIL, "password": "wrong"})
    lines = told()
    assert {"sign_in_failed", "limit_met"} == {line["act"] for line in lines}


async def test_what_is_refused_before_it_waits_for_others_is_told(told: Told) -> None:
    world = make_world(Limits(sends=1, marks=1, searches=1, connects=1, syncs=1))
    ann = await world.person(EMAIL)
    made = await ann.client.post("/chats/", json={"name": "Kino"})
    chat = ChatId(UUID(made.json()["data"]["id"]))
    messages, feed = world.messenger.messages, world.messenger.feed
    calls: list[Callable[[], Any]] = [
        lambda: messages.send(ann.actor, SendMessage(chat_id=chat, body=Body("Hi"))),
        lambda: messages.mark_read(ann.actor, MarkRead(chat_id=chat, up_to=Seq(0))),
        lambda: world.messenger.profiles.find(ann.actor, FindProfiles(query="Ann")),
        lambda: feed.connect(ann.actor),
        lambda: feed.sync(ann.actor),
    ]

    async def call(use: Callable[[], Any]) -> None:
        if (answer := use()) is not None:
            await answer

    for use in calls:
        await call(use)
        told()
        with pytest.raises(TooManyRequests):
            await call(use)
        (line,) = told()
        assert named(line, "act", "outcome", "account_id") == (
            *("limit_met", "refused", str(ann.actor.account_id)),
        )


async def test_bad_tokens_are_told_and_routine_is_not(world: HttpWorld, told: Told) -> None:
    ann = await world.person(EMAIL)
    told()
    await world.client().get("/accounts/me/")
    world.clock.pass_by(days=1)
    assert (await ann.client.get("/accounts/me/")).status_code == 401
    assert told() == [], "a client without a token, and one whose token has expired"
    await world.client("nonsense").get("/accounts/me/")
    (line,) = told()
    assert named(line, "act", "reason") == ("access_denied", "token_invalid")
    assert "nonsense" not in str(line)


def test_a_flood_of_refusals_is_counted_and_not_written(told: Told) -> None:
    now = 0.0
    log = LoggedSecurity(lambda: {"client": "203.0.113.7", "request_id": "r"}, now=lambda: now)

    def refuse(session: SessionId | None, times: int) -> list[dict[str, Any]]:
        for _ in range(times):
            log.record(
                SecurityRecord(
                    act=SecurityAct.ACCESS_DENIED, outcome=Outcome.REFUSED, at=START, session_id=session
                )
            )
        return told()

    flooding, other = SessionId(uuid4()), SessionId(uuid4())
    assert len(refuse(flooding, 1000)) == MOST
    assert len(refuse(other, 1)) == 1, "others are told as ever"
    assert len(refuse(None, 1)) == 1
    now = WITHIN
    (line,) = refuse(flooding, 1)
    assert line["omitted"] == 1000 - MOST
    for _ in range(5000):
        refuse(SessionId(uuid4()), 1)
    assert len(log._refusals) <= 1000, "an attacker does not fill the memory with names"


def test_addresses_of_one_network_share_what_is_written(told: Told) -> None:
    client = ""
    log = LoggedSecurity(lambda: {"client": client}, now=lambda: 0.0)

    def refused(address: str) -> int:
        nonlocal client
        client = address
        log.record(SecurityRecord(act=SecurityAct.ACCESS_DENIED, outcome=Outcome.REFUSED, at=START))
        return len(told())

    assert sum(refused(f"2001:db8:1:2::{number:x}") for number in range(1000)) == MOST
    assert refused("2001:db8:1:3::1") == 1
    assert [refused("203.0.113.7"), refused("203.0.113.8")] == [1, 1]


def test_every_use_case_is_watched(world: HttpWorld) -> None:
    """Those that are not watched have no refusals of security, or are watched in their batches."""
    parts = [getattr(world.messenger, each.name) for each in fields(Messenger) if each.name != "probe"]
    unwatched = {
        f"{type(part).__name__}.{name.name}"
        for part in parts
        for name in fields(type(part))
        if "Watch" not in getattr(getattr(part, name.name), "__qualname__", "")
    }
    assert unwatched == {
        "AccountUseCases.sign_out",
        "AccountUseCases.read_link",
        "ProviderUseCases.ways",
        "ChatUseCases.list",
        "CatalogueUseCases.list",
        "CatalogueUseCases.get",
        # Reads of what is the reader's own, and what no client asks for:
        "Feed.log",
        "Feed.changes",
        "Feed.logs",
        "Feed.list_chats",
        "Feed.some_chats",
        "Feed.own_changes",
        "Feed.recent_sessions",
        "Feed.watchable",
        "Feed.tell_nodes",
    }
