"""A letter by which an operator checks that letters arrive."""

from email.message import EmailMessage
from typing import Final

from attrs import frozen

from domain.notification import Letter
from infrastructure.smtp.writing import LetterWriter, mailable

SUBJECT: Final = "Проверка почты · A trial letter"

TEXT: Final = """\
Это проверочное письмо: почта мессенджера доходит. Делать ничего не нужно.

This is a trial letter: the messenger's mail arrives. There is nothing to do.
"""


@frozen(kw_only=True)
class TrialWriter(LetterWriter):
    """Writes the trial letter in place of any letter. Sender, recipient and delivery are those of all letters."""

    def write(self, letter: Letter, token: str | None) -> EmailMessage:
        del token
        message = EmailMessage()
        message["From"] = self.sender
        message["To"] = mailable(letter.recipient)
        message["Subject"] = SUBJECT
        message["Date"] = letter.created_at
        message["Message-ID"] = f"<{letter.id}@{self.sender.domain}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(TEXT)
        return message
