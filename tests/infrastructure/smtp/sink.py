"""A mail server to send to, and letters to send."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from attrs import define, field

from domain.account import Confirmation, Email, PasswordHash
from domain.ids import AccountId, ConfirmationId, LetterId
from domain.notification import Letter
from tests.accounts_world import START

NOW = START.replace(microsecond=0)


def letter_to(address: str) -> Letter:
    confirmation = Confirmation(
        id=ConfirmationId(uuid4()),
        account_id=AccountId(uuid4()),
        email=Email(address),
        password_hash=PasswordHash("hash"),
        issued_at=NOW,
        expires_at=NOW + timedelta(days=2),
    )
    return Letter.confirming(confirmation, id=LetterId(uuid4()), at=START)


@define
class Sink:
    """A mail server that takes everything, unless ``answers`` say otherwise."""

    port: int = 0
    mails: list[Envelope] = field(factory=list)
    answers: dict[str, Callable[[], Awaitable[str]]] = field(factory=dict)
    """By command: ``MAIL``, ``RCPT``, ``DATA``, ``QUIT``."""
    hang_up: Callable[[], None] = field(default=lambda: None)
    """Ends the connection that sent the last letter."""
    secured: list[bool] = field(factory=list)
    logins: list[str] = field(factory=list)

    async def handle_MAIL(  # noqa: N802  # aiosmtpd looks for these names
        self, server: Any, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        self.secured.append(session.ssl is not None)
        return await self._answer("MAIL")

    async def handle_RCPT(  # noqa: N802
        self, server: Any, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.rcpt_tos.append(address)
        return await self._answer("RCPT")

    async def handle_DATA(self, server: Any, session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.hang_up = server.transport.close
        answer = await self._answer("DATA")
        if answer.startswith("250"):
            self.mails.append(envelope)
        return answer

    async def handle_QUIT(self, server: Any, session: Session, envelope: Envelope) -> str:  # noqa: N802
        await self._answer("QUIT")
        return "221 Bye"

    async def _answer(self, command: str) -> str:
        return await self.answers[command]() if command in self.answers else "250 OK"

    def authenticate(
        self, server: Any, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append(data.login.decode())
        return AuthResult(success=data == LoginPassword(b"robot", b"secret"), handled=False)


def says(answer: str) -> Callable[[], Awaitable[str]]:
    async def say() -> str:
        return answer

    return say


@asynccontextmanager
async def serving(sink: Sink, tls: ssl.SSLContext | None = None, **options: Any) -> AsyncIterator[Sink]:
    connections: list[SMTP] = []

    def connect() -> SMTP:
        connections.append(SMTP(sink, enable_SMTPUTF8=True, **options))
        return connections[-1]

    server = await asyncio.get_running_loop().create_server(connect, "127.0.0.1", 0, ssl=tls)
    sink.port = server.sockets[0].getsockname()[1]
    try:
        yield sink
    finally:
        server.close()
        for connection in connections:
            if connection.transport is not None:
                connection.transport.close()
        await server.wait_closed()


@define
class Certificate:
    """Signed by itself, for ``localhost``."""

    server: ssl.SSLContext
    trusting: ssl.SSLContext
