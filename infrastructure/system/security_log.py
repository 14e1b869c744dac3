"""The security log as lines of the logger ``security``."""

import time
from collections.abc import Callable, Mapping
from logging import getLogger
from typing import Final

from attrs import Factory, define, field

from application.ports.security import Outcome, SecurityRecord
from domain.network import network_of

log: Final = getLogger("security")

WITHIN: Final = 10.0
"""Seconds in which refusals of one kind and one caller are counted."""

MOST: Final = 20
"""Lines about them in that time. The others are only counted: a client that is refused all the time must not fill a disk."""

CALLERS: Final = 1000
"""Callers that are counted one by one at once."""


@define
class _Count:
    until: float
    lines: int = 0
    omitted: int = 0


@define(eq=False)
class LoggedSecurity:
    """Writes each record as one line, with the id and the client of the request that is being carried out."""

    whereabouts: Callable[[], Mapping[str, str | None]]
    """Returns these fields of the request."""
    now: Callable[[], float] = field(default=time.monotonic)
    _refusals: dict[object, _Count] = Factory(dict)

    def record(self, record: SecurityRecord) -> None:
        where = self.whereabouts()
        fields: dict[str, object] = {
            "act": record.act.value,
            "outcome": record.outcome.value,
            "at": record.at.isoformat(timespec="milliseconds"),
            "account_id": record.account_id,
            "profile_id": record.profile_id,
            "session_id": record.session_id,
            "reason": record.reason or None,
            **where,
            **record.about,
        }
        if record.outcome is Outcome.REFUSED:
            # A host has all addresses of its network: by address, it would have an allowance for each.
            caller = record.session_id or network_of(where.get("client") or "")
            omitted = self._omitted((record.act, caller))
            if omitted is None:
                return
            fields["omitted"] = omitted or None
        told = {name: value for name, value in fields.items() if value is not None}
        log.info("%s %s", record.act.value, record.outcome.value, extra=told)

    def _omitted(self, key: object) -> int | None:
        """Count a refusal. Returns how many were omitted before it, or None if this one is omitted too."""
        now = self.now()
        count = self._refusals.get(key)
        if count is None or now >= count.until:
            if count is None and len(self._refusals) >= CALLERS:
                del self._refusals[next(iter(self._refusals))]
            omitted = count.omitted if count else 0
            self._refusals.pop(key, None)
            self._refusals[key] = _Count(now + WITHIN, lines=1)
            return omitted
        if count.lines >= MOST:
            count.omitted += 1
            return None
        count.lines += 1
        return 0
