"""The web client for people who use a keyboard, a screen reader, or a script from right to left."""

from base64 import b32decode
from datetime import UTC, datetime

import httpx
import pytest
from selenium.webdriver import ActionChains
from selenium.webdriver.common.keys import Keys

from domain.factor import step_at
from infrastructure.crypto.codes import totp
from tests.browser.axe import assert_accessible, require_axe
from tests.browser.browser import Page
from tests.browser.web import NUMBERS, PASSWORD, Browser, Somebody, Tab, somebody
from tests.system.client import data
from tests.system.server import Server


def say(server: Server, somebody: Somebody, chat: str, text: str) -> None:
    headers = {"Authorization": f"Bearer {somebody.token}"}
    data(httpx.post(f"{server.url}/chats/{chat}/messages/", json={"text": text}, headers=headers, timeout=30))


def group(server: Server, owner: Somebody, *others: Somebody, name: str = "Поход") -> str:
    """Returns the id of a new group in which each of the others has said something."""
    headers = {"Authorization": f"Bearer {owner.token}"}
    with httpx.Client(base_url=server.url, headers=headers, timeout=30) as http:
        members = [each.profile_id for each in others]
        chat = data(http.post("/chats/", json={"name": name, "members": members}))["id"]
    for each in others:
        say(server, each, chat, f"Я, {each.name}, с вами: https://example.com")
    return str(chat)


@pytest.fixture
def scene(server: Server, browser: Browser) -> tuple[Tab, Somebody, Somebody]:
    """Somebody who is signed in, with a group and somebody else."""
    one, two = somebody(server, "Ася"), somebody(server, "Глеб")
    group(server, one, two)
    tab = browser.open()
    tab.sign_in(one.email, PASSWORD)
    return tab, one, two


def test_axe_finds_nothing_on_any_screen(page: Page, scene: tuple[Tab, Somebody, Somebody]) -> None:
    require_axe()
    tab, one, other = scene

    def menu(item: str) -> None:
        page.one("[aria-label=Menu]").click()
        page.press(item)
        page.await_texts("dialog h2", item)

    def close() -> None:
        page.type(Keys.ESCAPE)
        page.await_count(0, "dialog")

    assert_accessible(page)  # the list alone
    tab.row("Поход").click()
    page.first(".message").found()
    tab.write("И я")
    tab.await_sent("И я")
    assert_accessible(page)
    page.one("button.meta").click()
    page.await_texts("dialog h2", "Read by")
    assert_accessible(page)
    close()
    page.one(".top [aria-label=Details]").click()
    page.await_count(2, ".members li")
    page.one(f"[aria-label='Actions for {other.name}']").click()
    assert_accessible(page)
    page.press("Remove")
    page.button("OK").found()
    assert_accessible(page)
    close()
    page.one("[aria-label=Menu]").click()
    assert_accessible(page)
    close()
    for item in ("Profile", "Devices", "Change the password", "Letters", "Keyboard"):
        menu(item)
        assert_accessible(page)
        close()
    menu("Profile")
    page.press("Close the account …")
    page.await_texts("dialog h2", "Close the account")
    assert_accessible(page)
    close()
    menu("Security events")
    page.first(".events li").found()
    assert_accessible(page)
    close()
    menu("Access for programs")
    tab.fill(name="Weather bot", password=PASSWORD)
    page.press("Make a token")
    page.until(lambda: page.count(".tokens li") and page.count("code.secret"))
    assert_accessible(page)
    page.press("I have it")
    page.first("dialog [name=name]").found()
    assert_accessible(page)
    close()
    menu("Second factor")
    assert_accessible(page)
    tab.fill(password=PASSWORD)
    page.press("Set it up")
    page.first("code.secret").found()
    assert_accessible(page)
    secret = b32decode(page.texts("code.secret")[0].replace(" ", ""))
    tab.fill(code=totp(secret, step_at(datetime.now(UTC))))
    page.press("Switch it on")
    page.first(".codes code").found()
    assert_accessible(page)
    close()
    menu("Second factor")
    page.first("dialog [name=code]").found()
    assert_accessible(page)
    close()
    menu("Profile")
    page.press("Close the account …")
    page.first("dialog [name=code]").found()
    assert_accessible(page)
    close()
    menu("New group")
    page.one("dialog input[type=search]").put(other.name)
    page.one(f".picker label:has(input)[data-name='{other.name}']").click()
    assert_accessible(page)
    close()
    page.one("#search").put(other.name)
    page.await_texts("nav h2", "People")
    assert_accessible(page)
    page.one("#search").put("")
    page.resize(360, 740, phone=True)
    assert_accessible(page)
    page.one("[aria-label='Back to the chats']").click()
    page.first("nav .row").found()
    assert_accessible(page)
    page.one("[aria-label=Menu]").click()
    page.press("Sign out")
    page.await_heading("Messenger")
    tab.fill(email=one.email, password=PASSWORD)
    page.press("Sign in")
    page.await_heading("A code is needed")
    page.expected.append((403, "/accounts/sign-in/"))
    assert_accessible(page)


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
    page.one("[name=email]").put(email)
    page.one("[name=password]").put(PASSWORD)
    page.press("Create an account")
    page.await_heading("Look into your mail")
    server.await_letter(email)
    page.first(".letters li a").found()
    assert_accessible(page)


FOCUS_SEEN = """
const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement);
return outlineStyle !== "none" && parseFloat(outlineWidth) >= 2;
"""

CONTROL_K, CONTROL_COMMA = ((Keys.CONTROL, key) for key in "k,")


def chord(page: Page, keys: tuple[str, str]) -> None:
    held, key = keys
    ActionChains(page.driver, duration=0).key_down(held).send_keys(key).key_up(held).perform()


def walk(page: Page, key: str | tuple[str, str], name: str) -> None:
    """Presses a key until the focus is on what has this name, and sees on the way that it is always to be seen where."""
    for _ in range(30):
        if page.focused.accessible_name.startswith(name):
            return
        if isinstance(key, tuple):
            chord(page, key)
        else:
            page.type(key)
        page.await_focus(":not(body)")
        assert page.run(FOCUS_SEEN), page.run("return document.activeElement.outerHTML")
    raise AssertionError(f"no way to {name}")


def test_the_main_job_by_keyboard(page: Page, server: Server, browser: Browser) -> None:
    """Signing in, opening a chat, reading, writing, and leaving; a mouse is not there."""
    ann, bob = somebody(server, "Аня"), somebody(server, "Боря")
    chat = group(server, ann, bob)
    for number in range(25):
        say(server, bob, chat, f"message {number}")
    tab = browser.open()
    page.await_focus("input")
    page.type(Keys.TAB, Keys.TAB, Keys.TAB)
    walk(page, Keys.TAB, "Forgot your password?")
    page.type(Keys.ENTER)
    page.await_heading("A new password")
    page.await_focus("input")  # another screen has another field
    walk(page, Keys.TAB, "Back to signing in")
    page.type(Keys.ENTER)
    page.await_heading("Messenger")
    page.type(ann.email, Keys.TAB, PASSWORD, Keys.ENTER)
    page.first("nav .search").found()
    page.await_focus(":not(body)")

    chord(page, CONTROL_K)
    page.await_focus("#search")
    page.type("Поход")
    tab.row("Поход").found()
    walk(page, Keys.TAB, "Поход")
    page.type(Keys.ENTER)
    page.await_focus("textarea")
    page.first(".divider").found()
    walk(page, (Keys.SHIFT, Keys.TAB), "Messages")

    def at_the_end() -> bool:
        page.type(Keys.END)  # again, if messages were taken in meanwhile
        return page.driver.title == "Messenger"  # all of it was on the screen

    page.until(at_the_end)
    walk(page, Keys.TAB, "Write a message")
    page.type("by keyboard", Keys.ENTER)
    tab.await_sent("by keyboard")
    page.await_focus("textarea")
    say(server, bob, chat, "heard?")
    page.until(
        lambda: page.texts("[role=status]:not([hidden])") == ["Боря: heard?"]
    )  # as a screen reader tells it

    page.type(Keys.ESCAPE)
    page.await_focus(".row")
    page.until(lambda: page.focused.accessible_name.startswith("Поход"))
    page.type("?")
    page.await_texts("dialog h2", "Keyboard")
    assert page.texts("dialog dt")[0] == "Ctrl K"
    page.type(Keys.ESCAPE)
    page.await_count(0, "dialog")
    page.await_focus(".row")
    page.type(Keys.ENTER)
    page.await_focus("textarea")
    chord(page, CONTROL_COMMA)
    page.await_texts("dialog h2", "Menu")
    walk(page, Keys.TAB, "Profile")
    page.type(Keys.ENTER)
    page.await_texts("dialog h2", "Profile")
    page.await_focus("input")
    page.type(Keys.ESCAPE)
    page.await_focus("textarea")  # where it was before both dialogs
    chord(page, CONTROL_COMMA)
    page.await_texts("dialog h2", "Menu")
    walk(page, Keys.TAB, "Sign out")
    page.type(Keys.ENTER)
    page.await_heading("Messenger")
    page.await_focus("input")


def test_the_focus_stays_where_something_was_removed(
    page: Page, server: Server, scene: tuple[Tab, Somebody, Somebody]
) -> None:
    tab, _, other = scene
    tab.row("Поход").click()
    page.one(".top [aria-label=Details]").click()
    page.one(f"[aria-label='Actions for {other.name}']").click()
    page.type(Keys.ESCAPE)  # closes the small menu and not the dialog
    page.await_count(0, "details[open]")
    page.until(lambda: page.focused.accessible_name == f"Actions for {other.name}")
    page.type(Keys.ENTER)
    page.press("Remove")
    page.until(lambda: page.focused.text == "OK")
    page.type(Keys.TAB)
    page.until(lambda: page.focused.text == "Cancel")
    say(server, other, page.run("return location.hash.slice(1)"), "a message draws the page anew")
    tab.await_message("a message draws the page anew")
    assert page.focused.text == "Cancel"
    page.type(Keys.ENTER)
    page.await_count(0, ".question")
    page.await_focus("dialog *")


GEOMETRY = """
const box = (selector) => document.querySelector(selector).getBoundingClientRect();
const middle = (selector) => (box(selector).left + box(selector).right) / 2;
return {
  list: middle("nav.chats"), conversation: middle("main"), own: middle(".message.own .bubble"), other: middle(".message:not(.own) .bubble"),
  send: middle(".send"), field: middle("textarea"), glass: middle(".search .icon"), search: middle("#search"),
};
"""

BEFORE = [("list", "conversation"), ("other", "own"), ("field", "send"), ("glass", "search")]
"""What stands before what in the direction of reading."""


def test_scripts_from_right_to_left(
    page: Page, server: Server, scene: tuple[Tab, Somebody, Somebody]
) -> None:
    tab, _, other = scene
    tab.row("Поход").click()
    texts = {"שלום, это смешанный text": "rtl", "مرحبا 123": "rtl", "hello, שלום": "ltr", "Привет": "ltr"}
    for text in texts:
        tab.write(text)
        tab.await_sent(text)
    page.one(".message:not(.own)").found()
    directions = page.run(
        "return [...document.querySelectorAll('.message.own .text')].map((each) => getComputedStyle(each).direction)"
    )
    assert directions == list(texts.values())
    for direction, sign in (("ltr", 1), ("rtl", -1)):
        page.run("document.documentElement.dir = arguments[0]", direction)
        found = page.run(GEOMETRY)
        for first, then in BEFORE:
            assert (found[then] - found[first]) * sign > 0, (direction, first, then)
        there, seen = page.run("return [document.documentElement.scrollWidth, innerWidth]")
        assert there <= seen
    page.resize(360, 740, phone=True)
    turned = "return getComputedStyle(document.querySelector('.back .icon')).transform"
    page.until(lambda: page.run(turned) == "matrix(-1, 0, 0, 1, 0, 0)")
    assert other.name


def test_nothing_moves_for_those_who_want_that(page: Page, scene: tuple[Tab, Somebody, Somebody]) -> None:
    tab, _, _ = scene
    moving = "return document.getAnimations().length"
    page.prefer("light", motion="no-preference")
    tab.row("Поход").click()
    page.one("textarea").found()
    page.one("[aria-label=Menu]").click()
    page.one("dialog").found()
    named = "return getComputedStyle(document.querySelector('dialog')).animationName"
    page.until(lambda: page.run(named) == "appear")
    page.prefer("light", motion="reduce")
    page.until(lambda: page.run(named) == "none")
    page.type(Keys.ESCAPE)
    page.await_count(0, "dialog")
    tab.write("quiet")
    assert page.run(moving) == 0
