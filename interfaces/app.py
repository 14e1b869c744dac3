"""Assembles the Starlette application from routes, WebSockets and middleware, which do not know each other."""

from collections.abc import Callable, Collection, Sequence
from typing import Any, Final

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, WebSocketRoute
from starlette.types import Lifespan

from application.messenger import Messenger
from application.meter import Meter, Unmetered
from interfaces.http.access_tokens import AccessTokens
from interfaces.http.accounts import Accounts
from interfaces.http.authentication import LISTENING, PACE, SIGN_INS
from interfaces.http.catalogues import Catalogues
from interfaces.http.chats import Chats
from interfaces.http.docs import Docs
from interfaces.http.error_pages import Explanations
from interfaces.http.errors import exception_handlers
from interfaces.http.events import Events
from interfaces.http.factors import Factors
from interfaces.http.handshakes import SocketsOfPages, UnknownSockets
from interfaces.http.health import Details, Health, Probes, probe_paths
from interfaces.http.hosts import AllowedHosts
from interfaces.http.letter_pages import ConfirmationPage, NewPasswordPage
from interfaces.http.limits import RateLimitHeaders
from interfaces.http.members import Members
from interfaces.http.messages import Messages
from interfaces.http.metering import Metered
from interfaces.http.middleware import BodyLimit, Cors, LastResort, SecurityHeaders, Traced, UnderPublicPath
from interfaces.http.options import WEB_CLIENT_MODULES, HttpOptions
from interfaces.http.passkeys import Passkeys
from interfaces.http.problem import APP_URL, ERRORS_PATH, PLACES
from interfaces.http.profiles import Profiles
from interfaces.http.providers import Providers
from interfaces.http.proxies import BehindProxies
from interfaces.http.routes import PAGES, Directory, Endpoint, match_whole_paths, redirect_slashes, upgrades
from interfaces.http.sessions import Sessions
from interfaces.http.sync import Synchronisation
from interfaces.live.sync import Sync, SyncOptions
from interfaces.pace import Moments, Pace
from interfaces.web.site import WebClient
from interfaces.web.status import Local
from interfaces.ws.services import SocketServices

MODULES: Final = ("healthcheck", "auth", "chat", "catalogues")
"""The modules that have routes."""


def create_app(
    messenger: Messenger,
    options: HttpOptions,
    *,
    new_request_id: Callable[[], str],
    sockets: Sequence[WebSocketRoute] = (),
    live: SocketServices | None = None,
    sync: SyncOptions | None = None,
    lifespan: Lifespan[Any] | None = None,
    modules: Collection[str] = MODULES,
    added: Sequence[BaseRoute] = (),
    details: Details | None = None,
    is_leaving: Callable[[], bool] = lambda: False,
    meter: Meter | None = None,
    sign_ins: Moments | None = None,
    local: Local | None = None,
) -> Starlette:
    """
    Create the application.

    ``new_request_id`` makes ids for requests that carry none: up to 64 letters, digits, dots, dashes and underscores.
    ``live`` is what sockets and event streams share; without it there are no event streams, and `/sync/` does not wait.
    ``modules`` names the modules that are switched on, in the order of their routes; ``added`` holds the routes of
    modules that are not built in. ``sign_ins`` are the moments at which networks may try passwords; without it there is no limit.
    ``local`` is what the web client shows of itself on a machine for trying out.
    """
    by_module: dict[str, Sequence[BaseRoute]] = {
        "healthcheck": Health(messenger, options, details).routes(),
        "auth": [
            *ConfirmationPage(messenger, options).routes(),
            *NewPasswordPage(messenger, options).routes(),
            *Accounts(messenger, options).routes(),
            *Factors(messenger, options).routes(),
            *Providers(messenger, options).routes(),
            *Passkeys(messenger, options).routes(),
            *AccessTokens(messenger, options).routes(),
            *Sessions(messenger, options).routes(),
            *Profiles(messenger, options).routes(),
        ],
        "chat": [
            *Chats(messenger, options).routes(),
            *Members(messenger, options).routes(),
            *Messages(messenger, options).routes(),
            *Synchronisation(
                messenger,
                options,
                Sync(feed=messenger.feed, hub=live.hub if live else None, options=sync or SyncOptions()),
            ).routes(),
            *(Events(messenger, options, live).routes() if live else ()),
            *upgrades(sockets),
        ],
        "catalogues": Catalogues(messenger, options).routes(),
    }
    routes: list[BaseRoute] = [
        *(sockets if "chat" in modules else ()),  # first, because thousands of clients may come back at once
        *Probes(messenger, options, is_leaving).routes(),
        *(WebClient(options, local).routes() if set(modules) >= WEB_CLIENT_MODULES else ()),
        *(route for module in modules for route in by_module.get(module, ())),
        *Explanations(options).routes(),
        *added,
    ]
    not_for_all = {f"{options.prefix}/healthcheck/detailed"}  # pages of others must not read them
    pages = options.pages
    pace = live.pace if live else Pace()
    endpoints = [route for route in routes if isinstance(route, Endpoint)]
    app = Starlette(
        routes=[*routes, *Docs(options, endpoints).routes()],
        middleware=[
            Middleware(BehindProxies, trusted=options.trusted_proxies),
            Middleware(
                Traced, new_id=new_request_id, unlogged=() if options.log_probes else probe_paths(options)
            ),
            Middleware(Metered, meter=meter or Unmetered(), pace=pace),
            Middleware(SecurityHeaders, hsts=options.hsts_seconds, below=options.hsts_subdomains),
            Middleware(Cors, origins=options.cors_origins),
            Middleware(AllowedHosts, names=options.allowed_hosts, exempt=probe_paths(options) - not_for_all),
            Middleware(SocketsOfPages, pages=pages),
            Middleware(UnknownSockets),
            Middleware(RateLimitHeaders),
            Middleware(LastResort),
            Middleware(BodyLimit, most=options.body_limit),
            Middleware(UnderPublicPath, path=options.public_path),
        ],
        exception_handlers=exception_handlers(original_statuses=options.original_statuses),
        lifespan=lifespan,
    )
    setattr(app.state, ERRORS_PATH, options.errors_path)
    setattr(app.state, APP_URL, options.app_url)
    setattr(app.state, PLACES, options.places)
    setattr(app.state, PAGES, pages)
    setattr(app.state, PACE, pace)
    setattr(app.state, LISTENING, live.hub.listening_to if live else lambda _: 0)
    setattr(app.state, SIGN_INS, sign_ins or Moments())
    match_whole_paths(app.routes)
    redirect_slashes(app.router)
    app.router.middleware_stack = Directory(app.router)
    return app
