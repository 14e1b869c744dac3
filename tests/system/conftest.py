from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.ports import free_port
from tests.system.client import Visit
from tests.system.postgres import Postgres
from tests.system.proxy import Proxy
from tests.system.server import Server

SECRET = "a key of the tests that is long enough, 0123456789"


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """
    A messenger with its embedded database and the LOCAL people. A worker's tests share it, so they must not stop it or change
    its settings. How `make run` starts one from nothing is what `test_start` is about.
    """
    folder = tmp_path_factory.mktemp("server")
    settings = {"JWT_SECRET_KEY": SECRET, "METRICS_PORT": str(free_port())}
    with Server(folder, settings, is_new=False).running() as server:
        yield server


@pytest.fixture
async def visit(server: Server) -> AsyncIterator[Visit]:
    async with Visit(server.url, server.ws_url) as visit:
        yield visit


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """
    Makes servers that are not started yet. Each has a folder of its own unless one is given, and an embedded database that
    has its tables and people unless it ``is_new`` or the settings name another.
    """
    made: list[Server] = []

    def make(folder: Path | None = None, **fields: object) -> Server:
        settings = fields.get("settings", {})
        assert isinstance(settings, dict)
        fields = {"is_new": "DATABASE_URL" in settings} | fields
        server = Server(folder or tmp_path / f"server{len(made)}", **fields)  # type: ignore[arg-type]
        made.append(server)
        return server

    yield make
    with ExitStack() as stack:
        for server in reversed(made):  # the first is stopped first: others may be on its folder
            stack.callback(server.stop)


@pytest.fixture
def make_postgres(tmp_path: Path) -> Iterator[Callable[..., Postgres]]:
    """
    Makes PostgreSQL servers, which are running and belong to the test: it may kill them or change their settings. ``data`` is
    a data folder that exists already; one that is ``lived_in`` has the database of a messenger.
    """
    made: list[Postgres] = []
    stack = ExitStack()

    def make(data: Path | None = None, *, lived_in: bool = False, **settings: str) -> Postgres:
        postgres = Postgres(tmp_path / f"postgres{len(made)}", settings, lived_in=lived_in)
        if data is not None:
            postgres.folder.mkdir()
            data.rename(postgres.data)
        made.append(postgres)
        return stack.enter_context(postgres.running())

    with stack:
        yield make


@pytest.fixture
def make_proxy() -> Iterator[Callable[[Postgres], Proxy]]:
    made: list[Proxy] = []

    def make(postgres: Postgres) -> Proxy:
        made.append(Proxy(postgres.port))
        return made[-1]

    yield make
    for proxy in made:
        proxy.close()
