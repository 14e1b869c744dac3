"""
A process that delivers letters and dies at a chosen moment: `python -m tests.infrastructure.smtp.worker URL PORT MOMENT`.

It says ``claimed`` or ``handed over`` when it has come so far, and then waits to be killed.
"""

import asyncio
import sys
from datetime import timedelta
from email.headerregistry import Address

from attrs import frozen

from application.notifications.deliver import DeliverDueLettersHandler
from application.ports.mailer import Mailer
from domain.notification import Letter
from infrastructure.crypto.tokens import JwtTokens
from infrastructure.postgres.driver.engine import make_engine
from infrastructure.postgres.storage import PostgresStorage
from infrastructure.smtp.mailer import MailServer, Security, SmtpMailer
from infrastructure.smtp.writing import LetterWriter
from infrastructure.system.clock import SystemClock

LEASE = timedelta(seconds=2)
TOKENS = JwtTokens("a secret of this test alone, long enough", "messenger", "clients")


def mailer_to(port: int) -> SmtpMailer:
    return SmtpMailer(
        server=MailServer(host="127.0.0.1", port=port, security=Security.NONE),
        writer=LetterWriter(
            sender=Address("Messenger", "robot", "example.com"),
            confirm_url="https://chat.example/confirm-email",
            reset_url="https://chat.example/setup-new-password",
        ),
    )


@frozen
class Stopping:
    mailer: Mailer
    moment: str

    async def send(self, letter: Letter, token: str | None) -> None:
        if self.moment == "claimed":
            await self._wait()
        await self.mailer.send(letter, token)
        if self.moment == "handed over":
            await self._wait()

    async def _wait(self) -> None:
        sys.stdout.write(f"{self.moment}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


async def deliver(url: str, port: int, moment: str) -> None:
    engine = make_engine(url, size=2, wait=10, deadline=10)
    handler = DeliverDueLettersHandler(
        begin=PostgresStorage(engine, 10).begin,
        clock=SystemClock(),
        mailer=Stopping(mailer_to(port), moment),
        tokens=TOKENS,
        lease=LEASE,
    )
    await handler()
    await engine.dispose()


if __name__ == "__main__":
    asyncio.run(deliver(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
