"""
Writes letters from the templates in ``letters/``: in Russian and English, as plain text and as HTML with the logo in it.

The recipient's address is the only text in a letter that a stranger can choose. A user agent is shown as one of a few
known names or not at all, so that nobody can send texts of their own in our letters. Python's header parser decodes
encoded words inside addresses, line breaks included, so only plain addresses are written into headers.
"""

import ipaddress
from email.headerregistry import Address
from email.message import EmailMessage
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from attrs import field, frozen

from application.ports.mailer import NotDelivered
from domain.account import Email, EmailIncorrect
from domain.notification import Letter, Template

SUBJECTS: Final = {
    Template.CONFIRM_EMAIL: "Подтвердите адрес почты · Confirm your e-mail address",
    Template.RESET_PASSWORD: "Новый пароль · A new password",
    Template.PASSWORD_CHANGED: "Пароль изменён · Your password was changed",
    Template.NEW_DEVICE: "Вход с нового устройства · A new device signed in",
}
LOGO: Final = "logo"
"""The content id by which the HTML refers to the attached picture."""
LETTERS: Final = Path(__file__).parent / "letters"


def mailable(email: Email) -> Address:
    """
    The address as mail headers carry it, with its domain in ASCII.

    Raises:
        NotDelivered: No mail can be sent to this address.
    """
    try:
        mailbox = email.mailbox()
    except EmailIncorrect:
        raise NotDelivered("no mail can be sent to this address", for_good=True) from None
    return Address(username=mailbox.local_part, domain=mailbox.domain)


PROGRAMS: Final = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("YaBrowser/", "Yandex Browser"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
SYSTEMS: Final = (
    ("Windows", "Windows"),
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)
"""The order matters: the user agent of each browser and system also contains names further down."""


def _program(user_agent: str | None) -> str | None:
    """The browser and system that a user agent names, or None if neither is known."""
    named = [
        next((name for mark, name in known if mark in user_agent), None)
        for known in (PROGRAMS, SYSTEMS)
        if user_agent
    ]
    return ", ".join(name for name in named if name) or None


def _network_address(text: str | None) -> str | None:
    try:
        return str(ipaddress.ip_address(text or ""))
    except ValueError:
        return None


@frozen(kw_only=True)
class LetterWriter:
    sender: Address
    confirm_url: str
    """Address of the page that confirms, without the token."""
    reset_url: str
    """Address of the page for a new password, without the token."""
    _logo: bytes = field(factory=(LETTERS / "logo.png").read_bytes, init=False, repr=False)

    def link(self, template: Template, token: str) -> str:
        page = self.reset_url if template is Template.RESET_PASSWORD else self.confirm_url
        return f"{page}?{urlencode({'token': token})}"

    def write(self, letter: Letter, token: str | None) -> EmailMessage:
        """
        Writes the letter. ``token`` goes into its link, if it has one. The first letter takes a tenth of a second: Jinja is
        imported for it, which most processes never need.

        Raises:
            NotDelivered: No mail can be sent to the recipient.
        """
        from infrastructure.smtp.templates import text  # noqa: PLC0415

        message = EmailMessage()
        message["From"] = self.sender
        message["To"] = mailable(letter.recipient)
        message["Subject"] = SUBJECTS[letter.template]
        message["Date"] = letter.created_at
        # The same at each attempt, so that mail programs can show a letter that arrives twice only once.
        message["Message-ID"] = f"<{letter.id}@{self.sender.domain}>"
        message["Auto-Submitted"] = "auto-generated"
        known = {
            "subject": SUBJECTS[letter.template],
            "link": None if token is None else self.link(letter.template, token),
            "expires_at": letter.good_until,
            "happened_at": letter.created_at,
            "address": _network_address(letter.origin.address),
            "program": _program(letter.origin.user_agent),
            "logo": LOGO,
        }
        message.set_content(text(f"{letter.template}.txt", known))
        html = EmailMessage()
        html.set_content(text(f"{letter.template}.html", known), subtype="html")
        html.add_related(
            self._logo, "image", "png", cid=f"<{LOGO}>", disposition="inline", filename="logo.png"
        )
        del html["MIME-Version"]
        message.make_alternative()
        message.attach(html)
        return message
