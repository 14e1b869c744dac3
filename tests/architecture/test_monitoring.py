"""The dashboard and the alert rules ask for metrics and labels that exist."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from attrs import frozen

from infrastructure.prometheus.meter import OUTCOMES
from tests.metrics import complete_meter, series

DEPLOY = Path(__file__).resolve().parents[2] / "docs" / "deploy"

WORDS = {"by", "sum", "rate", "increase", "changes", "histogram_quantile", "topk", "time"}
"""The functions and keywords of PromQL that the queries use."""

ADDED = {"job", "instance"}
"""Labels that Prometheus adds when it reads the metrics."""


@frozen
class Query:
    where: str
    text: str

    @property
    def selectors(self) -> list[tuple[str, str]]:
        """Each metric that the query names, with what stands in its braces."""
        return re.findall(r"\b([a-z_:][a-z0-9_:]*)\{([^}]*)\}", self.text)

    @property
    def words(self) -> set[str]:
        """What is left without metrics, labels, texts, durations and numbers."""
        bare = re.sub(r"[a-z_:][a-z0-9_:]*\{[^}]*\}|\[[^]]*\]|\bby \([^)]*\)", " ", self.text)
        return set(re.findall(r"[a-z_]+", bare)) | ({"by"} if " by (" in self.text else set())

    @property
    def grouped_by(self) -> set[str]:
        return {
            label.strip()
            for found in re.findall(r"\bby \(([^)]*)\)", self.text)
            for label in found.split(",")
        }


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DEPLOY / "grafana-dashboard.json").read_text())
    return found


def queries_of_the_dashboard() -> Iterator[Query]:
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", ()):
            yield Query(panel["title"], target["expr"])


def alerts() -> list[dict[str, Any]]:
    rules = yaml.safe_load((DEPLOY / "prometheus-rules.yml").read_text())
    return [rule for group in rules["groups"] for rule in group["rules"]]


def queries_of_the_alerts() -> Iterator[Query]:
    for rule in alerts():
        yield Query(rule["alert"], rule["expr"])


@pytest.fixture(scope="module")
def labels() -> dict[str, set[str]]:
    """The labels of each series."""
    found: dict[str, set[str]] = {"up": set()}
    for each in series(complete_meter()):
        found.setdefault(each.name, set()).update(each.labels)
    return found


def faults(query: Query, labels: dict[str, set[str]]) -> list[str]:
    found = [f"unknown word {word}" for word in query.words - WORDS]
    if not query.selectors:
        found.append("asks for nothing")
    for name, inside in query.selectors:
        if name not in labels:
            found.append(f"unknown metric {name}")
            continue
        used = set(re.findall(r"(\w+)(?:=~|!~|!=|=)", inside)) | query.grouped_by
        found += [f"{name} has no label {label}" for label in used - labels[name] - ADDED]
        if 'job="' not in inside:
            found.append(f"{name} of every job")
    return found


@pytest.mark.parametrize(
    "query", [*queries_of_the_dashboard(), *queries_of_the_alerts()], ids=lambda each: each.where
)
def test_what_is_asked_for_exists(query: Query, labels: dict[str, set[str]]) -> None:
    assert faults(query, labels) == []


def test_the_dashboard_shows_every_metric(labels: dict[str, set[str]]) -> None:
    shown = {name for query in queries_of_the_dashboard() for name, _ in query.selectors}
    families = {re.sub(r"_(bucket|sum|count|total)$", "", name) for name in shown}
    known = {re.sub(r"_(bucket|sum|count|total|created)$", "", name) for name in labels}
    assert known - families == {"up", "process_virtual_memory_bytes"}


def test_values_of_labels_exist() -> None:
    asked = {
        (label, value)
        for query in [*queries_of_the_dashboard(), *queries_of_the_alerts()]
        for _, inside in query.selectors
        for label, value in re.findall(r'(\w+)(?:!=|=)"(\w+)"', inside)
    }
    known = {item for each in series(complete_meter()) for item in each.labels.items()}
    assert asked - known == {("job", "messenger")}
    assert {value for label, value in asked if label == "outcome"} <= set(OUTCOMES)


def test_panels_are_told_apart_and_do_not_overlap() -> None:
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert max(x for x, _ in cells) < 24
        assert not places & cells, panel["title"]
        places |= cells


def test_alerts_say_what_happens_and_how_bad_it_is() -> None:
    names = [rule["alert"] for rule in alerts()]
    assert len(set(names)) == len(names) > 5
    for rule in alerts():
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert rule["annotations"].keys() == {"summary", "description"}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            'rate(messenger_http_request_total{job="messenger"}[5m])',
            "unknown metric messenger_http_request_total",
        ),
        ('sum by (room) (messenger_sockets{job="messenger"})', "messenger_sockets has no label room"),
        (
            'messenger_batch_seconds_sum{job="messenger", sort="x"}',
            "messenger_batch_seconds_sum has no label sort",
        ),
        ('summe(messenger_sockets{job="messenger"})', "unknown word summe"),
        ('messenger_sockets{instance="x"}', "messenger_sockets of every job"),
        ("messenger_sockets", "asks for nothing"),
    ],
)
def test_sees_what_is_wrong(text: str, fault: str, labels: dict[str, set[str]]) -> None:
    assert fault in faults(Query("here", text), labels)
