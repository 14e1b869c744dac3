"""
Letters, written out: the texts are in ``letters/``, in Russian and English, as plain text and as HTML.

The one thing in a letter that a stranger chose is the address it goes to. Python's parser of headers decodes encoded words
inside addresses, line breaks included, so only plain addresses are written into a header at all.
"""

import re
from email.headerregistry import Address
from email.message import EmailMessage
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from attrs import field, frozen
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from application.ports.mailer import NotDelivered
from domain.account import Email
from domain.notification import Letter, Template

SUBJECTS: Final = {
    Template.CONFIRM_EMAIL: "Подтвердите адрес почты · Confirm your e-mail address",
}

# An atom of RFC 5322, or of RFC 6531 where it is not ASCII. The Email value has no blanks and controls already.
DOT_ATOM: Final = re.compile(r"[\w!#$%&'*+/=?^`{|}~-]+(?:\.[\w!#$%&'*+/=?^`{|}~-]+)*")
DOMAIN: Final = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z0-9-]{2,}", re.IGNORECASE)


def mailable(email: Email) -> Address:
    """
    The address as mail knows it, its domain in ASCII.

    Raises:
        NotDelivered: No mail can be sent to it.
    """
    local, _, domain = email.text.partition("@")
    try:
        domain = domain.encode("idna").decode("ascii")
    except UnicodeError:
        domain = ""
    if not DOT_ATOM.fullmatch(local) or "=?" in local or not DOMAIN.fullmatch(domain):
        raise NotDelivered("no mail can be sent to this address", for_good=True)
    return Address(username=local, domain=domain)


def _templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent / "letters"),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )


@frozen(kw_only=True)
class LetterWriter:
    sender: Address
    confirm_url: str
    """Where a confirmation's link leads, without the token."""
    _templates: Environment = field(factory=_templates, init=False, repr=False)

    def link(self, token: str) -> str:
        return f"{self.confirm_url}?{urlencode({'token': token})}"

    def write(self, letter: Letter, token: str) -> EmailMessage:
        """
        Raises:
            NotDelivered: No mail can be sent to its recipient.
        """
        message = EmailMessage()
        message["From"] = self.sender
        message["To"] = mailable(letter.recipient)
        message["Subject"] = SUBJECTS[letter.template]
        message["Date"] = letter.created_at
        # The same each time it is sent: where a letter comes twice, mail programs may show one.
        message["Message-ID"] = f"<{letter.id}@{self.sender.domain}>"
        message["Auto-Submitted"] = "auto-generated"
        known = {"link": self.link(token), "expires_at": letter.link_expires_at}
        message.set_content(self._templates.get_template(f"{letter.template}.txt").render(known))
        message.add_alternative(
            self._templates.get_template(f"{letter.template}.html").render(known), subtype="html"
        )
        return message
