"""Counts each message before it waits for its batch, so that a flood is refused without taking a place in one."""

from collections.abc import Awaitable, Callable

from attrs import frozen

from application.actor import Actor
from application.limits import Action, ActionLimits
from application.messages.send import SendMessage, Sent


@frozen
class LimitedSending:
    limits: ActionLimits
    send: Callable[[Actor, SendMessage], Awaitable[Sent]]

    def __call__(self, actor: Actor, command: SendMessage) -> Awaitable[Sent]:
        """
        Takes the message's place in the order of its chat at once.

        Raises:
            TooManyRequests: The actor sends too much. This is raised at once, too.
        """
        self.limits.use(Action.SEND, actor)
        return self.send(actor, command)
