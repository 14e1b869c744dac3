"""Which hosts requests may name: our own, and addresses."""

import httpx
import orjson
import pytest
from starlette.responses import PlainTextResponse

from config.settings.groups import Api
from interfaces.http.hosts import AllowedHosts
from tests.interfaces.http.conftest import HttpWorld
from tests.interfaces.http.test_foreign_pages import handshake

NAMES = ("chat.example.com", "localhost")


@pytest.mark.parametrize(
    "host",
    [
        "chat.example.com",
        "CHAT.example.com:8788",
        "chat.example.com.",
        "chat.example.com.:443",
        "localhost:8788",
        "127.0.0.1:8788",
        "10.0.0.7",
        "[::1]:8788",
        "[::1]",
        "localhost:",
        "chat.example.com.:",
        "[::1]:",
    ],
)
async def test_own_names_and_addresses(world: HttpWorld, host: str) -> None:
    client = world.client(allowed_hosts=NAMES)
    assert (await client.get("/docs", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize("prefix", ["", "/api"])
async def test_probes_and_scrapers_may_use_any_name(world: HttpWorld, prefix: str) -> None:
    client = world.client(promised=False, allowed_hosts=NAMES, prefix=prefix)

    async def status(path: str) -> int:
        return (await client.get(path, headers={"Host": "messenger.internal:8788"})).status_code

    for path in ("/livez", "/readyz", f"{prefix}/livez", f"{prefix}/readyz", f"{prefix}/healthcheck/"):
        assert await status(path) == 200, path
    assert await status(f"{prefix}/metrics") == 404, (
        "there is no such path in this test, but the host is no reason"
    )
    assert await status(f"{prefix}/healthcheck/detailed") == 421
    assert await status("/livez/") == 421


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "chat.example.com.evil.example",
        "evilchat.example.com",
        "chat.example.com:80@evil.example",
        "localhost.evil.example:8788",
        "127.0.0.1.evil.example",
        "chat.example.com..",
        "",
        ":8788",
        "[::1",
        "[evil.example]",
    ],
)
async def test_other_names_get_nothing(world: HttpWorld, host: str) -> None:
    client = world.client(promised=False, allowed_hosts=NAMES)
    for path in ("/healthcheck/detailed", "/accounts/me/", "/nowhere", "/docs"):
        answer = await client.get(path, headers={"Host": host})
        assert (answer.status_code, answer.json()["error"]["code"]) == (421, "MISDIRECTED_REQUEST"), path
        assert answer.headers["x-content-type-options"] == "nosniff"
    first, body = await handshake(world.app(allowed_hosts=NAMES), "/ws", {"Host": host}, host=None)
    assert (first["type"], first["status"]) == ("websocket.http.response.start", 421)
    assert orjson.loads(body["body"])["error"]["code"] == "MISDIRECTED_REQUEST"


def test_one_host_or_none() -> None:
    hosts = AllowedHosts(PlainTextResponse(), NAMES)
    assert hosts.accept([])
    assert not hosts.accept(["chat.example.com", "evil.example"])
    assert not hosts.accept(["chat.example.com", "chat.example.com"])


async def test_without_a_list_any_host_will_do(world: HttpWorld) -> None:
    answer = await world.client().get("/livez", headers={"Host": "evil.example"})
    assert isinstance(answer, httpx.Response)
    assert answer.status_code == 200


def test_the_list_is_made_of_the_settings() -> None:
    assert Api(public_url="https://Chat.example.com:8443/m").hosts == (
        "chat.example.com",
        "0.0.0.0",
        "localhost",
    )
    more = Api(public_url="https://chat.example.com", allowed_hosts=("messenger", "other.example"))
    assert {"messenger", "other.example", "chat.example.com"} <= set(more.hosts)
    assert Api(allowed_hosts=("*",)).hosts == ()
