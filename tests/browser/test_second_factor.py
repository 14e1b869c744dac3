"""A second factor in the web client: set up, asked for, and turned off."""

from base64 import b32decode
from datetime import UTC, datetime

from domain.factor import step_at
from infrastructure.crypto.codes import totp
from tests.browser.browser import Page
from tests.browser.web import PASSWORD, Browser, assert_well, somebody
from tests.system.server import Server

SIGNED_IN = "localStorage.getItem('messenger-signed-in')"


def test_from_setting_it_up_to_turning_it_off(page: Page, server: Server, browser: Browser) -> None:
    ann = somebody(server, "Анна")
    tab = browser.open()
    tab.sign_in(ann.email, PASSWORD)
    page.one("[aria-label=Menu]").click()
    page.press("Second factor")
    tab.fill(password=PASSWORD)
    page.press("Set it up")
    page.first("code.secret").found()
    secret = b32decode(page.texts("code.secret")[0].replace(" ", ""))
    assert_well(page)
    first = step_at(datetime.now(UTC))
    tab.fill(code=totp(secret, first))
    page.press("Switch it on")
    page.first(".codes code").found()
    recovery = page.texts(".codes code")
    assert len(set(recovery)) == 10
    assert_well(page)
    page.one("dialog [aria-label=Close]").click()
    page.one("[aria-label=Menu]").click()
    page.press("Sign out")

    page.await_heading("Messenger")
    tab.fill(email=ann.email, password=PASSWORD)
    page.press("Sign in")
    page.await_heading("A code is needed")
    assert_well(page)
    page.expected += [(403, "/accounts/sign-in/"), (403, "/accounts/sign-in/second/")]
    tab.fill(code="no such code")
    page.press("Sign in")
    page.until(
        lambda: page.texts(".problem") == ["This code is wrong or was used already. Wait for the next one."]
    )
    assert page.run(f"return {SIGNED_IN}") is None
    # Other tabs look whether somebody is signed in when they hear of it, which may be before this tab goes on.
    page.run(
        "window.heard = []; const say = BroadcastChannel.prototype.postMessage;"
        f"BroadcastChannel.prototype.postMessage = function (what) {{ heard.push({SIGNED_IN}); say.call(this, what); }}"
    )
    tab.fill(code=recovery[0].upper())
    page.press("Sign in")
    page.first("nav .search").found()
    assert page.run("return heard.length") > 0
    assert None not in page.run("return heard")

    page.one("[aria-label=Menu]").click()
    page.press("Profile")
    page.press("Close the account …")
    page.first("dialog [name=code]").found()  # closing takes a code too
    page.one("dialog [aria-label=Close]").click()
    page.one("[aria-label=Menu]").click()
    page.press("Second factor")
    page.until(lambda: "Signing in takes a code. Recovery codes left: 9." in page.texts("dialog p"))
    tab.fill(password=PASSWORD, code=recovery[1])
    page.press("Turn it off")
    page.await_texts("dialog button.main", "Set it up")
