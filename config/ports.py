"""
The application's ports, each with the adapter that this process uses for it.

The use cases are built from these by typed functions (`config.features`), so that a type checker sees every adapter that
does not satisfy its port.
"""

from collections.abc import Callable
from typing import Protocol

from attrs import evolve, frozen

from application.meter import Meter
from application.ports.access_tokens import AccessTokens
from application.ports.authenticators import Authenticators
from application.ports.catalogues import Catalogues
from application.ports.changes import Changes
from application.ports.clock import Clock
from application.ports.codes import Codes
from application.ports.ids import Ids
from application.ports.limiter import Limiter
from application.ports.mailer import Mailer
from application.ports.marking import BeginMarking
from application.ports.own_changes import OwnChanges
from application.ports.passwords import Passwords
from application.ports.posting import BeginPosting
from application.ports.providers import Providers
from application.ports.purging import DeletedChats
from application.ports.seals import Seals
from application.ports.security import SecurityLog
from application.ports.storage import Begin
from application.ports.tokens import Tokens
from application.ports.updates import Updates
from application.ports.views import Views
from domain.ids import ChatId
from domain.session import Origin
from infrastructure.announcing import Announcing
from infrastructure.audited import audited_begin
from infrastructure.epochs import FollowedChanges
from infrastructure.metered import metered_begin


@frozen(kw_only=True)
class Storage:
    """Every port that reads or writes stored data. All of them see the same data."""

    begin: Begin
    begin_posting: BeginPosting
    """Leaves out chats that another transaction holds."""
    begin_patient_posting: BeginPosting
    """Waits for chats that another transaction holds."""
    begin_marking: BeginMarking
    views: Views
    changes: Changes
    own_changes: OwnChanges
    catalogues: Catalogues
    deleted_chats: DeletedChats


class Bus(Updates, Protocol):
    """Updates that may cross to other processes."""

    def focus(self, is_listened_to: Callable[[ChatId], bool]) -> None:
        """Leave out what others publish about chats to which nobody listens in this process."""
        ...

    def see(self, epoch: str) -> None:
        """Note the present line of history: updates that others publish in another one are not told."""
        ...

    async def run(self) -> None:
        """Carry updates until it is cancelled."""
        ...


def announced(storage: Storage, updates: Bus, meter: Meter, security: SecurityLog) -> Storage:
    """
    Wraps a storage so that its units of work announce what they stored, in the line of history that it was last read in, and
    log the events of accounts.

    The measured duration of a batch's commit does not include the announcement.
    """

    def messages(begin: BeginPosting) -> BeginPosting:
        return Announcing(metered_begin(begin, "messages", meter), updates)

    return evolve(
        storage,
        begin=audited_begin(Announcing(storage.begin, updates), security),
        begin_posting=messages(storage.begin_posting),
        begin_patient_posting=messages(storage.begin_patient_posting),
        begin_marking=Announcing(metered_begin(storage.begin_marking, "marks", meter), updates),
        changes=FollowedChanges(storage.changes, updates.see),
    )


@frozen(kw_only=True)
class Ports:
    storage: Storage
    """Wrapped by `announced`: use cases do not announce stored changes themselves."""
    clock: Clock
    ids: Ids
    updates: Updates
    passwords: Passwords
    tokens: Tokens
    codes: Codes
    access_tokens: AccessTokens
    providers: Providers
    authenticators: Authenticators
    seals: Seals
    mailer: Mailer
    limiter: Limiter
    meter: Meter
    security: SecurityLog
    where: Callable[[], Origin]
    """Returns where the request that is being carried out came from."""
