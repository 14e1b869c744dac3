"""Counts each read mark before it waits for its batch."""

from collections.abc import Awaitable, Callable

from attrs import frozen

from application.actor import Actor
from application.limits import Action, ActionLimits
from application.receipts.mark_read import Marked, MarkRead


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
