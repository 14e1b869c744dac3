"""
Resources that the HTTP connections of a node share: places, memory for bodies, and turns of the event loop.

Each resource has a limit for the whole node. When it runs short, the connection that has kept the node waiting longest is
closed; a client that sends its requests and reads its answers is not affected.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from attrs import Factory, define, field, frozen

from domain.network import network_of
from interfaces.http.addresses import Networks
from interfaces.pace import Moments
from interfaces.throttled import ThrottledWarning


@frozen(kw_only=True)
class HttpLimits:
    """The operator's limits on HTTP connections, in seconds and bytes."""

    head_seconds: float = 10.0
    """The time from the first byte of a request's head, or the opening of the connection, to the end of the head."""
    body_seconds: float = 30.0
    """The time from the end of a request's head to the end of its body."""
    idle_seconds: float = 75.0
    """The time between an answer and the next request; longer than the usual 60 s of load balancers, which must close first."""
    write_seconds: float = 30.0
    """The time in which a client must read `READ_IN_TIME` bytes of a pending answer, or the rest of it."""
    head_bytes: int = 16 * 1024
    headers: int = 100
    chunks: int = 4096
    """The maximum number of chunks in one body."""
    pipelined: int = 100
    """The number of requests that a client may send ahead without waiting for an answer; the connection then ends."""
    bodies_bytes: int = 64 * 1024 * 1024
    """Bytes of the bodies of all unanswered requests of the node together."""
    answers_bytes: int = 32 * 1024 * 1024
    """
    Bytes of answers of the node together that wait for clients to read them. Connections on which at most 64 KiB wait are not
    counted.
    """
    connections: int = 0
    """Connections of the node, WebSockets included; 0 derives the limit from the file descriptors available."""
    connections_per_network: int = 0
    """Connections of one client, as defined by `domain.network.network_of`; 0 means three quarters of the node's."""
    requests_per_network: int = 50
    """
    Connections and further requests of one client in a second, handshakes of WebSockets included; those beyond it wait
    (`interfaces.pace`). 0 means no limit.
    """


class Waited(Protocol):
    """A connection on whose client the node waits, for a head or for the rest of a body."""

    def give_way(self) -> None:
        """Close the connection, after telling a client that has begun a request that the node is overloaded."""
        ...


@define(eq=False)
class Places:
    """
    Limits the number of connections of the node and of each client network.

    Connections from ``exempt`` networks, which are trusted proxies, count only towards the limit of the node. When a limit
    is reached, the connection on which the node has waited longest is closed, among those of the same network or among
    all.
    """

    most: int
    most_of_network: int
    exempt: Networks = Networks()
    taken: int = 0
    _by_network: dict[str, int] = Factory(dict)
    _waited: dict[Waited, None] = Factory(dict)
    """Connections that have kept the node waiting, longest first; `_waited_by_network` has the same order."""
    _waited_by_network: dict[str, dict[Waited, None]] = Factory(dict)
    _full: ThrottledWarning = field(init=False)
    _share_used_up: ThrottledWarning = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._full = ThrottledWarning(
            f"All {self.most} connections are in use: those idle longest are closed (API_CONNECTIONS_LIMIT)"
        )
        self._share_used_up = ThrottledWarning(
            f"One network uses all its {self.most_of_network} connections: those idle longest are closed"
            " (API_CONNECTIONS_PER_NETWORK)"
        )

    def take(self, host: str) -> "Place | None":
        """Return a place for a client at this address, or None if all are taken and no connection can be closed for it."""
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
        """Record that the node waits on this connection from now on."""
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
    """Close the connection that has kept the node waiting longest. Returns whether there was one."""
    longest = next(iter(waited), None)
    if longest is not None:
        longest.give_way()
    return longest is not None


@define(eq=False)
class Place:
    """The place of one connection. Calling `leave` again has no effect."""

    places: Places
    network: str
    _is_taken: bool = True

    def leave(self) -> None:
        if self._is_taken:
            self._is_taken = False
            self.places.give_back(self.network)


@define(eq=False)
class Bodies:
    """Counts the bytes of bodies that the node holds. Beyond ``most`` the body that has been arriving longest is refused."""

    most: int
    held: int = 0
    _of: dict[Waited, int] = Factory(dict)
    """Bytes of bodies that are still arriving, oldest first."""
    _full: ThrottledWarning = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._full = ThrottledWarning(
            f"Bodies of requests take more than {self.most} bytes: the oldest incomplete ones are refused (API_BODIES_LIMIT)"
        )

    def add(self, connection: Waited, count: int) -> None:
        """Count bytes of a body that have arrived. May refuse bodies, this one included."""
        self.held += count
        self._of[connection] = self._of.get(connection, 0) + count
        while self.held > self.most and self._of:
            self._full.warn(bytes=self.held)
            oldest = next(iter(self._of))
            self.held -= self._of.pop(oldest)
            oldest.give_way()

    def complete(self, connection: Waited) -> int:
        """Mark a body as complete: it is no longer refused. Returns the number of bytes to `release` after the answer."""
        return self._of.pop(connection, 0)

    def release(self, count: int) -> None:
        self.held -= count

    def forget(self, connection: Waited) -> None:
        """Release the bytes of an incomplete body, if there are any."""
        self.release(self._of.pop(connection, 0))


class Read(Protocol):
    """A connection whose client reads an answer."""

    def cut_answer(self) -> None:
        """Close the connection at once."""
        ...


@define(eq=False)
class Answers:
    """
    Counts the bytes of answers that wait for their clients to read. Beyond ``most`` the answer that has been waiting longest is
    cut.

    A connection on which at most 64 KiB wait is not counted, since asyncio does not report it. A body waits from the moment when its
    client first reads more slowly than it is written until all of it is written; a streamed answer, whose bodies are made
    one by one, waits anew whenever its client falls behind.
    """

    most: int
    held: int = 0
    _of: dict[Read, int] = Factory(dict)
    """Bytes of each answer that waits, the longest waiting first."""
    _full: ThrottledWarning = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._full = ThrottledWarning(
            f"Answers that wait for their readers take more than {self.most} bytes: those that wait longest are cut"
            " (API_ANSWERS_LIMIT)"
        )

    def wait(self, connection: Read, count: int) -> None:
        """Set how many bytes of the connection's answer wait. May cut answers, this one included."""
        self.held += count - self._of.get(connection, 0)
        self._of[connection] = count
        while self.held > self.most and self._of:
            self._full.warn(bytes=self.held)
            longest = next(iter(self._of))
            self.forget(longest)
            longest.cut_answer()

    def forget(self, connection: Read) -> None:
        """Release the bytes of an answer, which is written or cut."""
        self.held -= self._of.pop(connection, 0)


WORK: Final = 1024
"""
Bytes of heads and chunks of all connections together that are parsed in one turn of the event loop, about 1 ms. It is
short because a WebSocket message takes several turns from the sender to the last listener.
"""

SLICE: Final = 1024
"""Bytes of one connection that are parsed at once."""

PAUSE: Final = 9.0
"""The pause after later work, as a multiple of the CPU time that it took: later work gets a tenth of the time."""


LEAST_PAUSE: Final = 0.001
"""The shortest time, in seconds, that a timer of uvloop can wait."""

LEAST_WORK: Final = LEAST_PAUSE / PAUSE
"""Seconds of CPU time for which pieces of later work are done one after the other, because no pause can be shorter."""

MOST_PIECES: Final = 4
"""Pieces of later work in one turn, however short they are."""


@define(eq=False)
class Turns:
    """
    A scheduler that shares the event loop among the connections that have bytes to be parsed, or have to be ended.

    The first slice of a request is parsed in the next turn that has room for it. Everything else is later work, which gets a
    tenth of the time as a whole: further slices of requests, and connections whose deadline is over. Networks take turns
    with it. Clients that send much therefore wait for each other, and clients that send little do not wait for them.
    """

    loop: asyncio.AbstractEventLoop
    work: int = WORK
    _left: int = field(init=False)
    _first: deque[Callable[[], None]] = Factory(deque)
    _later: dict[str, deque[Callable[[], None]]] = Factory(dict)
    """Later work by network; that of the network whose turn it is first."""
    _later_at: float = 0.0
    """The monotonic time from which the next piece of later work may be done."""
    _is_scheduled: bool = False
    _timer: asyncio.TimerHandle | None = None

    def __attrs_post_init__(self) -> None:
        self._left = self.work

    def has_room(self) -> bool:
        return self._left > 0 and not self._first

    def spend(self, work: int) -> None:
        self._left -= work
        self._schedule()

    def wait_for_first(self, parse: Callable[[], None]) -> None:
        """Schedule the parsing of a request's first slice."""
        self._first.append(parse)
        self._schedule()

    def wait(self, network: str, work: Callable[[], None]) -> None:
        """Schedule later work on a connection from ``network``."""
        self._later.setdefault(network, deque()).append(work)
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
        now = time.monotonic()  # the loop's own time may count whole milliseconds only
        if self._later and now >= self._later_at:
            began, spent = time.thread_time(), 0.0
            for _ in range(MOST_PIECES):
                self._next_of_later()()
                spent = time.thread_time() - began
                if spent >= LEAST_WORK or not self._later:
                    break
            self._later_at = now + (1 + PAUSE) * spent
        if self._first:
            self._schedule()
        if self._later and self._timer is None:
            self._timer = self.loop.call_later(max(LEAST_PAUSE, self._later_at - now), self._wake)

    def _next_of_later(self) -> Callable[[], None]:
        network = next(iter(self._later))
        waiting = self._later.pop(network)
        work = waiting.popleft()
        if waiting:
            self._later[network] = waiting
        return work

    def _wake(self) -> None:
        self._timer = None
        self._schedule()


READ: Final = 16 * 1024
"""Bytes of one read. What a client sends ahead waits in the buffers of the operating system, not in ours."""

RESERVE: Final = 128
"""File descriptors reserved for the database, files and accepting; connections of clients cannot use them."""


@define(eq=False)
class Node:
    """
    The resources shared by the connections of one server. It must be created inside the server's event loop.

    ``descriptors`` is the limit on file descriptors of the process, and ``exempt`` are the networks of trusted proxies.
    """

    limits: HttpLimits
    descriptors: int
    exempt: Networks = Networks()
    moments: Moments = Factory(Moments)
    """When the requests of each network may begin."""
    places: Places = field(init=False)
    bodies: Bodies = field(init=False)
    answers: Answers = field(init=False)
    turns: Turns = field(init=False)
    unfit: ThrottledWarning = Factory(
        lambda: ThrottledWarning("Requests that are not valid HTTP, or too large, are refused")
    )
    late: ThrottledWarning = Factory(
        lambda: ThrottledWarning("Connections that exceed a deadline are closed")
    )
    buffer: bytearray = Factory(lambda: bytearray(READ))
    """The buffer of all reads. Each connection copies its bytes out before the next one reads."""

    def __attrs_post_init__(self) -> None:
        available = max(1, self.descriptors - min(RESERVE, self.descriptors // 4))
        most = min(self.limits.connections or available, available)
        most_of_network = self.limits.connections_per_network or max(1, most * 3 // 4)
        self.places = Places(most, most_of_network, self.exempt)
        self.bodies = Bodies(self.limits.bodies_bytes)
        self.answers = Answers(self.limits.answers_bytes)
        self.turns = Turns(asyncio.get_running_loop())
