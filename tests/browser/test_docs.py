"""`/docs` as the author of a client uses it."""

import httpx
import pytest

from tests.browser.browser import Page, Place
from tests.system.client import PASSWORD
from tests.system.server import Server

PROFILE = "/accounts/profile/"


@pytest.fixture(autouse=True)
def opened(page: Page) -> None:
    page.open(f"{page.home}/docs")
    page.first(".opblock").found()


def authorize(page: Page, password: str) -> None:
    page.one(".scheme-container .authorize").click()
    for field, text in (("username", "user1@example.com"), ("password", password)):
        page.one(f"#oauth_{field}").put(text)
    page.one(".modal-ux .auth-btn-wrapper .authorize").click()


def operation(method: str, path: str) -> str:
    return f".opblock-{method}:has([data-path='{path}'])"


def try_out(page: Page, block: str) -> Place:
    """Opens it and sends what it says. Returns the row of what came back."""
    page.one(f"{block} .opblock-summary-control").click()
    page.one(f"{block} .execute").click()
    return page.one(f"{block} .live-responses-table tr.response")


def test_every_operation_is_there(page: Page, server: Server) -> None:
    paths = httpx.get(f"{server.url}/openapi.json").json()["paths"]
    promised = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    shown = page.run(
        "return [...document.querySelectorAll('.opblock')].map((each) =>"
        " [each.querySelector('.opblock-summary-method').innerText,"
        " each.querySelector('.opblock-summary-path').dataset.path])"
    )
    assert len(shown) == len(promised) > 30
    assert {(method, path) for method, path in shown} == promised


def test_authorized_one_reads_ones_own_profile(page: Page) -> None:
    block = operation("get", PROFILE)
    response = try_out(page, block)
    page.until(lambda: response.text.startswith("401"))
    page.expected.append((401, PROFILE))
    authorize(page, PASSWORD)
    page.button("Logout").found()
    page.one(".modal-ux .btn-done").click()
    page.one(f"{block} .execute").click()
    page.until(lambda: response.text.startswith("200"))
    page.until(lambda: '"username": "anna"' in response.text)


def test_a_wrong_password_authorizes_nobody(page: Page) -> None:
    authorize(page, "wrong")
    page.until(lambda: "Unauthorized" in page.text(".modal-ux .errors"))
    assert "Logout" not in page.texts("button")
    page.expected.append((401, "/accounts/sign-in/swagger/"))
