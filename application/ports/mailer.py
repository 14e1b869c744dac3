from typing import Protocol

from domain.notification import Letter


class NotDelivered(Exception):
    """The letter was not handed over. ``for_good``: nor would it be later."""

    def __init__(self, reason: str, *, for_good: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.for_good = for_good


class Mailer(Protocol):
    async def send(self, letter: Letter, token: str | None) -> None:
        """
        Write the letter out, with a link that carries ``token`` if it has one, and hand it over. Takes a bounded time.

        Raises:
            NotDelivered: It was not handed over, or nobody can tell.
        """
        ...
