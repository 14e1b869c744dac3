"""
Marking a chat as read up to a message, for many readers at once.

In a group of ten there are up to nine marks to a message, so marks are gathered and stored in batches as messages are.
"""

from collections.abc import Sequence

from attrs import frozen

from application.actor import Actor
from application.ports.clock import Clock
from application.ports.marking import BeginMarking, MarkRequest, OpenedReadings
from domain.events import MessagesRead
from domain.ids import ChatId, MessageId, ProfileId, Seq
from domain.reading import Reading


@frozen(kw_only=True)
class MarkRead:
    chat_id: ChatId
    up_to: MessageId | Seq
    """The last message that was read; it may be the reader's own. A number beyond the last message means the last one."""


@frozen
class Marked:
    """``mark`` is how far the reader has read now, or None if the reader is not in the chat."""

    mark: Seq | None
    read: MessagesRead | None = None
    """The newly read messages. If a batch has several marks of a reader in one chat, only the first answer has them."""


@frozen(kw_only=True)
class MarkReadBatch:
    """
    Store a batch of marks and answer each command. Several marks of a reader in one chat become one, the furthest.

    Naming a message of another chat, or a chat that the reader is not in, changes nothing and is no error, as in the
    original messenger.
    """

    begin: BeginMarking
    clock: Clock

    async def __call__(self, asked: Sequence[tuple[Actor, MarkRead]]) -> Sequence[Marked]:
        requests = [
            MarkRequest(chat_id=command.chat_id, reader_id=actor.profile_id, up_to=command.up_to)
            for actor, command in asked
        ]
        async with self.begin() as marking:
            opened = await marking.open(requests)
            moves = _furthest(requests, opened)
            passed = await marking.newly_read(moves)
            at = self.clock.now()
            moved = [
                (reading, reading.advance(to, unread, at=at))
                for (reading, to), unread in zip(moves, passed, strict=True)
            ]
            if moved:
                await marking.keep(moved)
        read = {(r.chat_id, r.profile_id): news for r, news in moved if news}
        return [self._answer(request, opened, read) for request in requests]

    def _answer(
        self, request: MarkRequest, opened: OpenedReadings, read: dict[tuple[ChatId, ProfileId], MessagesRead]
    ) -> Marked:
        key = request.chat_id, request.reader_id
        reading = opened.readings.get(key)
        return Marked(reading.mark if reading else None, read.pop(key, None))


def _furthest(requests: Sequence[MarkRequest], opened: OpenedReadings) -> list[tuple[Reading, Seq]]:
    furthest: dict[tuple[ChatId, ProfileId], Seq] = {}
    for request, target in zip(requests, opened.targets, strict=True):
        key = request.chat_id, request.reader_id
        reading = opened.readings.get(key)
        if reading and target is not None and target > max(reading.mark, furthest.get(key, 0)):
            furthest[key] = target
    return [(opened.readings[key], to) for key, to in furthest.items()]
