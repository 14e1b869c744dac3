from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from infrastructure.memory.storage import MemoryStorage
from infrastructure.memory.views import MemoryViews
from tests.accounts_world import AccountsWorld, accounts_world


@pytest.fixture
async def people(tmp_path: Path) -> AsyncIterator[AccountsWorld]:
    storage = MemoryStorage()
    async with accounts_world(storage.begin, MemoryViews(storage), tmp_path / "mail") as world:
        yield world
