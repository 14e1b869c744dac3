"""A limiter that is listened to: use cases ask it and say nothing of it, and whoever answers for them tells what is left."""

from collections.abc import Callable
from datetime import datetime

from attrs import frozen

from application.ports.limiter import Allowance, Left, Limiter


@frozen
class OverheardLimiter:
    """``hear`` is told what is left, in the task that asked. A refusal carries what there is to say of it."""

    _limiter: Limiter
    _hear: Callable[[Left], None]

    def look(self, allowance: Allowance, key: str, *, at: datetime) -> Left | None:
        return self._heard(self._limiter.look(allowance, key, at=at))

    def use(self, allowance: Allowance, key: str, *, at: datetime) -> Left | None:
        return self._heard(self._limiter.use(allowance, key, at=at))

    def _heard(self, left: Left | None) -> Left | None:
        if left is not None and not left.allowance.is_shared:
            self._hear(left)
        return left
