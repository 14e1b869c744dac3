"""Every metric of a node in service, for tests of what documents and dashboards say about them."""

from collections.abc import Iterator

from attrs import frozen
from prometheus_client.parser import text_string_to_metric_families

from infrastructure.prometheus.meter import PrometheusMeter


@frozen
class Pool:
    size: int = 6
    in_use: int = 0
    idle: int = 2
    waits: int = 0
    waited_seconds: float = 0.5


@frozen
class Series:
    name: str
    labels: dict[str, str]


def complete_meter() -> PrometheusMeter:
    meter = PrometheusMeter()
    meter.request_answered("GET", "/chats/", 200, 0.001)
    meter.caught_up()
    meter.describe_build(version="1.2.3", revision="0a1b2c", python="3.13.1")
    meter.watch_pools({"reads": Pool})
    meter.watch_pages(lambda: {"replica": 3, "primary": 1})
    return meter


def series(meter: PrometheusMeter) -> Iterator[Series]:
    """Each time series that Prometheus makes of the metrics."""
    for family in text_string_to_metric_families(meter.text().decode()):
        for sample in family.samples:
            yield Series(sample.name, sample.labels)
