import os
from collections.abc import Iterator

import pytest
from selenium.webdriver import Chrome

from tests.browser.browser import Page, missing, start
from tests.system.server import Server

SECRET = "a key of the tests that is long enough, 0123456789"


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    if lacking := missing():
        words = f"{' and '.join(lacking)} not found: apt-get install chromium chromium-driver"
        if os.environ.get("CI"):
            pytest.fail(words, pytrace=False)
        pytest.skip(words)
    driver = start(tmp_path_factory.mktemp("browser"))
    yield driver
    driver.quit()


@pytest.fixture(scope="session")
def server(chromium: Chrome, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The messenger as `make run` starts it, which knows common passwords; not started where there is no browser."""
    settings = {"JWT_SECRET_KEY": SECRET, "AUTH_REFUSE_COMMON_PASSWORDS": "true"}
    server = Server(tmp_path_factory.mktemp("server"), settings)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def page(chromium: Chrome, server: Server) -> Iterator[Page]:
    page = Page(chromium, f"http://localhost:{server.port}")
    yield page
    page.verify()
