"""The server: the application on its adapters, everything that runs beside requests, and uvicorn around it."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from logging import getLogger
from socket import socket
from typing import Final

import uvicorn
from starlette.applications import Starlette

from application.examples.people import PASSWORD, PEOPLE
from config.container import Application, PostgresAdapters
from config.settings import Settings
from infrastructure.postgres.migrate import migrate
from interfaces.app import create_app
from interfaces.http.options import HttpOptions
from interfaces.ws.endpoint import ChatSockets
from interfaces.ws.exchange import Desk, SocketOptions
from interfaces.ws.hub import Hub
from interfaces.ws.protocol import HandedOver

log: Final = getLogger(__name__)


def run(settings: Settings, database_url: str) -> None:
    """Serve until a signal says to stop; everything that was acknowledged is stored by then."""
    adapters = PostgresAdapters(settings=settings, url=database_url)
    application = Application(adapters=adapters, show_letter=_show)
    server: Server
    app = make_app(application, settings, failed=lambda: server.stop())  # noqa: PLW0108 - there is no server yet
    api, ws = settings.api, settings.socket
    server = Server(
        uvicorn.Config(
            app,
            host=api.host,
            port=api.port,
            http="h11",  # bounds a request's head, which httptools does not
            ws=HandedOver,
            ws_max_size=ws.frame_limit,
            ws_ping_interval=ws.heartbeat_seconds,
            ws_ping_timeout=ws.pong_seconds,
            ws_per_message_deflate=False,
            proxy_headers=bool(api.trusted_proxies),
            forwarded_allow_ips=",".join(api.trusted_proxies),
            h11_max_incomplete_event_size=16 * 1024,
            log_config=None,
            access_log=False,
            lifespan="on",
            timeout_graceful_shutdown=round(api.shutdown_seconds) or 1,
        )
    )
    if settings.local:
        server.when_started = lambda: _show(_invitation(settings))
    server.run()


class Server(uvicorn.Server):
    when_started: Callable[[], None] = staticmethod(lambda: None)

    def stop(self) -> None:
        self.should_exit = True

    async def startup(self, sockets: list[socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self.when_started()


def make_app(application: Application, settings: Settings, *, failed: Callable[[], None]) -> Starlette:
    """``failed`` is called when something that runs beside requests has ended: nothing works for long without it."""
    messenger = application.messenger()
    ws = settings.socket
    hub = Hub(
        snapshot=messenger.snapshot,
        log=messenger.log,
        changes=messenger.changes,
        clock=application.adapters.clock(),
    )
    application.updates().subscribe(hub.receive)
    desk = Desk(
        messenger=messenger,
        hub=hub,
        options=SocketOptions(
            auth_timeout=ws.auth_seconds,
            outbox_frames=ws.outbox_frames,
            outbox_bytes=ws.outbox_bytes,
            heartbeat_interval=ws.heartbeat_seconds,
            frame_limit=ws.frame_limit,
        ),
    )

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with opened(application, settings), asyncio.TaskGroup() as tasks:
            posting, marking = application.posting(), application.marking()
            gathering = [tasks.create_task(posting.run()), tasks.create_task(marking.run())]
            others = [tasks.create_task(hub.run()), tasks.create_task(application.letters().run())]
            for task in (*gathering, *others):
                task.add_done_callback(_watch(failed))
            yield
            await posting.close()
            await marking.close()
            await asyncio.wait(gathering)
            for task in others:
                task.cancel()

    return create_app(
        messenger,
        HttpOptions(
            cors_origins=settings.api.cors_origins,
            secure_cookies=settings.api.secure_cookies,
            original_statuses=settings.api.original_statuses,
            body_limit=settings.api.body_limit,
            confirm_path=settings.api.confirmation_path,
            history_page=settings.chat.history_page,
            history_most=settings.chat.history_page_limit,
        ),
        new_request_id=application.adapters.ids().token_id,
        sockets=ChatSockets(desk).routes(),
        lifespan=lifespan,
    )


@asynccontextmanager
async def opened(application: Application, settings: Settings) -> AsyncIterator[None]:
    """The database as this version wants it, and nothing left open at the end."""
    adapters = application.adapters
    async with AsyncExitStack() as stack:
        stack.callback(application.passwords().close)
        stack.push_async_callback(adapters.engine().dispose)
        stack.push_async_callback(adapters.lane().close)
        stack.push_async_callback(adapters.patient_lane().close)
        stack.push_async_callback(adapters.marking_lane().close)
        stack.push_async_callback(adapters.pictures().close)
        await migrate(adapters.engine())
        if settings.local:
            await application.fill_examples()()
        yield


def _watch(failed: Callable[[], None]) -> Callable[["asyncio.Task[None]"], None]:
    def ended(task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and (error := task.exception()):
            log.critical("something that runs beside requests has failed", exc_info=error)
            failed()

    return ended


def _show(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _invitation(settings: Settings) -> str:
    width = max(len(person.email) for person in PEOPLE)
    if settings.mail.server:
        letters = f"Letters go out by {settings.mail.server}"
    else:
        letters = f"Letters are files in {settings.var_dir / 'mail'}, their links come up here"
    return "\n".join(
        [
            f"The messenger is at {settings.api.public_url}",
            f"Sign in with the password {PASSWORD} as one of:",
            *(f"  {each.email:{width}}  {each.first_name} {each.last_name}" for each in PEOPLE),
            letters,
        ]
    )
