"""Names of what happens to the security of accounts and chats. Logs and clients rely on them."""

from datetime import datetime
from enum import StrEnum
from typing import Final

from attrs import frozen

from domain.ids import AccountId, EventId, SessionId
from domain.session import Origin


class SecurityAct(StrEnum):
    SIGNED_IN = "signed_in"
    SIGN_IN_FAILED = "sign_in_failed"
    SIGNED_OUT = "signed_out"
    SESSION_REVOKED = "session_revoked"
    """The owner ended a session from another device."""
    TOKEN_REUSED = "token_reused"  # noqa: S105  # no secret
    """A refresh token was used a second time, or by another device: its session ended."""
    PASSWORD_CHANGED = "password_changed"  # noqa: S105  # no secret
    OTHER_WAYS_KEPT = "other_ways_kept"
    """The password was changed, and passkeys or identities at providers go on signing in."""
    PASSWORD_RESET_ASKED = "password_reset_asked"  # noqa: S105  # no secret
    ADDRESS_CONFIRMED = "address_confirmed"
    FACTOR_ON = "second_factor_on"
    FACTOR_OFF = "second_factor_off"
    RECOVERY_CODES_RENEWED = "recovery_codes_renewed"
    ACCESS_TOKEN_MADE = "access_token_made"  # noqa: S105  # no secret
    ACCESS_TOKEN_ENDED = "access_token_ended"  # noqa: S105  # no secret
    IDENTITY_LINKED = "identity_linked"
    """The account may be signed in to through another provider from now on."""
    IDENTITY_UNLINKED = "identity_unlinked"
    PASSKEY_ADDED = "passkey_added"
    PASSKEY_REMOVED = "passkey_removed"
    PASSKEY_COPIED = "passkey_copied"
    """A passkey has counted fewer uses than were seen of it, and was refused: there is a copy of its key."""
    ACCOUNT_CLOSED = "account_closed"

    MEMBERS_ADDED = "members_added"
    MEMBER_REMOVED = "member_removed"
    ROLE_CHANGED = "role_changed"
    CHAT_DELETED = "chat_deleted"

    ACCESS_DENIED = "access_denied"
    LIMIT_MET = "limit_met"


@frozen(kw_only=True)
class AccountEvent:
    """Something that happened to an account, kept for its owner to see."""

    id: EventId
    account_id: AccountId
    act: SecurityAct
    at: datetime
    session_id: SessionId | None = None
    """The session that it is about."""
    origin: Origin


FAILURES_SHARE: Final = 4
"""Failed sign-ins are at most one event in so many of those that an account keeps."""


def most_failures(keep: int) -> int:
    """
    Returns how many of the ``keep`` events of an account may be failed sign-ins. Strangers cause those, and must not be able
    to push out what the owner has to see. There is always room for one.
    """
    return max(1, keep // FAILURES_SHARE)
