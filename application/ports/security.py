"""The security log, and the events that accounts keep of it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from attrs import frozen

from application.paging import EventPlace, Page, Paging
from domain.ids import AccountId, ProfileId, SessionId
from domain.security import AccountEvent, SecurityAct


class Outcome(StrEnum):
    DONE = "done"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    """The connection to storage broke during the commit."""


@frozen(kw_only=True)
class SecurityRecord:
    """One line of the security log. It has no secret, no text of a message, and no token."""

    act: SecurityAct
    outcome: Outcome
    at: datetime
    account_id: AccountId | None = None
    profile_id: ProfileId | None = None
    session_id: SessionId | None = None
    reason: str = ""
    """The code of a refusal."""
    about: Mapping[str, object] = {}
    """Names of the things it was done to, such as ``chat_id``."""

    @classmethod
    def of(cls, event: AccountEvent, outcome: Outcome) -> "SecurityRecord":
        return cls(
            act=event.act,
            outcome=outcome,
            at=event.at,
            account_id=event.account_id,
            session_id=event.session_id,
        )


class SecurityLog(Protocol):
    """The adapter adds the id and the address of the request that is being carried out."""

    def record(self, record: SecurityRecord) -> None: ...


class AccountEvents(Protocol):
    async def add(self, event: AccountEvent, *, keep: int) -> None:
        """
        Adds an event, and removes those of its account but the newest ``keep``, of which `most_failures` may be failed
        sign-ins. Of several units of work that add at once to one account, each may leave what another is removing.
        """
        ...

    async def page(self, account_id: AccountId, paging: Paging[EventPlace]) -> Page[AccountEvent, EventPlace]:
        """The events of an account, the newest first."""
        ...

    async def remove_older(self, before: datetime) -> None: ...


class Audited(Protocol):
    """A unit of work, as the security log sees it."""

    @property
    def pending_events(self) -> Sequence[AccountEvent]:
        """The events that are stored if this unit commits."""
        ...
