"""
Errors that are not about rules of the domain. Each tells the caller what to do next.

    ApplicationError
    ├── NotAuthenticated   the caller is not signed in (any more): sign in
    ├── SecondFactorNeeded the password is right, and a code is needed too: go on with both
    ├── Unavailable        nothing was done: try again later
    ├── ProviderUnavailable another provider does not answer: try again later, or sign in otherwise
    ├── OutcomeUnknown     the command may have been carried out: repeat it with the same nonce or key
    └── Overloaded         nothing was done, because the queue is full: try again later
"""

from typing import ClassVar


class ApplicationError(Exception):
    code: ClassVar[str]


class NotAuthenticated(ApplicationError):
    """``reason`` is a code from docs/protocol.md, such as ``token_invalid`` or ``token_expired``."""

    code = "not_authenticated"

    def __init__(self, reason: str = "token_invalid") -> None:
        super().__init__(reason)
        self.reason = reason


class SecondFactorNeeded(ApplicationError):
    """
    The account has a second factor, so that the proof that was given opens no session yet. ``pending_token`` and a code
    open it within ``expires_in`` seconds.
    """

    code = "second_factor_needed"

    def __init__(self, pending_token: str, expires_in: int) -> None:
        super().__init__()
        self.pending_token = pending_token
        self.expires_in = expires_in


class Unavailable(ApplicationError):
    """Nothing was done. ``retry_after`` is in seconds."""

    code = "unavailable"

    def __init__(self, message: str = "", *, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ProviderUnavailable(ApplicationError):
    """A provider of identities does not answer in time, or not in a way that can be understood. ``retry_after`` is in seconds."""

    code = "provider_unavailable"

    def __init__(self, message: str = "", *, retry_after: float = 5.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class OutcomeUnknown(ApplicationError):
    """The connection was lost while the transaction was committed: it is stored as a whole, or not at all."""

    code = "outcome_unknown"


class Overloaded(ApplicationError):
    """Nothing was done. ``retry_after`` is in seconds."""

    code = "overloaded"

    def __init__(self, message: str = "", *, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after
