"""Who asks: by the bearer token of a request, before anything else about it is looked at."""

from starlette.datastructures import Headers
from starlette.requests import Request

from application.accounts.authenticate import Authenticate
from application.actor import Actor
from application.errors import NotAuthenticated
from application.messenger import Messenger


def find_bearer(headers: Headers) -> str | None:
    """The token, possibly empty. None: nothing was presented, or something else than a bearer token."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


async def actor_of(request: Request, messenger: Messenger) -> Actor:
    """
    Raises:
        NotAuthenticated: And why.
    """
    token = find_bearer(request.headers)
    if token is None:
        raise NotAuthenticated("not_authenticated")
    return await messenger.accounts.authenticate(Authenticate(token=token))
