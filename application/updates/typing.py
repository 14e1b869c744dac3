from attrs import frozen

from application.actor import Actor
from application.ports.clock import Clock
from application.ports.updates import Typing, Updates
from domain.ids import ChatId


@frozen(kw_only=True)
class ShowTyping:
    """The actor is a member: only sockets that entered the chat say this."""

    chat_id: ChatId
    is_typing: bool


@frozen(kw_only=True)
class ShowTypingHandler:
    clock: Clock
    updates: Updates

    async def __call__(self, actor: Actor, command: ShowTyping) -> None:
        self.updates.publish(
            [
                Typing(
                    chat_id=command.chat_id,
                    profile_id=actor.profile_id,
                    is_typing=command.is_typing,
                    at=self.clock.now(),
                )
            ]
        )
