"""Asking over HTTP by one connection that is kept, and what each answer costs."""

import http.client
import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import frozen

from tests.benchmarks.house import Installation


@frozen
class Cost:
    """What one answer costs."""

    p50: float
    """Seconds."""
    server: float
    postgres: float
    """Seconds of CPU."""

    @property
    def cpu(self) -> float:
        return self.server + self.postgres

    def __str__(self) -> str:
        return (
            f"p50 {self.p50 * 1e3:7.2f} ms; CPU: messenger {self.server * 1e6:6,.0f} us"
            f" + PostgreSQL {self.postgres * 1e6:6,.0f} us"
        )


@frozen
class Asking:
    """A client that is as cheap as Python allows, so that the server is measured and not the client."""

    house: Installation
    token: str
    connection: http.client.HTTPConnection

    @classmethod
    def by(cls, house: Installation, token: str) -> "Asking":
        return cls(house, token, http.client.HTTPConnection("127.0.0.1", house.server.port, timeout=60))

    def ask(self, path: str) -> bytes:
        self.connection.request("GET", path, headers={"Authorization": f"Bearer {self.token}"})
        answer = self.connection.getresponse()
        body = answer.read()
        assert answer.status == http.client.OK, body
        return body

    def tag(self, path: str) -> str:
        """The version of what is there."""
        self.connection.request("HEAD", path, headers={"Authorization": f"Bearer {self.token}"})
        answer = self.connection.getresponse()
        answer.read()
        return answer.headers["ETag"]

    def ask_again(self, path: str, tag: str) -> None:
        """Asks as a client does that has this version."""
        headers = {"Authorization": f"Bearer {self.token}", "If-None-Match": tag}
        self.connection.request("GET", path, headers=headers)
        answer = self.connection.getresponse()
        answer.read()
        assert answer.status == http.client.NOT_MODIFIED

    def data(self, path: str) -> Any:
        return json.loads(self.ask(path))["data"]

    def cost(self, path: str, seconds: float) -> Cost:
        return cost(self.house, lambda: self.ask(path), seconds)


def cost(house: Installation, once: Callable[[], object], seconds: float) -> Cost:
    """Measures what ``once`` costs, repeated for ``seconds`` after one call to warm up."""
    once()
    took: list[float] = []
    before = house.cpu_seconds()
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        began = time.perf_counter()
        once()
        took.append(time.perf_counter() - began)
    server, postgres = ((b - a) / len(took) for a, b in zip(before, house.cpu_seconds(), strict=True))
    return Cost(statistics.median(took), server, postgres)


def by_turns(ways: Mapping[str, Callable[[], Cost]], rounds: int) -> Mapping[str, Cost]:
    """The medians of each."""
    found: dict[str, list[Cost]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, measure in ways.items():
            found[name].append(measure())
    return {name: middle(costs) for name, costs in found.items()}


def middle(costs: Sequence[Cost]) -> Cost:
    return Cost(
        statistics.median(each.p50 for each in costs),
        statistics.median(each.server for each in costs),
        statistics.median(each.postgres for each in costs),
    )
