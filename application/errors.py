"""
What is no rule of the domain, but decides what a caller may do next.

    ApplicationError
    ├── NotAuthenticated   the caller is not who it says, or no longer
    ├── Unavailable        certainly not done; may work later
    ├── OutcomeUnknown     done or not, nobody can tell: repeat under the same nonce
    └── Overloaded         certainly not done: too much waits already
"""

from typing import ClassVar


class ApplicationError(Exception):
    code: ClassVar[str]


class NotAuthenticated(ApplicationError):
    """``reason`` says why, in the terms of docs/protocol.md: ``token_invalid``, ``token_expired`` ..."""

    code = "not_authenticated"

    def __init__(self, reason: str = "token_invalid") -> None:
        super().__init__(reason)
        self.reason = reason


class Unavailable(ApplicationError):
    """Certainly not done. ``retry_after`` is in seconds."""

    code = "unavailable"

    def __init__(self, message: str = "", *, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class OutcomeUnknown(ApplicationError):
    code = "outcome_unknown"


class Overloaded(ApplicationError):
    """Certainly not done. ``retry_after`` is in seconds."""

    code = "overloaded"

    def __init__(self, message: str = "", *, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after
