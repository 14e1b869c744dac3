"""A messenger with people in it: everything as `config.container` puts it together, in memory unless told otherwise."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from attrs import Factory, define, frozen
from dependency_injector.providers import Object

from application.accounts.signed_in import OpenSession, SignedIn
from application.actor import Actor
from application.chats.create import CreateChat
from application.messages.send import SendMessage, Sent
from application.messenger import Messenger
from application.ports.storage import Begin
from application.ports.updates import Update
from application.views import ProfileView
from config.container import Application, MemoryAdapters, PostgresAdapters
from config.settings.groups import Auth, Jwt, Settings
from domain.account import Account, Email
from domain.chat import About
from domain.ids import ChatId
from domain.message import Body, Nonce
from domain.profile import Name, Profile
from domain.session import Fingerprint, Origin
from infrastructure.system.ids import SystemIds
from tests.accounts_world import quick_passwords
from tests.authenticator import CHAT_EXAMPLE
from tests.known_providers import KnownProviders
from tests.strategies import START

SETTINGS = Settings(
    jwt=Jwt(secret="a secret of tests alone, and long enough"),
    auth=Auth(factor_key="a key of tests alone", access_tokens=3, passkeys=3),
)


@define
class TickingClock:
    """Never says the same twice."""

    at: datetime = START
    step: timedelta = timedelta(seconds=1)

    def now(self) -> datetime:
        self.at += self.step
        return self.at


@frozen
class SignedInPerson:
    """Somebody signed in."""

    actor: Actor
    token: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


@define(eq=False)
class MessengerWorld:
    application: Application
    published: list[Update] = Factory(list)

    @property
    def messenger(self) -> Messenger:
        return self.application.messenger()

    @property
    def begin(self) -> Begin:
        return self.application.ports().storage.begin

    async def person(self, name: str = "Ann") -> SignedInPerson:
        ports = self.application.ports()
        ids, clock = ports.ids, ports.clock
        now = clock.now()
        account = Account(
            id=ids.account(), email=Email(f"{ids.token_id()}@example.com"), created_at=now, confirmed_at=now
        )
        profile = Profile(id=ids.profile(), account_id=account.id, first_name=Name(name))
        async with self.begin() as work:
            await work.accounts.add(account)
            await work.profiles.add(profile)
            open_session = OpenSession(
                ids=ids, lifetimes=self.application.account_rules().sessions, codes=ports.codes
            )
            session = await open_session.by_both(
                work, account, Fingerprint("first"), Origin(), at=clock.now()
            )
        signed_in = SignedIn.to(session, account.email.text, ports.tokens, at=clock.now())
        actor = Actor(
            account_id=account.id,
            session_id=session.id,
            email=account.email.text,
            profile=ProfileView.of(profile),
        )
        return SignedInPerson(actor, signed_in.access_token)

    async def actor(self, name: str = "Ann") -> Actor:
        return (await self.person(name)).actor

    async def chat(self, owner: Actor, *others: Actor, name: str = "A chat") -> ChatId:
        members = tuple(other.profile_id for other in others)
        return (
            await self.messenger.chats.create(owner, CreateChat(about=About(name), member_ids=members))
        ).id

    async def say(self, author: Actor, chat_id: ChatId, text: str, nonce: str | None = None) -> Sent:
        named = None if nonce is None else Nonce(nonce)
        return await self.messenger.messages.send(
            author, SendMessage(chat_id=chat_id, body=Body(text), nonce=named)
        )


@asynccontextmanager
async def world(
    adapters: MemoryAdapters | PostgresAdapters | None = None, settings: Settings = SETTINGS
) -> AsyncIterator[MessengerWorld]:
    """With the gatherer running. Clock and ids are the adapters' own, and passwords are hashed as cheaply as it gets."""
    if adapters is None:
        adapters = MemoryAdapters(settings=settings, clock=Object(TickingClock()), ids=Object(SystemIds()))
    application = Application(adapters=adapters)
    application.passwords.override(Object(quick_passwords()))
    application.identity_providers.override(Object(KnownProviders()))
    application.authenticators.override(Object(CHAT_EXAMPLE))
    here = MessengerWorld(application)
    application.updates().subscribe(here.published.extend)
    gatherers = application.sending(), application.marking()
    running = [asyncio.create_task(gatherer.run()) for gatherer in gatherers]
    try:
        yield here
    finally:
        for gatherer in gatherers:
            await gatherer.close()
        await asyncio.gather(*running)
        application.passwords().close()
