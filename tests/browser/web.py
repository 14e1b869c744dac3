"""What a person does with the web client."""

from typing import Any, Self

from attrs import define
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from tests.browser.browser import Page

MESSAGES = "[...document.querySelectorAll('.message')].map((each) => each.querySelector('.text').innerText)"


@define(eq=False)
class Tab:
    """
    A window with the web client. Cookies and storage belong to a host, so that two names of one server are two people in
    one browser, and two windows with the same name are those of one person.
    """

    page: Page
    handle: str
    home: str

    @classmethod
    def opened(cls, page: Page, home: str, *, language: str = "en") -> Self:
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
        """Waits until the message is stored and shown as such."""
        script = (
            "return [...document.querySelectorAll('.message.own[data-seq]')]"
            ".some((each) => each.querySelector('.text').innerText === arguments[0])"
        )
        self.turn().until(lambda: self.page.run(script, text))

    def state(self) -> dict[str, Any]:
        """What the window's title and the list of chats say."""
        script = "return [...document.querySelectorAll('nav .row')].map((each) => each.innerText)"
        return {"title": self.turn().driver.title, "rows": self.page.run(script)}

    # What is done

    def fill(self, **fields: str) -> None:
        for name, text in fields.items():
            field = self.turn().one(f"[name={name}]")
            self.page.put(field, text)

    def sign_in(self, email: str, password: str) -> None:
        self.fill(email=email, password=password)
        self.page.press({"en": "Sign in", "ru": "Войти"}[self.language])
        self.page.until(lambda: self.page.all("nav .search"))

    @property
    def language(self) -> str:
        language: str = self.turn().run("return document.documentElement.lang")
        return language

    def find(self, name: str) -> None:
        """Opens the direct chat with a person who is found by name."""
        search = self.turn().one("#search")
        search.send_keys(name)
        self.row(name).click()

    def row(self, name: str) -> WebElement:
        script = (
            "return [...document.querySelectorAll('nav .row')]"
            ".filter((each) => each.querySelector('.name').innerText === arguments[0])"
        )
        rows: list[WebElement] = self.turn().until(lambda: self.page.run(script, name))
        return rows[0]

    def write(self, text: str) -> None:
        field = self.turn().one("textarea")
        self.page.run("arguments[0].focus()", field)
        self.page.emulate("Input.insertText", text=text)
        self.page.type(Keys.ENTER)
