"""Writes what units of work stored about the security of accounts to the security log, after their commit."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeVar

from application.errors import OutcomeUnknown
from application.ports.security import Audited, Outcome, SecurityLog, SecurityRecord
from domain.security import AccountEvent, SecurityAct

Unit = TypeVar("Unit", bound=Audited)


def audited_begin(
    begin: Callable[[], AbstractAsyncContextManager[Unit]], log: SecurityLog
) -> Callable[[], AbstractAsyncContextManager[Unit]]:
    """A unit that is rolled back leaves no line. One whose outcome is unknown leaves lines that say so."""

    def write(events: Sequence[AccountEvent], outcome: Outcome) -> None:
        for event in events:
            # `Watch` has logged it, with the address that was tried, whether there is such an account or not
            if event.act is not SecurityAct.SIGN_IN_FAILED:
                log.record(SecurityRecord.of(event, outcome))

    @asynccontextmanager
    async def begin_audited() -> AsyncIterator[Unit]:
        decided: Sequence[AccountEvent] = ()
        try:
            async with begin() as unit:
                yield unit
                decided = unit.pending_events
        except OutcomeUnknown:
            write(decided, Outcome.UNKNOWN)
            raise
        write(decided, Outcome.DONE)

    return begin_audited
