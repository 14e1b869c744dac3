"""
What an endpoint is, in words and types: said above its handler, read by `interfaces.http.openapi`.

An endpoint of which nothing is said is not in the document.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar

from attrs import field, frozen
from starlette.responses import Response

from interfaces.wire.schema import Schema
from interfaces.wire.validation import Shape

H = TypeVar("H", bound=Callable[..., Awaitable[Response]])

ACCOUNTS: Final = "Модуль авторизации"
PROFILES: Final = "Модуль профилей"
CHATS: Final = "Модуль чатов"
CATALOGUES: Final = "Справочники"
HEALTH: Final = "healthcheck"
"""As the original messenger's document grouped them."""

_MARK: Final = "described"


@frozen(kw_only=True)
class Described:
    summary: str
    tag: str
    description: str = ""
    answer: Any = None
    """The type of ``data`` in the envelope."""
    body: Shape[Any] | None = None
    """Read from a JSON body, and what of it the path holds from there."""
    query: Shape[Any] | None = None
    """The same of a query."""
    refuses: tuple[type[Exception], ...] = ()
    """Leaves that its use case raises. What can befall any endpoint is not among them."""
    is_public: bool = False
    is_stored: bool = True
    """Needs storage, so that it can be unavailable."""
    is_polled: bool = False
    """Answers with an ``ETag``, and 304 to whoever has that already."""
    has_next: bool = False
    """Says in a ``Link`` how to go on."""
    needs_cookie: bool = False
    is_by_name: bool = False
    """Its path holds a name, and one that nothing has is answered like an unknown path."""
    otherwise: Mapping[int, Schema] = field(factory=dict)
    """Answers outside the envelope, by status."""


def described(**what: Any) -> Callable[[H], H]:
    def mark(handler: H) -> H:
        vars(handler)[_MARK] = Described(**what)
        return handler

    return mark


def description_of(handler: Callable[..., object]) -> Described | None:
    found = getattr(handler, _MARK, None)
    return found if isinstance(found, Described) else None
