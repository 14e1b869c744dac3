"""
The metrics of several processes as one text: counters, histograms and most gauges are added up.

Each process tells its own figures on a Unix socket, and each can therefore answer a scraper for all of them.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from attrs import frozen
from prometheus_client import generate_latest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector, CollectorRegistry
from prometheus_client.samples import Sample

log: Final = logging.getLogger(__name__)

GREATEST: Final = frozenset({"messenger_build_info", "messenger_cursor_lag_seconds", "process_max_fds"})
"""Gauges of which the greatest value is shown, because their sum would mean nothing."""

EARLIEST: Final = ("process_start_time_seconds", "_created")
"""The ends of the names of moments, of which the earliest is shown."""

WITHIN: Final = 1.0
"""Seconds that a process may take to tell its figures. Those of one that takes longer are missing in the answer."""

Key = tuple[str, tuple[tuple[str, str], ...]]


def summed(texts: Sequence[bytes]) -> bytes:
    """The figures of ``texts``, each in the text format of Prometheus, as one such text."""
    if len(texts) == 1:
        return texts[0]
    families: dict[str, Metric] = {}
    values: dict[str, dict[Key, float]] = {}
    for text in texts:
        for family in text_string_to_metric_families(text.decode()):
            known = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            found = values.setdefault(known.name, {})
            for sample in family.samples:
                key = sample.name, tuple(sorted(sample.labels.items()))
                before = found.get(key)
                found[key] = sample.value if before is None else _together(sample.name, before, sample.value)
    for name, family in families.items():
        family.samples = [Sample(each, dict(labels), value) for (each, labels), value in values[name].items()]
    registry = CollectorRegistry()
    registry.register(_Shown(list(families.values())))
    return generate_latest(registry)


def _together(name: str, one: float, other: float) -> float:
    if name in GREATEST:
        return max(one, other)
    if name.endswith(EARLIEST):
        return min(one, other)
    return one + other


@frozen(eq=False)
class _Shown(Collector):
    _families: Sequence[Metric]

    def describe(self) -> Iterator[Metric]:
        return iter(())

    def collect(self) -> Iterator[Metric]:
        return iter(self._families)


@frozen
class SharedFigures:
    """The figures of this process, and of those that tell theirs at ``places``."""

    _own: Callable[[], bytes]
    _place: Path
    """The Unix socket of this process."""
    _places: Sequence[Path]
    """The Unix sockets of all processes."""

    async def text(self) -> bytes:
        others = [place for place in self._places if place != self._place]
        told = await asyncio.gather(*map(_asked, others))
        return summed([self._own(), *filter(None, told)])

    async def run(self) -> None:
        """Tells the figures of this process to the others until it is cancelled."""
        with suppress(FileNotFoundError):  # left over by this process's predecessor
            self._place.unlink()
        async with _serving(self._tell, self._place):
            await asyncio.get_running_loop().create_future()

    async def _tell(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            writer.write(self._own())
            await writer.drain()
            writer.close()
            await writer.wait_closed()


@asynccontextmanager
async def _serving(
    tell: Callable[[asyncio.StreamReader, asyncio.StreamWriter], object], place: Path
) -> AsyncIterator[None]:
    server = await asyncio.start_unix_server(tell, place)  # type: ignore[arg-type]
    try:
        yield
    finally:
        server.close()


async def _asked(place: Path) -> bytes:
    """The figures that another process tells, or nothing if it does not answer: it may just be starting again."""
    try:
        async with asyncio.timeout(WITHIN):
            reader, writer = await asyncio.open_unix_connection(place)
            try:
                return await reader.read()
            finally:
                writer.close()
    except OSError:
        return b""
