"""
Metrics of a node in the text format of Prometheus.

Each node has its own registry, so that two nodes in one process, as in tests, do not share metrics. Events that happen for
every frame are counted in plain numbers and collected on request, because a counter of the client library would cost more
than the frame.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Final, Protocol, get_args

from attrs import Factory, define, field
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from application.meter import Kind

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OTHER: Final = "other"
"""Stands for all other methods: clients could invent any number of them, and each would become a time series."""

QUICK: Final = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)
"""In seconds. A read takes a third of a millisecond and telling listeners less, so several buckets are below one."""
OUTCOMES: Final = ("sent", "failed", "error")
"""The possible outcomes of an attempt to send a letter."""

SIZES: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500)


class PoolState(Protocol):
    """The present state of a pool of database connections."""

    @property
    def size(self) -> int:
        """The most connections that it opens."""
        ...

    @property
    def in_use(self) -> int: ...

    @property
    def idle(self) -> int:
        """Open connections that nobody uses."""
        ...

    @property
    def waits(self) -> int:
        """How often somebody has waited for a connection because all were in use."""
        ...

    @property
    def waited_seconds(self) -> float:
        """How long all these waits took together."""
        ...


Pools = Mapping[str, Callable[[], PoolState]]
"""Pools of database connections by name, each with the function that reads its state."""


@define(eq=False)
class PoolFigures(Collector):
    pools: Pools

    def describe(self) -> Iterator[Metric]:
        """The metrics without values: registering asks for their names, when no pool may exist yet."""
        return self._metrics({})

    def collect(self) -> Iterator[Metric]:
        return self._metrics({name: read() for name, read in self.pools.items()})

    @staticmethod
    def _metrics(states: Mapping[str, PoolState]) -> Iterator[Metric]:
        size = GaugeMetricFamily(
            "messenger_pool_size", "Database connections that a pool opens at most.", labels=["pool"]
        )
        connections = GaugeMetricFamily(
            "messenger_pool_connections",
            "Open database connections, in_use or idle.",
            labels=["pool", "state"],
        )
        waits = CounterMetricFamily(
            "messenger_pool_waits",
            "Waits for a database connection because all were in use.",
            labels=["pool"],
        )
        waited = CounterMetricFamily(
            "messenger_pool_wait_seconds", "Time spent in these waits.", labels=["pool"]
        )
        for name, state in states.items():
            size.add_metric([name], state.size)
            connections.add_metric([name, "in_use"], state.in_use)
            connections.add_metric([name, "idle"], state.idle)
            waits.add_metric([name], state.waits)
            waited.add_metric([name], state.waited_seconds)
        yield from (size, connections, waits, waited)


@define(eq=False)
class PageFigures(Collector):
    read: Callable[[], Mapping[str, int]]

    def describe(self) -> Iterator[Metric]:
        """The metric without values, as `PoolFigures` tells its own."""
        return self._metrics({})

    def collect(self) -> Iterator[Metric]:
        return self._metrics(self.read())

    @staticmethod
    def _metrics(pages: Mapping[str, int]) -> Iterator[Metric]:
        counted = CounterMetricFamily(
            "messenger_replica_pages",
            "Pages of history read from the replica, or from the primary because the replica could not be read.",
            labels=["from"],
        )
        for server, number in pages.items():
            counted.add_metric([server], number)
        yield counted


@define(eq=False)
class Figures(Collector):
    """Metrics of sockets, and the time since this node last read everything that is committed."""

    clock: Callable[[], float]
    sockets: int = 0
    frames_in: int = 0
    frames_out: int = 0
    outbox_bytes: int = 0
    looked_at: float | None = None

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("messenger_sockets", "Open sockets.", self.sockets)
        yield CounterMetricFamily("messenger_frames_received", "Frames from clients.", self.frames_in)
        yield CounterMetricFamily(
            "messenger_frames_sent", "Frames to clients, one for each.", self.frames_out
        )
        yield GaugeMetricFamily(
            "messenger_outbox_bytes", "What waits for slow readers.", max(self.outbox_bytes, 0)
        )
        if self.looked_at is not None:
            yield GaugeMetricFamily(
                "messenger_cursor_lag_seconds",
                "Since this node last knew of everything that was committed.",
                self.clock() - self.looked_at,
            )


@define(eq=False)
class PrometheusMeter:
    _clock: Callable[[], float] = time.monotonic
    _registry: CollectorRegistry = field(init=False, factory=lambda: CollectorRegistry(auto_describe=True))
    _figures: Figures = field(init=False, default=Factory(lambda self: Figures(self._clock), takes_self=True))
    _requests: Counter = field(init=False)
    _request_seconds: Histogram = field(init=False)
    _batch_size: Histogram = field(init=False)
    _batch_seconds: Histogram = field(init=False)
    _commit_seconds: Histogram = field(init=False)
    _told_seconds: Histogram = field(init=False)
    _loop_lag: Histogram = field(init=False)
    _letters: Counter = field(init=False)

    def __attrs_post_init__(self) -> None:
        registry = self._registry
        registry.register(self._figures)
        ProcessCollector(registry=registry)
        self._requests = Counter(
            "messenger_http_requests",
            "Requests by method, route and status.",
            ("method", "route", "status"),
            registry=registry,
        )
        self._request_seconds = Histogram(
            "messenger_http_request_seconds",
            "From the request to the end of the answer.",
            ("method", "route"),
            buckets=QUICK,
            registry=registry,
        )
        self._batch_size = Histogram(
            "messenger_batch_commands", "Commands in a batch.", ("kind",), buckets=SIZES, registry=registry
        )
        self._batch_seconds = Histogram(
            "messenger_batch_seconds",
            "From a batch's beginning to after its commit.",
            ("kind",),
            buckets=QUICK,
            registry=registry,
        )
        self._commit_seconds = Histogram(
            "messenger_commit_seconds",
            "What of a batch its last statement and the commit took, which are sent together.",
            ("kind",),
            buckets=QUICK,
            registry=registry,
        )
        for kind in get_args(
            Kind
        ):  # exist from the start, because a rate needs a zero before the first value
            for figure in (self._batch_size, self._batch_seconds, self._commit_seconds):
                figure.labels(kind)
        self._told_seconds = Histogram(
            "messenger_commit_to_socket_seconds",
            "From a commit until every listener of this node had it in its socket or outbox.",
            buckets=QUICK,
            registry=registry,
        )
        self._letters = Counter(
            "messenger_letters",
            "Letters by outcome: sent, failed (to be tried again), error (given up).",
            ("outcome",),
            registry=registry,
        )
        for outcome in OUTCOMES:
            self._letters.labels(outcome)

        self._loop_lag = Histogram(
            "messenger_loop_lag_seconds",
            "How much later than asked the event loop woke a task.",
            buckets=QUICK,
            registry=registry,
        )

    def describe_build(self, *, version: str, revision: str | None, python: str) -> None:
        """States which build this is, as labels of a series that is always 1. To be called once."""
        build = Gauge(
            "messenger_build_info",
            "Always 1: the labels say which build this is.",
            ("version", "revision", "python"),
            registry=self._registry,
        )
        build.labels(version, revision or "", python).set(1)

    def watch_pools(self, pools: Pools) -> None:
        """Adds the figures of pools of database connections. To be called once."""
        self._registry.register(PoolFigures(pools))

    def watch_pages(self, read: Callable[[], Mapping[str, int]]) -> None:
        """Adds how many pages of history were read from each server, where there is a replica. To be called once."""
        self._registry.register(PageFigures(read))

    def loop_lagged(self, seconds: float) -> None:
        """Records how much later than it asked the event loop woke a task."""
        self._loop_lag.observe(seconds)

    def text(self) -> bytes:
        return generate_latest(self._registry)

    def request_answered(self, method: str, route: str, status: int, seconds: float) -> None:
        known = method if method in METHODS else OTHER
        self._requests.labels(known, route, str(status)).inc()
        self._request_seconds.labels(known, route).observe(seconds)

    def batch_done(self, kind: Kind, commands: int, seconds: float) -> None:
        self._batch_size.labels(kind).observe(commands)
        self._batch_seconds.labels(kind).observe(seconds)

    def batch_committed(self, kind: Kind, seconds: float) -> None:
        self._commit_seconds.labels(kind).observe(seconds)

    def update_delivered(self, seconds: float) -> None:
        self._told_seconds.observe(seconds)

    def caught_up(self) -> None:
        self._figures.looked_at = self._clock()

    def letter_tried(self, outcome: str) -> None:
        self._letters.labels(outcome).inc()

    def socket_opened(self) -> None:
        self._figures.sockets += 1

    def socket_closed(self) -> None:
        self._figures.sockets -= 1

    def frame_received(self) -> None:
        self._figures.frames_in += 1

    def frames_sent(self, count: int) -> None:
        self._figures.frames_out += count

    def outbox_grew(self, size: int) -> None:
        self._figures.outbox_bytes += size
