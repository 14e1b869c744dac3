from collections.abc import AsyncIterator

import pytest

from tests.interfaces.ws.house import WAYS, House, serving


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
async def house(way: str) -> AsyncIterator[House]:
    async with serving(way, close_timeout=0.5) as house:
        yield house
