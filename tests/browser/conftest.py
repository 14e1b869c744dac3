from collections.abc import Iterator

import pytest
from selenium.webdriver import Chrome

from tests.browser.browser import PROGRAMS, Page, start
from tests.browser.web import Browser
from tests.services import require
from tests.system.server import Server

SECRET = "a key of the tests that is long enough, 0123456789"

APP = "https://app.example/start"
"""Where the messenger says that its people go on. Nothing is there."""


def pytest_runtest_setup() -> None:
    """Not in a fixture: tests that are skipped here are one line of the summary."""
    require(*PROGRAMS)


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    driver = start(tmp_path_factory.mktemp("browser"))
    yield driver
    driver.quit()


@pytest.fixture(scope="session")
def server(chromium: Chrome, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The messenger as `make run` starts it, particular about passwords; not started where there is no browser."""
    settings = {
        "API_APP_URL": APP,
        "JWT_SECRET_KEY": SECRET,
        "AUTH_ACCESS_TOKENS": "10",
        "AUTH_FACTOR_KEY": "a-factor-key-of-the-tests",
        "AUTH_PASSWORD_PATTERN": "letters-and-digit",
        "AUTH_REFUSE_COMMON_PASSWORDS": "true",
    }
    with Server(tmp_path_factory.mktemp("server"), settings, is_new=False).running() as server:
        yield server


@pytest.fixture
def page(chromium: Chrome, server: Server) -> Iterator[Page]:
    page = Page(chromium, f"http://localhost:{server.port}")
    yield page
    page.verify()


@pytest.fixture
def browser(page: Page, server: Server) -> Iterator[Browser]:
    first = page.driver.current_window_handle
    browser = Browser(page, [page.home, server.url])
    try:
        yield browser
    finally:
        for handle in page.driver.window_handles:
            if handle != first:
                page.driver.switch_to.window(handle)
                page.driver.close()
        page.driver.switch_to.window(first)
        # Nothing that still asks for something finds itself signed out.
        page.open("about:blank")
        for home in {tab.home for tab in browser.tabs}:
            page.emulate("Storage.clearDataForOrigin", origin=home, storageTypes="all")
