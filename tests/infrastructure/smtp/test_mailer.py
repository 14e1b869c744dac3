"""Letters handed to a mail server that is there, and behaves as mail servers do."""

import asyncio
import email
import email.policy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from email.message import EmailMessage
from typing import Any

import pytest
from attrs import evolve

from application.ports.mailer import NotDelivered
from infrastructure.smtp.mailer import MailServer, Security, SmtpMailer
from infrastructure.smtp.writing import LetterWriter
from tests.infrastructure.smtp.sink import Certificate, Sink, letter_to, says, serving

TOKEN = "ey.token.sign"


def mailer_to(port: int, writer: LetterWriter, timeout: float = 10) -> SmtpMailer:
    server = MailServer(host="127.0.0.1", port=port, security=Security.NONE, timeout=timeout)
    return SmtpMailer(server=server, writer=writer)


async def failure(mailer: SmtpMailer, address: str = "new@example.com") -> NotDelivered:
    with pytest.raises(NotDelivered) as failed:
        await mailer.send(letter_to(address), TOKEN)
    assert TOKEN not in failed.value.reason
    return failed.value


async def test_a_letter_arrives(sink: Sink, writer: LetterWriter) -> None:
    letter = letter_to("new@example.com")
    await mailer_to(sink.port, writer).send(letter, TOKEN)
    (envelope,) = sink.mails
    assert (envelope.mail_from, envelope.rcpt_tos) == ("robot@example.com", ["new@example.com"])
    assert isinstance(envelope.content, bytes)
    message = email.message_from_bytes(envelope.content, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    assert message["To"] == "new@example.com"
    assert message["Message-ID"] == f"<{letter.id}@example.com>"
    body = message.get_body(("plain",))
    assert body is not None
    assert f"https://chat.example/confirm-email?token={TOKEN}" in body.get_content()


async def test_two_letters_at_once(sink: Sink, writer: LetterWriter) -> None:
    mailer = mailer_to(sink.port, writer)
    await asyncio.gather(*(mailer.send(letter_to(f"person{n}@example.com"), TOKEN) for n in range(2)))
    assert sorted(envelope.rcpt_tos[0] for envelope in sink.mails) == [
        "person0@example.com",
        "person1@example.com",
    ]


async def test_addresses_beyond_ascii(sink: Sink, writer: LetterWriter) -> None:
    mailer = mailer_to(sink.port, writer)
    await mailer.send(letter_to("ivan@пример.рф"), TOKEN)
    await mailer.send(letter_to("иван@example.com"), TOKEN)
    assert [envelope.rcpt_tos for envelope in sink.mails] == [
        ["ivan@xn--e1afmkfd.xn--p1ai"],
        ["иван@example.com"],
    ]


@pytest.mark.parametrize(
    ("command", "answer", "for_good"),
    [
        ("RCPT", "550 no such user here", True),
        ("RCPT", "450 mailbox busy", False),
        ("RCPT", "421 going down", False),
        ("DATA", "554 we do not like it", True),
        ("DATA", "451 later", False),
        ("DATA", "421 going down", False),
        ("MAIL", "550 we do not know you", False),
        ("MAIL", "421 going down", False),
    ],
)
async def test_refusals(
    sink: Sink, writer: LetterWriter, command: str, answer: str, *, for_good: bool
) -> None:
    sink.answers[command] = says(answer)
    failed = await failure(mailer_to(sink.port, writer))
    assert failed.for_good is for_good
    assert answer[4:] in failed.reason
    assert sink.mails == []


async def test_nobody_listens(writer: LetterWriter) -> None:
    async with serving(Sink()) as sink:
        pass
    failed = await failure(mailer_to(sink.port, writer))
    assert not failed.for_good


@asynccontextmanager
async def raw_server(greeting: bytes | None) -> AsyncIterator[int]:
    """Says ``greeting`` and nothing ever after; without one it hangs up at once."""
    writers: list[asyncio.StreamWriter] = []

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        if greeting is None:
            writer.close()
        else:
            writer.write(greeting)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
    for writer in writers:
        writer.close()
    await server.wait_closed()


@pytest.mark.parametrize("greeting", [b"", b"220 hello\r\n", b"220-" + b"a" * 100 + b"\r\n"])
async def test_a_server_that_hangs_takes_no_longer_than_it_may(writer: LetterWriter, greeting: bytes) -> None:
    async with raw_server(greeting) as port, asyncio.timeout(60):
        failed = await failure(mailer_to(port, writer, timeout=0.2))
    assert not failed.for_good
    assert "0.2 s" in failed.reason


@pytest.mark.parametrize(
    "greeting",
    [None, b"421 come back later\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"220 " + b"a" * 1_000_000],
)
async def test_a_server_that_is_none(writer: LetterWriter, greeting: bytes | None) -> None:
    async with raw_server(greeting) as port, asyncio.timeout(60):
        failed = await failure(mailer_to(port, writer, timeout=0.5))
    assert not failed.for_good


async def test_a_server_that_greets_without_end(writer: LetterWriter) -> None:
    """Each line is a good one and never the last: neither time nor memory may go with it."""
    said = 0

    async def serve(_: asyncio.StreamReader, stream: asyncio.StreamWriter) -> None:
        nonlocal said
        with suppress(ConnectionError):
            while True:
                stream.write(b"220-" + b"welcome " * 16 + b"\r\n")
                await stream.drain()
                said += 1
        stream.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        async with asyncio.timeout(60):
            failed = await failure(mailer_to(server.sockets[0].getsockname()[1], writer, timeout=0.5))
    finally:
        server.close()
        await server.wait_closed()
    assert not failed.for_good
    assert said > 0


async def test_a_server_that_hangs_after_the_letter(sink: Sink, writer: LetterWriter) -> None:
    async def hang() -> str:
        await asyncio.Event().wait()
        return ""

    sink.answers["DATA"] = hang
    failed = await failure(mailer_to(sink.port, writer, timeout=0.3))
    assert not failed.for_good, "it may have been taken: better twice than never"


async def test_a_server_that_hangs_up_after_the_letter(sink: Sink, writer: LetterWriter) -> None:
    async def hang_up() -> str:
        sink.hang_up()
        return "250 OK"

    sink.answers["DATA"] = hang_up
    failed = await failure(mailer_to(sink.port, writer))
    assert not failed.for_good, "it may have been taken: better twice than never"


async def test_consent_counts_though_the_goodbye_is_lost(sink: Sink, writer: LetterWriter) -> None:
    async def hang_up() -> str:
        sink.hang_up()
        return ""

    sink.answers["QUIT"] = hang_up
    await mailer_to(sink.port, writer).send(letter_to("new@example.com"), TOKEN)
    assert len(sink.mails) == 1


async def test_tls_from_the_first_byte(writer: LetterWriter, certificate: Certificate) -> None:
    async with serving(Sink(), tls=certificate.server) as sink:
        server = MailServer(host="localhost", port=sink.port, security=Security.TLS, tls=certificate.trusting)
        await SmtpMailer(server=server, writer=writer).send(letter_to("new@example.com"), TOKEN)
        assert len(sink.mails) == 1
        distrusting = evolve(server, tls=MailServer(host="", port=0, security=Security.TLS).tls)
        failed = await failure(SmtpMailer(server=distrusting, writer=writer))
        assert "certificate" in failed.reason.lower()
        assert not failed.for_good
        assert len(sink.mails) == 1


async def test_starttls_with_credentials(writer: LetterWriter, certificate: Certificate) -> None:
    sink = Sink()
    options: dict[str, Any] = {
        "tls_context": certificate.server,
        "require_starttls": True,
        "auth_required": True,
        "authenticator": sink.authenticate,
    }
    async with serving(sink, **options):
        server = MailServer(
            host="localhost",
            port=sink.port,
            security=Security.STARTTLS,
            username="robot",
            password="secret",
            tls=certificate.trusting,
        )
        await SmtpMailer(server=server, writer=writer).send(letter_to("new@example.com"), TOKEN)
        assert (sink.secured, sink.logins, len(sink.mails)) == ([True], ["robot"], 1)
        wrong = SmtpMailer(server=evolve(server, password="wrong"), writer=writer)
        failed = await failure(wrong)
        assert "535" in failed.reason
        assert not failed.for_good, "a setting, which somebody will put right"
        distrusting = evolve(server, tls=MailServer(host="", port=0, security=Security.TLS).tls)
        assert "certificate" in (await failure(SmtpMailer(server=distrusting, writer=writer))).reason.lower()
    assert "secret" not in repr(server)


async def test_starttls_is_insisted_on(sink: Sink, writer: LetterWriter) -> None:
    server = MailServer(host="127.0.0.1", port=sink.port, security=Security.STARTTLS)
    failed = await failure(SmtpMailer(server=server, writer=writer))
    assert not failed.for_good
    assert sink.mails == []


async def test_an_address_that_mail_does_not_know_is_not_tried(writer: LetterWriter) -> None:
    failed = await failure(mailer_to(1, writer), '"quoted"@example.com')
    assert failed.for_good
