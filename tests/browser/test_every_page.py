"""What holds for each page, whatever it is about."""

import re
from html import unescape
from typing import Any

import httpx
import pytest

from interfaces.http.explanations import EXPLANATIONS
from tests.browser.axe import CONTRAST, findings, require_axe
from tests.browser.browser import CONTRASTS, Page
from tests.browser.test_letter_pages import LetterReader
from tests.system.server import Server

LETTERS = ("/confirm-email", "/setup-new-password")
DONE = tuple(f"{path}?done" for path in LETTERS)
REFUSED = {"/chats/": 401}
OURS = (*LETTERS, *DONE, *REFUSED, "/errors/UNEXPECTED_VALIDATION_ERROR")
DOCUMENTS = ("/docs/protocol", "/docs/events")
PHONE = (360, 740)

REVEAL = "for (const each of document.querySelectorAll('[hidden]')) each.hidden = false;"
"""All languages and states of a page at once."""


def open_page(page: Page, path: str) -> None:
    page.open(page.home + path)
    if path in REFUSED:
        page.expected.append((REFUSED[path], path))


@pytest.fixture(scope="module")
def links(server: Server) -> dict[str, str]:
    """Letters' links that work, by the page that they lead to."""
    found = {}
    with httpx.Client(base_url=server.url, timeout=10) as http:
        for path, template in zip(LETTERS, ("sign-up", "password/reset"), strict=True):
            reader = LetterReader(server, http)
            if template == "sign-up":
                found[path] = reader.sign_up()
            else:
                reader.join()
                found[path] = reader.forget()
    return found


def contrasts(page: Page) -> list[tuple[str, float, float]]:
    found: list[Any] = page.run(REVEAL + CONTRASTS)
    return [tuple(each) for each in found]


def widths(page: Page) -> tuple[int, int]:
    """What there is, and what can be seen without scrolling."""
    there, seen = page.run("return [document.documentElement.scrollWidth, innerWidth]")
    return there, seen


@pytest.mark.parametrize("language", ["ru", "en"])
@pytest.mark.parametrize("path", LETTERS)
def test_whatever_can_be_used_has_a_name(page: Page, links: dict[str, str], path: str, language: str) -> None:
    page.speak(language)
    page.open(links[path])
    page.first("input, button").found()
    names = page.accessible_names("input, button")
    assert all(names)
    assert len(set(names)) == len(names) == {"/confirm-email": 1, "/setup-new-password": 3}[path]
    assert page.run("return document.documentElement.lang") == language
    assert len(page.texts("h1")) == 1


@pytest.mark.parametrize("path", [*OURS, *DOCUMENTS, *(f"link to {path}" for path in LETTERS)])
def test_it_has_a_title_and_a_language_fits_a_phone_and_can_be_used_and_read_by_day_and_by_night(
    page: Page, links: dict[str, str], path: str
) -> None:
    require_axe()
    page.resize(*PHONE, phone=True)
    if path.startswith("link to "):
        page.open(links[path.removeprefix("link to ")])
    else:
        open_page(page, path)
    assert page.driver.title.strip()
    assert page.run("return document.documentElement.lang") in {"ru", "en"}
    # On a long page, axe-core takes most of its time for contrasts. They are measured below.
    assert findings(page, leaving_out=CONTRAST if path in DOCUMENTS else ()) == []
    for scheme in ("light", "dark"):
        page.prefer(scheme)
        found = contrasts(page)
        assert widths(page) == (PHONE[0], PHONE[0])
        assert len(found) >= 2
        assert [each for each in found if each[1] < 4.5] == []
        assert (found[0][2] < 0.1) == (scheme == "dark")


SHOW = """
const widths = [];
for (const [code, text] of arguments[0]) {
  document.querySelector("h1 code").textContent = code;
  document.querySelector("main p").textContent = text;
  widths.push([code, document.documentElement.scrollWidth, innerWidth]);
}
return widths;
"""
"""Shows the words of one page after the other in the place of those of the open one, which differs in nothing else."""


def test_each_code_has_a_page_that_fits_a_phone(page: Page, server: Server) -> None:
    page.resize(*PHONE, phone=True)
    words = []
    with httpx.Client(base_url=server.url, timeout=30) as http:
        for code in EXPLANATIONS:
            text = http.get(f"/errors/{code}").text
            ((title, heading, said),) = re.findall(
                r"<title>(.*?)</title>.*<h1><code>(.*?)</code></h1>\s*<p>(.*?)</p>", text, re.DOTALL
            )
            assert (title, heading) == (code, code)
            assert said.strip()
            words.append((code, unescape(said)))
    page.open(f"{page.home}/errors/{words[0][0]}")
    assert page.texts("h1, main p") == [words[0][0], page.text("main p")]
    assert page.run(SHOW, words) == [[code, PHONE[0], PHONE[0]] for code, _ in words]
