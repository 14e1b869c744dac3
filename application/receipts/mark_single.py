from attrs import frozen

from application.actor import Actor
from application.limits import Action, ActionLimits
from application.ports.clock import Clock
from application.ports.storage import Begin
from domain.events import MessagesRead
from domain.ids import ChatId, MessageId
from domain.scope import Scope


@frozen(kw_only=True)
class MarkSingle:
    chat_id: ChatId
    message_id: MessageId


@frozen(kw_only=True)
class MarkSingleHandler:
    """
    Marks one message as read, and nothing before it.

    Returns None if this changes nothing: the message was read before or is the reader's own, the chat has no such message,
    or the reader is not in the chat. None of these is an error, as in the original messenger.
    """

    begin: Begin
    clock: Clock
    limits: ActionLimits

    async def __call__(self, actor: Actor, command: MarkSingle) -> MessagesRead | None:
        """
        Raises:
            TooManyRequests: The actor marks too often.
        """
        actor.require(Scope.MESSAGES)
        self.limits.use(Action.MARK, actor)
        async with self.begin() as work:
            found = await work.readings.find_message(command.chat_id, command.message_id)
            reading = await work.readings.lock(command.chat_id, actor.profile_id)
            if found is None or reading is None:
                return None
            seq, author_id = found
            read = reading.read_single(
                seq,
                command.message_id,
                author_id,
                is_covered=await work.readings.is_covered(reading, seq),
                at=self.clock.now(),
            )
            if read is None:
                return None
            await work.readings.save(reading, read)
        return read
