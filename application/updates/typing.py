from attrs import frozen

from application.actor import Actor
from application.limits import Action, ActionLimits
from application.ports.clock import Clock
from application.ports.updates import Typing, Updates
from application.ports.views import Views
from domain.ids import ChatId
from domain.scope import Scope


@frozen(kw_only=True)
class ShowTyping:
    chat_id: ChatId
    is_typing: bool


@frozen(kw_only=True)
class ShowTypingHandler:
    """
    Announces to a chat that the actor types, or no longer does.

    The membership is looked up each time. It is one indexed read, and takes a removal into account as soon as it is
    committed.
    """

    views: Views
    clock: Clock
    updates: Updates
    limits: ActionLimits

    async def __call__(self, actor: Actor, command: ShowTyping) -> None:
        """
        Raises:
            ChatNotFound: There is no such chat.
            NotAMember: The actor is not in it.
            TooManyRequests: The actor types too often.
        """
        actor.require(Scope.MESSAGES)
        self.limits.use(Action.TYPE, actor)
        await self.views.check_member(actor.profile_id, command.chat_id)
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
