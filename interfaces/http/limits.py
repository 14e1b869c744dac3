"""
The headers `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-10), and `Retry-After`.

Use cases ask a limiter; the limiter reports here what is left, and the answer to the request, good or bad, tells it for each
limit by name. A refusal tells only about the limit that refused.

Waits are rounded up, so that a client that comes back after one is not refused again.
"""

from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from math import ceil
from typing import Final

from attrs import frozen
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from application.ports.limiter import Allowance, Left

RATE_LIMIT: Final = "RateLimit"
RATE_LIMIT_POLICY: Final = "RateLimit-Policy"

_heard: Final[ContextVar[dict[str, Left] | None]] = ContextVar("heard", default=None)
"""What is left for the request that is being answered, by the name of the limit."""


def hear(left: Left) -> None:
    """Remember it for the request that is being answered; without one, do nothing."""
    if (heard := _heard.get()) is not None:
        heard[left.allowance.name] = left


@frozen
class LimitsTold:
    """Adds to every answer what is left of the limits that were asked for it."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        heard: dict[str, Left] = {}

        async def telling(message: Message) -> None:
            if heard and message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if RATE_LIMIT not in headers:
                    headers.update(what_is_left(heard.values()))
            await send(message)

        _heard.set(heard)
        await self.app(scope, receive, telling)


def what_is_left(lefts: Iterable[Left]) -> Mapping[str, str]:
    told = [(_left(each.allowance.name, each.uses, each.wait), _policy(each.allowance)) for each in lefts]
    return {
        RATE_LIMIT: ", ".join(left for left, _ in told),
        RATE_LIMIT_POLICY: ", ".join(policy for _, policy in told),
    }


def nothing_left(name: str, *, wait: float, allowance: Allowance | None = None) -> Mapping[str, str]:
    """The headers of a refusal by the limit ``name`` for the next ``wait`` seconds; without an allowance there is no policy."""
    seconds = _in_seconds(wait)
    told = {RATE_LIMIT: _left(name, 0, seconds), "Retry-After": str(seconds)}
    return told | ({RATE_LIMIT_POLICY: _policy(allowance)} if allowance else {})


def _policy(allowance: Allowance) -> str:
    return f'"{allowance.name}";q={allowance.most};w={max(1, round(allowance.within.total_seconds()))}'


def _left(name: str, uses: int, wait: float) -> str:
    return f'"{name}";r={uses}' + (f";t={_in_seconds(wait)}" if wait else "")


def _in_seconds(wait: float) -> int:
    return max(1, ceil(wait))
