"""The exceptions that a client raises."""

from collections.abc import Mapping
from typing import Any


class ClientError(Exception):
    """The root of all errors of this package."""


class Refused(ClientError):
    """
    The server refused a request, and did nothing.

    ``code`` is one of the codes of the protocol, and ``fields`` holds what else the refusal said.
    """

    def __init__(self, code: str, message: str, fields: Mapping[str, Any] | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.fields = dict(fields or {})


class OutcomeUnknown(ClientError):
    """The connection broke before the answer came: the request was carried out, or it was not."""


class Unreachable(ClientError):
    """The server did not answer. ``retry_after`` is the pause in seconds that it demanded, if it said anything."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Ended(ClientError):
    """The client is not running, or has ended for a reason that does not pass by itself."""


class StorageDamaged(ClientError):
    """A storage holds something that this package did not write."""
