"""
What the HTTP connections of a node share: places, memory for bodies, and turns of the event loop.

Each is limited as a whole, and where it is short, whoever kept the node waiting longest gives way: a client that sends its
requests and reads its answers is never the one.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from logging import getLogger
from typing import Final, Protocol

from attrs import Factory, define, field, frozen

from domain.network import network_of
from interfaces.http.addresses import Networks

log: Final = getLogger(__name__)


@frozen(kw_only=True)
class HttpLimits:
    """What an operator may choose about connections. Seconds and bytes."""

    head_seconds: float = 10.0
    """From the first byte of a request's head, or the opening of a connection, to the head's end."""
    body_seconds: float = 30.0
    """From the end of a request's head to the end of its body."""
    idle_seconds: float = 75.0
    """Between an answer and the next request: longer than the 60 s after which balancers commonly close their side."""
    write_seconds: float = 30.0
    """In which a client must read `READ_IN_TIME` of an answer that waits for it, or the rest of it."""
    head_bytes: int = 16 * 1024
    headers: int = 100
    chunks: int = 4096
    """Of one body."""
    pipelined: int = 100
    """Requests that may be sent one after the other without waiting for an answer; the connection then ends."""
    bodies_bytes: int = 64 * 1024 * 1024
    """Of all requests of the node together that are not answered yet."""
    connections: int = 0
    """Of the node, WebSockets included; 0: as many as there are descriptors for."""
    connections_per_network: int = 0
    """Of one client, as `domain.network.network_of` has it; 0: three quarters of the node's."""


class Waited(Protocol):
    """A connection that the node waits for: it owes a head, or the rest of a body."""

    def give_way(self) -> None:
        """End, and tell a client that has begun a request that the node has no room for it."""
        ...


@define(eq=False)
class Throttled:
    """A warning at most every ``seconds``; the next one tells how many were left out."""

    message: str
    seconds: float = 10.0
    _left_out: int = 0
    _next: float = 0.0

    def warn(self, **more: object) -> None:
        now = time.monotonic()
        if now < self._next:
            self._left_out += 1
            return
        others = f" ({self._left_out} more since the last line)" if self._left_out else ""
        log.warning("%s%s", self.message, others, extra=more)
        self._left_out, self._next = 0, now + self.seconds


@define(eq=False)
class Places:
    """
    How many connections there may be: of the node, and of one network.

    Connections from ``exempt`` networks, which are trusted proxies, count for the node alone. Where there is no room, the
    connection that the node has waited for longest gives way: of the same network, or of all.
    """

    most: int
    most_of_network: int
    exempt: Networks = Networks()
    taken: int = 0
    _by_network: dict[str, int] = Factory(dict)
    _waited: dict[Waited, None] = Factory(dict)
    """Those that are waited for longest come first, here and by network."""
    _waited_by_network: dict[str, dict[Waited, None]] = Factory(dict)
    _full: Throttled = field(init=False)
    _share_used_up: Throttled = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._full = Throttled(
            f"All {self.most} connections are taken: the longest waited-for make way (API_CONNECTIONS_LIMIT)"
        )
        self._share_used_up = Throttled(
            f"One network has its {self.most_of_network} connections: its longest waited-for make way"
            " (API_CONNECTIONS_PER_NETWORK)"
        )

    def take(self, host: str) -> "Place | None":
        """A place for a client at this address. None if there is none, and nobody who can give way."""
        network = "" if not host or host in self.exempt else network_of(host)
        if network and self._by_network.get(network, 0) >= self.most_of_network:
            self._share_used_up.warn(network=network, connections=self._by_network[network])
            if not _make_way(self._waited_by_network.get(network, {})):
                return None
        if self.taken >= self.most:
            self._full.warn(connections=self.taken)
            if not _make_way(self._waited):
                return None
        self.taken += 1
        self._by_network[network] = self._by_network.get(network, 0) + 1
        return Place(self, network)

    def waits(self, place: "Place", connection: Waited) -> None:
        """The node waits for this one from now on."""
        self.waits_no_more(place, connection)
        self._waited[connection] = None
        self._waited_by_network.setdefault(place.network, {})[connection] = None

    def waits_no_more(self, place: "Place", connection: Waited) -> None:
        self._waited.pop(connection, None)
        if of_network := self._waited_by_network.get(place.network):
            of_network.pop(connection, None)
            if not of_network:
                del self._waited_by_network[place.network]

    def give_back(self, network: str) -> None:
        self.taken -= 1
        self._by_network[network] -= 1
        if not self._by_network[network]:
            del self._by_network[network]


def _make_way(waited: Mapping[Waited, None]) -> bool:
    """Whether there was somebody to do it."""
    longest = next(iter(waited), None)
    if longest is not None:
        longest.give_way()
    return longest is not None


@define(eq=False)
class Place:
    """One connection's, until it leaves; leaving twice counts once."""

    places: Places
    network: str
    _is_taken: bool = True

    def leave(self) -> None:
        if self._is_taken:
            self._is_taken = False
            self.places.give_back(self.network)


GIVEN_BACK: Final = 8 * 1024 * 1024
"""Bytes of bodies that were held at once, after which memory is returned to the system when they are gone."""


@define(eq=False)
class Bodies:
    """
    The bytes of bodies that the node holds. Where they are too many, the body that is on its way for longest is refused.
    """

    most: int
    trim: Callable[[], None] = lambda: None
    """Returns memory that is no longer used to the system."""
    held: int = 0
    _peak: int = 0
    _of: dict[Waited, int] = Factory(dict)
    """Bodies on their way, oldest first."""
    _full: Throttled = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._full = Throttled(
            f"Bodies of requests hold {self.most} bytes: those longest on their way are refused (API_BODIES_LIMIT)"
        )

    def add(self, connection: Waited, count: int) -> None:
        """So many bytes of a body have come."""
        self.held += count
        self._peak = max(self._peak, self.held)
        self._of[connection] = self._of.get(connection, 0) + count
        while self.held > self.most and self._of:
            self._full.warn(bytes=self.held)
            oldest = next(iter(self._of))
            self.held -= self._of.pop(oldest)
            oldest.give_way()

    def complete(self, connection: Waited) -> int:
        """The whole body is there: it can no longer be refused. Returns the bytes to `release` after the answer."""
        return self._of.pop(connection, 0)

    def release(self, count: int) -> None:
        self.held -= count
        if self._peak >= GIVEN_BACK and self.held < GIVEN_BACK // 8:
            self._peak = 0
            asyncio.get_running_loop().call_later(1.0, self.trim)

    def forget(self, connection: Waited) -> None:
        """It is gone, complete or not."""
        self.release(self._of.pop(connection, 0))


WORK: Final = 1024
"""
Bytes of heads and chunks of all connections together that are parsed in one turn of the event loop: some 1 ms. What is
told over WebSockets takes several turns from the sender to the last listener.
"""

SLICE: Final = 1024
"""Bytes of one connection that are parsed in one go."""

PAUSE: Final = 3.0
"""How much longer than a slice took the next one waits, where connections have sent more than one: a quarter of the time."""


@define(eq=False)
class Turns:
    """
    Shares the event loop among the connections that have something to be parsed.

    The first slice of a request is parsed in the next turn that has room for it. Who has sent more than that waits in a
    second queue, which all together get a quarter of the time: whoever sends much there waits for others who do, and
    nobody who sends little waits for them.
    """

    loop: asyncio.AbstractEventLoop
    work: int = WORK
    _left: int = field(init=False)
    _first: deque[Callable[[], None]] = Factory(deque)
    _further: deque[Callable[[], None]] = Factory(deque)
    _further_at: float = 0.0
    """When the next of the second queue may be parsed."""
    _is_scheduled: bool = False
    _timer: asyncio.TimerHandle | None = None

    def __attrs_post_init__(self) -> None:
        self._left = self.work

    def has_room(self) -> bool:
        return self._left > 0 and not self._first

    def spend(self, work: int) -> None:
        self._left -= work
        self._schedule()

    def wait(self, parse: Callable[[], None], *, is_first: bool) -> None:
        """Call ``parse`` when it is its turn; ``is_first``: it is the first slice of a request."""
        (self._first if is_first else self._further).append(parse)
        self._schedule()

    def _schedule(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            self.loop.call_soon(self._begin)

    def _begin(self) -> None:
        self._is_scheduled = False
        self._left = self.work
        while self._first and self._left > 0:
            self._first.popleft()()
        began = self.loop.time()
        if self._further and began >= self._further_at:
            self._further.popleft()()
            now = self.loop.time()
            self._further_at = now + PAUSE * (now - began)
        if self._first:
            self._schedule()
        if self._further and self._timer is None:
            self._timer = self.loop.call_at(self._further_at, self._wake)

    def _wake(self) -> None:
        self._timer = None
        self._schedule()


READ: Final = 16 * 1024
"""Bytes that one read takes. What one connection sends ahead waits in the system's buffers, not in ours."""

RESERVE: Final = 128
"""Descriptors that connections of clients are kept from: for the database, files, and the accepting of connections."""


@define(eq=False)
class Node:
    """
    What the connections of one server share; to be made where its loop runs.

    ``descriptors`` is how many the process may have, ``exempt`` are the networks of trusted proxies, and ``trim`` returns
    memory that is no longer used to the system.
    """

    limits: HttpLimits
    descriptors: int
    exempt: Networks = Networks()
    trim: Callable[[], None] = lambda: None
    places: Places = field(init=False)
    bodies: Bodies = field(init=False)
    turns: Turns = field(init=False)
    unfit: Throttled = Factory(lambda: Throttled("Requests that are no HTTP, or too much of it, are refused"))
    late: Throttled = Factory(lambda: Throttled("Connections are ended by a deadline"))
    buffer: bytearray = Factory(lambda: bytearray(READ))
    """What a read goes into. Each connection takes its bytes out before the next one reads."""

    def __attrs_post_init__(self) -> None:
        there_are = max(1, self.descriptors - min(RESERVE, self.descriptors // 4))
        most = min(self.limits.connections or there_are, there_are)
        self.places = Places(most, self.limits.connections_per_network or max(1, most * 3 // 4), self.exempt)
        self.bodies = Bodies(self.limits.bodies_bytes, self.trim)
        self.turns = Turns(asyncio.get_running_loop())
