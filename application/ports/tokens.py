"""
Tokens: signed statements that the messenger gives to clients and reads back.

Signing the same statement twice gives the same text, so that ids and times are stored instead of tokens. Times are in
whole seconds.

Reading raises `NotAuthenticated` with the first reason that applies:

- ``token_malformed``: the text is not a token (``token_invalid`` where a session's is expected, as in the original)
- ``token_invalid``: not signed by us, or claims are missing or not ours
- ``token_expired``
- ``token_type``: another kind of token
"""

from datetime import datetime
from enum import StrEnum
from typing import Protocol

from attrs import frozen

from domain.account import Confirmation
from domain.ids import AccountId, ConfirmationId, SessionId
from domain.session import Fingerprint


class SessionTokenType(StrEnum):
    ACCESS = "access"
    REFRESH = "refresh"


@frozen(kw_only=True)
class SessionToken:
    type: SessionTokenType
    account_id: AccountId
    email: str
    session_id: SessionId
    token_id: str
    issued_at: datetime
    expires_at: datetime


@frozen(kw_only=True)
class PendingToken:
    """A sign-in that waits for a code of the account's second factor."""

    account_id: AccountId
    email: str
    fingerprint: Fingerprint
    password_mark: str
    """A digest of the account's password hash: with another password the sign-in is void."""
    issued_at: datetime
    expires_at: datetime


@frozen(kw_only=True)
class ConfirmationToken:
    account_id: AccountId
    email: str
    confirmation_id: ConfirmationId
    issued_at: datetime
    expires_at: datetime

    def is_of(self, confirmation: Confirmation) -> bool:
        """Whether the token was signed for this very confirmation, and not for an earlier one of the same id."""
        return (self.confirmation_id, self.issued_at, self.expires_at) == (
            confirmation.id,
            confirmation.issued_at,
            confirmation.expires_at,
        )


class Tokens(Protocol):
    def sign(self, token: SessionToken | PendingToken | ConfirmationToken) -> str: ...

    def read_access(self, text: str, *, at: datetime) -> SessionToken: ...

    def read_refresh(self, text: str, *, at: datetime) -> SessionToken: ...

    def read_pending(self, text: str, *, at: datetime) -> PendingToken: ...

    def read_confirmation(self, text: str, *, at: datetime) -> ConfirmationToken: ...
