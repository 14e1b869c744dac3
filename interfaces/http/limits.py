"""
How limits are told: `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-10), `Retry-After`.

Waits are rounded up: who comes back after one is not sent away again.
"""

from collections.abc import Mapping
from datetime import timedelta
from math import ceil


def nothing_left(
    name: str, *, wait: float, most: int | None = None, within: timedelta | None = None
) -> Mapping[str, str]:
    """Of the limit ``name`` for the next ``wait`` seconds; ``most`` in ``within`` is its policy, where that is fixed."""
    seconds = max(1, ceil(wait))
    told = {"RateLimit": f'"{name}";r=0;t={seconds}', "Retry-After": str(seconds)}
    if most is not None and within is not None:
        told["RateLimit-Policy"] = policy(name, most, within)
    return told


def policy(name: str, most: int, within: timedelta) -> str:
    return f'"{name}";q={most};w={max(1, round(within.total_seconds()))}'
