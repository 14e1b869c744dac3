"""Reading up to a message, many readers at once: in a group of ten, marks outnumber messages nine to one."""

from collections.abc import Sequence

from attrs import frozen

from application.actor import Actor
from application.ports.clock import Clock
from application.ports.marking import BeginMarking, Standings, Wish
from domain.events import MessagesRead
from domain.ids import ChatId, MessageId, ProfileId, Seq
from domain.reading import Reading


@frozen(kw_only=True)
class MarkRead:
    chat_id: ChatId
    up_to: MessageId | Seq
    """The last message that was read; it may be the reader's own. A number beyond the last message means that one."""


@frozen
class Marked:
    """``mark`` is how far the reader has read now; None where the chat is not the reader's."""

    mark: Seq | None
    read: MessagesRead | None = None
    """What was newly read, told by one of the commands that were carried out together."""


@frozen(kw_only=True)
class MarksRead:
    """
    Mark, and answer each command for itself. Marks of one reader in one chat become one: the furthest.

    A message of another chat, or a chat that is not the reader's, changes nothing and is no error: the original
    messenger is silent about it.
    """

    begin: BeginMarking
    clock: Clock

    async def __call__(self, asked: Sequence[tuple[Actor, MarkRead]]) -> Sequence[Marked]:
        wishes = [
            Wish(chat_id=command.chat_id, reader_id=actor.profile_id, up_to=command.up_to)
            for actor, command in asked
        ]
        async with self.begin() as marking:
            standings = await marking.open(wishes)
            moves = _furthest(wishes, standings)
            passed = await marking.passed(moves)
            at = self.clock.now()
            moved = [
                (reading, reading.advance(to, unread, at=at))
                for (reading, to), unread in zip(moves, passed, strict=True)
            ]
            if moved:
                await marking.keep(moved)
        read = {(r.chat_id, r.profile_id): news for r, news in moved if news}
        return [self._answer(wish, standings, read) for wish in wishes]

    def _answer(
        self, wish: Wish, standings: Standings, read: dict[tuple[ChatId, ProfileId], MessagesRead]
    ) -> Marked:
        key = wish.chat_id, wish.reader_id
        reading = standings.readings.get(key)
        return Marked(reading.mark if reading else None, read.pop(key, None))


def _furthest(wishes: Sequence[Wish], standings: Standings) -> list[tuple[Reading, Seq]]:
    furthest: dict[tuple[ChatId, ProfileId], Seq] = {}
    for wish, target in zip(wishes, standings.targets, strict=True):
        key = wish.chat_id, wish.reader_id
        reading = standings.readings.get(key)
        if reading and target is not None and target > max(reading.mark, furthest.get(key, 0)):
            furthest[key] = target
    return [(standings.readings[key], to) for key, to in furthest.items()]
