"""Letters: what each one says, to whom it goes, how often sending was tried, and how it ended."""

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
"""After this time a letter that reports something is no longer sent."""


SOMEWHERE: Final = Origin()
"""Unknown origin."""


class LetterNotFound(NotFound):
    code = "letter_not_found"


class Template(StrEnum):
    CONFIRM_EMAIL = "confirm_email"
    RESET_PASSWORD = "reset_password"  # noqa: S105  # no password
    PASSWORD_CHANGED = "password_changed"  # noqa: S105
    PASSWORD_CHANGED_WAYS_KEPT = "password_changed_ways_kept"  # noqa: S105
    """The same where passkeys or identities at providers go on signing in."""
    NEW_DEVICE = "new_device"

    # Those below report an act (`domain.security.SecurityAct`) of the same name.
    FACTOR_ON = "second_factor_on"
    FACTOR_OFF = "second_factor_off"
    RECOVERY_CODES_RENEWED = "recovery_codes_renewed"
    ACCESS_TOKEN_MADE = "access_token_made"  # noqa: S105
    TOKEN_REUSED = "token_reused"  # noqa: S105
    IDENTITY_LINKED = "identity_linked"
    IDENTITY_UNLINKED = "identity_unlinked"
    PASSKEY_ADDED = "passkey_added"
    PASSKEY_REMOVED = "passkey_removed"
    PASSKEY_COPIED = "passkey_copied"


class Outcome(StrEnum):
    PREPARED = "prepared"
    SENT = "sent"
    ERROR = "error"
    """Sending failed and will not be tried again."""


def pause_after(attempts: int) -> timedelta:
    """The pause before the next attempt: 15 s after the first failure, then twice as long each time, up to 2 h."""
    # No further than the longest pause needs: 2**attempts of a letter tried for years would not fit a timedelta.
    doublings: int = 2 ** min(attempts - 1, 16)
    return min(FIRST_PAUSE * doublings, LONGEST_PAUSE)


@frozen(kw_only=True)
class Link:
    """Everything that is needed to sign the token of a link again, with the same result each time."""

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
    A mail to one recipient. Its link is never stored: it is made from `link` when the mail is sent.

    A worker claims a letter for a while before it sends it. When the claim has run out, another worker may claim it;
    `attempts` tells the claims apart, so that a late answer to an earlier one does not overwrite a later result.
    """

    id: LetterId = field(on_setattr=never)
    account_id: AccountId = field(on_setattr=never)
    template: Template = field(on_setattr=never)
    recipient: Email = field(on_setattr=never)
    link: Link | None = field(default=None, on_setattr=never)
    """None in letters that only report something."""
    origin: Origin = field(default=SOMEWHERE, on_setattr=never)
    """The origin of the request that the letter is about."""
    created_at: datetime = field(on_setattr=never)
    next_attempt_at: datetime
    attempts: int = 0
    claimed_until: datetime | None = None
    outcome: Outcome = Outcome.PREPARED
    reason: str | None = None
    """Why the last attempt failed, in at most 255 characters."""

    @classmethod
    def confirming(
        cls, confirmation: Confirmation, *, id: LetterId, at: datetime, origin: Origin = SOMEWHERE
    ) -> "Letter":
        """A letter that asks to confirm an address, due at once."""
        return cls._linking(Template.CONFIRM_EMAIL, confirmation, id, at, origin)

    @classmethod
    def resetting(
        cls, confirmation: Confirmation, *, id: LetterId, at: datetime, origin: Origin = SOMEWHERE
    ) -> "Letter":
        """A letter for a forgotten password, due at once."""
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
        """A letter that reports what was done to the account, due at once."""
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
        """Claims the letter for ``lease``. Returns False if it has expired and must not be sent any more."""
        if self.good_until <= at:
            self._settle(Outcome.ERROR, "expired")
            return False
        self.attempts += 1
        self.claimed_until = at + lease
        # Behind all that were not tried lately: one that always kills its sender must not keep the others waiting.
        self.next_attempt_at = at + pause_after(self.attempts)
        return True

    def sent(self) -> None:
        """Records that it was sent, also under a claim that has run out."""
        self._settle(Outcome.SENT, None)

    def drop(self, reason: str) -> None:
        """Gives it up without an attempt."""
        self._settle(Outcome.ERROR, reason)

    def failed(self, attempt: int, reason: str, *, for_good: bool, at: datetime) -> None:
        """Records a failed attempt. It is tried again after a pause, unless the failure is ``for_good``."""
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
