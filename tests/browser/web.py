"""What a person does with the web client."""

import re
from itertools import count
from typing import Any, Final, Self

import httpx
from attrs import define, field
from selenium.webdriver.common.keys import Keys

from tests.browser.browser import Page, Place, assert_readable
from tests.system.client import data
from tests.system.server import Server

PASSWORD: Final = "Кошка-и-чай-1"
NUMBERS: Final = count(1)
"""Numbers of people, so that each has an address of its own."""

MESSAGES: Final = (
    "[...document.querySelectorAll('.message')].map((each) => each.querySelector('.text').innerText)"
)


@define(eq=False)
class Tab:
    """
    A window with the web client; the first one is that which is always there. Cookies and storage belong to a host, so that two names of one server are two people in
    one browser, and two windows with the same name are those of one person.
    """

    page: Page
    handle: str
    home: str

    @classmethod
    def opened(cls, page: Page, home: str, *, language: str = "en", is_new: bool = True) -> Self:
        if is_new:
            page.driver.switch_to.new_window("window")
        tab = cls(page, page.driver.current_window_handle, home)
        page.emulate("Page.bringToFront")
        page.emulate("Emulation.setFocusEmulationEnabled", enabled=True)
        page.speak(language)
        page.open(f"{home}/app/")
        return tab

    def turn(self) -> Page:
        """Makes this the window that the driver talks to."""
        if self.page.driver.current_window_handle != self.handle:
            self.page.driver.switch_to.window(self.handle)
        return self.page

    # What there is

    def messages(self) -> list[str]:
        texts: list[str] = self.turn().run(f"return {MESSAGES}")
        return texts

    def await_message(self, text: str) -> None:
        self.turn().until(lambda: text in self.messages())

    def await_sent(self, text: str) -> None:
        """Waits until the message is stored and shown as such, and no longer as one that is on its way."""
        script = (
            "const own = [...document.querySelectorAll('.message.own')]"
            ".filter((each) => each.querySelector('.text').innerText === arguments[0]);"
            "return own.length > 0 && own.every((each) => each.dataset.seq !== undefined);"
        )
        self.turn().until(lambda: self.page.run(script, text))

    def state(self) -> dict[str, Any]:
        """What the window's title and the list of chats say."""
        script = "return [...document.querySelectorAll('nav .row')].map((each) => each.innerText)"
        return {"title": self.turn().driver.title, "rows": self.page.run(script)}

    # What is done

    def fill(self, **fields: str) -> None:
        for name, text in fields.items():
            self.turn().one(f"[name={name}]").put(text)

    def sign_in(self, email: str, password: str) -> None:
        self.fill(email=email, password=password)
        self.page.press({"en": "Sign in", "ru": "Войти"}[self.language])
        self.await_signed_in()

    def await_signed_in(self) -> None:
        self.turn().one("nav .search").found()

    def await_entrance(self) -> None:
        """Waits for where one signs in."""
        self.turn().one("[name=email]").found()

    @property
    def language(self) -> str:
        language: str = self.turn().run("return document.documentElement.lang")
        return language

    def find(self, name: str) -> None:
        """Opens the direct chat with a person who is found by name."""
        self.turn().one("#search").put(name)
        self.row(name).click()

    def row(self, name: str) -> Place:
        """The first row of the list with this name."""
        script = (
            "[...document.querySelectorAll('nav .row')]"
            ".filter((each) => each.querySelector('.name').innerText === arguments[0])"
        )
        return Place(self.turn(), script, (name,), is_only=False)

    def write(self, text: str) -> None:
        self.turn().one("textarea").put(text)
        self.page.type(Keys.ENTER)


@define
class Somebody:
    name: str
    email: str
    profile_id: str
    token: str


def somebody(server: Server, first_name: str) -> Somebody:
    """Has an account with a confirmed address and a name."""
    email = f"web{next(NUMBERS)}@example.com"
    with httpx.Client(base_url=server.url, timeout=30) as http:
        data(http.post("/accounts/sign-up/", json={"email": email, "password": PASSWORD}))
        letter = server.await_letter(email).get_body(("plain",))
        assert letter is not None
        found = re.search(r"token=([\w.-]+)", letter.get_content())
        assert found is not None
        body = {"confirmationToken": found[1], "fingerprint": "elsewhere"}
        token = data(http.post("/accounts/email/confirm/", json=body))["accessToken"]
        headers = {"Authorization": f"Bearer {token}"}
        profile = data(http.patch("/accounts/profile/", json={"firstName": first_name}, headers=headers))
    return Somebody(first_name, email, profile["id"], token)


def assert_well(page: Page) -> None:
    """Nothing is wider than the window, everything that can be used has a name, and each text can be read."""
    there, seen = page.run("return [document.documentElement.scrollWidth, innerWidth]")
    assert there <= seen
    nameless = page.run(
        "return [...document.querySelectorAll('button, input, textarea, a')].filter((each) => each.checkVisibility()"
        " && !(each.ariaLabel || each.innerText.trim() || each.labels?.length)).map((each) => each.outerHTML)"
    )
    assert nameless == []
    assert_readable(page)


@define
class Browser:
    """Opens windows for one person after the other, up to two."""

    page: Page
    homes: list[str]
    tabs: list[Tab] = field(factory=list)

    def open(self, *, language: str = "en") -> Tab:
        """For another person."""
        return self.open_beside(self.homes[len({tab.home for tab in self.tabs})], language=language)

    def open_beside(self, home: str, *, language: str = "en") -> Tab:
        tab = Tab.opened(self.page, home, language=language, is_new=bool(self.tabs))
        self.tabs.append(tab)
        return tab
