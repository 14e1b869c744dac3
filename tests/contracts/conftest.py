import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from attrs import frozen

from application.ports.storage import Begin
from tests.storages import SharedStorage, memory_storage, postgres_storage

ADAPTERS = ("memory", "postgres")
"""Everything a port promises holds on each of these: one more adapter is one more parameter."""


@pytest.fixture(params=ADAPTERS)
async def storage(request: pytest.FixtureRequest) -> AsyncIterator[SharedStorage]:
    if request.param == "memory":
        yield memory_storage()
    else:
        async with postgres_storage(request.getfixturevalue("emptied_database")) as storage:
            yield storage


@pytest.fixture
def begin(storage: SharedStorage) -> Begin:
    return storage.begin


@frozen
class Rig:
    """A storage and a loop to run it on, for properties: an example is no test of its own."""

    runner: asyncio.Runner
    storage: SharedStorage
    adapter: str


@pytest.fixture(params=ADAPTERS)
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    with asyncio.Runner() as runner:
        if request.param == "memory":
            yield Rig(runner, memory_storage(), request.param)
        else:
            opened = postgres_storage(request.getfixturevalue("emptied_database"))
            yield Rig(runner, runner.run(opened.__aenter__()), request.param)
            runner.run(opened.__aexit__(None, None, None))
