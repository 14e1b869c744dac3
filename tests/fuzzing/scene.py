"""Who is there: people whose tokens the fuzzer has, and a well-behaved person whose tokens it has not."""

from typing import Final

from attrs import define, field

from tests.interfaces.ws.house import House
from tests.world import SignedInPerson

FRESH: Final = 200
"""Inputs after which there are new people: hostile requests sign them out, and delete their chats."""

OFTEN: Final = 1000
"""After so many connections the well-behaved client is another person. One account may connect 1,200 times a minute, and a quick machine exceeds that."""


@define(eq=False)
class Scene:
    house: House
    tokens: list[str] = field(factory=list)
    known: list[str] = field(factory=list)
    """Ids of the people, their sessions and their chats."""
    chat_id: str = ""
    _healthy: SignedInPerson | None = None
    _asked: int = 0

    async def healthy(self) -> str:
        """Return the token of a person who behaves well. After `OFTEN` times it is another one."""
        self._asked += 1
        if self._healthy is None or self._asked % OFTEN == 0:
            self._healthy = await self.house.world.person("Healthy")
            await self.house.world.chat(self._healthy.actor)
        return self._healthy.token

    async def refresh(self, number: int) -> None:
        """Replace the people if this is the first input, or many came since the last time."""
        if number % FRESH:
            return
        world = self.house.world
        people = [await world.person(name) for name in ("Ann", "Bob", "Eve")]
        ann, bob, eve = (person.actor for person in people)
        chats = [await world.chat(ann, bob), await world.chat(eve)]
        said = await world.say(ann, chats[0], "Hello")
        self.chat_id = str(chats[0])
        self.tokens = [person.token for person in people]
        self.known = [str(each) for each in (*chats, said.event.message.id)]
        self.known += [
            str(each) for actor in (ann, bob, eve) for each in (actor.profile_id, actor.session_id)
        ]
