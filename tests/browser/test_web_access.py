"""The web client for people who use a keyboard, a screen reader, or a script from right to left."""

import httpx
import pytest
from selenium.webdriver.common.keys import Keys

from tests.browser.axe import assert_accessible, require_axe
from tests.browser.browser import Page
from tests.browser.test_every_page import DOCUMENTS, LETTERS, links, open_page
from tests.browser.web import NUMBERS, PASSWORD, Browser, Somebody, Tab, somebody
from tests.system.client import data
from tests.system.server import Server

__all__ = ["links"]  # a fixture


def group(server: Server, owner: Somebody, *others: Somebody, name: str = "Поход") -> None:
    headers = {"Authorization": f"Bearer {owner.token}"}
    with httpx.Client(base_url=server.url, headers=headers, timeout=30) as http:
        members = [each.profile_id for each in others]
        chat = data(http.post("/chats/", json={"name": name, "members": members}))["id"]
        for each in others:
            with httpx.Client(
                base_url=server.url, headers={"Authorization": f"Bearer {each.token}"}
            ) as theirs:
                data(
                    theirs.post(
                        f"/chats/{chat}/messages/",
                        json={"text": f"Я, {each.name}, с вами https://example.com"},
                    )
                )


@pytest.fixture
def scene(server: Server, browser: Browser) -> tuple[Tab, Somebody, Somebody]:
    """Somebody who is signed in, with a group and somebody else."""
    one, two = somebody(server, "Аня"), somebody(server, "Борис")
    group(server, one, two)
    tab = browser.open()
    tab.sign_in(one.email, PASSWORD)
    return tab, one, two


def test_axe_finds_nothing_on_any_screen(page: Page, scene: tuple[Tab, Somebody, Somebody]) -> None:
    require_axe()
    tab, _, other = scene

    def menu(item: str) -> None:
        page.one("[aria-label=Menu]").click()
        page.press(item)
        page.until(lambda: page.texts("dialog h2") == [item])

    def close() -> None:
        page.type(Keys.ESCAPE)
        page.until(lambda: page.all("dialog") == [])

    assert_accessible(page)  # the list alone
    tab.row("Поход").click()
    page.until(lambda: page.all(".message"))
    tab.write("И я")
    tab.await_sent("И я")
    assert_accessible(page)
    page.one("button.meta").click()
    page.until(lambda: page.texts("dialog h2") == ["Read by"])
    assert_accessible(page)
    close()
    page.one(".top [aria-label=Details]").click()
    page.until(lambda: len(page.all(".members li")) == 2)
    page.one(f"[aria-label='Actions for {other.name}']").click()
    assert_accessible(page)
    page.press("Remove")
    page.button("OK")
    assert_accessible(page)
    close()
    page.one("[aria-label=Menu]").click()
    assert_accessible(page)
    close()
    for item in ("Profile", "Devices", "Change the password", "Letters", "Keyboard"):
        menu(item)
        assert_accessible(page)
        close()
    menu("New group")
    page.put(page.one("dialog input[type=search]"), other.name)
    page.one(f".picker label:has(input)[data-name='{other.name}']").click()
    assert_accessible(page)
    close()
    page.one("#search").send_keys(other.name)
    page.until(lambda: page.texts("nav h2") == ["People"])
    assert_accessible(page)
    page.resize(360, 740, phone=True)
    assert_accessible(page)
    page.one("#search").clear()


def test_axe_finds_nothing_where_one_signs_in(page: Page, server: Server, browser: Browser) -> None:
    require_axe()
    browser.open()
    page.await_heading("Messenger")
    assert_accessible(page)
    page.press("Forgot your password?")
    page.await_heading("A new password")
    assert_accessible(page)
    page.press("Back to signing in")
    page.press("Create an account")
    page.await_heading("Create an account")
    email = f"web{next(NUMBERS)}@example.com"
    page.put(page.one("[name=email]"), email)
    page.put(page.one("[name=password]"), PASSWORD)
    page.press("Create an account")
    page.await_heading("Look into your mail")
    server.await_letter(email)
    page.until(lambda: page.all(".letters li a"))
    assert_accessible(page)


def test_axe_finds_nothing_on_the_other_pages(page: Page, links: dict[str, str]) -> None:
    require_axe()
    for path in (*DOCUMENTS, *LETTERS, f"{LETTERS[0]}?done", "/chats/", "/errors/KEY_REUSED"):
        open_page(page, path)
        assert_accessible(page)
    for link in links.values():
        page.open(link)
        assert_accessible(page)
    page.open(f"{page.home}/docs")
    page.until(lambda: page.all(".opblock"))
    assert_accessible(page, without=["#docs"])  # within it everything is Swagger UI's own
