"""The shell of the web client without its server, newer versions, and several tabs of one person."""

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from attrs import define
from selenium.webdriver import Chrome
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from interfaces.http.options import HttpOptions
from interfaces.web.files import FOLDERS, Files
from interfaces.web.site import HERE, WebClient
from tests.browser.browser import Page
from tests.browser.test_web_client import AWAY
from tests.browser.web import PASSWORD, Browser, Tab, somebody
from tests.interfaces.uvicorn_server import UvicornServer
from tests.ports import free_port
from tests.system.server import PATIENCE, Server

OFFLINE = "No connection. What you write is sent as soon as it is back."

HAS_WORKER = "return navigator.serviceWorker.controller !== null"

KEPT = """
const [done] = arguments;
(async () => {
  const found = [];
  for (const name of await caches.keys())
    for (const { url } of await (await caches.open(name)).keys()) found.push([name, new URL(url).pathname]);
  return found;
})().then(done, (error) => done([[String(error), ""]]));
"""

MODULE = (
    "const address = (name) => document.querySelector(`link[rel=modulepreload][href$='/${name}.js']`).href;"
)


def kept(page: Page) -> list[tuple[str, str]]:
    """Returns what the browser keeps of the page's host: the names of caches and the paths in them."""
    found: list[list[str]] = page.driver.execute_async_script(KEPT)
    return [(cache, path) for cache, path in found]


def test_the_shell_is_shown_without_a_server_and_goes_on_with_one(
    page: Page, server: Server, browser: Browser
) -> None:
    ann, bob = somebody(server, "Анфиса"), somebody(server, "Богдан")
    tab = browser.open()
    tab.sign_in(ann.email, PASSWORD)
    tab.find(bob.name)
    tab.write("before")
    tab.await_sent("before")
    page.until(lambda: page.run(HAS_WORKER))
    paths = [path for _, path in kept(page)]
    assert "/app/" in paths
    files = [path for path in paths if path != "/app/"]
    digest = page.run("return document.body.dataset.digest")
    assert len(files) == len(Files.read(HERE.parent).by_path)
    assert all(path.startswith(f"/app/{digest}/") for path in files)

    page.tolerated = AWAY | {(0, "/app/"), (0, "/app/worker.js"), (0, "/app/manifest.webmanifest")}
    server.interrupt()
    try:
        page.open(f"{tab.home}/app/")
        page.until(lambda: [text.startswith(OFFLINE) for text in page.texts(".banner")] == [True])
        page.one("#search").found()
    finally:
        server.start()
    tab.row(bob.name).click()
    tab.await_message("before")
    page.await_texts(".banner")


@define(eq=False)
class Site:
    """The web client's files alone, of which another version can be put in place."""

    folder: Path
    port: int
    page_of: WebClient
    worker_of: WebClient

    def client(self) -> WebClient:
        return WebClient(HttpOptions(), files=Files.read(self.folder))

    def change(self) -> WebClient:
        """Returns another version, which is not in place yet."""
        style = self.folder / "web" / "static" / "style.css"
        style.write_text(style.read_text() + "\n/* a change */\n")
        return self.client()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        site = self.worker_of if scope.get("path") == "/app/worker.js" else self.page_of
        await Starlette(routes=site.routes())(scope, receive, send)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    for folder in FOLDERS:
        shutil.copytree(HERE.parent / folder, tmp_path / folder)
    client = WebClient(HttpOptions(), files=Files.read(tmp_path))
    site = Site(tmp_path, free_port(), client, client)
    config = uvicorn.Config(
        site, host="127.0.0.1", port=site.port, lifespan="off", ws="none", log_config=None
    )
    server = UvicornServer(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    yield site
    server.should_exit = True
    thread.join(PATIENCE)
    assert not thread.is_alive()


KEEP = f"{MODULE} window.newer = 0; import(address('shell')).then(({{ keepShell }}) => keepShell(() => window.newer++));"
LOOK = f"const [done] = arguments; {MODULE} import(address('shell')).then(async ({{ lookForNewer }}) => {{ await lookForNewer(); done(); }});"


def test_a_newer_version_reaches_the_page(chromium: Chrome, site: Site) -> None:
    page = Page(chromium, f"http://localhost:{site.port}")
    page.tolerated = {(404, "/accounts/ways/")}  # the site has nothing but files
    page.open(f"{page.home}/app/")
    page.await_heading("Messenger")
    page.run(KEEP)
    page.until(lambda: page.run(HAS_WORKER))
    first = kept(page)
    newer = site.change()
    # While servers are replaced, one may still show the older page: such a mixture is not taken in.
    site.worker_of = newer
    page.driver.execute_async_script(LOOK)
    page.until(
        lambda: page.run(
            "return navigator.serviceWorker.getRegistration().then(({ installing, waiting }) => !installing && !waiting)"
        )
    )
    assert kept(page) == first
    assert page.run("return window.newer") == 0
    site.page_of = newer
    page.driver.execute_async_script(LOOK)
    page.until(lambda: page.run("return window.newer") == 1)
    now = kept(page)
    assert {cache for cache, _ in now} == {
        cache.replace(site_digest(first), newer.files.digest) for cache, _ in first
    }
    page.driver.refresh()
    page.await_heading("Messenger")
    assert page.run("return document.body.dataset.digest") == newer.files.digest
    page.verify()
    # Afterwards: what the worker is asking for when it is removed fails.
    page.emulate("Storage.clearDataForOrigin", origin=page.home, storageTypes="all")
    page.open("about:blank")


def site_digest(found: list[tuple[str, str]]) -> str:
    ((cache),) = {cache for cache, _ in found}
    return cache.rpartition(" ")[2]


def test_it_can_be_installed(page: Page, server: Server, browser: Browser) -> None:
    tab = browser.open()
    page.await_heading("Messenger")
    manifest: dict[str, Any] = page.emulate("Page.getAppManifest")
    assert manifest["errors"] == []
    assert manifest["url"] == f"{tab.home}/app/manifest.webmanifest"
    assert page.emulate("Page.getInstallabilityErrors")["installabilityErrors"] == []


HOLD = """
const [name] = arguments;
window.release ??= {};
navigator.locks.request(`messenger refresh of ${location.origin}`, () => new Promise((resolve) => (window.release[name] = resolve)));
"""
REFRESH = f"{MODULE} window.refreshed = null; import(address('session')).then(({{ session }}) => session.tokens.refresh()).then(({{ token }}) => (window.refreshed = token));"
TOKEN = f"{MODULE} import(address('session')).then(({{ session }}) => session.tokens.access()).then(({{ token }}) => arguments[0](token));"
ASKED = "return performance.getEntriesByType('resource').filter(({ name }) => name.endsWith('/accounts/token/refresh/')).length"
QUEUED = "const [done] = arguments; navigator.locks.query().then(({ pending }) => done(pending.length))"


def test_tabs_share_a_refresh_and_sign_out_together(page: Page, server: Server, browser: Browser) -> None:
    ann, bob = somebody(server, "Агата"), somebody(server, "Бруно")
    one = browser.open()
    one.sign_in(ann.email, PASSWORD)
    two = browser.open_beside(one.home)
    stranger = browser.open()
    stranger.sign_in(bob.email, PASSWORD)

    def queued(number: int) -> None:
        page.until(lambda: page.driver.execute_async_script(QUEUED) == number)

    def of(tab: Tab) -> Page:
        tab.turn()
        tab.await_signed_in()
        return page

    # Both want another token at once. A lock of the test holds the second one back until it has heard of the first one's.
    # The second one has asked for one when it was opened.
    for tab, number in ((one, 0), (two, 1)):
        of(tab).until(lambda: page.driver.execute_async_script(TOKEN))
        page.until(lambda: page.run(ASKED) == number)  # noqa: B023  # it is called at once
    of(one).run(HOLD, "first")
    page.until(lambda: page.run("return 'first' in window.release"))
    page.run(REFRESH)
    queued(1)
    page.run(HOLD, "second")
    queued(2)
    of(two).run(REFRESH)
    queued(3)
    of(one).run("window.release.first()")
    page.until(lambda: page.run("return window.refreshed !== null && 'second' in window.release"))
    token = page.run("return window.refreshed")
    of(two)
    page.until(lambda: page.driver.execute_async_script(TOKEN) == token)
    of(one).run("window.release.second()")
    of(two)
    page.until(lambda: page.run("return window.refreshed") == token)
    for tab, number in ((one, 1), (two, 1)):
        of(tab).until(lambda: page.run(ASKED) == number)  # noqa: B023  # it is called at once
    for tab in (one, two):
        of(tab)
        page.driver.refresh()  # each begins without a token
        of(tab)

    one.turn()
    page.one("[aria-label=Menu]").click()
    page.press("Sign out")
    for tab in (one, two):
        tab.await_entrance()
    # Nobody asks any more for what only those who are signed in get: that would be refused, and `page` would see it.
    of(stranger)
    one.turn()
    one.sign_in(ann.email, PASSWORD)
    of(two)  # and one signs in for all tabs, too
