import asyncio
import logging
import ssl
from contextlib import suppress
from enum import StrEnum
from typing import Final

import aiosmtplib
from attrs import field, frozen

from application.ports.mailer import NotDelivered
from domain.notification import Letter
from infrastructure.smtp.writing import LetterWriter

logger = logging.getLogger(__name__)

GOODBYE: Final = 1.0
"""How many seconds to wait for the answer to QUIT."""


class Security(StrEnum):
    TLS = "tls"
    """TLS from the first byte on (port 465)."""
    STARTTLS = "starttls"
    """STARTTLS (port 587). Nothing is sent if the server does not offer it."""
    NONE = "none"


@frozen(kw_only=True)
class MailServer:
    host: str
    port: int
    security: Security
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    timeout: float = 10.0
    """Seconds for one letter, from connecting to the server's acceptance."""
    tls: ssl.SSLContext = field(factory=ssl.create_default_context, repr=False)
    """Certificates and names are checked."""


@frozen(kw_only=True)
class SmtpMailer:
    """Hands letters to a mail server, each over its own connection."""

    server: MailServer
    writer: LetterWriter

    async def send(self, letter: Letter, token: str | None) -> None:
        try:
            await self._send(letter, token)
        except NotDelivered as failed:
            # The reason comes from the mail server and cannot contain the token, which only an accepted letter reveals.
            then = "given up" if failed.for_good else "to be tried again"
            logger.warning(
                "letter %s (%s), attempt %d: %s, %s",
                letter.id,
                letter.template,
                letter.attempts,
                failed.reason,
                then,
            )
            raise
        logger.info("letter %s (%s), attempt %d: sent", letter.id, letter.template, letter.attempts)

    async def _send(self, letter: Letter, token: str | None) -> None:
        message = await asyncio.to_thread(self.writer.write, letter, token)
        sender, recipient = message["From"].addresses[0].addr_spec, message["To"].addresses[0].addr_spec
        client = self._client()
        try:
            async with asyncio.timeout(self.server.timeout):
                await client.connect()
                await client.send_message(message, sender=sender, recipients=[recipient])
        except aiosmtplib.SMTPRecipientsRefused as refused:
            first = refused.recipients[0]
            raise NotDelivered(f"recipient refused: {_said(first)}", for_good=_is_final(first)) from None
        except aiosmtplib.SMTPDataError as refused:
            raise NotDelivered(f"letter refused: {_said(refused)}", for_good=_is_final(refused)) from None
        except aiosmtplib.SMTPResponseException as refused:
            # Greeting, sender or credentials were refused, which has nothing to do with this letter: it is tried again.
            raise NotDelivered(f"{type(refused).__name__}: {_said(refused)}") from None
        except TimeoutError:
            raise NotDelivered(f"no answer within {self.server.timeout:g} s") from None
        except (aiosmtplib.SMTPException, OSError) as error:
            raise NotDelivered(f"{type(error).__name__}: {error}") from None
        else:
            await _take_leave(client)
        finally:
            client.close()

    def _client(self) -> aiosmtplib.SMTP:
        server = self.server
        is_secure = server.security is not Security.NONE
        return aiosmtplib.SMTP(
            hostname=server.host,
            local_hostname=self.writer.sender.domain,  # otherwise aiosmtplib would look up the name of this host
            port=server.port,
            username=server.username,
            password=server.password,
            use_tls=server.security is Security.TLS,
            start_tls=server.security is Security.STARTTLS,
            tls_context=server.tls if is_secure else None,
            timeout=server.timeout,
        )


async def _take_leave(client: aiosmtplib.SMTP) -> None:
    # The server has accepted the letter, so a failing QUIT does not matter.
    with suppress(aiosmtplib.SMTPException, OSError, TimeoutError):
        async with asyncio.timeout(GOODBYE):
            await client.quit()


def _is_final(refused: aiosmtplib.SMTPResponseException) -> bool:
    return 500 <= refused.code < 600


def _said(refused: aiosmtplib.SMTPResponseException) -> str:
    return f"{refused.code} {refused.message}"
