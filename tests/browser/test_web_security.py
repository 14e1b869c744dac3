"""What a person of the web client sees of the security of their account: its events, access tokens of programs, the password."""

import re
from typing import Any

import httpx

from domain.security import SecurityAct
from tests.browser.browser import Page
from tests.browser.hostile import TEXTS
from tests.browser.test_web_conversation import open_menu
from tests.browser.web import PASSWORD, Browser, assert_well, somebody
from tests.system.client import data
from tests.system.server import Server

OF_CHATS = {
    SecurityAct.MEMBERS_ADDED,
    SecurityAct.MEMBER_REMOVED,
    SecurityAct.ROLE_CHANGED,
    SecurityAct.CHAT_DELETED,
    SecurityAct.ACCESS_DENIED,
    SecurityAct.LIMIT_MET,
}
"""What the security log has beside the events of accounts."""

ACTS = """
const [done] = arguments;
const address = document.querySelector("link[rel=modulepreload][href$='/texts.js']").href;
import(address).then(({ say }) => done(say.acts), (error) => done(String(error)));
"""


def acts(page: Page) -> dict[str, str]:
    found: dict[str, str] = page.driver.execute_async_script(ACTS)
    return found


def test_what_happened_to_the_account(page: Page, server: Server, browser: Browser) -> None:
    who = somebody(server, "Вика")
    with httpx.Client(base_url=server.url, timeout=30) as http:
        wrong = {"email": who.email, "password": "not this one 1A", "fingerprint": "a thief"}
        assert http.post("/accounts/sign-in/", json=wrong).status_code == 401
    tab = browser.open()
    tab.sign_in(who.email, PASSWORD)
    open_menu(page, "Security events")
    page.first(".events li").found()
    assert page.texts(".events b")[:3] == ["Signed in", "A sign-in failed", "The address was confirmed"]
    (latest, *_) = page.texts(".events small")
    assert re.search(r"Chrome, Linux · 127\.0\.0\.1$", latest), latest
    assert_well(page)
    english = acts(page)
    page.press("Devices")
    page.await_texts("dialog h2", "Devices")
    russian = acts(browser.open(language="ru").turn())
    # Each event of an account has a text in both languages.
    assert (
        set(english)
        == set(russian)
        == {each.value for each in SecurityAct} - {each.value for each in OF_CHATS}
    )
    assert all(english[each] != russian[each] for each in english)


def test_a_program_gets_a_token_and_loses_it(page: Page, server: Server, browser: Browser) -> None:
    who = somebody(server, "Гена")
    tab = browser.open()
    tab.sign_in(who.email, PASSWORD)
    open_menu(page, "Access for programs")
    page.expected += [(422, "/accounts/tokens/"), (403, "/accounts/tokens/")]
    tab.fill(name=" ", password=PASSWORD)
    page.press("Make a token")
    page.until(lambda: "The program needs a name of 1 to 60 characters." in page.texts(".problem"))
    tab.fill(name=TEXTS[0][:60], password="not this one 1A")
    page.press("Make a token")
    page.until(lambda: "This is not your password." in page.texts(".problem"))
    page.one("dialog [name=messages]").click()
    tab.fill(password=PASSWORD)
    page.press("Make a token")
    page.first("code.secret").found()
    assert_well(page)
    token = page.text("code.secret")
    with httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {token}"}) as program:

        def read() -> Any:
            return program.get("/accounts/me/")

        assert data(read())["email"] == who.email
        page.press("I have it")
        page.await_texts("code.secret")
        page.await_texts(".tokens b", TEXTS[0][:60])
        assert page.texts(".tokens small")[0] == "read, send messages and mark them as read"
        page.press("End")
        page.await_count(0, ".tokens li")
        assert read().status_code == 401
    page.one("dialog [aria-label=Close]").click()
    open_menu(page, "Security events")
    page.first(".events li").found()
    assert page.texts(".events b")[:2] == ["The access of a program ended", "A program got access"]


def test_the_password_is_changed_by_who_knows_it(page: Page, server: Server, browser: Browser) -> None:
    who = somebody(server, "Даша")
    tab = browser.open()
    tab.sign_in(who.email, PASSWORD)
    open_menu(page, "Change the password")
    page.expected.append((403, "/accounts/password/set/"))
    tab.fill(oldPassword="not this one 1A", password="Another-1-password")
    page.press("Save")
    page.until(lambda: "This is not your password." in page.texts(".problem"))
    tab.fill(oldPassword=PASSWORD)
    page.press("Save")
    page.until(
        lambda: page.texts("dialog p") == ["The password is changed. All other devices were signed out."]
    )
    body = {"email": who.email, "password": "Another-1-password", "fingerprint": "elsewhere"}
    assert httpx.post(f"{server.url}/accounts/sign-in/", json=body, timeout=30).status_code == 200
