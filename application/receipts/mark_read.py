from attrs import frozen

from application.actor import Actor
from application.ports.clock import Clock
from application.ports.storage import Begin
from application.ports.updates import Updates
from domain.events import MessagesRead
from domain.ids import ChatId, MessageId


@frozen(kw_only=True)
class MarkRead:
    chat_id: ChatId
    up_to: MessageId
    """The last message that was read; it may be the reader's own."""


@frozen(kw_only=True)
class MarkReadHandler:
    """
    Read a chat up to a message. Takes no lock on the chat: reading and sending do not wait for each other.

    None: nothing was newly read. A message of another chat, or a chat that is not the reader's, changes nothing either
    and is no error: the original messenger is silent about it.
    """

    begin: Begin
    clock: Clock
    updates: Updates

    async def __call__(self, actor: Actor, command: MarkRead) -> MessagesRead | None:
        async with self.begin() as work:
            seq = await work.readings.find_seq(command.chat_id, command.up_to)
            if seq is None:
                return None
            reading = await work.readings.lock(command.chat_id, actor.profile_id)
            if reading is None or seq <= reading.mark:
                return None
            passed = await work.readings.passed(reading, seq)
            read = reading.advance(seq, passed, at=self.clock.now())
            await work.readings.save(reading, read)
        if read:
            self.updates.publish([read])
        return read
