from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from config.adapters import memory_storage
from infrastructure.memory.storage import MemoryStorage
from tests.accounts_world import AccountsWorld, accounts_world


@pytest.fixture
async def people(tmp_path: Path) -> AsyncIterator[AccountsWorld]:
    async with accounts_world(memory_storage(MemoryStorage()), tmp_path / "mail") as world:
        yield world
