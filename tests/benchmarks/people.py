"""People and chats for benchmarks, written through the use cases: signing up would measure the hashing of passwords."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from attrs import frozen

from config.container import Application, PostgresAdapters, closing
from config.settings.groups import Jwt, Limits, Settings
from domain.ids import ChatId
from tests.world import MessengerWorld, SignedInPerson

SECRET = "the messenger and whoever measures it sign tokens with the same key"


@frozen
class Crowd:
    people: list[SignedInPerson]
    chats: list[ChatId]


@asynccontextmanager
async def crowd(url: str, people: int, chats: int, members: int) -> AsyncIterator[Crowd]:
    """Each chat has the people who follow one another from its owner on, so that all are in equally many."""
    settings = Settings(jwt=Jwt(secret=SECRET), limits=Limits(new_chats=0, added_people=0))
    application = Application(adapters=PostgresAdapters(settings=settings, url=url))
    async with closing(application):
        world = MessengerWorld(application)
        sending = application.sending()
        running = asyncio.create_task(sending.run())
        crowd = [await world.person(f"person {number}") for number in range(people)]
        made = []
        for number in range(chats):
            actors = [crowd[(number + n) % people].actor for n in range(members)]
            made.append(await world.chat(*actors, name=f"chat {number}"))
        yield Crowd(crowd, made)
        await sending.close()
        await running
