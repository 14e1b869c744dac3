"""Assembles the server: the application with its adapters, the background tasks, and uvicorn."""

import asyncio
import hmac
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from logging import getLogger
from socket import socket
from typing import Any, Final, cast

import uvicorn
from attrs import asdict
from dependency_injector.providers import Object
from starlette.applications import Starlette

from application.errors import OutcomeUnknown, Unavailable
from config.chaos import edges
from config.container import Application, PostgresAdapters, closing
from config.crew import Orders, tell_parent
from config.data.people import PASSWORD, PEOPLE
from config.listening import Place
from config.local import is_alone, make_local
from config.modules import added_routes, installed
from config.operation import (
    health_details,
    lag_measuring,
    make_meter,
    metrics_routes,
    metrics_server,
    metrics_text,
)
from config.refusals import CannotStart, cause_of, database_setting
from config.running import run_until_signal
from config.server import ACCEPTED_AT_ONCE, Server
from config.settings.groups import Settings
from config.settings.readers import BusKind, Environment
from config.stopping import Stopping
from infrastructure.metered import metered_listener
from infrastructure.postgres.schema.distribution import check_divided
from infrastructure.postgres.schema.migrate import check_revision, filling_alone, migrate
from infrastructure.postgres.server.adoption import check_home
from infrastructure.postgres.server.reach import reach
from infrastructure.system.collecting import GarbageCollection
from infrastructure.system.descriptors import raise_descriptor_limit
from infrastructure.system.memory import Memory
from interfaces import whereabouts
from interfaces.app import create_app
from interfaces.http import limits
from interfaces.http.addresses import Networks
from interfaces.http.node import HttpLimits
from interfaces.http.options import ApiInfo, HttpOptions
from interfaces.http.protocol import HttpConnections
from interfaces.live.hub import Hub
from interfaces.live.sync import SyncOptions
from interfaces.pace import Moments, Pace
from interfaces.ws.endpoint import Sockets
from interfaces.ws.options import SocketOptions
from interfaces.ws.services import SocketServices

log: Final = getLogger(__name__)


def run(
    settings: Settings,
    database_url: str,
    place: Place,
    sockets: Sequence[socket],
    metrics_sockets: Sequence[socket],
    stopping: Stopping,
    *,
    show: Callable[[str], None],
    orders: Orders | None = None,
) -> None:
    """
    Serves until a signal stops the process. By then everything that was acknowledged is stored. ``show`` gets what people on
    a terminal want to read, in LOCAL, and must not wait for them. With ``orders`` this is one of several workers, whose
    database the parent has prepared.

    Raises:
        CannotStart: The database cannot be prepared, or does not fit the environment.
        CannotListen: Another program has taken the port meanwhile.
        UnusableDatabase: The database cannot be reached, or cannot be used in its state.
        BackgroundFailed: A background task has ended.
        Stopped: A signal came before the server listened.
    """
    adapters = PostgresAdapters(settings=settings, url=database_url)
    application = Application(
        adapters=adapters,
        show_letter=Object(show),
        meter=Object(make_meter(adapters)),
        limit_reports=Object(limits.reports),
        whereabouts=Object(whereabouts.fields),
        where=Object(whereabouts.origin),
    )
    api, ws = settings.api, settings.socket
    connections = HttpConnections(
        HttpLimits(**asdict(settings.connections)),
        raise_descriptor_limit(),
        exempt=Networks.of(api.trusted_proxies),
    )
    server: Server
    app = make_app(
        application,
        settings,
        failed=lambda: server.fail(),  # noqa: PLW0108 - `server` is assigned later
        is_leaving=lambda: server.is_leaving,
        metrics_sockets=metrics_sockets,
        orders=orders,
        moments=connections.moments,
    )
    served, sockets_class = edges(app, settings)
    server = Server(
        uvicorn.Config(
            served,
            http=cast(Any, connections),
            backlog=ACCEPTED_AT_ONCE,
            ws=sockets_class,
            ws_max_size=ws.frame_limit,
            ws_ping_interval=None,  # `interfaces.ws.heartbeats` pings
            ws_per_message_deflate=False,
            proxy_headers=False,  # `BehindProxies` reads them
            server_header=False,
            log_config=None,
            access_log=False,
            lifespan="on",
            timeout_graceful_shutdown=cast(int, stopping.seconds_for_requests),  # used as a float
        ),
        place,
        drain=api.drain_seconds,
        stopping=stopping,
    )
    server.when_leaving = app.state.sockets.send_away
    if orders is not None:
        server.control, started = orders.control, orders.started
        server.when_started = lambda: tell_parent(started)
    elif settings.local:
        server.when_started = lambda: show(invitation(settings))

    async def serve() -> None:
        await reach(database_url, patience=settings.database.wait_seconds)
        async with opened(application, settings) if orders is None else closing(application):
            await server.serve_on(sockets)

    collection = GarbageCollection()
    collection.begin()
    try:
        run_until_signal(serve(), stopping=stopping.must_end, loop_factory=server.config.get_loop_factory())
    finally:
        collection.end()


def prepare(settings: Settings, database_url: str, stopping: Stopping) -> None:
    """
    Prepares the database for several workers.

    Raises:
        CannotStart, UnusableDatabase: As `run` does.
        Stopped: A signal came.
    """

    async def prepared() -> None:
        await reach(database_url, patience=settings.database.wait_seconds)
        adapters = PostgresAdapters(settings=settings, url=database_url)
        async with opened(Application(adapters=adapters), settings):
            pass

    run_until_signal(prepared(), stopping=stopping.must_end)


def make_app(
    application: Application,
    settings: Settings,
    *,
    failed: Callable[[], None],
    is_leaving: Callable[[], bool] = lambda: False,
    metrics_sockets: Sequence[socket] = (),
    orders: Orders | None = None,
    moments: Moments | None = None,
) -> Starlette:
    """``failed`` is called when a background task ends, because nothing works for long without it."""
    messenger, meter = application.messenger(), application.meter()
    figures, telling = metrics_text(meter, orders)
    modules = installed(settings.modules.wanted)
    ws = settings.socket
    cursor_key = hmac.digest(settings.jwt.secret.encode(), b"cursors of lists", "sha256")
    hub = Hub(
        feed=messenger.feed,
        clock=application.ports().clock,
        first_page=ws.chats_page,
        cursor_interval=ws.cursor_seconds,
        typing_expiry=ws.typing_expiry_seconds,
        tail_bytes=ws.node_tail_bytes,
        presence_pause=ws.presence_seconds,
        watched_most=ws.watched_profiles,
        node="" if settings.bus.kind is BusKind.NONE else application.ports().ids.token_id(),
    )
    application.updates().subscribe(metered_listener(hub.receive, meter))
    application.updates().focus(hub.is_listened_to)
    socket_services = SocketServices(
        messenger=messenger,
        hub=hub,
        options=SocketOptions(
            per_session=settings.socket.per_session,
            per_account=settings.socket.per_account,
            per_network=settings.socket.per_network,
            auth_timeout=ws.auth_seconds,
            outbox_frames=ws.outbox_frames,
            outbox_bytes=ws.outbox_bytes,
            gap_percent=ws.gap_percent,
            node_outbox_bytes=ws.node_outbox_bytes,
            node_tail_bytes=ws.node_tail_bytes,
            pending_sends=ws.pending_sends,
            waiting_frames=ws.waiting_frames,
            waiting_bytes=ws.waiting_bytes,
            node_waiting_bytes=ws.node_waiting_bytes,
            message_timeout=ws.message_seconds,
            entering=ws.entering,
            entry_timeout=ws.entry_seconds,
            chats_page=ws.chats_page,
            cursor_interval=ws.cursor_seconds,
            typing_interval=ws.typing_interval_seconds,
            typing_expiry=ws.typing_expiry_seconds,
            presence_pause=ws.presence_seconds,
            watched_profiles=ws.watched_profiles,
            heartbeat_interval=ws.heartbeat_seconds,
            pong_timeout=ws.pong_seconds,
            max_message_bytes=ws.frame_limit,
        ),
        meter=meter,
        pace=Pace(settings.api.requests_per_account),
        moments=moments or Moments(),
        cursor_key=cursor_key,
    )

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as tasks:
            running = [
                application.adapters.clock_following().run,
                application.updates().run,
                Memory().run,
                *workers(application, modules),
                *lag_measuring(settings.operation, meter),
                *telling,
            ]
            if "chat" in modules:
                running.append(socket_services.run)
            if metrics := metrics_server(metrics_sockets, figures):
                running.append(metrics.serve_aside)
            others = [tasks.create_task(run()) for run in running]
            gatherers = application.sending(), application.marking()
            gathering = [tasks.create_task(gatherer.run()) for gatherer in gatherers]
            for task in (*others, *gathering):
                task.add_done_callback(_watch(failed, is_leaving))
            yield
            for gatherer in gatherers:
                await gatherer.close()
            await asyncio.wait(gathering)
            for task in others:
                task.cancel()

    options = HttpOptions(
        prefix=settings.api.prefix,
        public_path=settings.api.public_path,
        public_url=settings.api.public_url,
        trusted_proxies=Networks.of(settings.api.trusted_proxies),
        hsts_seconds=settings.api.hsts_seconds if settings.api.secure_cookies else 0,
        hsts_subdomains=settings.api.hsts_subdomains,
        allowed_hosts=settings.api.hosts,
        cors_origins=settings.api.cors_origins,
        secure_cookies=settings.api.secure_cookies,
        original_statuses=settings.api.original_statuses,
        log_probes=settings.log.probes,
        body_limit=settings.api.body_limit,
        confirm_path=f"{settings.api.prefix}{settings.api.confirmation_path}",
        new_password_path=f"{settings.api.prefix}{settings.api.new_password_path}",
        app_url=settings.api.app_url,
        password_pattern=settings.auth.password_pattern,
        docs=settings.api.docs,
        docs_path=settings.api.docs_path,
        web_client=settings.api.web_client,
        access_tokens=settings.auth.access_tokens > 0,
        local_status=is_alone(settings),
        about=ApiInfo(
            title=settings.api.title,
            description=settings.api.description,
            version=settings.api.version,
            contact_name=settings.api.contact_name,
            contact_email=settings.api.contact_email,
        ),
        cursor_key=cursor_key,
        history_page=settings.chat.history_page,
        history_most=settings.chat.history_page_limit,
    )
    app = create_app(
        messenger,
        options,
        new_request_id=application.ports().ids.token_id,
        sockets=Sockets(socket_services).routes(settings.api.prefix),
        live=socket_services,
        sync=SyncOptions(
            chats_page=ws.chats_page,
            frames_most=settings.sync.frames,
            bytes_most=settings.sync.bytes,
            wait_most=settings.sync.wait_seconds,
        ),
        lifespan=lifespan,
        modules=modules,
        added=[
            *added_routes(modules, application, options),
            *metrics_routes(settings.operation, figures, options),
        ],
        details=health_details(application, settings) if settings.operation.detailed_health else None,
        is_leaving=is_leaving,
        meter=meter,
        sign_ins=Moments.of_sign_ins(settings.api.sign_ins_per_network),
        local=make_local(application, settings),
    )
    app.state.sockets = socket_services
    return app


def workers(
    application: Application, modules: Sequence[str]
) -> list[Callable[[], Coroutine[Any, Any, None]]]:
    """The background tasks of the enabled modules."""
    every, running = application.workers(), []
    if "auth" in modules or "notify" in modules:
        running.append(every.letters.run)
    if "auth" in modules:
        running += [every.closed_accounts.run, every.tidying.run]
    if "chat" in modules:
        running.append(every.purging.run)
    return running


@asynccontextmanager
async def opened(application: Application, settings: Settings) -> AsyncIterator[None]:
    """
    Prepares the database for this version, and closes all connections at the end.

    Raises:
        CannotStart: The database cannot be prepared, or has example people that it must not have.
        UnusableDatabase: It belongs to another program or a newer version, or was restored since nodes last ran on it.
    """
    async with closing(application):
        try:
            await _prepare(application, settings)
        except (Unavailable, OutcomeUnknown) as error:
            where = database_setting(settings)
            raise CannotStart(f"{where}: the database cannot be prepared: {cause_of(error)}") from error
        yield


async def _prepare(application: Application, settings: Settings) -> None:
    engine, administration = application.adapters.engine(), application.administration()
    await check_home(engine)
    await check_revision(engine)
    await migrate(engine)
    await check_divided(engine, expected=settings.database.divided)
    if "catalogues" in settings.modules.wanted or settings.local:
        async with filling_alone(engine):
            if "catalogues" in settings.modules.wanted:
                await administration.fill_catalogues()
            if settings.local:
                await administration.fill_examples()
    if not (settings.local or settings.allow_example_people):
        found = await administration.find_open_examples()
        if found and settings.environment is Environment.PROD:
            raise CannotStart(
                f"ENVIRONMENT is {settings.environment.value}: the database holds example people whose password is"
                f" published ({', '.join(found)}): keep them out with `messenger user disable`, use another database, or"
                " set ALLOW_EXAMPLE_PEOPLE=true"
            )
        if found:
            log.warning(
                "the example people can sign in with their published password",
                extra={"people": ", ".join(found)},
            )


def _watch(
    failed: Callable[[], None], is_leaving: Callable[[], bool]
) -> Callable[["asyncio.Task[None]"], None]:
    def ended(task: "asyncio.Task[None]") -> None:
        if task.cancelled():
            return
        error = task.exception()
        if error is not None or not is_leaving():
            log.critical("a background task has ended", exc_info=error)
            failed()

    return ended


def _first_page(settings: Settings) -> str:
    """Return the address to open first: that of the web client if it is served."""
    api = settings.api
    return f"{api.public_url}{api.prefix}/app/" if api.web_client else api.public_url


def invitation(settings: Settings) -> str:
    width = max(len(person.email) for person in PEOPLE)
    if settings.mail.server:
        letters = f"Letters go out by {settings.mail.server}"
    else:
        letters = f"Letters are files in {settings.var_dir / 'mail'}, their links come up here"
    if settings.api.web_client and is_alone(settings):
        letters = f"{letters}\nIts state and its letters are at {_first_page(settings)}status"
    return "\n".join(
        [
            f"The messenger is at {_first_page(settings)}",
            f"Sign in with the password {PASSWORD} as one of:",
            *(f"  {each.email:{width}}  {each.first_name} {each.last_name}" for each in PEOPLE),
            letters,
        ]
    )
