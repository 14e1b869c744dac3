"""
Writes letters from the templates in ``letters/``: in Russian and English, as plain text and as HTML with the logo in it.

The recipient's address is the only text in a letter that a stranger can choose. A user agent is shown as one of a few
known names or not at all, so that nobody can send texts of their own in our letters. Python's header parser decodes
encoded words inside addresses, line breaks included, so only plain addresses are written into headers.
"""

import ipaddress
from collections.abc import Mapping
from email.headerregistry import Address
from email.message import EmailMessage
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from attrs import field, frozen

from application.ports.mailer import NotDelivered
from domain.account import Email, EmailIncorrect
from domain.notification import Letter, Template


@frozen
class Report:
    """A letter that reports an act: its subject and a sentence, in Russian and in English."""

    title: str
    english_title: str
    russian: str
    english: str


SUBJECTS_OF_THEIR_OWN: Final = {
    Template.CONFIRM_EMAIL: "Подтвердите адрес почты · Confirm your e-mail address",
    Template.RESET_PASSWORD: "Новый пароль · A new password",
    Template.PASSWORD_CHANGED: "Пароль изменён · Your password was changed",
    Template.PASSWORD_CHANGED_WAYS_KEPT: "Пароль изменён · Your password was changed",
    Template.NEW_DEVICE: "Вход с нового устройства · A new device signed in",
}

FILES: Final = {Template.PASSWORD_CHANGED_WAYS_KEPT: Template.PASSWORD_CHANGED}
"""The letters whose text is in the file of another one, which has a paragraph for them."""

REPORTS: Final[Mapping[Template, Report]] = {
    Template.FACTOR_ON: Report(
        "Второй фактор включён",
        "The second factor is on",
        "Для вашей учётной записи в мессенджере включён второй фактор: при входе нужен код из приложения.",
        "a second factor was switched on for your account with the messenger: signing in takes a code of an application.",
    ),
    Template.FACTOR_OFF: Report(
        "Второй фактор отключён",
        "The second factor is off",
        "Для вашей учётной записи в мессенджере отключён второй фактор: код при входе больше не нужен.",
        "the second factor of your account with the messenger was switched off: signing in takes no code any more.",
    ),
    Template.RECOVERY_CODES_RENEWED: Report(
        "Новые резервные коды",
        "New recovery codes",
        "Для вашей учётной записи в мессенджере получены новые резервные коды. Прежние больше не действуют.",
        "your account with the messenger got new recovery codes. The former ones are void.",
    ),
    Template.ACCESS_TOKEN_MADE: Report(
        "Новый токен для программы",
        "A new access token for a program",
        "В вашей учётной записи в мессенджере сделан токен, с которым программа действует от вашего имени.",
        "an access token was made in your account with the messenger, with which a program acts for you.",
    ),
    Template.TOKEN_REUSED: Report(
        "Сеанс завершён: им пользовались двое",
        "A session was ended: two devices used it",
        "Ключ одного из ваших сеансов в мессенджере предъявили дважды или с другого устройства. Возможно, его украли. Этот сеанс"
        " завершён.",
        "the key of one of your sessions with the messenger was presented twice, or by another device. It may have been stolen. The"
        " session was ended.",
    ),
    Template.IDENTITY_LINKED: Report(
        "Добавлен вход через другой сервис",
        "Another service signs in to your account",
        "В вашу учётную запись в мессенджере теперь можно войти через другой сервис.",
        "your account with the messenger can be signed in to through another service from now on.",
    ),
    Template.IDENTITY_UNLINKED: Report(
        "Убран вход через другой сервис",
        "Another service no longer signs in",
        "В вашу учётную запись в мессенджере больше нельзя войти через другой сервис, который был с ней связан.",
        "your account with the messenger can no longer be signed in to through another service that was linked with it.",
    ),
    Template.PASSKEY_ADDED: Report(
        "Добавлен ключ доступа",
        "A passkey was added",
        "В вашу учётную запись в мессенджере теперь можно войти с новым ключом доступа.",
        "your account with the messenger can be signed in to with a new passkey from now on.",
    ),
    Template.PASSKEY_REMOVED: Report(
        "Ключ доступа удалён",
        "A passkey was removed",
        "Из вашей учётной записи в мессенджере удалён ключ доступа.",
        "a passkey was removed from your account with the messenger.",
    ),
    Template.PASSKEY_COPIED: Report(
        "Использовалась копия ключа доступа",
        "A copy of a passkey was used",
        "Ключ доступа вашей учётной записи в мессенджере не принят: похоже, у него есть копия. Удалите его и добавьте другой.",
        "a passkey of your account with the messenger was refused, because there seems to be a copy of it. Remove it, and add another"
        " one.",
    ),
}
"""The letters that report an act, in the words that tell them apart."""

SUBJECTS: Final = {
    **SUBJECTS_OF_THEIR_OWN,
    **{template: f"{report.title} · {report.english_title}" for template, report in REPORTS.items()},
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
        known: dict[str, object] = {
            "subject": SUBJECTS[letter.template],
            "link": None if token is None else self.link(letter.template, token),
            "expires_at": letter.good_until,
            "happened_at": letter.created_at,
            "address": _network_address(letter.origin.address),
            "program": _program(letter.origin.user_agent),
            "logo": LOGO,
        }
        name = "report" if letter.template in REPORTS else FILES.get(letter.template, letter.template)
        known |= {
            "report": REPORTS.get(letter.template),
            "ways_kept": letter.template is Template.PASSWORD_CHANGED_WAYS_KEPT,
        }
        message.set_content(text(f"{name}.txt", known))
        html = EmailMessage()
        html.set_content(text(f"{name}.html", known), subtype="html")
        html.add_related(
            self._logo, "image", "png", cid=f"<{LOGO}>", disposition="inline", filename="logo.png"
        )
        del html["MIME-Version"]
        message.make_alternative()
        message.attach(html)
        return message
