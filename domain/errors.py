"""
The errors of the domain, by kind.

    DomainError
    ├── Invalid      the request is wrong whatever the state
    ├── NotFound     there is no such thing, or the actor may not know of it
    ├── Forbidden    the actor may not do this
    ├── Conflict     the present state does not allow it
    └── Limited      too much, or too soon after the last time

A rule raises a subclass of one kind. Interfaces translate the kinds into statuses of their protocol, and a few subclasses
singly where the original messenger answers differently.
"""

from typing import ClassVar


class DomainError(Exception):
    """A rule refuses a request. ``code`` is stable and part of what clients see."""

    code: ClassVar[str]


class Invalid(DomainError):
    code = "invalid"


class NotFound(DomainError):
    code = "not_found"


class Forbidden(DomainError):
    code = "forbidden"


class Conflict(DomainError):
    code = "conflict"


class Limited(DomainError):
    code = "limited"
