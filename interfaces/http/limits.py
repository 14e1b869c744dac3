"""
The headers `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-10), and `Retry-After`.

Use cases consult a limiter, which reports here what is left of each limit. The answer to the request, whether success or
error, carries these figures; a refusal by a limit carries only its own.

Waits are rounded up, so that a client that retries after one is not refused again.
"""

from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from math import ceil
from typing import Final

from attrs import frozen
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from application.ports.limiter import Allowance, Left

RATE_LIMIT: Final = "RateLimit"
RATE_LIMIT_POLICY: Final = "RateLimit-Policy"

_reported: Final[ContextVar[dict[str, Left] | None]] = ContextVar("reported", default=None)
"""The limits that were consulted for the current request, by name, with what is left of each."""


def reports() -> Callable[[Left], None] | None:
    """Returns a function that records what is left of a limit, for the headers of the current request. None outside a request."""
    reported = _reported.get()
    if reported is None:
        return None

    def record(left: Left) -> None:
        reported[left.allowance.name] = left

    return record


@frozen
class RateLimitHeaders:
    """Middleware that adds `RateLimit` and `RateLimit-Policy` to answers for which limits were consulted."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        reported: dict[str, Left] = {}

        async def telling(message: Message) -> None:
            if reported and message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if RATE_LIMIT not in headers:
                    headers.update(what_is_left(reported.values()))
            await send(message)

        _reported.set(reported)
        await self.app(scope, receive, telling)


def what_is_left(lefts: Iterable[Left]) -> Mapping[str, str]:
    headers = [(_left(each.allowance.name, each.uses, each.wait), _policy(each.allowance)) for each in lefts]
    return {
        RATE_LIMIT: ", ".join(left for left, _ in headers),
        RATE_LIMIT_POLICY: ", ".join(policy for _, policy in headers),
    }


def nothing_left(name: str, *, wait: float, allowance: Allowance | None = None) -> Mapping[str, str]:
    """Return the headers of a refusal by the limit ``name`` for ``wait`` seconds; without ``allowance``, without a policy."""
    seconds = _in_seconds(wait)
    headers = {RATE_LIMIT: _left(name, 0, seconds), "Retry-After": str(seconds)}
    return headers | ({RATE_LIMIT_POLICY: _policy(allowance)} if allowance else {})


def _policy(allowance: Allowance) -> str:
    return f'"{allowance.name}";q={allowance.most};w={max(1, round(allowance.within.total_seconds()))}'


def _left(name: str, uses: int, wait: float) -> str:
    return f'"{name}";r={uses}' + (f";t={_in_seconds(wait)}" if wait else "")


def _in_seconds(wait: float) -> int:
    return max(1, ceil(wait))
