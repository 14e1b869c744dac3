"""Which proxies are believed about the origin of a request, and what a public address with a path changes."""

from time import process_time
from typing import Any

import httpx
import pytest
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from interfaces.http.addresses import Networks
from interfaces.http.proxies import BehindProxies, Hop, hops
from tests.interfaces.http.conftest import HttpWorld

TRUSTED = Networks.of(["10.0.0.0/8", "2001:db8:ffff::/48", "127.0.0.1"])


async def seen(peer: str, headers: dict[str, str], kind: str = "http") -> tuple[str, str]:
    """The client's address and the scheme, as the application sees them."""
    scopes: list[Scope] = []

    async def app(scope: Scope, _: Receive, __: Send) -> None:
        scopes.append(scope)

    async def nothing(*_: Any) -> Any: ...

    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {
        "type": kind,
        "client": (peer, 1),
        "scheme": "ws" if kind == "websocket" else "http",
        "headers": raw,
    }
    await BehindProxies(app, TRUSTED)(scope, nothing, nothing)
    return scopes[0]["client"][0], scopes[0]["scheme"]


@pytest.mark.parametrize(
    ("peer", "said", "client"),
    [
        ("198.51.100.1", "203.0.113.5", "198.51.100.1"),
        ("10.1.2.3", "203.0.113.5", "203.0.113.5"),
        ("::ffff:10.1.2.3", "203.0.113.5", "203.0.113.5"),
        ("10.1.2.3", "::ffff:203.0.113.5", "203.0.113.5"),
        ("::ffff:198.51.100.1", "", "198.51.100.1"),
        ("2001:db8:ffff:1::2", "2001:db8:1::7", "2001:db8:1::7"),
        ("10.1.2.3", "1.1.1.1, 203.0.113.5, 10.9.9.9", "203.0.113.5"),
        ("10.1.2.3", "10.8.8.8, 10.9.9.9", "10.8.8.8"),
        ("10.1.2.3", "203.0.113.5:4711", "203.0.113.5"),
        ("10.1.2.3", "[2001:db8:1::7]:4711", "2001:db8:1::7"),
        ("10.1.2.3", "1.1.1.1, unknown", "10.1.2.3"),
        ("10.1.2.3", "1.1.1.1, unknown, 10.9.9.9", "10.9.9.9"),
        ("10.1.2.3", "", "10.1.2.3"),
        ("10.1.2.3", "1.1.1.1, " + ", ".join(["10.9.9.9"] * 60), "10.9.9.9"),
    ],
)
async def test_the_last_address_that_is_no_trusted_proxy(peer: str, said: str, client: str) -> None:
    assert (await seen(peer, {"x-forwarded-for": said}))[0] == client


async def test_who_is_not_trusted_changes_nothing() -> None:
    headers = {
        "x-forwarded-for": "1.1.1.1",
        "x-forwarded-proto": "https",
        "forwarded": "for=1.1.1.1;proto=https",
    }
    assert await seen("198.51.100.1", headers) == ("198.51.100.1", "http")


@pytest.mark.parametrize(
    ("said", "client"),
    [
        ("for=203.0.113.5;proto=https;by=10.1.2.3", ("203.0.113.5", "https")),
        ('For="[2001:db8:1::7]:4711" ; Proto=HTTPS', ("2001:db8:1::7", "https")),
        ('for="1.1.1.1, for=2.2.2.2", for=203.0.113.5;proto=https', ("203.0.113.5", "https")),
        ("for=1.1.1.1, for=_hidden;proto=https", ("10.1.2.3", "https")),
        ("for=1.1.1.1;proto=gopher", ("1.1.1.1", "http")),
        ("nonsense", ("10.1.2.3", "http")),
    ],
)
async def test_forwarded(said: str, client: tuple[str, str]) -> None:
    assert await seen("10.1.2.3", {"forwarded": said, "x-forwarded-for": "9.9.9.9"}) == client


async def test_the_scheme_of_a_socket() -> None:
    headers = {"x-forwarded-for": "203.0.113.5", "x-forwarded-proto": "https"}
    assert await seen("127.0.0.1", headers, "websocket") == ("203.0.113.5", "wss")
    assert await seen("127.0.0.1", {"x-forwarded-proto": "http, https"}) == ("127.0.0.1", "https")


@pytest.mark.parametrize("piece", ['"', '\\"', '"\\', '"\\"', "for=;", ",", 'for="a', " "])
def test_reading_is_linear(piece: str) -> None:
    """Sixteen times as long takes no two hundred times as long: what would be quadratic takes 256 times."""

    def reading(times: int) -> float:
        began = process_time()
        hops(Headers(raw=[(b"forwarded", piece.encode() * times + b"\\")]))
        return process_time() - began

    short = max(min(reading(2_000) for _ in range(3)), 0.001)
    assert min(reading(32_000) for _ in range(3)) < 100 * short


def test_what_proxies_say() -> None:
    assert hops(Headers(raw=[])) == []
    assert hops(Headers(raw=[(b"x-forwarded-for", b"1.1.1.1")])) == [Hop("1.1.1.1")]


async def behind(world: HttpWorld, **options: Any) -> httpx.AsyncClient:
    ann = await world.person("ann@example.com")
    return world.client(ann.token, public_path="/talk", **options)


@pytest.mark.parametrize("prefix", ["", "/api"])
async def test_what_a_browser_follows_begins_with_the_public_path(world: HttpWorld, prefix: str) -> None:
    """A proxy takes ``/talk`` off what it passes on."""
    base = f"/talk{prefix}"
    client = await behind(
        world,
        prefix=prefix,
        secure_cookies=True,
        confirm_path=f"{prefix}/confirm-email",
        new_password_path=f"{prefix}/setup-new-password",
    )
    for number in range(2):
        await client.post(f"{prefix}/chats/", json={"name": str(number)})
    link = (await client.get(f"{prefix}/chats/?limit=1")).headers["link"]
    assert link.startswith(f"<{base}/chats/?")
    assert (await client.get(f"{prefix}/chats?x=1")).headers["location"] == f"{base}/chats/?x=1"
    assert (await client.get("/")).headers["location"] == f"{base}/docs"
    cookie = (await client.post(f"{prefix}/accounts/sign-out/")).headers["set-cookie"]
    assert f"Path={base}/accounts/; SameSite=Lax; Secure" in cookie
    problem = await client.get(f"{prefix}/nope", headers={"Accept": "application/problem+json"})
    assert problem.json()["type"] == f"{base}/errors/NOT_FOUND"
    page = (await client.get(f"{prefix}/docs")).text
    assert f'src="{base}/docs/start.js"' in page
    assert 'data-document="/talk/openapi.json"' in page
    written = (await client.get("/openapi.json")).json()
    assert [server["url"] for server in written["servers"]] == ["/talk"]
    flow = written["components"]["securitySchemes"]["OAuth2PasswordBearer"]["flows"]["password"]
    assert flow["tokenUrl"] == f"{base}/accounts/sign-in/swagger/"


async def test_methods_and_unknown_paths_behind_a_public_path(world: HttpWorld) -> None:
    client = await behind(world)
    assert (await client.delete("/chats/")).headers["allow"] == "GET, HEAD, POST"
    assert (await client.get("/talk/chats/")).status_code == 404
