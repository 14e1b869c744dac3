"""
What can go wrong, by kind.

    DomainError
    ├── Invalid      the request itself makes no sense
    ├── NotFound     nothing there, or nothing the actor may know of
    ├── Forbidden    it is there, and the actor may not do this to it
    ├── Conflict     it was fine once, the state has moved on
    └── Limited      too much, too soon

A rule raises a leaf of one kind. Interfaces translate kinds, and the few leaves that the original messenger treats
otherwise.
"""

from typing import ClassVar


class DomainError(Exception):
    """A rule says no. ``code`` is stable and may be told to clients."""

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
