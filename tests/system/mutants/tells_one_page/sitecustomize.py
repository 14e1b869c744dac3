"""A mutant: whoever comes back is told a page of what they missed, and no second one."""

from typing import Any

from interfaces.ws.hub import PAGE, Hub

honest = Hub._replay


async def replay(self: Hub, connection: Any, after: Any, up_to: Any, **options: Any) -> Any:
    return await honest(self, connection, after, min(after + PAGE, up_to), **options)


Hub._replay = replay  # type: ignore[method-assign]
