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
from tests.browser.conftest import SECRET
from tests.system.client import data, expired
from tests.system.server import Server

PASSWORD = "Кошка-и-чай-1"
BETTER = "Два-кота-и-чай-2"

CONFIRM, REDEEM, SET = "/accounts/email/confirm/", "/accounts/token/redeem/", "/accounts/password/set/"

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
        """As the page does it."""
        _, _, token = self.sign_up().partition("?token=")
        body = {"confirmationToken": token, "fingerprint": "elsewhere"}
        data(self.http.post(CONFIRM, json=body))
        data(self.http.post("/accounts/sign-out/"))

    def _link(self, beginning: str) -> str:
        """Of the first letter that has one such; there may be others, about devices."""
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
    failed: str
    again: str
    save: str
    chooses: str
    changed: str
    differ: str
    rule: str
    unfit: str
    common: str
    silent: str
    needs_script: str


WORDS = {
    "ru": Words(
        confirm="Подтвердить адрес",
        asks="Подтвердите свой адрес",
        confirmed="Адрес подтверждён",
        void="Ссылка больше не действует",
        failed="Не получилось",
        again="Попробовать ещё раз",
        save="Сохранить пароль",
        chooses="Выберите новый пароль",
        changed="Пароль изменён",
        differ="Пароли не совпадают.",
        rule="Нужно от 8 до 128 знаков, с цифрой, и с русской буквой или с латинскими строчной и заглавной.",
        unfit="Этот пароль не подходит: что нужно, сказано выше.",
        common="Этот пароль слишком распространён: такие угадывают первыми. Выберите другой.",
        silent="Сервер сейчас не отвечает. Попробуйте ещё раз через минуту.",
        needs_script="включите JavaScript",
    ),
    "en": Words(
        confirm="Confirm the address",
        asks="Confirm your address",
        confirmed="Your address is confirmed",
        void="This link no longer works",
        failed="That did not work",
        again="Try again",
        save="Save the password",
        chooses="Choose a new password",
        changed="Your password is changed",
        differ="The passwords differ.",
        rule="It takes 8 to 128 characters, with a digit, and with a Cyrillic letter or both a small and a capital Latin one.",
        unfit="This password does not fit: see above what it takes.",
        common="This password is too common: such are guessed first. Please choose another.",
        silent="The server does not answer just now. Please try again in a minute.",
        needs_script="turn JavaScript on",
    ),
}


@pytest.fixture
def person(server: Server) -> Iterator[LetterReader]:
    with httpx.Client(base_url=server.url, timeout=10) as http:
        yield LetterReader(server, http)


@pytest.fixture(params=WORDS)
def words(page: Page, request: pytest.FixtureRequest) -> Words:
    """Of the language that the browser asks for."""
    page.speak(request.param)
    return WORDS[request.param]


def garbled(link: str) -> Iterator[str]:
    before, _, token = link.partition("?token=")
    head, claims, signature = token.split(".")
    yield f"{before}?token={head}.{claims}.{signature[::-1]}"
    yield f"{before}?token={token[:-20]}"
    yield f"{before}?token=%00{token}"
    yield f"{before}?token=%3Cb%3E"


def late(link: str) -> str:
    before, _, token = link.partition("?token=")
    return f"{before}?token={expired(token, SECRET)}"


class TestConfirming:
    def test_then_one_signs_in(self, page: Page, person: LetterReader, words: Words) -> None:
        link = person.sign_up()
        page.open(link)
        page.await_heading(words.asks)
        assert not person.can_sign_in(PASSWORD), "looking is not confirming"
        page.press(words.confirm)
        page.await_heading(words.confirmed)
        token = data(person.sign_in(PASSWORD))["accessToken"]
        assert [device["fingerprint"] for device in person.devices(token)] == ["application"]

    def test_a_link_works_once(self, page: Page, person: LetterReader, words: Words) -> None:
        link = person.sign_up()
        for heading in (words.confirmed, words.void):
            page.open(link)
            page.press(words.confirm)
            page.await_heading(heading)
        page.expected.append((401, CONFIRM))
        assert person.can_sign_in(PASSWORD)

    def test_a_link_that_is_none(self, page: Page, person: LetterReader) -> None:
        words = WORDS["en"]
        link = person.sign_up()
        for other in (*garbled(link), late(link)):
            page.open(other)
            page.press(words.confirm)
            page.await_heading(words.void)
        page.expected += [(401, CONFIRM), (401, CONFIRM), (422, CONFIRM), (401, CONFIRM), (401, CONFIRM)]
        page.open(link.partition("?")[0])
        page.await_heading(words.void)
        assert not person.can_sign_in(PASSWORD)

    def test_by_keyboard_while_the_network_comes_and_goes(
        self, page: Page, person: LetterReader, words: Words
    ) -> None:
        page.open(person.sign_up())
        page.connect(online=False)
        page.type(Keys.TAB)
        assert page.focused == page.button(words.confirm)
        assert page.run("return getComputedStyle(document.activeElement).outlineStyle") == "solid"
        page.type(Keys.ENTER)
        page.await_heading(words.failed)
        page.expected.append((0, CONFIRM))
        assert page.focused == page.button(words.again)
        page.connect(online=True)
        page.type(Keys.SPACE)
        page.await_heading(words.confirmed)

    def test_without_scripts_it_says_what_it_needs(self, page: Page, person: LetterReader) -> None:
        page.run_scripts(allowed=False)
        page.open(person.sign_up())
        for words in WORDS.values():
            assert words.asks in page.text()
            assert words.needs_script in page.text()
        assert page.all("button") == []


class TestForgottenPassword:
    def fill(self, page: Page, first: str, second: str | None = None) -> None:
        for element, text in zip(
            page.all("input"), (first, first if second is None else second), strict=True
        ):
            page.put(element, text)

    def await_complaint(self, page: Page, complaint: str) -> None:
        page.until(lambda: page.texts(".problem") == [complaint])

    def test_then_the_new_one_signs_in_and_nobody_else_is(
        self, page: Page, person: LetterReader, words: Words
    ) -> None:
        person.join()
        before = data(person.sign_in(PASSWORD))["accessToken"]
        page.open(person.forget())
        page.await_heading(words.chooses)
        # A browser that keeps passwords keeps it under this.
        assert page.run("return document.querySelector('form').elements.username.value") == person.email
        self.fill(page, BETTER)
        page.press(words.save)
        page.await_heading(words.changed)
        assert not person.can_sign_in(PASSWORD)
        token = data(person.sign_in(BETTER))["accessToken"]
        assert [device["fingerprint"] for device in person.devices(token)] == ["application"]
        me = person.http.get("/accounts/me/", headers={"Authorization": f"Bearer {before}"})
        assert me.status_code == 401

    def test_each_refusal_says_why_and_costs_nothing(
        self, page: Page, person: LetterReader, words: Words
    ) -> None:
        person.join()
        page.open(person.forget())
        tries = [
            (BETTER, PASSWORD, words.differ),
            ("Кот-7", None, words.unfit),
            ("Кот" * 42 + "-77", None, words.unfit),
            ("only-small-letters-1", None, words.unfit),
            ("Ни-одной-цифры", None, words.unfit),
            ("Password1", None, words.common),
        ]
        assert words.rule in page.text()
        for first, second, complaint in tries:
            self.fill(page, first, second)
            page.press(words.save)
            self.await_complaint(page, complaint)
            assert page.focused == page.all("input")[0]
        page.expected += [(422, SET)] * 3
        assert person.can_sign_in(PASSWORD)
        self.fill(page, BETTER)
        page.press(words.save)
        page.await_heading(words.changed)
        assert person.can_sign_in(BETTER)

    def test_a_link_works_once(self, page: Page, person: LetterReader, words: Words) -> None:
        person.join()
        link = person.forget()
        for password, heading in ((BETTER, words.changed), (PASSWORD, words.void)):
            page.open(link)
            self.fill(page, password)
            page.press(words.save)
            page.await_heading(heading)
        page.expected.append((401, REDEEM))
        assert person.can_sign_in(BETTER)

    def test_a_link_that_is_none(self, page: Page, person: LetterReader) -> None:
        words = WORDS["en"]
        person.join()
        link = person.forget()
        for other in (*garbled(link), late(link)):
            page.open(other)
            self.fill(page, BETTER)
            page.press(words.save)
            page.await_heading(words.void)
        page.expected += [(401, REDEEM), (401, REDEEM), (422, REDEEM), (401, REDEEM), (401, REDEEM)]
        page.open(link.partition("?")[0])
        page.await_heading(words.void)
        assert person.can_sign_in(PASSWORD)

    def test_by_keyboard_while_the_network_comes_and_goes(
        self, page: Page, person: LetterReader, words: Words
    ) -> None:
        person.join()
        page.open(person.forget())
        page.connect(online=False)
        page.type(Keys.TAB, BETTER, Keys.TAB, BETTER, Keys.TAB)
        assert page.focused == page.button(words.save)
        page.type(Keys.SPACE)
        self.await_complaint(page, words.silent)
        page.expected.append((0, REDEEM))
        page.connect(online=True)
        page.type(Keys.ENTER)
        page.await_heading(words.changed)
        assert person.can_sign_in(BETTER)

    def test_without_scripts_it_says_what_it_needs(self, page: Page, person: LetterReader) -> None:
        person.join()
        page.run_scripts(allowed=False)
        page.open(person.forget())
        for words in WORDS.values():
            assert words.chooses in page.text()
            assert words.needs_script in page.text()
        assert page.all("button, input") == []


@pytest.mark.parametrize(
    ("languages", "heading"),
    [
        ("ru-RU,en", WORDS["ru"].asks),
        ("kk,ru,en", WORDS["ru"].asks),
        ("de,en-GB,ru", WORDS["en"].asks),
        ("de", WORDS["en"].asks),
    ],
)
def test_the_first_language_that_there_is(page: Page, server: Server, languages: str, heading: str) -> None:
    page.speak(languages)
    page.open(f"{page.home}/confirm-email?token=x")
    page.await_heading(heading)
