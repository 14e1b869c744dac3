"""Signing in without a password in the web client: with passkeys of Chromium's virtual device, and through a provider."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.virtual_authenticator import VirtualAuthenticatorOptions

from tests.browser.browser import Page
from tests.browser.conftest import SECRET
from tests.browser.web import PASSWORD, Browser, assert_well, somebody
from tests.identity_provider import CLIENT_ID, CLIENT_SECRET, IdentityProvider
from tests.system.server import Server


@pytest.fixture(scope="module")
def provider() -> Iterator[IdentityProvider]:
    with IdentityProvider().running() as there:
        yield there


@pytest.fixture(scope="module")
def server(
    chromium: Chrome, provider: IdentityProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A messenger with passkeys and a provider; not started where there is no browser."""
    registration = {
        "id": "corp",
        "name": "Corp",
        "issuer": provider.issuer,
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
    }
    settings = {
        "JWT_SECRET_KEY": SECRET,
        "AUTH_FACTOR_KEY": "a-factor-key-of-the-tests",
        "AUTH_PASSKEYS": "5",
        "AUTH_PROVIDERS": json.dumps([registration]),
    }
    with Server(tmp_path_factory.mktemp("ways"), settings, is_new=False).running() as server:
        yield server


@pytest.fixture
def page(page: Page, provider: IdentityProvider) -> Page:
    page.elsewhere = (f"{provider.issuer}/authorize?",)
    return page


@contextmanager
def device(page: Page, *, verifies: bool = True) -> Iterator[None]:
    """Adds a device with passkeys to the browser for a while."""
    options = VirtualAuthenticatorOptions(
        protocol=VirtualAuthenticatorOptions.Protocol.CTAP2,
        transport=VirtualAuthenticatorOptions.Transport.INTERNAL,
        has_resident_key=True,
        has_user_verification=True,
        is_user_verified=verifies,
    )
    page.driver.add_virtual_authenticator(options)
    try:
        yield
    finally:
        page.driver.remove_virtual_authenticator()


def menu(page: Page, name: str) -> None:
    page.one("[aria-label=Menu]").click()
    page.press(name)


def close(page: Page) -> None:
    page.one("dialog [aria-label=Close]").click()


def test_passkeys_from_the_first_to_the_last(page: Page, server: Server, browser: Browser) -> None:
    ann = somebody(server, "Анна")
    tab = browser.open()
    with device(page):
        tab.sign_in(ann.email, PASSWORD)
        menu(page, "Ways to sign in")
        page.press("Add a passkey")
        assert_well(page)
        tab.fill(password=PASSWORD)
        page.press("Add a passkey")
        page.first("dialog .entry").found()
        (credential,) = page.driver.get_credentials()
        assert credential.is_resident_credential
        assert credential.rp_id == "localhost"
        page.press("Rename")
        tab.fill(name="My laptop")
        page.press("Save")
        page.await_texts("dialog .entry b", "My laptop")
        assert_well(page)
        close(page)
        menu(page, "Sign out")

        page.await_heading("Messenger")
        page.until(lambda: page.texts(".way button")[:1] == ["Sign in with a passkey"])
        assert_well(page)
        page.press("Sign in with a passkey")
        page.first("nav .search").found()

        menu(page, "Ways to sign in")
        page.first("dialog .entry").found()
        page.press("Remove")
        page.press("Use a passkey instead")
        page.until(lambda: page.texts("dialog button") and page.count("dialog .entry, [name=password]") == 0)
        close(page)
        menu(page, "Sign out")
        page.await_heading("Messenger")
        page.first(".way button").found()
        page.expected += [(401, "/accounts/sign-in/passkey/")]
        page.press("Sign in with a passkey")
        page.until(
            lambda: page.texts(".problem.other") == ["That did not work, or it took too long. Try again."]
        )


def test_a_device_that_does_not_verify_the_person(page: Page, server: Server, browser: Browser) -> None:
    ann = somebody(server, "Анна")
    tab = browser.open()
    with device(page, verifies=False):
        tab.sign_in(ann.email, PASSWORD)
        menu(page, "Ways to sign in")
        page.press("Add a passkey")
        tab.fill(password=PASSWORD)
        page.press("Add a passkey")
        page.until(lambda: "The passkey was not used." in page.texts("dialog .problem"))
        assert page.driver.get_credentials() == []


def test_through_a_provider(page: Page, server: Server, browser: Browser, provider: IdentityProvider) -> None:
    ann = somebody(server, "Анна")
    provider.subject = ann.profile_id
    tab = browser.open()
    page.until(lambda: page.texts(".way button")[-1:] == ["Sign in through Corp"])
    page.expected += [(403, "/accounts/sign-in/provider/finish/")]
    page.press("Sign in through Corp")
    page.until(lambda: page.texts(".problem.other")[0].startswith("No account is linked with this yet."))
    assert_well(page)

    tab.sign_in(ann.email, PASSWORD)
    menu(page, "Ways to sign in")
    page.press("Link Corp")
    tab.fill(password=PASSWORD)
    page.press("Link Corp")
    page.await_texts("dialog .entry b", "Corp")
    assert page.run("return location.hash") == ""
    assert_well(page)
    close(page)
    menu(page, "Sign out")

    page.await_heading("Messenger")
    page.until(lambda: page.texts(".way button")[-1:] == ["Sign in through Corp"])
    page.press("Sign in through Corp")
    page.first("nav .search").found()
    page.driver.refresh()
    page.first("nav .search").found()
    menu(page, "Ways to sign in")
    page.await_texts("dialog .entry b", "Corp")
    page.press("Unlink")
    tab.fill(password=PASSWORD)
    page.press("Unlink")
    page.until(lambda: "Link Corp" in page.texts("dialog button"))
