"""PostgreSQL is restarted while no request is running. The first request afterwards is answered."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from attrs import define
from sqlalchemy import create_engine

from application.accounts.authenticate import Authenticate
from application.accounts.email_status import EmailStatus
from application.accounts.reset_password import ResetPassword
from application.accounts.sign_in import SignIn
from application.errors import NotAuthenticated, Unavailable
from application.paging import Paging
from application.receipts.mark_read import MarkRead
from config.container import PostgresAdapters, closing
from domain.account import Email
from domain.ids import ChatId, Seq
from domain.session import Fingerprint
from infrastructure.postgres.schema.migrate import upgrade
from infrastructure.postgres.server.embedded import EmbeddedPostgres
from tests.clusters import copy_cluster, new_cluster
from tests.scratch import scratch_folder
from tests.world import SETTINGS, MessengerWorld, SignedInPerson, world

NOBODY = Email("nobody@example.com")


@define
class Place:
    """A messenger on the server, of which everything has been used."""

    here: MessengerWorld
    ann: SignedInPerson
    chat_id: ChatId


Ask = Callable[[Place], Awaitable[object]]


async def sign_in(place: Place) -> None:
    with pytest.raises(NotAuthenticated, match="credentials_invalid"):
        await place.here.messenger.accounts.sign_in(
            SignIn(email=NOBODY, password="wrong", fingerprint=Fingerprint("one"))
        )


async def changes(place: Place) -> None:
    changes = place.here.messenger.feed.changes
    await changes.since(await changes.now())


ASKED: dict[str, Ask] = {
    "authenticate": lambda place: place.here.messenger.accounts.authenticate(
        Authenticate(token=place.ann.token)
    ),
    "sign in": sign_in,
    "ask about an address": lambda place: place.here.messenger.accounts.email_status(
        EmailStatus(email=NOBODY)
    ),
    "forget a password": lambda place: place.here.messenger.accounts.reset_password(
        ResetPassword(email=NOBODY)
    ),
    "list sessions": lambda place: place.here.messenger.sessions.list(place.ann.actor, Paging()),
    "open a chat": lambda place: place.here.chat(place.ann.actor),
    "say something": lambda place: place.here.say(place.ann.actor, place.chat_id, f"{uuid4()}"),
    "mark": lambda place: place.here.messenger.messages.mark_read(
        place.ann.actor, MarkRead(chat_id=place.chat_id, up_to=Seq(1))
    ),
    "list chats": lambda place: place.here.messenger.chats.list(place.ann.actor.profile_id, Paging()),
    "heal": changes,
    "list catalogues": lambda place: place.here.messenger.catalogues.list(),
    "fill catalogues": lambda place: place.here.application.administration().fill_catalogues(),
    "purge": lambda place: place.here.application.workers().purging.once(),
    "be well": lambda place: place.here.messenger.probe(),
}


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedPostgres]:
    """A server of this module's own, because a restart of the shared one would disturb other tests."""
    with scratch_folder("messenger-restart-") as folder:
        server = EmbeddedPostgres(var_dir=folder, options={"fsync": "off"})
        copy_cluster(new_cluster(), server.data_dir)
        engine = create_engine(server.start())
        try:
            with engine.begin() as connection:
                upgrade(connection)
            engine.dispose()
            yield server
        finally:
            server.stop()


@pytest.fixture
async def place(server: EmbeddedPostgres) -> AsyncIterator[Place]:
    adapters: Any = PostgresAdapters(settings=SETTINGS, url=server.url())
    async with world(adapters) as here, closing(here.application):
        ann = await here.person()
        place = Place(here, ann, await here.chat(ann.actor))
        for ask in ASKED.values():
            await ask(place)
        # with more than one connection in the pool, to be lost together
        await asyncio.gather(*(ASKED["authenticate"](place) for _ in range(5)))
        yield place


@pytest.mark.parametrize("asked", ASKED)
async def test_the_first_to_ask_is_answered(server: EmbeddedPostgres, place: Place, asked: str) -> None:
    server.stop()
    server.start()
    await ASKED[asked](place)


async def test_everybody_is_answered(server: EmbeddedPostgres, place: Place) -> None:
    server.stop()
    server.start()
    await asyncio.gather(*(ask(place) for ask in ASKED.values() for _ in range(3)))


async def test_while_it_is_down_nobody_is_and_then_everybody(server: EmbeddedPostgres, place: Place) -> None:
    server.stop()
    for asked in ("authenticate", "say something", "list chats"):
        with pytest.raises(Unavailable):
            await ASKED[asked](place)
    server.start()
    for ask in ASKED.values():
        await ask(place)
