"""A newcomer finds out how the messenger is, and reads letters in the browser."""

import pytest

from tests.browser.axe import assert_accessible, require_axe
from tests.browser.browser import Page, Place
from tests.browser.web import NUMBERS, PASSWORD, Browser
from tests.system.server import Server


@pytest.mark.parametrize(
    ("language", "works", "name"), [("en", "yes", "database"), ("ru", "да", "база данных")]
)
def test_it_says_that_all_is_well(page: Page, language: str, works: str, name: str) -> None:
    page.speak(language)
    page.open(f"{page.home}/app/status")
    assert page.texts("dd.well") == [works] * 3
    assert page.texts("dd.unwell") == []
    facts = dict(zip(page.texts("dt"), page.texts("dd"), strict=True))
    assert "LOCAL" in facts.values()
    assert facts[name].startswith("PostgreSQL, embedded in ")
    assert "admin@admin.ru" in page.texts("td")
    there, seen = page.run("return [document.documentElement.scrollWidth, innerWidth]")
    assert there <= seen


def test_a_letter_is_read_and_its_link_followed(page: Page, server: Server, browser: Browser) -> None:
    require_axe()
    email = f"web{next(NUMBERS)}@example.com"
    tab = browser.open()
    page.await_heading("Messenger")
    page.press("Create an account")
    tab.fill(email=email, password=PASSWORD)
    page.press("Create an account")
    server.await_letter(email)
    page.open(f"{page.home}/app/status")
    assert_accessible(page)
    letters = (
        "[...document.querySelectorAll('tbody tr')].filter((each) => each.innerText.includes(arguments[0]))"
    )
    Place(page, f"{letters}.map((each) => each.querySelector('a'))", (email,)).click()
    page.await_texts("h1", "Подтвердите адрес почты · Confirm your e-mail address")
    page.resize(360, 740, phone=True)
    there, seen = page.run("return [document.documentElement.scrollWidth, innerWidth]")
    assert there <= seen
    assert_accessible(page)
    # The letter itself is in a frame. It shows its picture, and its link opens instead of the page around it.
    page.one("iframe").enter()
    page.until(
        lambda: (
            page.run("return [...document.images].map((each) => each.complete && each.naturalWidth > 0)")
            == [True]
        )
    )
    assert page.run("return getComputedStyle(document.body).fontFamily") == "sans-serif"  # its styles apply
    page.first("a[href*='token=']").click()
    page.driver.switch_to.default_content()
    page.await_heading("Confirm your address")
    page.press("Confirm the address")
    page.await_heading("Your address is confirmed")
