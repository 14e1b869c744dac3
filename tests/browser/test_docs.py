"""`/docs` as the author of a client uses it, from the first look to the first answer."""

from typing import Any

import httpx

from tests.browser.axe import assert_accessible, require_axe
from tests.browser.browser import Page, Place
from tests.browser.test_every_page import PHONE, widths
from tests.system.client import PASSWORD
from tests.system.server import Server

PROFILE = "/accounts/profile/"

OPERATIONS = """
return [...document.querySelectorAll(".opblock")].map((each) =>
  [each.querySelector(".opblock-summary-method").innerText, each.querySelector(".opblock-summary-path").dataset.path]);
"""

SHADE = "return getComputedStyle(document.documentElement).backgroundColor"


def authorize(page: Page, password: str) -> None:
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


def promised(server: Server) -> set[tuple[str, str]]:
    paths: dict[str, Any] = httpx.get(f"{server.url}/openapi.json").json()["paths"]
    return {(method.upper(), path) for path, methods in paths.items() for method in methods}


def test_from_the_first_look_to_the_first_answer(page: Page, server: Server) -> None:
    """All in one: a processor needs four seconds to show this page."""
    require_axe()
    page.resize(*PHONE, phone=True)
    page.prefer("dark")
    page.open(f"{page.home}/docs")
    page.first(".opblock").found()
    assert page.driver.title.strip()
    assert page.run("return document.documentElement.lang") in {"ru", "en"}
    # It fits a phone by night and by day.
    assert widths(page) == (PHONE[0], PHONE[0])
    page.until(lambda: page.run(SHADE) == "rgb(18, 23, 26)")  # as all other pages
    page.prefer("light")
    page.until(lambda: page.run(SHADE) == "rgba(0, 0, 0, 0)")
    page.resize(1200, 1000)
    assert_accessible(page, without=["#docs"])  # within it everything is Swagger UI's own
    # Every operation is there.
    shown = page.run(OPERATIONS)
    assert len(shown) == len(promised(server)) > 30
    assert {(method, path) for method, path in shown} == promised(server)
    # Without a token there is an answer, too.
    response = try_out(page, operation("get", PROFILE))
    page.until(lambda: response.text.startswith("401"))
    page.expected.append((401, PROFILE))
    # A wrong password authorizes nobody.
    page.one(".scheme-container .authorize").click()
    authorize(page, "wrong")
    page.until(lambda: "Unauthorized" in page.text(".modal-ux .errors"))
    assert "Logout" not in page.texts("button")
    page.expected.append((401, "/accounts/sign-in/swagger/"))
    # Who is authorized reads the own profile.
    authorize(page, PASSWORD)
    page.button("Logout").found()
    page.one(".modal-ux .btn-done").click()
    page.one(f"{operation('get', PROFILE)} .execute").click()
    page.until(lambda: response.text.startswith("200"))
    page.until(lambda: '"username": "anna"' in response.text)


def test_without_scripts_it_says_where_its_document_is(page: Page) -> None:
    page.run_scripts(allowed=False)
    page.open(f"{page.home}/docs")
    assert page.one("noscript a").get("href") == f"{page.home}/openapi.json"
