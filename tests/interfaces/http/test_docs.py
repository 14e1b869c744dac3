"""The pages that show the interface; what a browser makes of them is tried in a browser."""

import re

import pytest

from interfaces.http.options import ApiInfo
from interfaces.wire.registry import ERRORS, example, rows
from interfaces.ws.closing import CloseCode
from tests.interfaces.http.conftest import HttpWorld

PAGES = ("/docs/protocol", "/docs/events")
ASSETS = ("/docs/swagger-ui.css", "/docs/look.css", "/docs/swagger-ui-bundle.js", "/docs/start.js")


async def test_the_root_leads_there(world: HttpWorld) -> None:
    answer = await world.client().get("/")
    assert (answer.status_code, answer.headers["location"], answer.content) == (307, "/docs", b"")
    assert (await world.client().head("/")).status_code == 307


async def test_with_a_prefix_and_another_path(world: HttpWorld) -> None:
    client = world.client(prefix="/api", docs_path="/about")
    assert (await client.get("/")).headers["location"] == "/api/about"
    page = await client.get("/api/about")
    assert 'src="/api/about/start.js"' in page.text
    assert 'data-document="/openapi.json"' in page.text
    for asset in ASSETS:
        assert (await client.get(asset.replace("/docs", "/api/about"))).status_code == 200


async def test_everything_comes_from_here(world: HttpWorld) -> None:
    client = world.client()
    page = await client.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    named = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert {each for each in named if not each.startswith("data:")} == {
        *ASSETS,
        "/openapi.json",
        "/app/",
        "/docs",
        *PAGES,
    }
    for asset in ASSETS:
        answer = await client.get(asset)
        assert answer.status_code == 200
        again = await client.get(asset, headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


async def test_nothing_inline_and_nothing_from_outside_may_run(world: HttpWorld) -> None:
    page = await world.client().get("/docs")
    rules = dict(rule.split(" ", 1) for rule in page.headers["content-security-policy"].split("; "))
    assert rules == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "connect-src": "'self'",
        "img-src": "'self' data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    assert not re.search(r"<script>|<style>| style=| on\w+=", page.text)


async def test_a_title_is_no_markup(world: HttpWorld) -> None:
    page = await world.client(about=ApiInfo(title="<script>alert(1)</script>")).get("/docs")
    assert "<script>alert" not in page.text


@pytest.mark.parametrize("path", ["/", "/docs", "/openapi.json", "/asyncapi.json", *PAGES, *ASSETS])
async def test_they_can_be_switched_off(world: HttpWorld, path: str) -> None:
    assert (await world.client(docs=False).get(path)).status_code == 404


async def test_a_program_gets_the_explanation_of_an_error_as_json(world: HttpWorld) -> None:
    client = world.client()
    for accept, media_type in (
        ("application/json", "application/json"),
        ("application/json, text/html;q=0.9", "application/json"),
        ("text/html, application/json;q=0.9", "text/html; charset=utf-8"),
        ("*/*", "text/html; charset=utf-8"),
    ):
        answer = await client.get("/errors/NONCE_REUSED", headers={"Accept": accept})
        assert answer.headers["content-type"] == media_type
        assert answer.headers["vary"].startswith("Accept")
    told = (await client.get("/errors/NONCE_REUSED", headers={"Accept": "application/json"})).json()["data"]
    assert (told["code"], set(told)) == ("NONCE_REUSED", {"code", "english", "russian"})


async def test_a_page_of_an_error_runs_nothing(world: HttpWorld) -> None:
    page = await world.client().get("/errors/NONCE_REUSED")
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "script-src" not in policy
    assert "<code>seq</code>" in page.text


async def test_the_protocol_is_a_page_beside_the_operations(world: HttpWorld) -> None:
    client = world.client(public_path="/m")
    page = await client.get("/docs/protocol")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["content-security-policy"].startswith("default-src 'none'; ")
    assert '<a href="/m/docs/protocol" aria-current="page">' in page.text
    for what in ('<h3 id="close-codes">', "<td>4403</td>", "<code>message_ack</code>", "chat_history"):
        assert what in page.text
    assert linked(page.text) == {"/m/app/", "/m/docs", "/m/docs/events", "/m/docs/protocol"}


def linked(page: str) -> set[str]:
    """The addresses to which a page leads. Places on the page itself must be there."""
    targets = {each for each in re.findall(r'href="([^"]*)"', page) if not each.startswith("data:")}
    anchors = re.findall(r'id="([^"]*)"', page)
    assert len(anchors) == len(set(anchors))
    assert {each for each in targets if each.startswith("#")} <= {f"#{each}" for each in anchors}
    return {each for each in targets if not each.startswith("#")}


async def test_every_frame_is_on_a_page_of_its_own(world: HttpWorld) -> None:
    client = world.client(public_path="/m", prefix="/api")
    page = await client.get("/api/docs/events")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["content-security-policy"].startswith("default-src 'none'; ")
    assert not re.search(r"<script| style=| on\w+=", page.text)
    assert linked(page.text) == {
        *(f"/m/api/{path}" for path in ("app/", "docs", "docs/events", "docs/protocol")),
        "/m/asyncapi.json",
    }
    for row in rows():
        assert f"<h4><code>{row.type}</code>" in page.text
        for each in example(row):
            assert each == "type" or f"<td><code>{each}</code>" in page.text
    for code in (*ERRORS, *(str(close.value) for close in CloseCode)):
        assert code in page.text
    assert "/api/chats/{chat_id}/ws" in page.text


@pytest.mark.parametrize("path", [*PAGES, "/asyncapi.json"])
async def test_nothing_is_sent_twice(world: HttpWorld, path: str) -> None:
    client = world.client()
    tag = (await client.get(path)).headers["etag"]
    again = await client.get(path, headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")


async def test_the_document_leads_to_the_protocol(world: HttpWorld) -> None:
    written = (
        await world.client(public_url="https://chat.example.com", prefix="/api").get("/openapi.json")
    ).json()
    assert written["externalDocs"]["url"] == "https://chat.example.com/api/docs/protocol"
    bare = (await world.client().get("/openapi.json")).json()
    assert (await world.client().get(bare["externalDocs"]["url"])).status_code == 200
