"""The Starlette application: routes, sockets and middleware put together, so that they need not know each other."""

from collections.abc import Callable, Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, WebSocketRoute
from starlette.types import Lifespan

from application.messenger import Messenger
from interfaces.http.accounts import Accounts
from interfaces.http.chats import Chats
from interfaces.http.confirmation import ConfirmationPage
from interfaces.http.docs import Docs
from interfaces.http.errors import exception_handlers
from interfaces.http.explanations import Explanations
from interfaces.http.health import Health
from interfaces.http.members import Members
from interfaces.http.messages import Messages
from interfaces.http.middleware import BodyLimit, Cors, LastResort, Traced
from interfaces.http.new_password import NewPasswordPage
from interfaces.http.options import HttpOptions
from interfaces.http.problem import ERRORS_PATH
from interfaces.http.profiles import Profiles
from interfaces.http.sessions import Sessions


def create_app(
    messenger: Messenger,
    options: HttpOptions,
    *,
    new_request_id: Callable[[], str],
    sockets: Sequence[WebSocketRoute] = (),
    lifespan: Lifespan[Any] | None = None,
) -> Starlette:
    """``new_request_id`` names requests that come without a name of their own, in up to 64 plain characters."""
    endpoints = [
        *Health(messenger, options).routes(),
        *ConfirmationPage.of(options).routes(),
        *NewPasswordPage.of(options).routes(),
        *Accounts(messenger, options).routes(),
        *Sessions(messenger, options).routes(),
        *Profiles(messenger, options).routes(),
        *Chats(messenger, options).routes(),
        *Members(messenger, options).routes(),
        *Messages(messenger, options).routes(),
        *Explanations(options).routes(),
    ]
    routes: list[BaseRoute] = [*endpoints, *Docs(options, endpoints).routes(), *sockets]
    app = Starlette(
        routes=routes,
        middleware=[
            Middleware(Traced, new_id=new_request_id),
            Middleware(Cors, origins=options.cors_origins),
            Middleware(LastResort),
            Middleware(BodyLimit, most=options.body_limit),
        ],
        exception_handlers=exception_handlers(original_statuses=options.original_statuses),
        lifespan=lifespan,
    )
    setattr(app.state, ERRORS_PATH, options.errors_path)
    return app
