"""A mutant: whoever comes back is told what they missed without the first of it."""

from typing import Any

from interfaces.ws.hub import Hub

honest = Hub._replay


async def replay(self: Hub, connection: Any, after: Any, up_to: Any, **options: Any) -> Any:
    return await honest(self, connection, min(after + 1, up_to), up_to, **options)


Hub._replay = replay  # type: ignore[method-assign]
