"""Probes, the detailed health check, figures: what operators see over HTTP."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from attrs import Factory, define
from starlette.applications import Starlette
from starlette.routing import Route

from application.errors import Unavailable
from application.meter import Unmetered
from interfaces.app import MODULES, create_app
from interfaces.http.health import Details
from interfaces.http.metering import Metrics
from interfaces.http.options import HttpOptions
from tests.interfaces.http.conftest import HttpWorld

NOW = datetime(2026, 11, 23, 3, 34, 9, 900840, UTC)
TOKEN = "t" * 20


async def fine() -> None:
    return None


async def broken() -> None:
    raise Unavailable("could not connect to db.internal:5432 as messenger")


async def stuck() -> None:
    await asyncio.sleep(60)


def app(world: HttpWorld, **more: Any) -> Starlette:
    return create_app(world.messenger, HttpOptions(), new_request_id=lambda: "made-here", **more)


def client(app: Starlette) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://server")


def details(**checks: Any) -> Details:
    return Details(version="1.2.3", revision="0a1b2c", now=lambda: NOW, checks=checks, timeout=0.05)


class TestDetails:
    async def test_is_not_there_unless_it_is_wanted(self, world: HttpWorld) -> None:
        assert (await client(app(world)).get("/healthcheck/detailed")).status_code == 404

    async def test_tells_of_each_check(self, world: HttpWorld) -> None:
        answer = await client(app(world, details=details(database=fine, disk=fine))).get(
            "/healthcheck/detailed"
        )
        assert answer.status_code == 200
        data = answer.json()["data"]
        assert data.keys() == {"status", "timestamp", "version", "revision", "checks"}
        assert (data["status"], data["version"], data["revision"], data["timestamp"]) == (
            "ok",
            "1.2.3",
            "0a1b2c",
            "2026-11-23T03:34:09.900840",
        )
        assert {name: check["status"] for name, check in data["checks"].items()} == {
            "database": "ok",
            "disk": "ok",
        }
        assert all(0 <= check["milliseconds"] < 60_000 for check in data["checks"].values())

    async def test_what_is_wrong_is_named_and_no_more_is_said(self, world: HttpWorld) -> None:
        answer = await client(app(world, details=details(database=broken, disk=fine, cursor=stuck))).get(
            "/healthcheck/detailed"
        )
        assert answer.status_code == 503
        error = answer.json()["error"]
        assert (error["code"], error["status"]) == ("UNHEALTHY", "error")
        assert {name: check["status"] for name, check in error["checks"].items()} == {
            "database": "error",
            "disk": "ok",
            "cursor": "error",
        }
        assert "internal" not in answer.text


class TestProbes:
    async def test_a_node_that_leaves_says_so_where_it_is_asked_and_serves_on(
        self, world: HttpWorld, caplog: pytest.LogCaptureFixture
    ) -> None:
        leaving = False
        http = client(app(world, is_leaving=lambda: leaving))
        assert (await http.get("/readyz")).status_code == 200
        leaving = True
        answer = await http.get("/readyz")
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
        assert [(await http.get(path)).status_code for path in ("/livez", "/healthcheck/")] == [200, 200]
        assert (await http.get("/readyz")).status_code == 503
        assert caplog.text.count("The process is stopping: /readyz answers 503") == 1


PREFIXES = {
    "healthcheck": ("/healthcheck",),
    # The web client needs both.
    "auth": (
        "/accounts/",
        "/profiles/",
        "/confirm-email",
        "/setup-new-password",
        "/app/",
        "/chats/ui/",
    ),
    "chat": ("/chats/", "/sync/", "/app/"),
    "catalogues": ("/catalogues/",),
}


def paths_of(app: Starlette) -> set[str]:
    return {route.path for route in app.routes if isinstance(route, Route)}


class TestModules:
    @pytest.mark.parametrize("off", MODULES)
    async def test_a_module_that_is_off_has_no_routes_and_the_others_have_theirs(
        self, world: HttpWorld, off: str
    ) -> None:
        """Documents included; and what is left does for a client what it always does."""
        person = await world.person("ann@example.com")
        everything = app(world)
        rest = app(world, modules=[module for module in MODULES if module != off])
        gone = {path for path in paths_of(everything) if path.startswith(PREFIXES[off])}
        assert gone
        assert paths_of(rest) == paths_of(everything) - gone
        documented = (await client(rest).get("/openapi.json")).json()["paths"].keys()
        assert documented == (await client(everything).get("/openapi.json")).json()["paths"].keys() - gone
        http = client(rest)
        http.headers["Authorization"] = f"Bearer {person.token}"
        for path in ("/healthcheck/", "/accounts/me/", "/profiles/", "/chats/", "/catalogues/"):
            answer = await http.get(path)
            assert answer.status_code == (404 if path in gone else 200), path
        assert [(await http.get(path)).status_code for path in ("/livez", "/readyz")] == [200, 200]

    async def test_with_nothing_on_it_still_says_that_it_lives(self, world: HttpWorld) -> None:
        http = client(app(world, modules=[]))
        assert (await http.get("/livez")).status_code == 200
        assert (await http.get("/accounts/me/")).status_code == 404


@define
class Notes(Unmetered):
    answered_: list[tuple[str, str, int]] = Factory(list)

    def request_answered(self, method: str, route: str, status: int, seconds: float) -> None:
        assert 0 <= seconds < 60
        self.answered_.append((method, route, status))


class TestRequestsAreCounted:
    async def test_by_route_and_status(self, world: HttpWorld) -> None:
        notes = Notes()
        http = client(app(world, meter=notes))
        chat = "0a8ac9a8-6d7c-4b07-9ff0-6f1b1e0e0001"
        for method, path in (
            ("GET", "/healthcheck/"),
            ("GET", "/healthcheck"),
            ("GET", f"/chats/{chat}/"),
            ("POST", "/healthcheck/"),
            ("GET", "/made/up"),
            ("POST", "/accounts/sign-in/"),
        ):
            await http.request(method, path)
        assert notes.answered_ == [
            ("GET", "/healthcheck/", 200),
            ("GET", "none", 307),
            ("GET", "/chats/{chat_id}/", 401),
            ("POST", "/healthcheck/", 405),
            ("GET", "none", 404),
            ("POST", "/accounts/sign-in/", 422),
        ]


class TestMetrics:
    @pytest.fixture
    def http(self, world: HttpWorld) -> httpx.AsyncClient:
        async def text() -> bytes:
            return b"up 1\n"

        metrics = Metrics(text, "text/plain; version=0.0.4; charset=utf-8", TOKEN, HttpOptions())
        return client(app(world, added=metrics.routes()))

    async def test_are_for_whoever_has_the_token(self, http: httpx.AsyncClient) -> None:
        answer = await http.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
        assert (answer.status_code, answer.text) == (200, "up 1\n")
        assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"

    @pytest.mark.parametrize(
        "presented", [None, "", f"Bearer {TOKEN}x", "Bearer ", f"Basic {TOKEN}", "Bearer ж"]
    )
    async def test_and_for_nobody_else(self, http: httpx.AsyncClient, presented: str | None) -> None:
        headers = [] if presented is None else [(b"Authorization", presented.encode())]
        answer = await http.get("/metrics", headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert "up 1" not in answer.text
