"""Spreads the requests of one account, or of one network, over time, so that they do not delay everybody else's."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Final, Self

from attrs import Factory, define, field

from application.errors import Overloaded
from domain.ids import AccountId, SessionId
from interfaces.throttled import ThrottledWarning

SAVED_SECONDS: Final = 5.0
"""For how many seconds requests that are not made are saved up. As many may then be made at once."""

MOST_SECONDS: Final = 10.0
"""The longest that a request waits. Requests that would wait longer are refused."""

BYTES: Final = 16 * 1024
"""Each further so many bytes of an answer count as one more request, because long answers cost more than short ones."""

CHANGE: Final = 25
"""
A change of a chat or of its members counts as this many requests, because it needs a transaction of its own and is told to others. It
takes only five to nine times the CPU of a small request, but nearly all at once. Messages of others that are sent meanwhile wait for it, and
there should be few of them.
"""

PUT: Final = 25
"""
A change that puts people into a group counts as this many requests more, so that an account makes one a second. It is what somebody
would do who wants to annoy others, and hardly anybody does it so often by hand.
"""

PEOPLE: Final = 10
"""
A change also counts as one more request for each so many people whom it puts into a group, because each of them costs several rows and
an entry in a log of their own.
"""

SOCKETS: Final = 100
"""A message counts as one more request for each so many sockets that it is told to, because each costs a write."""

FRAMES: Final = 50
"""
Frames of a WebSocket that count as one request together, because they take about as long to parse: pings, pongs and parts of
messages. A whole message counts as a request of its own.
"""

REFUSED_SIGN_IN: Final = 10
"""
A sign-in with a password that is refused counts as this many requests of its network, because it costs as much: a password is
hashed, and several statements look up the account and count what was tried.
"""

REFUSED: Final = 5
"""
A request that a limit refuses (429, or `too_many_requests` on a socket) counts as this many. Who waits as long as the refusal says
has one of them; who asks on gets a fifth of the refusals, which cost nearly as much as answers.
"""

UNREAD: Final = 5
"""
A frame of a socket that is not read, because too many of its frames wait for their moments already, counts as one request for each
such socket of the account, and as this many at most. An account that goes on sending on several sockets therefore gets less than
with one, until it waits for its answers.
"""

Asking = AccountId | SessionId | str
"""
The id by which requests wait for each other: that of their account, or of the session for requests about the account
itself, or the network from which they come.
"""

ACCOUNT_WAITS: Final = (
    "An account asks too much at once: its requests wait (API_REQUESTS_PER_ACCOUNT_AND_SECOND)"
)
NETWORK_WAITS: Final = (
    "A network asks too much at once: its requests wait (API_REQUESTS_PER_NETWORK_AND_SECOND). "
    "If it is a proxy, name it in API_TRUSTED_PROXIES: all people behind a proxy that is not named there count as one network"
)
SIGN_INS_WAIT: Final = (
    "A network tries too many wrong passwords: its sign-ins wait (API_SIGN_INS_PER_NETWORK_AND_SECOND). "
    "If it is a proxy, name it in API_TRUSTED_PROXIES: all people behind a proxy that is not named there count as one network"
)


@define(eq=False)
class Pace:
    """
    Lets each account, or each network, make ``per_second`` requests a second on this node. 0 means no limit.

    The requests beyond that wait, each for its own moment. The sum of what an account may ask for in a second is therefore the
    same with one socket and with five hundred.
    """

    per_second: int = 0
    saved_seconds: float = SAVED_SECONDS
    most_seconds: float = MOST_SECONDS
    _now: Callable[[], float] = time.monotonic
    _warning: str = ACCOUNT_WAITS
    _taken_until: dict[Asking, float] = field(init=False, factory=dict)
    """The time that past requests have taken up, for those whose time is in the future; the latest request last."""
    _unread: dict[AccountId, int] = field(init=False, factory=dict)
    """The number of each account's sockets that the server does not read at present, because too many of their frames wait."""
    _waiting: ThrottledWarning = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._waiting = ThrottledWarning(self._warning)

    def take(self, asking: Asking, requests: int = 1) -> float:
        """
        Takes the next moment for a request that counts as so many. Returns the seconds until then, which are 0.0 in ordinary use.
        The moment is taken for good, also if the request is never made.

        Raises:
            Overloaded: The next moment is more than ``most_seconds`` away; nothing is taken.
        """
        if not self.per_second:
            return 0.0
        now = self._now()
        wait = self._taken_until.get(asking, now) - now - self.saved_seconds
        if wait > 0.0:
            self._waiting.warn(whose=str(asking), seconds=round(wait, 3))
            if wait > self.most_seconds:
                raise Overloaded(
                    "too much is asked for at once", retry_after=max(1.0, wait - self.most_seconds)
                )
        self._add(asking, requests / self.per_second, now)
        return max(wait, 0.0)

    def has_room(self, asking: Asking) -> bool:
        """Returns whether a request that is made now would be carried out at once. It is not counted as a request."""
        now = self._now()
        return self._taken_until.get(asking, now) - now - self.saved_seconds <= 0.0

    def charge(self, asking: Asking, answered: int) -> None:
        """
        Counts an answer of so many bytes, which later requests wait for. What is due is at most what one request more than
        ``most_seconds`` away needs, so that nobody is kept waiting for longer than that for what was answered before.
        """
        if self.per_second and answered >= BYTES:
            self._add(asking, answered // BYTES / self.per_second, self._now())

    def charge_named(self, asking: Asking, people: int) -> None:
        """Counts what it costs to put so many people into a group, beside the change itself, for which `take` was called."""
        if people:
            self.charge_as(asking, 1 + PUT + people // PEOPLE)

    def charge_told(self, asking: Asking, sockets: int) -> None:
        """Counts what a message or typing costs that was told to so many sockets of this process, beside the request itself."""
        self.charge_as(asking, 1 + sockets // SOCKETS)

    def charge_as(self, asking: Asking, requests: int) -> None:
        """Counts a request, for which `take` was called before, as so many."""
        if self.per_second and requests > 1:
            self._add(asking, (requests - 1) / self.per_second, self._now())

    def charge_refused(self, asking: Asking) -> None:
        """Counts a request that a limit has refused as `REFUSED`."""
        self.charge_as(asking, REFUSED)

    def note_unread(self, account: AccountId) -> None:
        """Notes that a socket of an account is not read from now on, because too much of what it sent waits."""
        self._unread[account] = self._unread.get(account, 0) + 1

    def note_read(self, account: AccountId) -> None:
        """Notes that such a socket is read again, or gone."""
        self._unread[account] -= 1
        if not self._unread[account]:
            del self._unread[account]

    def weight_of_unread(self, account: AccountId) -> int:
        """Returns the number of requests for which a frame of an unread socket counts (`UNREAD`)."""
        return min(self._unread.get(account, 1), UNREAD)

    def give_back(self, asking: Asking) -> None:
        """Returns a moment that was taken, for later requests."""
        if asking in self._taken_until:
            self._taken_until[asking] -= 1 / self.per_second

    def _add(self, asking: Asking, seconds: float, now: float) -> None:
        taken = self._taken_until
        most = self.saved_seconds + self.most_seconds + 1 / self.per_second
        until = max(taken.pop(asking, now), now) + seconds
        taken[asking] = min(until, now + most)
        while next(iter(taken.values())) <= now:
            del taken[next(iter(taken))]

    @property
    def busy(self) -> int:
        """The number of accounts, sessions or networks that have used a part of their allowance and not got it back yet."""
        return len(self._taken_until)


NETWORK_SAVES: Final = 20.0
"""For how many seconds a network saves up requests, and sign-ins. All people behind one address may come back at once, after a restart."""


@define(eq=False)
class Moments:
    """
    Lets the requests of each network begin when their moments come, in their order.

    The moment of somebody who turns out to be signed in is given back: the pace of their account limits them, and a network may
    have any number of people who use the messenger. What is limited is what nobody answers for. So it is with sign-ins, which have
    moments of their own: only those with a wrong password keep them.
    """

    pace: Pace = Factory(Pace)
    _waiting: dict[Asking, deque[Callable[[], bool]]] = field(init=False, factory=dict)

    @classmethod
    def of_networks(cls, per_second: int) -> Self:
        """The moments of networks that may make so many requests a second."""
        return cls(Pace(per_second, NETWORK_SAVES, warning=NETWORK_WAITS))

    @classmethod
    def of_sign_ins(cls, per_second: int) -> Self:
        """The moments of sign-ins, of which each network may have so many refused in a second."""
        return cls(Pace(per_second, NETWORK_SAVES, warning=SIGN_INS_WAIT))

    def take(self, network: str, begin: Callable[[], bool]) -> bool:
        """
        Returns whether a request may begin at once. Otherwise ``begin`` is called later. If the request is no longer wanted then,
        ``begin`` returns False, and the next request of the network has its moment.

        Raises:
            Overloaded: See `Pace.take`.
        """
        wait = self.pace.take(network)
        if not wait:
            return True
        self._waiting.setdefault(network, deque()).append(begin)
        asyncio.get_running_loop().call_later(wait, self._begin_next, network)
        return False

    async def wait(self, network: str) -> None:
        """
        Takes a moment, and returns when it has come.

        Raises:
            Overloaded: See `Pace.take`.
        """
        came = asyncio.get_running_loop().create_future()

        def begin() -> bool:
            if came.done():
                return False
            came.set_result(None)
            return True

        if not self.take(network, begin):
            await came

    def give_back(self, network: str) -> None:
        """Gives a moment to the next request of the network, whether it waits already or comes later."""
        self.pace.give_back(network)
        self._begin_next(network)

    def _begin_next(self, network: str) -> None:
        waiting = self._waiting.get(network)
        while waiting:
            begin = waiting.popleft()
            if not waiting:
                del self._waiting[network]
            if begin():
                return
