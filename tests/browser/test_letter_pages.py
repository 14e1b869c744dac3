"""What happens between a letter and signing in, as the person does it."""

import re
from collections.abc import Iterator
from email.message import EmailMessage
from itertools import count
from typing import Any

import httpx
import pytest
from attrs import define, field
from selenium.webdriver.common.keys import Keys

from tests.browser.browser import Page
from tests.browser.conftest import APP, SECRET
from tests.system.client import data, expired
from tests.system.server import Server

PASSWORD = "Кошка-и-чай-1"
BETTER = "Два-кота-и-чай-2"

CONFIRM, CHOOSE = "/confirm-email", "/setup-new-password"

NUMBERS = count(1)


@define(eq=False)
class LetterReader:
    """Has a mailbox and an application on some other device."""

    server: Server
    http: httpx.Client
    email: str = field(factory=lambda: f"person{next(NUMBERS)}@example.com")

    def sign_up(self) -> str:
        """The link that comes."""
        data(self.http.post("/accounts/sign-up/", json={"email": self.email, "password": PASSWORD}))
        return self._link("/confirm-email?token=")

    def forget(self) -> str:
        data(self.http.post("/accounts/password/reset/", json={"email": self.email}))
        return self._link("/setup-new-password?token=")

    def sign_in(self, password: str) -> httpx.Response:
        body = {"email": self.email, "password": password, "fingerprint": "application"}
        return self.http.post("/accounts/sign-in/", json=body)

    def can_sign_in(self, password: str) -> bool:
        return self.sign_in(password).status_code == httpx.codes.OK

    def devices(self, token: str) -> list[dict[str, Any]]:
        headers = {"Authorization": f"Bearer {token}"}
        found: list[dict[str, Any]] = data(self.http.get("/accounts/sessions/", headers=headers))
        return found

    def join(self) -> None:
        """Has an account, and is signed in nowhere."""
        _, _, token = self.sign_up().partition("?token=")
        body = {"confirmationToken": token, "fingerprint": "elsewhere"}
        data(self.http.post("/accounts/email/confirm/", json=body))
        data(self.http.post("/accounts/sign-out/"))

    def _link(self, beginning: str) -> str:
        """Returns the link of the first letter that has one; letters about devices have none."""
        for number in count(1):
            self.server.await_letter(self.email, number=number)
            for link in links_in(self.server.letters(self.email)[number - 1]):
                if beginning in link:
                    return link
        raise AssertionError


def links_in(letter: EmailMessage) -> set[str]:
    """The same in the letter's text and in its HTML."""
    text, page = (letter.get_body((kind,)) for kind in ("plain", "html"))
    assert text is not None
    assert page is not None
    found = [
        set(re.findall(r"http://[^\s\"<>]+\?token=[\w.-]+", body.get_content())) for body in (text, page)
    ]
    assert found[0] == found[1]
    return found[0]


@define
class Words:
    confirm: str
    asks: str
    confirmed: str
    void: str
    save: str
    chooses: str
    changed: str
    differ: str
    rule: str
    unfit: str
    common: str
    silent: str
    sign_in: str
    nothing: str


WORDS = {
    "ru": Words(
        confirm="Подтвердить адрес",
        asks="Подтвердите свой адрес",
        confirmed="Адрес подтверждён",
        void="Ссылка больше не действует",
        save="Сохранить пароль",
        chooses="Выберите новый пароль",
        changed="Пароль изменён",
        differ="Пароли не совпадают.",
        rule="Нужно от 8 до 128 знаков, с цифрой, и с русской буквой или с латинскими строчной и заглавной.",
        unfit="Этот пароль не подходит: что нужно, сказано выше.",
        common="Этот пароль слишком распространён: такие угадывают первыми. Выберите другой.",
        silent="Сервер сейчас не отвечает.",
        sign_in="Войти",
        nothing="Здесь ничего нет",
    ),
    "en": Words(
        confirm="Confirm the address",
        asks="Confirm your address",
        confirmed="Your address is confirmed",
        void="This link no longer works",
        save="Save the password",
        chooses="Choose a new password",
        changed="Your password is changed",
        differ="The passwords differ.",
        rule="It takes 8 to 128 characters, with a digit, and with a Cyrillic letter or both a small and a capital Latin one.",
        unfit="This password does not fit: see above what it takes.",
        common="This password is too common: such are guessed first. Please choose another.",
        silent="The server does not answer just now.",
        sign_in="Sign in",
        nothing="Nothing is here",
    ),
}


@pytest.fixture
def person(server: Server) -> Iterator[LetterReader]:
    with httpx.Client(base_url=server.url, timeout=10) as http:
        yield LetterReader(server, http)


@pytest.fixture(params=WORDS)
def words(page: Page, request: pytest.FixtureRequest) -> Words:
    """The words of the language that the browser asks for."""
    page.speak(request.param)
    return WORDS[request.param]


@pytest.fixture(params=[("scripts", "ru"), ("no scripts", "en")], ids=" ".join)
def either(page: Page, request: pytest.FixtureRequest) -> tuple[Page, Words]:
    """The browser as most people have it, and as the careful do."""
    scripts, language = request.param
    page.run_scripts(allowed=scripts == "scripts")
    page.speak(language)
    return page, WORDS[language]


def garbled(link: str) -> Iterator[str]:
    before, _, token = link.partition("?token=")
    head, claims, signature = token.split(".")
    yield f"{before}?token={head}.{claims}.{signature[::-1]}"
    yield f"{before}?token={token[:-20]}"
    yield f"{before}?token=%00{token}"
    yield f"{before}?token=%3Cb%3E"
    yield before


def late(link: str) -> str:
    before, _, token = link.partition("?token=")
    return f"{before}?token={expired(token, SECRET)}"


def await_complaint(page: Page, complaint: str) -> None:
    page.until(lambda: [each.startswith(complaint) for each in page.texts(".problem")] == [True])


def fill(page: Page, first: str, second: str | None = None) -> None:
    for name, text in (("first", first), ("second", first if second is None else second)):
        page.one(f"input[name={name}]").put(text)


def assert_way_on(page: Page, words: Words) -> None:
    way = page.one("a")
    assert (way.text, way.get("href")) == (words.sign_in, APP)


class TestConfirming:
    def test_then_one_signs_in(self, either: tuple[Page, Words], person: LetterReader) -> None:
        page, words = either
        link = person.sign_up()
        page.open(link)
        page.await_heading(words.asks)
        assert person.email in page.text()
        assert not person.can_sign_in(PASSWORD), "looking is not confirming"
        page.press(words.confirm)
        page.await_heading(words.confirmed)
        assert_way_on(page, words)
        page.driver.refresh()
        page.await_heading(words.confirmed)
        token = data(person.sign_in(PASSWORD))["accessToken"]
        assert [device["fingerprint"] for device in person.devices(token)] == ["application"]
        assert len(person.server.letters(person.email)) == 1, "no device was known, so none is new"
        page.open(link)
        page.await_heading(words.void)

    def test_a_link_that_is_none(self, page: Page, person: LetterReader) -> None:
        link = person.sign_up()
        others = [*garbled(link), late(link)]
        for other in others:
            page.open(other)
            page.await_heading(WORDS["en"].void)
        assert not person.can_sign_in(PASSWORD)

    def test_by_keyboard_while_the_network_comes_and_goes(
        self, page: Page, person: LetterReader, words: Words
    ) -> None:
        page.open(person.sign_up())
        page.connect(online=False)
        page.type(Keys.TAB)
        page.until(lambda: page.button(words.confirm).has_focus)
        assert page.run("return getComputedStyle(document.activeElement).outlineStyle") == "solid"
        page.type(Keys.ENTER)
        await_complaint(page, words.silent)
        page.expected.append((0, CONFIRM))
        page.until(lambda: page.button(words.confirm).has_focus)
        page.connect(online=True)
        page.type(Keys.SPACE)
        page.await_heading(words.confirmed)

    def test_pressed_twice_it_is_sent_once(self, page: Page, person: LetterReader) -> None:
        words = WORDS["en"]
        page.open(person.sign_up())
        page.run("const button = document.querySelector('button'); button.click(); button.click();")
        page.await_heading(words.confirmed)


class TestForgottenPassword:
    def test_then_the_new_one_signs_in_and_nobody_else_is(
        self, either: tuple[Page, Words], person: LetterReader
    ) -> None:
        page, words = either
        person.join()
        before = data(person.sign_in(PASSWORD))["accessToken"]
        page.open(person.forget())
        page.await_heading(words.chooses)
        # A browser that keeps passwords keeps it under this.
        username = page.run("return document.querySelector('form').elements.username.value")
        assert username == person.email
        fill(page, BETTER)
        page.press(words.save)
        page.await_heading(words.changed)
        assert_way_on(page, words)
        assert not person.can_sign_in(PASSWORD)
        token = data(person.sign_in(BETTER))["accessToken"]
        assert [device["fingerprint"] for device in person.devices(token)] == ["application"]
        me = person.http.get("/accounts/me/", headers={"Authorization": f"Bearer {before}"})
        assert me.status_code == 401

    def test_each_refusal_says_why_and_costs_nothing(
        self, either: tuple[Page, Words], person: LetterReader
    ) -> None:
        page, words = either
        person.join()
        link = person.forget()
        page.open(link)
        tries = [
            (BETTER, PASSWORD, words.differ),
            ("Кот-7", None, words.unfit),
            ("Password1", None, words.common),
            ("Ни-одной-цифры", None, words.unfit),
        ]
        assert words.rule in page.text()
        # Each complaint is another one than that before it, which is still to be seen when the button is pressed.
        for first, second, complaint in tries:
            fill(page, first, second)
            page.press(words.save)
            await_complaint(page, complaint)
            page.until(lambda: page.first("input").has_focus)
        # That passwords differ is told by the script, where it may run, and otherwise by the server.
        page.expected += [(422, CHOOSE)] * (3 if words is WORDS["ru"] else 4)
        assert person.can_sign_in(PASSWORD)
        page.open(link)  # as after a reload
        page.await_heading(words.chooses)
        fill(page, BETTER)
        page.press(words.save)
        page.await_heading(words.changed)
        assert person.can_sign_in(BETTER)

    def test_a_link_that_is_none_is_told_before_anybody_types(self, page: Page, person: LetterReader) -> None:
        person.join()
        link = person.forget()
        person.forget()  # a newer letter voids it
        others = [link, *garbled(link), late(link)]
        for other in others:
            page.open(other)
            page.await_heading(WORDS["en"].void)
            assert page.count("input") == 0
        assert person.can_sign_in(PASSWORD)

    def test_by_keyboard_while_the_network_comes_and_goes(
        self, page: Page, person: LetterReader, words: Words
    ) -> None:
        person.join()
        page.open(person.forget())
        page.connect(online=False)
        page.type(Keys.TAB, BETTER, Keys.TAB, BETTER, Keys.TAB)
        page.until(lambda: page.button(words.save).has_focus)
        page.type(Keys.SPACE)
        await_complaint(page, words.silent)
        page.expected.append((0, CHOOSE))
        page.connect(online=True)
        page.type(Keys.ENTER)  # what was typed is still there
        page.await_heading(words.changed)
        assert person.can_sign_in(BETTER)


@pytest.mark.parametrize(
    ("languages", "heading"),
    [
        ("ru-RU,en", WORDS["ru"].nothing),
        ("kk,ru,en", WORDS["ru"].nothing),
        ("de,en-GB,ru", WORDS["en"].nothing),
        ("de", WORDS["en"].nothing),
    ],
)
def test_errors_are_pages_in_the_first_language_that_there_is(
    page: Page, languages: str, heading: str
) -> None:
    page.speak(languages)
    page.open(f"{page.home}/nothing-here")
    page.await_heading(heading)
    page.expected.append((404, "/nothing-here"))
