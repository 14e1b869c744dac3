"""Letters of the real messenger, as a mail server gets them: over SMTP, and after the messenger was killed with one in hand."""

import asyncio
from collections.abc import AsyncIterator, Callable
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser

import httpx
import pytest

from tests.infrastructure.smtp.sink import Sink, serving
from tests.system.client import PATIENCE, data, token_in
from tests.system.server import Server

EMAIL, PASSWORD = "new@example.com", "Correct-Horse"


class Office(Sink):
    """Says when a letter is there, and when somebody stands at the door with one."""

    def __init__(self) -> None:
        super().__init__()
        self.arrived, self.at_the_door = asyncio.Event(), asyncio.Event()

    async def take(self) -> str:
        self.arrived.set()
        return "250 OK"

    async def keep_waiting(self) -> str:
        self.at_the_door.set()
        await asyncio.Event().wait()
        return ""

    async def letter(self) -> EmailMessage:
        async with asyncio.timeout(PATIENCE):
            await self.arrived.wait()
        (envelope,) = self.mails
        assert isinstance(envelope.content, bytes)
        return BytesParser(EmailMessage, policy=policy.default).parsebytes(envelope.content)


@pytest.fixture
async def office() -> AsyncIterator[Office]:
    office = Office()
    office.answers["DATA"] = office.take
    async with serving(office):
        yield office


@pytest.fixture
async def messenger(office: Office, make_server: Callable[..., Server]) -> Server:
    server = make_server(
        settings={
            "MAIL_SERVER": "127.0.0.1",
            "MAIL_PORT": str(office.port),
            "MAIL_SECURITY": "none",
            "MAIL_FROM_EMAIL": "messenger@example.com",
        }
    )
    server.start()
    return server


async def sign_up(server: Server) -> None:
    async with httpx.AsyncClient(base_url=server.url) as http:
        data(await http.post("/accounts/sign-up/", json={"email": EMAIL, "password": PASSWORD}))


async def confirm(server: Server, letter: EmailMessage) -> None:
    """By its link, and the password that was given for it works."""
    async with httpx.AsyncClient(base_url=server.url) as http:
        followed = {"confirmationToken": token_in(letter), "fingerprint": "first"}
        data(await http.post("/accounts/email/confirm/", json=followed))
        data(await http.post("/accounts/sign-in/", json={"email": EMAIL, "password": PASSWORD}))


async def test_the_link_of_a_letter_that_arrives_confirms(messenger: Server, office: Office) -> None:
    await sign_up(messenger)
    letter = await office.letter()
    assert (letter["From"], letter["To"]) == ("Messenger <messenger@example.com>", EMAIL)
    await confirm(messenger, letter)


async def test_one_that_is_killed_with_a_letter_in_hand_sends_it_once_more(
    messenger: Server, office: Office
) -> None:
    office.answers["MAIL"] = office.keep_waiting
    await sign_up(messenger)
    async with asyncio.timeout(PATIENCE):
        await office.at_the_door.wait()
    messenger.kill()
    del office.answers["MAIL"]
    messenger.start()
    with messenger.database() as connection:
        claimed = connection.execute("SELECT outcome, attempts, claimed_until > now() FROM letter").fetchall()
        assert claimed == [("prepared", 1, True)], "the dead one's claim holds"
        assert office.mails == []
        connection.execute("UPDATE letter SET claimed_until = now(), next_attempt_at = now()")
    await confirm(messenger, await office.letter())
