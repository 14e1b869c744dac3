"""`messenger mail`: tests the sending of letters."""

from collections.abc import Awaitable
from uuid import UUID

from application.ports.mailer import NotDelivered
from config.adapters import make_mailer
from config.commands.running import LETTERS, refusals, settings_for
from config.running import run_until_signal
from domain.account import Email
from domain.ids import AccountId
from domain.notification import Letter, Template
from infrastructure.smtp.mailer import SmtpMailer
from infrastructure.smtp.trial import TrialWriter
from infrastructure.system.clock import SystemClock
from infrastructure.system.ids import SystemIds
from interfaces.cli.looks import CommandRefused


def try_mail(address: str) -> str:
    settings = settings_for(LETTERS)
    with refusals(settings):
        recipient = Email(address)
        now, ids = SystemClock().now(), SystemIds()
        letter = Letter(
            id=ids.letter(),
            account_id=AccountId(UUID(int=0)),
            template=Template.CONFIRM_EMAIL,  # not used: `TrialWriter` writes a text of its own
            recipient=recipient,
            created_at=now,
            next_attempt_at=now,
        )
        mailer = make_mailer(settings, lambda _link: None, TrialWriter)
        try:
            run_until_signal(_send(mailer.send(letter, None)))
        except NotDelivered as why:
            raise CommandRefused(f"Not sent: {why.reason}") from None
    if isinstance(mailer, SmtpMailer):
        return f"Sent to {address} by {settings.mail.server}:{settings.mail.port} ({settings.environment.value})."
    return f"MAIL_SERVER is not set: written to {settings.var_dir / 'mail'} ({settings.environment.value})."


async def _send(sending: Awaitable[None]) -> None:
    await sending
