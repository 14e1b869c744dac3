"""
The table of authorization is whole and true: each endpoint and each frame has a row, and every caller gets what it says.

The routes and the registry of frames decide what must be in it.
"""

import pytest
from starlette.routing import WebSocketRoute

from interfaces.http.routes import Endpoint
from interfaces.wire.registry import CHANNELS, FROM_CLIENTS
from tests.all_chats import opened
from tests.authorization.callers import Caller
from tests.authorization.page import PAGE, written
from tests.authorization.rows import FRAMES, HTTP
from tests.authorization.trying import Row, trials

ROWS: list[Row] = [*HTTP, *FRAMES]


async def test_every_route_and_every_frame_has_a_row() -> None:
    async with opened() as house:
        routes = house.app.routes
    endpoints = {f"{route.method} {route.path}" for route in routes if isinstance(route, Endpoint)}
    assert endpoints == {row.endpoint for row in HTTP}
    others = [route for route in routes if not isinstance(route, Endpoint)]
    assert {getattr(route, "path", None) for route in others if isinstance(route, WebSocketRoute)} == {
        each.path for each in CHANNELS.values() if each.path.endswith("ws")
    }
    assert all(isinstance(route, WebSocketRoute) for route in others), "a kind of route without a table"
    assert {(row.channel, row.type) for row in FRAMES} == {(row.on, row.type) for row in FROM_CLIENTS}


def test_rows_say_what_everybody_gets_and_are_told_apart() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS)
    assert all(row.answers.keys() == set(Caller) for row in ROWS)


@pytest.mark.parametrize("part", range(4))
async def test_everybody_gets_what_the_table_says(part: int) -> None:
    async with trials() as house:
        tried = await house.all(ROWS[part::4])
    assert len(tried) == len(ROWS[part::4]) * len(Caller)
    assert [fault for each in tried for fault in each.faults()] == []


def test_the_page_is_the_table() -> None:
    assert PAGE.read_text() == written(), "python -m tests.authorization --write"
