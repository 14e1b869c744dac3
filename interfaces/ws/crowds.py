"""How many sockets a session, an account and a network may have at once on this node."""

from collections import Counter
from collections.abc import Hashable
from typing import ClassVar, Final

from attrs import define, field

from application.actor import Actor
from domain.errors import Limited
from interfaces.throttled import ThrottledWarning

PAUSE: Final = 30.0
"""Seconds after which a refused client may try again. A connection that broke unnoticed is closed sooner than that."""


class TooManySockets(Limited):
    """``whose`` says who has too many: the session, the account or the network."""

    code: ClassVar[str] = "too_many_sockets"

    def __init__(self, whose: str, most: int) -> None:
        super().__init__(f"at most {most} sockets of one {whose}")
        self.whose = whose
        self.most = most
        self.wait = PAUSE


@define(eq=False)
class Crowds:
    """
    Counts the sockets and event streams that have entered. A newcomer beyond a limit is refused; those that are there stay,
    because they would come back at once, and clients would push each other out for ever. Zero means no limit.
    """

    per_session: int
    per_account: int
    per_network: int
    _sockets: Counter[Hashable] = field(init=False, factory=Counter)
    _full: ThrottledWarning = field(
        init=False,
        factory=lambda: ThrottledWarning(
            "Somebody has too many sockets: further ones are refused"
            " (WS_PER_SESSION, WS_PER_ACCOUNT, WS_PER_NETWORK)"
        ),
    )

    def take(self, actor: Actor) -> tuple[Hashable, ...]:
        """
        Returns the place of a socket, to be given back when it is closed.

        Raises:
            TooManySockets: A limit is reached; nothing was taken.
        """
        limited = (
            ("session", self.per_session, actor.session_id),
            ("account", self.per_account, actor.account_id),
            ("network", self.per_network, actor.network),
        )
        place = tuple(key for _, most, key in limited if most and key)
        for whose, most, key in limited:
            if most and key and self._sockets[key] >= most:
                self._full.warn(whose=whose, key=str(key), sockets=self._sockets[key])
                raise TooManySockets(whose, most)
        self._sockets.update(place)
        return place

    def give_back(self, place: tuple[Hashable, ...]) -> None:
        for key in place:
            self._sockets[key] -= 1
            if not self._sockets[key]:
                del self._sockets[key]

    def __len__(self) -> int:
        """How many sessions, accounts and networks have sockets."""
        return len(self._sockets)
