"""Records what happens to the security of accounts, and watches use cases for denials."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, ParamSpec, TypeVar
from uuid import UUID

from attrs import frozen

from application.actor import Actor
from application.errors import NotAuthenticated
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.security import Outcome, SecurityLog, SecurityRecord
from application.ports.storage import UnitOfWork
from domain.chat_errors import ChatNotFound
from domain.errors import DomainError, Forbidden, Limited
from domain.ids import AccountId, ProfileId, SessionId
from domain.security import AccountEvent, SecurityAct
from domain.session import Origin, SessionNotFound

P = ParamSpec("P")
T = TypeVar("T")

DENIALS: Final = (Forbidden, ChatNotFound, SessionNotFound, NotAuthenticated)
"""Refusals of somebody who may not do this. The last two of the domain hide that there is something to be refused."""

ROUTINE: Final = frozenset({"token_expired", "not_authenticated"})
"""Reasons for which every client is refused now and then, and which tell nothing."""

ABOUT: Final[Mapping[str, str]] = {
    "chat_id": "chat_id",
    "message_id": "message_id",
    "profile_id": "subject",
    "profile_ids": "subjects",
    "member_ids": "subjects",
    "session_id": "subject_session",
    "role": "role",
    "email": "email",
}
"""Attributes of commands that name what is done to whom, by their names in the log. None of them is a secret."""


@frozen(kw_only=True)
class RecordEvent:
    """Adds an event of an account to a unit of work. It is logged when the unit has committed."""

    ids: Ids
    where: Callable[[], Origin]
    """Returns where the request that is being carried out came from."""
    keep: int = 200
    """The newest events of an account are kept, up to this number."""

    async def __call__(
        self,
        work: UnitOfWork,
        act: SecurityAct,
        account_id: AccountId,
        *,
        at: datetime,
        session_id: SessionId | None = None,
    ) -> None:
        event = AccountEvent(
            id=self.ids.event(),
            account_id=account_id,
            act=act,
            at=at,
            session_id=session_id,
            origin=self.where(),
        )
        await work.events.add(event, keep=self.keep)


@frozen(kw_only=True)
class Watch:
    """Wraps use cases so that the security log has what they refuse, and for an ``act``, what they do."""

    log: SecurityLog
    clock: Clock

    def __call__(
        self, use_case: Callable[P, Awaitable[T]], act: SecurityAct | None = None
    ) -> Callable[P, Awaitable[T]]:
        async def watched(*args: P.args, **named: P.kwargs) -> T:
            try:
                answer = await use_case(*args, **named)
            except (DomainError, NotAuthenticated) as error:
                self.refused(args, error, act)
                raise
            if act is not None and act not in RECORDED:
                self._record(act, Outcome.DONE, args)
            return answer

        return watched

    def at_once(self, use_case: Callable[P, T]) -> Callable[P, T]:
        """
        Wraps a use case that refuses when it is called. What it returns is not watched: if that is awaited, watch
        the batch too.
        """

        def watched(*args: P.args, **named: P.kwargs) -> T:
            try:
                return use_case(*args, **named)
            except DomainError as error:
                self.refused(args, error)
                raise

        return watched

    def batches(
        self, use: Callable[[Sequence[Any]], Awaitable[Sequence[Any]]]
    ) -> Callable[[Sequence[Any]], Awaitable[Sequence[Any]]]:
        """Does the same for a use case that takes many commands, each with its actor, and answers with errors."""

        async def watched(asked: Sequence[Any]) -> Sequence[Any]:
            answers = await use(asked)
            for args, answer in zip(asked, answers, strict=True):
                if isinstance(answer, DomainError):
                    self.refused(args, answer)
            return answers

        return watched

    def refused(self, args: Sequence[object], error: Exception, act: SecurityAct | None = None) -> None:
        """Record a refusal if it is one of security."""
        reason = error.reason if isinstance(error, NotAuthenticated) else str(getattr(error, "code", ""))
        if isinstance(error, Limited):
            self._record(SecurityAct.LIMIT_MET, Outcome.REFUSED, args, reason)
        elif isinstance(error, DENIALS) and reason not in ROUTINE:
            failed = act is SecurityAct.SIGNED_IN
            denied = SecurityAct.SIGN_IN_FAILED if failed else SecurityAct.ACCESS_DENIED
            self._record(denied, Outcome.REFUSED, args, reason)

    def _record(self, act: SecurityAct, outcome: Outcome, args: Sequence[object], reason: str = "") -> None:
        actor = next((each for each in args if isinstance(each, Actor)), None)
        reader = next((ProfileId(each) for each in args[:1] if isinstance(each, UUID)), None)
        self.log.record(
            SecurityRecord(
                act=act,
                outcome=outcome,
                at=self.clock.now(),
                account_id=actor.account_id if actor else None,
                profile_id=actor.profile_id if actor else reader,
                session_id=actor.session_id if actor else None,
                reason=reason,
                about=about(args[1:] if actor or reader else args),
            )
        )


RECORDED: Final = frozenset(
    {SecurityAct.SIGNED_IN, SecurityAct.ACCESS_TOKEN_MADE, SecurityAct.ACCESS_TOKEN_ENDED}
)
"""Acts that `RecordEvent` records when they are done, so that `Watch` only adds their refusals."""


def about(args: Sequence[object]) -> Mapping[str, object]:
    """Return what a command names. A bare id is that of a chat."""
    named: dict[str, object] = {}
    for each in args:
        if isinstance(each, UUID):
            named.setdefault("chat_id", each)
        named |= {
            told: plain(getattr(each, name)) for name, told in ABOUT.items() if getattr(each, name, None)
        }
    return named


def plain(value: Any) -> object:
    if isinstance(value, tuple):
        return [str(each) for each in value[:MOST_NAMED]]
    return str(getattr(value, "folded", value))


MOST_NAMED: Final = 20
"""The number of profiles that a line names. A request may name thousands."""
