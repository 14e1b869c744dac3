"""Changing the password in the web client: of somebody who has none yet, and with what becomes of the other ways to sign in."""

import json
from collections.abc import Iterator

import httpx
import pytest
from selenium.webdriver import Chrome

from tests.browser.browser import Page
from tests.browser.conftest import SECRET
from tests.browser.test_ways import close, device, menu
from tests.browser.web import PASSWORD, Browser, assert_well, somebody
from tests.identity_provider import CLIENT_ID, CLIENT_SECRET, IdentityProvider
from tests.system.server import Server

NEW = "Another-1-password"
DONE = "The password is changed. All other devices were signed out."


@pytest.fixture(scope="module")
def provider() -> Iterator[IdentityProvider]:
    with IdentityProvider().running() as there:
        yield there


@pytest.fixture(scope="module")
def server(
    chromium: Chrome, provider: IdentityProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A messenger that makes accounts for people of a provider; not started where there is no browser."""
    registration = {
        "id": "corp",
        "name": "Corp",
        "issuer": provider.issuer,
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "trusts_email": True,
    }
    settings = {
        "JWT_SECRET_KEY": SECRET,
        "AUTH_PASSKEYS": "5",
        "AUTH_PROVIDERS": json.dumps([registration]),
    }
    with Server(tmp_path_factory.mktemp("password"), settings, is_new=False).running() as server:
        yield server


@pytest.fixture
def page(page: Page, provider: IdentityProvider) -> Page:
    page.elsewhere = (f"{provider.issuer}/authorize?",)
    return page


def signs_in(server: Server, email: str, password: str) -> bool:
    body = {"email": email, "password": password, "fingerprint": "elsewhere"}
    return httpx.post(f"{server.url}/accounts/sign-in/", json=body, timeout=30).status_code == 200


def test_who_came_from_a_provider_is_not_asked_for_a_password_that_there_is_none(
    page: Page, server: Server, browser: Browser, provider: IdentityProvider
) -> None:
    provider.subject, provider.email = "kim", "kim@example.com"
    tab = browser.open()
    page.press("Sign in through Corp")
    page.one("dialog [name=firstName]").found()  # the account has just been made, and has no name yet
    close(page)
    page.await_count(0, "dialog")
    # Where a password is asked for, it is said that there is none, and where to set it.
    menu(page, "Ways to sign in")
    page.press("Add a passkey")
    page.press("Set a password")
    page.until(lambda: page.texts("dialog p")[0].startswith("Your account has no password yet."))
    page.one("dialog [name=password]").found()
    assert page.count("dialog [name=oldPassword]") == 0
    assert_well(page)
    tab.fill(password=NEW)
    page.press("Save")
    page.until(lambda: DONE in page.texts("dialog p"))
    assert signs_in(server, "kim@example.com", NEW)
    # What stays is told, and leads to where it is ended.
    assert page.texts("dialog p")[1].startswith("Passkeys and other services still sign in to your account.")
    page.press("Ways to sign in")
    page.await_texts("dialog .entry b", "Corp")
    close(page)
    # From now on there is a password, and it is asked for.
    menu(page, "Change the password")
    page.one("dialog [name=oldPassword]").found()


def test_the_other_ways_are_removed_in_the_same_step(page: Page, server: Server, browser: Browser) -> None:
    ann = somebody(server, "Анна")
    tab = browser.open()
    with device(page):
        tab.sign_in(ann.email, PASSWORD)
        menu(page, "Ways to sign in")
        page.press("Add a passkey")
        tab.fill(password=PASSWORD)
        page.press("Add a passkey")
        page.first("dialog .entry").found()
        close(page)
        menu(page, "Change the password")
        tab.fill(oldPassword=PASSWORD, password=NEW)
        page.one("dialog [name=removeOtherWays]").click()
        assert_well(page)
        page.press("Save")
        page.await_texts("dialog p", DONE)
        close(page)
        menu(page, "Ways to sign in")
        page.button("Add a passkey").found()
        assert page.count("dialog .entry") == 0
    assert signs_in(server, ann.email, NEW)
