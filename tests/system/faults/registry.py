"""People, sessions and chats of a round, written past the nodes; and what is stored in the end."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final, TypeVar

import orjson
from attrs import define

from application.accounts.signed_in import OpenSession, SignedIn
from application.errors import ApplicationError
from config.container import Application, PostgresAdapters, closing
from config.settings.groups import Jwt, Limits, Settings
from domain.account import Account, Email
from domain.chat import About, Chat
from domain.ids import ChatId, Position
from domain.profile import Name, Profile
from domain.session import Fingerprint, Origin
from interfaces.wire import frames
from tests.checker.history import Kept, Said
from tests.simulation.clients import SimulatedPerson
from tests.simulation.frames import durable
from tests.system.faults.cluster import DATABASE, SECRET, Cluster

T = TypeVar("T")

EVERYTHING: Final = 1_000_000


async def surely(work: Callable[[], Awaitable[T]]) -> T:
    """Tries again while the database is away."""
    while True:
        try:
            return await work()
        except ApplicationError:
            await asyncio.sleep(0.2)


@define(eq=False)
class Registry:
    """Has a way of its own to the database."""

    application: Application
    cluster: Cluster

    async def join(self, name: str) -> SimulatedPerson:
        ports = self.application.ports()
        account = Account(
            id=ports.ids.account(),
            email=Email(f"{ports.ids.token_id()}@example.com"),
            created_at=ports.clock.now(),
            confirmed_at=ports.clock.now(),
        )
        profile = Profile(id=ports.ids.profile(), account_id=account.id, first_name=Name(name))
        async with ports.storage.begin() as work:
            await work.accounts.add(account)
            await work.profiles.add(profile)
        return SimulatedPerson(name, account, profile.id)

    async def sign_in(self, person: SimulatedPerson, device: str) -> tuple[str, str]:
        """Returns the session and its access token. The session that the device had is over then."""
        return await surely(lambda: self._sign_in(person, device))

    async def _sign_in(self, person: SimulatedPerson, device: str) -> tuple[str, str]:
        ports = self.application.ports()
        sessions = self.application.account_rules().sessions
        open_session = OpenSession(ids=ports.ids, lifetimes=sessions, codes=ports.codes)
        async with ports.storage.begin() as work:
            account = await work.accounts.lock(person.account.id)
            opened = await open_session.by_both(
                work, account, Fingerprint(device), Origin(), at=ports.clock.now()
            )
        signed_in = SignedIn.to(opened, account.email.text, ports.tokens, at=ports.clock.now())
        return str(signed_in.session_id), signed_in.access_token

    async def open_chat(self, name: str, people: Sequence[SimulatedPerson]) -> ChatId:
        """The first of them owns it."""
        ports = self.application.ports()
        owner, *others = people
        chat, opened = Chat.open(
            id=ports.ids.chat(),
            about=About(name),
            owner_id=owner.profile_id,
            others=[other.profile_id for other in others],
            at=ports.clock.now(),
        )
        async with ports.storage.begin() as work:
            await work.chats.add(chat, opened)
        return chat.id

    async def kept(self, chat_id: ChatId, at: float) -> Kept:
        """All that is stored of a chat."""
        log = await self.application.ports().storage.views.log(chat_id, Position(0), EVERYTHING)
        messages: list[Said] = []
        changes: dict[int, str] = {}
        for update in log:
            what = durable(orjson.loads(frames.told(update).text))
            if isinstance(what, Said):
                messages.append(what)
            else:
                changes[update.position] = what
        members = await asyncio.to_thread(self._members, chat_id)
        return Kept(at=at, chat=str(chat_id), messages=messages, changes=changes, members=members)

    def _members(self, chat_id: ChatId) -> list[str]:
        with self.cluster.postgres.connect(DATABASE) as database:
            found = database.execute(
                "SELECT profile_id FROM member JOIN chat USING (chat_id)"
                " WHERE chat_id = %s AND left_at IS NULL AND deleted_at IS NULL",
                [chat_id],
            )
            return [str(profile_id) for (profile_id,) in found]


@asynccontextmanager
async def registry(cluster: Cluster) -> AsyncIterator[Registry]:
    settings = Settings(jwt=Jwt(secret=SECRET, access_lifetime=timedelta(days=1)), limits=Limits(new_chats=0))
    application = Application(adapters=PostgresAdapters(settings=settings, url=cluster.url))
    async with closing(application):
        yield Registry(application, cluster)
