from typing import Protocol

from domain.notification import Letter


class NotDelivered(Exception):
    """The mail server did not take the letter. If ``for_good``, another attempt would fail as well."""

    def __init__(self, reason: str, *, for_good: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.for_good = for_good


class Mailer(Protocol):
    async def send(self, letter: Letter, token: str | None) -> None:
        """
        Writes the letter, with a link that carries ``token`` if there is one, and hands it to a mail server. Takes a
        bounded time.

        Raises:
            NotDelivered: It was not handed over, or the outcome is unknown.
        """
        ...
