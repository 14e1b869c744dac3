from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from attrs import frozen

from application.actor import Actor
from domain.scope import Scope

Command = TypeVar("Command")
Answer = TypeVar("Answer")


@frozen
class Scoped(Generic[Command, Answer]):
    """A use case behind a scope, for those that are carried out in batches of many callers and cannot refuse one of them."""

    scope: Scope
    use: Callable[[Actor, Command], Awaitable[Answer]]

    def __call__(self, actor: Actor, command: Command) -> Awaitable[Answer]:
        """
        Calls the use case at once: some of them take their place in an order then.

        Raises:
            ScopeMissing: The access token of a program does not permit it. This is raised by the call itself.
        """
        actor.require(self.scope)
        return self.use(actor, command)
