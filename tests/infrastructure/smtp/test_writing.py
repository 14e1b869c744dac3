import email
import email.policy
from email.headerregistry import Address
from email.message import EmailMessage

import pytest
from hypothesis import example, given, reject
from hypothesis import strategies as st

from application.ports.mailer import NotDelivered
from domain.account import Email, EmailIncorrect
from infrastructure.smtp.writing import LetterWriter, mailable
from tests.infrastructure.smtp.sink import letter_to

TOKEN = "eyJ0.eyJ1.c2ln"
HEADERS = ["From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type"]


def written(writer: LetterWriter, address: str) -> EmailMessage:
    """As whoever receives it will read it."""
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


def test_tokens_cannot_break_a_link(writer: LetterWriter) -> None:
    assert writer.link('a&b=c d"<') == "https://chat.example/confirm-email?token=a%26b%3Dc+d%22%3C"


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
    writer = LetterWriter(sender=Address("", "robot", "example.com"), confirm_url="https://chat.example/c")
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
