"""
The request that is being carried out: its id, and where it came from.

The edge of each transport sets it (`interfaces.http.middleware.Traced`, and the exchange of a socket for each request). It is
a context variable, so that each task has its own, and use cases need not pass it on.
"""

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Final

from attrs import frozen

from domain.session import Origin


@frozen(kw_only=True)
class Whereabouts:
    request_id: str | None = None
    origin: Origin = Origin()


NOWHERE: Final = Whereabouts()

present: Final[ContextVar[Whereabouts]] = ContextVar("present", default=NOWHERE)


def origin() -> Origin:
    return present.get().origin


def fields() -> Mapping[str, str | None]:
    """Return what the security log says of the request."""
    here = present.get()
    return {"request_id": here.request_id, "client": here.origin.address}
