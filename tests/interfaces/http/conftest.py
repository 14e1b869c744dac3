from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from argon2 import PasswordHasher
from attrs import define, evolve, field, frozen
from dependency_injector.providers import Object
from starlette.applications import Starlette

from application.accounts.authenticate import Authenticate
from application.accounts.confirm_email import ConfirmEmail
from application.accounts.sign_up import SignUp
from application.actor import Actor
from application.messages.send import SendMessage, Sent
from application.messenger import Messenger
from application.receipts.mark_read import Marked, MarkRead
from config.container import Application, MemoryAdapters
from config.settings import Chat, Jwt, Settings
from domain.account import Email, Password
from domain.errors import DomainError
from domain.ids import ChatId
from domain.message import Body
from domain.notification import Letter
from domain.session import Fingerprint
from infrastructure.crypto.passwords import PooledPasswords
from infrastructure.memory.storage import MemoryStorage
from interfaces.app import create_app
from interfaces.http.options import HttpOptions
from interfaces.http.routes import Endpoint
from tests.interfaces.http.promises import Promises

FRONT = "http://localhost:5173"
PASSWORD = "Kettle-On-The-Hob"

INTERVAL = timedelta(seconds=0.5)
"""Within which nobody says the same twice."""


@define
class Hands:
    """A clock that moves when it is told to."""

    at: datetime = datetime(2026, 11, 23, 3, 34, 9, 900840, UTC)

    def now(self) -> datetime:
        return self.at


@define
class Mailbox:
    tokens: list[str] = field(factory=list)

    async def send(self, _: Letter, token: str | None) -> None:
        if token is not None:
            self.tokens.append(token)


@frozen
class Person:
    """Somebody signed up, confirmed and signed in, with a client that presents the token."""

    actor: Actor
    token: str
    client: httpx.AsyncClient

    @property
    def id(self) -> str:
        return str(self.actor.profile_id)


@define
class World:
    """A messenger in memory, and what a test may do to it from outside."""

    messenger: Messenger
    storage: MemoryStorage
    clock: Hands
    mailbox: Mailbox
    deliver: Callable[[], Awaitable[bool]]

    def app(self, **options: Any) -> Starlette:
        return create_app(
            self.messenger,
            HttpOptions(cors_origins=(FRONT,), **options),
            new_request_id=lambda: "made-here",
        )

    def client(self, token: str | None = None, *, promised: bool = True, **options: Any) -> httpx.AsyncClient:
        """Whatever comes to it is held to the document. Not ``promised``: where use cases are made to do what none does."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        app = self.app(**options)
        promises = Promises(
            [route for route in app.routes if isinstance(route, Endpoint)], HttpOptions(**options)
        )
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(app),
            base_url="http://server",
            headers=headers,
            event_hooks={"response": [promises.hold]} if promised else {},
        )

    async def letter_to(self, email: str, password: str = PASSWORD) -> str:
        """Sign up, and take the token out of the letter."""
        await self.messenger.sign_up(SignUp(email=Email(email), password=Password(password)))
        await self.deliver()
        return self.mailbox.tokens[-1]

    async def person(self, email: str) -> Person:
        token = await self.letter_to(email)
        command = ConfirmEmail(token=token, fingerprint=Fingerprint("test"))
        signed_in = await self.messenger.confirm_email(command)
        actor = await self.messenger.authenticate(Authenticate(token=signed_in.access_token))
        return Person(actor, signed_in.access_token, self.client(signed_in.access_token))

    async def say(self, person: Person, chat_id: str, *texts: str) -> None:
        for text in texts:
            self.clock.at += timedelta(seconds=1)
            command = SendMessage(chat_id=ChatId(UUID(chat_id)), body=Body(text))
            await self.messenger.send_message(person.actor, command)


@pytest.fixture
def world() -> World:
    return make_world()


def make_world() -> World:
    """As `config.container` puts it together; only that nobody shares a batch, for no gatherer is running."""
    clock, mailbox = Hands(), Mailbox()
    settings = Settings(jwt=Jwt(secret="k" * 32), chat=Chat(min_message_interval=INTERVAL))
    application = Application(
        adapters=MemoryAdapters(settings=settings, clock=Object(clock)),
        passwords=Object(PooledPasswords(hasher=PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))),
        mailer=Object(mailbox),
    )
    use, marks_read = application.posting().patient_use, application.marking().use

    async def send_message(actor: Actor, command: SendMessage) -> Sent:
        (answer,) = await use([(actor, command)])
        if isinstance(answer, DomainError):
            raise answer
        assert isinstance(answer, Sent)
        return answer

    async def mark_read(actor: Actor, command: MarkRead) -> Marked:
        (marked,) = await marks_read([(actor, command)])
        assert isinstance(marked, Marked)
        return marked

    messenger = evolve(application.messenger(), send_message=send_message, mark_read=mark_read)
    return World(messenger, application.adapters.storage(), clock, mailbox, application.letters().once)
