"""
Descriptions of endpoints: a decorator on the handler, from which `interfaces.http.openapi` makes the document.

An endpoint without a description is not in the document.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar

from attrs import field, frozen
from starlette.responses import Response

from interfaces.wire.schema import FieldDoc, Schema
from interfaces.wire.validation import Shape

H = TypeVar("H", bound=Callable[..., Awaitable[Response]])

ACCOUNTS: Final = "Модуль авторизации"
PROFILES: Final = "Модуль профилей"
CHATS: Final = "Модуль чатов"
CATALOGUES: Final = "Справочники"
HEALTH: Final = "healthcheck"
"""The groups of the original messenger's document."""

TAGS: Final[Mapping[str, str]] = {
    ACCOUNTS: "Accounts: signing up, in and out, tokens, passwords and sessions",
    PROFILES: "Profiles: what people show of themselves, and finding people",
    CHATS: "Chats: groups and direct chats, their members, messages and read marks",
    CATALOGUES: "Catalogues: reference lists, such as countries",
    HEALTH: "Health checks, for orchestrators and load balancers",
}
"""The description of each group."""

_MARK: Final = "described"


@frozen(kw_only=True)
class Described:
    summary: str
    tag: str
    description: str = ""
    """Details that the summary leaves out: effects, order, limits, and the effect of a repeat."""
    answer: Any = None
    """The type of ``data`` in the envelope."""
    body: Shape[Any] | None = None
    """How a JSON body is decoded; fields that are path parameters come from the path."""
    query: Shape[Any] | None = None
    """How a query is decoded; fields that are path parameters come from the path."""
    refuses: tuple[type[Exception], ...] = ()
    """Errors that its use case raises. Errors that any endpoint can raise are added by the document."""
    is_public: bool = False
    is_stored: bool = True
    """The endpoint needs storage, so it can answer that storage is unavailable."""
    is_polled: bool = False
    """The answer has an ``ETag``; a client that already has that version gets 304."""
    may_lack_tag: bool = False
    """Long answers have no ``ETag``."""
    has_next: bool = False
    """The answer has a ``Link`` to the next page."""
    may_lack_body: bool = False
    """A request without a body is one without its fields."""
    needs_cookie: bool = False
    needs_visit: bool = False
    """The endpoint takes the cookie that a visit to a provider has left."""
    needs_own_page: bool = False
    """Browsers may not send it for pages of other sites, see `interfaces.browsers`."""
    stream: str = ""
    """An example of the events that answer it; empty if the answer is no event stream. `Last-Event-ID` resumes a stream."""
    is_by_name: bool = False
    """The path contains a name; an unknown name is answered like an unknown path."""
    path: Mapping[str, FieldDoc] = field(factory=dict)
    """Descriptions of path parameters that no shape reads."""
    otherwise: Mapping[int, Schema] = field(factory=dict)
    """Schemas of answers outside the envelope, by status."""


def described(**what: Any) -> Callable[[H], H]:
    def mark(handler: H) -> H:
        vars(handler)[_MARK] = Described(**what)
        return handler

    return mark


def description_of(handler: Callable[..., object]) -> Described | None:
    found = getattr(handler, _MARK, None)
    return found if isinstance(found, Described) else None
