"""Notes which connections there were and which are still there, to see that they are freed without a collection of garbage."""

import asyncio
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakSet

import pytest
from attrs import Factory, define

from interfaces.http.protocol import HttpConnection


@define(eq=False)
class Noted:
    made: int = 0
    there: WeakSet[HttpConnection] = Factory(WeakSet)
    """Those of them that have not been freed."""


def note_connections(monkeypatch: pytest.MonkeyPatch) -> Noted:
    """Notes all connections that are made from now on."""
    noted, connection_made = Noted(), HttpConnection.connection_made

    def note(self: HttpConnection, transport: asyncio.BaseTransport) -> None:
        noted.made += 1
        noted.there.add(self)
        connection_made(self, transport)

    monkeypatch.setattr(HttpConnection, "connection_made", note)
    return noted


@contextmanager
def without_collections() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
