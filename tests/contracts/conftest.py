from collections.abc import AsyncIterator

import pytest

from application.ports.storage import Begin
from tests.storages import Storage, memory_storage, postgres_storage


@pytest.fixture(params=["memory", "postgres"])
async def storage(request: pytest.FixtureRequest) -> AsyncIterator[Storage]:
    """Everything a port promises holds on each of these: one more adapter is one more parameter."""
    if request.param == "memory":
        yield memory_storage()
    else:
        async with postgres_storage(request.getfixturevalue("messenger_database")) as storage:
            yield storage


@pytest.fixture
def begin(storage: Storage) -> Begin:
    return storage.begin
