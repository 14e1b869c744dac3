"""Sending and marking one by one, each counted before it waits for its batch: a flood is refused without a place in any."""

from collections.abc import Awaitable, Callable

from attrs import frozen

from application.actor import Actor
from application.limits import Action, ActionLimits
from application.messages.send import SendMessage, Sent
from application.receipts.mark_read import Marked, MarkRead


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


@frozen
class LimitedMarking:
    limits: ActionLimits
    mark_read: Callable[[Actor, MarkRead], Awaitable[Marked]]

    def __call__(self, actor: Actor, command: MarkRead) -> Awaitable[Marked]:
        """
        Raises:
            TooManyRequests: The actor marks too often.
        """
        self.limits.use(Action.MARK, actor)
        return self.mark_read(actor, command)
