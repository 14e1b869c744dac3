from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from attrs import define, field, frozen
from starlette.applications import Starlette

from application.accounts.authenticate import Authenticate
from application.accounts.sign_up import SignUp
from application.actor import Actor
from application.messages.send import SendMessage, Sent
from application.messenger import Messenger
from application.receipts.mark_read import Marked, MarkRead
from config.adapters import memory_storage
from config.features.limits import make_adding
from config.features.messages import marking, sending
from config.features.messenger import make_messenger
from config.ports import Ports
from config.settings.groups import Limits, Settings
from domain.account import Email, Password
from domain.errors import DomainError
from domain.ids import ChatId
from domain.message import Body
from domain.notification import Letter
from infrastructure.crypto.tokens import JwtTokens
from infrastructure.memory.limiter import MemoryLimiter
from infrastructure.memory.storage import MemoryStorage
from infrastructure.reporting_limiter import ReportingLimiter
from interfaces.app import create_app
from interfaces.http.limits import reports
from interfaces.http.options import HttpOptions
from interfaces.http.routes import Endpoint
from interfaces.live.sync import SyncOptions
from tests.accounts_world import AccountsWorld, SettableClock
from tests.interfaces.http.promises import Promises
from tests.known_providers import KnownProviders

FRONT = "http://localhost:5173"
PASSWORD = "Password1"

INTERVAL = timedelta(seconds=0.5)
"""Within which nobody says the same twice."""


@define
class Mailbox:
    tokens: list[str] = field(factory=list)

    async def send(self, _: Letter, token: str | None) -> None:
        if token is not None:
            self.tokens.append(token)


@frozen
class HttpPerson:
    """Somebody signed up, confirmed and signed in, with a client that presents the token."""

    actor: Actor
    token: str
    client: httpx.AsyncClient

    @property
    def id(self) -> str:
        return str(self.actor.profile_id)


@define
class HttpWorld:
    """A messenger in memory, and what a test may do to it from outside."""

    messenger: Messenger
    storage: MemoryStorage
    mailbox: Mailbox
    accounts: AccountsWorld
    _apps: list[tuple[Messenger, dict[str, Any], Starlette]] = field(factory=list, init=False)
    """Those that were made, because to make one takes as long as several requests."""

    @property
    def clock(self) -> SettableClock:
        return self.accounts.clock

    @property
    def ports(self) -> Ports:
        return self.accounts.ports

    async def deliver(self) -> None:
        """Send the letters that are due."""
        await self.accounts.workers.letters.once()

    def app(self, **options: Any) -> Starlette:
        for messenger, given, app in self._apps:
            if messenger is self.messenger and given == options:
                return app
        app = self._app(options)
        self._apps.append((self.messenger, options, app))
        return app

    def _app(self, options: dict[str, Any]) -> Starlette:
        return create_app(
            self.messenger,
            HttpOptions(cors_origins=(FRONT,), **options),
            new_request_id=lambda: "made-here",
            sync=SyncOptions(chats_page=2),
        )

    def client(self, token: str | None = None, *, promised: bool = True, **options: Any) -> httpx.AsyncClient:
        """Its answers are compared with the document, unless ``promised`` is false because a test replaces use cases."""
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
        await self.messenger.accounts.sign_up(SignUp(email=Email(email), password=Password(password)))
        await self.deliver()
        return self.mailbox.tokens[-1]

    async def person(self, email: str) -> HttpPerson:
        signed_in = await self.accounts.join(email, PASSWORD, device="test")
        actor = await self.messenger.accounts.authenticate(Authenticate(token=signed_in.access_token))
        return HttpPerson(actor, signed_in.access_token, self.client(signed_in.access_token))

    async def say(self, person: HttpPerson, chat_id: str, *texts: str) -> None:
        for text in texts:
            self.clock.at += timedelta(seconds=1)
            command = SendMessage(chat_id=ChatId(UUID(chat_id)), body=Body(text))
            await self.messenger.messages.send(person.actor, command)


MANY = Limits(network_sign_ups=10_000, network_resets=10_000)
"""More than the limits of letters, which are tried here."""


@pytest.fixture
def world() -> HttpWorld:
    return make_world()


def make_world(limits: Limits | None = None, **accounts_world: Any) -> HttpWorld:
    clock = SettableClock(datetime(2026, 11, 23, 3, 34, 9, 900840, UTC))
    memory, mailbox = MemoryStorage(), Mailbox()
    accounts = AccountsWorld(
        memory_storage(memory),
        Path("nowhere"),
        clock=clock,
        tokens=JwtTokens("k" * 32, "messenger", "messenger"),
        limiter=ReportingLimiter(MemoryLimiter(), reports),
        limits=limits or MANY,
        mailer=mailbox,
        providers=KnownProviders(),
        **accounts_world,
    )
    ports = accounts.ports
    send_messages = sending(ports, ports.storage.begin_patient_posting, INTERVAL)
    marks_read = marking(ports, ports.storage.begin_marking)

    async def send(actor: Actor, command: SendMessage) -> Sent:
        (answer,) = await send_messages([(actor, command)])
        if isinstance(answer, DomainError):
            raise answer
        assert isinstance(answer, Sent)
        return answer

    async def mark_read(actor: Actor, command: MarkRead) -> Marked:
        (marked,) = await marks_read([(actor, command)])
        return marked

    messenger = make_messenger(
        ports,
        accounts.rules,
        send=send,
        mark_read=mark_read,
        letter_is_due=accounts.workers.letters.wake,
        account_is_closed=accounts.workers.closed_accounts.wake,
        adding=make_adding(ports, Settings(limits=limits or MANY)),
    )
    return HttpWorld(messenger, memory, mailbox, accounts)
