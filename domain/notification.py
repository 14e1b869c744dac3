"""A mail to be sent: what it asks for, to whom, how often it was tried, how it ended."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from attrs import define, field, frozen
from attrs.setters import frozen as never

from domain.account import Confirmation, Email
from domain.errors import NotFound
from domain.ids import AccountId, ConfirmationId, LetterId
from domain.session import Origin

FIRST_PAUSE: Final = timedelta(seconds=15)
LONGEST_PAUSE: Final = timedelta(hours=2)
REASON_LIMIT: Final = 255
NEWS_FOR: Final = timedelta(days=7)
"""After which what a letter reports is not worth telling any more."""


SOMEWHERE: Final = Origin()
"""Where nobody knows from where."""


class LetterNotFound(NotFound):
    code = "letter_not_found"


class Template(StrEnum):
    CONFIRM_EMAIL = "confirm_email"
    RESET_PASSWORD = "reset_password"  # noqa: S105  # no password
    PASSWORD_CHANGED = "password_changed"  # noqa: S105
    NEW_DEVICE = "new_device"


class Outcome(StrEnum):
    PREPARED = "prepared"
    SENT = "sent"
    ERROR = "error"
    """It will not be tried again."""


def pause_after(attempts: int) -> timedelta:
    """15 s after the first failure, then twice as long each time, up to 2 h."""
    # No further than the longest pause needs: 2**attempts of a letter tried for years would not fit a timedelta.
    doublings: int = 2 ** min(attempts - 1, 16)
    return min(FIRST_PAUSE * doublings, LONGEST_PAUSE)


@frozen(kw_only=True)
class Link:
    """What it takes to make the token of a link again, each time the same."""

    confirmation_id: ConfirmationId
    issued_at: datetime
    expires_at: datetime

    @classmethod
    def to(cls, confirmation: Confirmation) -> "Link":
        return cls(
            confirmation_id=confirmation.id,
            issued_at=confirmation.issued_at,
            expires_at=confirmation.expires_at,
        )


@define(eq=False, kw_only=True)
class Letter:
    """
    What its link takes is kept here, the link itself never: it is made when the mail is sent.

    Whoever sends it claims it first, for a while. A claim that ran out may be taken by another; `attempts` tells the
    claims apart, so that a late answer of an earlier one does not overwrite what a later one found.
    """

    id: LetterId = field(on_setattr=never)
    account_id: AccountId = field(on_setattr=never)
    template: Template = field(on_setattr=never)
    recipient: Email = field(on_setattr=never)
    link: Link | None = field(default=None, on_setattr=never)
    """None: it reports something, and asks for nothing."""
    origin: Origin = field(default=SOMEWHERE, on_setattr=never)
    """From where what it is about was done."""
    created_at: datetime = field(on_setattr=never)
    next_attempt_at: datetime
    attempts: int = 0
    claimed_until: datetime | None = None
    outcome: Outcome = Outcome.PREPARED
    reason: str | None = None
    """Why the last attempt failed."""

    @classmethod
    def confirming(
        cls, confirmation: Confirmation, *, id: LetterId, at: datetime, origin: Origin = SOMEWHERE
    ) -> "Letter":
        """The letter that asks to confirm an address. Due at once."""
        return cls._linking(Template.CONFIRM_EMAIL, confirmation, id, at, origin)

    @classmethod
    def resetting(
        cls, confirmation: Confirmation, *, id: LetterId, at: datetime, origin: Origin = SOMEWHERE
    ) -> "Letter":
        """The letter for whoever forgot a password. Due at once."""
        return cls._linking(Template.RESET_PASSWORD, confirmation, id, at, origin)

    @classmethod
    def reporting(
        cls,
        template: Template,
        *,
        id: LetterId,
        account_id: AccountId,
        recipient: Email,
        at: datetime,
        origin: Origin = SOMEWHERE,
    ) -> "Letter":
        """A letter that tells its reader what was done in their name. Due at once."""
        return cls(
            id=id,
            account_id=account_id,
            template=template,
            recipient=recipient,
            origin=origin,
            created_at=at,
            next_attempt_at=at,
        )

    @classmethod
    def _linking(
        cls, template: Template, confirmation: Confirmation, id: LetterId, at: datetime, origin: Origin
    ) -> "Letter":
        return cls(
            id=id,
            account_id=confirmation.account_id,
            template=template,
            recipient=confirmation.email,
            link=Link.to(confirmation),
            origin=origin,
            created_at=at,
            next_attempt_at=at,
        )

    @property
    def good_until(self) -> datetime:
        return self.link.expires_at if self.link else self.created_at + NEWS_FOR

    def is_due(self, at: datetime) -> bool:
        return self.outcome is Outcome.PREPARED and self.next_attempt_at <= at and not self.is_held(at)

    def is_held(self, at: datetime) -> bool:
        """Whether a worker's claim is still valid."""
        return self.claimed_until is not None and at < self.claimed_until

    def is_being_sent(self, at: datetime) -> bool:
        return self.outcome is Outcome.PREPARED and self.is_held(at)

    def claim(self, *, at: datetime, lease: timedelta) -> bool:
        """Take it for ``lease``. False: it has expired meanwhile, and there is nothing left to send."""
        if self.good_until <= at:
            self._settle(Outcome.ERROR, "expired")
            return False
        self.attempts += 1
        self.claimed_until = at + lease
        # Behind all that were not tried lately: one that always kills its sender must not keep the others waiting.
        self.next_attempt_at = at + pause_after(self.attempts)
        return True

    def sent(self) -> None:
        """Sent is sent, also under a claim that has run out."""
        self._settle(Outcome.SENT, None)

    def drop(self, reason: str) -> None:
        """There is nobody to send it to."""
        self._settle(Outcome.ERROR, reason)

    def failed(self, attempt: int, reason: str, *, for_good: bool, at: datetime) -> None:
        """To be tried again after a pause, or ``for_good`` not."""
        if attempt != self.attempts or self.outcome is not Outcome.PREPARED:
            return
        if for_good:
            self._settle(Outcome.ERROR, reason)
        else:
            self.claimed_until = None
            self.reason = reason[:REASON_LIMIT]
            self.next_attempt_at = at + pause_after(self.attempts)

    def _settle(self, outcome: Outcome, reason: str | None) -> None:
        self.outcome = outcome
        self.claimed_until = None
        self.reason = reason and reason[:REASON_LIMIT]
