import email
import email.policy
from email.headerregistry import Address
from email.message import EmailMessage

import pytest
from attrs import evolve
from hypothesis import example, given, reject
from hypothesis import strategies as st

from application.ports.mailer import NotDelivered
from domain.account import Email, EmailIncorrect
from domain.notification import Letter, Template
from domain.session import Origin
from infrastructure.smtp.writing import LetterWriter, mailable
from tests.infrastructure.smtp.sink import letter_to

TOKEN = "eyJ0.eyJ1.c2ln"
HEADERS = ["From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type"]


def written(writer: LetterWriter, address: str) -> EmailMessage:
    """Writes a letter and parses it as its recipient does."""
    sent = writer.write(letter_to(address), TOKEN)
    policy = email.policy.SMTP if address.isascii() else email.policy.SMTPUTF8
    received = email.message_from_string(sent.as_bytes(policy=policy).decode(), policy=email.policy.default)
    assert isinstance(received, EmailMessage)
    return received


def test_both_languages_as_text_and_as_html(writer: LetterWriter) -> None:
    message = written(writer, "new@example.com")
    link = f"https://chat.example/confirm-email?token={TOKEN}"
    for kind in ("plain", "html"):
        body = message.get_body((kind,))
        assert body is not None
        content = body.get_content()
        assert link in content
        assert "Здравствуйте" in content
        assert "Hello" in content
        assert "25.11.2026 03:32" in content
        assert "2026-11-25 03:32" in content
    assert str(message["From"]) == "Мессенджер <robot@example.com>"
    assert message["Subject"] == "Подтвердите адрес почты · Confirm your e-mail address"


FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"


def bodies(writer: LetterWriter, letter: Letter) -> list[str]:
    """The plain text and the HTML, decoded."""
    token = TOKEN if letter.link else None
    received = email.message_from_bytes(writer.write(letter, token).as_bytes(), policy=email.policy.default)
    assert isinstance(received, EmailMessage)
    found = [received.get_body((kind,)) for kind in ("plain", "html")]
    return [body.get_content() for body in found if body is not None]


def letter_of(template: Template) -> Letter:
    confirming = letter_to("one@example.com")
    asks = template in {Template.CONFIRM_EMAIL, Template.RESET_PASSWORD}
    return evolve(confirming, template=template, link=confirming.link if asks else None)


@pytest.mark.parametrize("template", list(Template))
def test_a_letter_says_when_and_from_where(writer: LetterWriter, template: Template) -> None:
    origin = Origin(user_agent=FIREFOX, address="2001:db8::1")
    written = bodies(writer, evolve(letter_of(template), origin=origin))
    assert len(written) == 2
    for text in written:
        for part in ("Здравствуйте", "Hello", "23.11.2026 03:32 UTC", "2026-11-23 03:32 UTC"):
            assert part in text
        assert text.count("2001:db8::1") == text.count("Firefox, Windows") == 2


@pytest.mark.parametrize("template", [Template.PASSWORD_CHANGED, Template.NEW_DEVICE])
def test_a_report_asks_nobody_to_follow_a_link(writer: LetterWriter, template: Template) -> None:
    for text in bodies(writer, letter_of(template)):
        assert "http" not in text


@pytest.mark.parametrize("template", [Template.PASSWORD_CHANGED, Template.PASSWORD_CHANGED_WAYS_KEPT])
def test_a_changed_password_and_what_stays(writer: LetterWriter, template: Template) -> None:
    for text in bodies(writer, letter_of(template)):
        words = " ".join(text.split())
        assert ("Ключи доступа и другие сервисы" in words) is (
            template is Template.PASSWORD_CHANGED_WAYS_KEPT
        )
        assert ("Passkeys and other services" in words) is (template is Template.PASSWORD_CHANGED_WAYS_KEPT)
        assert "the password of your account with the messenger was changed" in words
        assert "If it was you, there is nothing to do." in words


@pytest.mark.parametrize("template", list(Template))
def test_nobody_writes_letters_through_us(writer: LetterWriter, template: Template) -> None:
    evil = Origin(user_agent="Win <b>a prize</b> at http://evil.example", address="evil.example")
    for text in bodies(writer, evolve(letter_of(template), origin=evil)):
        assert "evil" not in text
        assert "prize" not in text


def test_the_letter_for_a_forgotten_password_leads_to_its_page(writer: LetterWriter) -> None:
    for text in bodies(writer, letter_of(Template.RESET_PASSWORD)):
        assert f"https://chat.example/setup-new-password?token={TOKEN}" in text
        assert "confirm-email" not in text


def test_the_logo_comes_with_the_letter(writer: LetterWriter) -> None:
    message = written(writer, "new@example.com")
    (logo,) = [part for part in message.walk() if part.get_content_type() == "image/png"]
    assert logo["Content-ID"] == "<logo>"
    assert logo.get_content_disposition() == "inline"
    html = message.get_body(("html",))
    assert html is not None
    assert 'src="cid:logo"' in html.get_content()
    assert logo.get_payload(decode=True).startswith(b"\x89PNG")  # type: ignore[union-attr]  # bytes, if decoded


def test_tokens_cannot_break_a_link(writer: LetterWriter) -> None:
    assert (
        writer.link(Template.CONFIRM_EMAIL, 'a&b=c d"<')
        == "https://chat.example/confirm-email?token=a%26b%3Dc+d%22%3C"
    )


ORDINARY = st.text(
    st.characters(exclude_categories=["C", "Z"], exclude_characters="@"), min_size=2, max_size=20
)
HOSTILE = st.text('=?utf8q_0daBC:,;<>()[]"\\.-%#é\u0301', min_size=2, max_size=30)
LABELS = st.lists(st.text("abc-é", min_size=2, max_size=5), min_size=2, max_size=4).map(".".join)


@given(local=ORDINARY | HOSTILE, domain=LABELS | st.builds("{}.{}".format, ORDINARY | HOSTILE, HOSTILE))
@example(local="=?utf-8?q?=0d=0aBcc=3a_evil?=", domain="example.com")
@example(local="a", domain="=?utf-8?q?=0d=0a?=.com")
@example(local="a,b", domain="example.com")
@example(local="a<b>", domain="example.com")
@example(local='"a', domain="example.com")
@example(local="a(comment)", domain="example.com")
@example(local="a", domain="example.com>,<b.cc")
@example(local="é", domain="пример.рф")
def test_no_address_can_change_a_header(local: str, domain: str) -> None:
    try:
        address = Email(f"{local}@{domain}").text
    except EmailIncorrect:
        reject()
    writer = LetterWriter(
        sender=Address("", "robot", "example.com"),
        confirm_url="https://chat.example/c",
        reset_url="https://chat.example/r",
    )
    try:
        message = written(writer, address)
    except NotDelivered:
        return
    assert list(message) == HEADERS
    (to,) = message["To"].addresses
    assert to.username == local
    assert to.domain == domain.encode("idna").decode()


@pytest.mark.parametrize(
    "address", ["new@example.com", "a.b+tag@sub.example.co", "o'neil@example.com", "иван@example.com"]
)
def test_usual_addresses_are_mailable(address: str) -> None:
    assert mailable(Email(address)).addr_spec == address
