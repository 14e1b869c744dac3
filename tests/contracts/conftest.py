import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from attrs import evolve, frozen

from application.ports.storage import Begin
from config.settings.groups import Database, Settings
from tests.citus import CITUS, empty_cluster
from tests.storages import SharedStorage, divided_storage, memory_storage, postgres_storage
from tests.world import SETTINGS

ADAPTERS = ("memory", "postgres", *(("citus",) if CITUS else ()))
"""Everything a port promises holds on each of these: one more adapter is one more parameter."""


@pytest.fixture
def emptied_citus() -> str:
    """The SQLAlchemy URL of a database on a real Citus cluster, with nobody in it."""
    assert CITUS
    empty_cluster(CITUS)
    return CITUS


def chosen_database(request: pytest.FixtureRequest) -> tuple[str, Settings]:
    """The URL of an emptied database, for a test whose parameter is the adapter, and the settings of a messenger on it."""
    if request.param == "citus":
        divided = evolve(SETTINGS, database=Database(divided=True))
        return request.getfixturevalue("emptied_citus"), divided
    return request.getfixturevalue("emptied_database"), SETTINGS


@pytest.fixture(params=ADAPTERS)
async def storage(request: pytest.FixtureRequest) -> AsyncIterator[SharedStorage]:
    if request.param == "memory":
        yield memory_storage()
    elif request.param == "citus":
        async with divided_storage(request.getfixturevalue("emptied_citus")) as storage:
            yield storage
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
            if request.param == "citus":
                opened = divided_storage(request.getfixturevalue("emptied_citus"))
            else:
                opened = postgres_storage(request.getfixturevalue("emptied_database"))
            yield Rig(runner, runner.run(opened.__aenter__()), request.param)
            runner.run(opened.__aexit__(None, None, None))
