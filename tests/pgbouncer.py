"""The real PgBouncer in transaction mode between the messenger and a test's PostgreSQL."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from attrs import define
from psycopg.conninfo import make_conninfo
from psycopg.rows import TupleRow
from sqlalchemy.engine import make_url

from infrastructure.postgres.server.embedded import OWNER
from tests.postgres import PostgresServer
from tests.scratch import scratch_folder
from tests.services import program, require
from tests.system.postgres import unprivileged

SERVER_CONNECTIONS = 3
"""Fewer than the messenger opens: its transactions must share them."""

PATIENCE = 60.0
"""Seconds after which something hangs."""


@define(eq=False)
class Pooler:
    folder: Path

    def url(self, database_url: str) -> str:
        """The same database, through the pooler."""
        database = make_url(database_url).database
        return f"postgresql://{OWNER}@/{database}?host={self.folder}&port=6432"

    def connect(self, database_url: str) -> psycopg.Connection[TupleRow]:
        """A client of the pooler that states nothing."""
        where = make_conninfo(
            user=OWNER, host=str(self.folder), port=6432, dbname=make_url(database_url).database
        )
        return psycopg.connect(where, autocommit=True, prepare_threshold=None)


@pytest.fixture
def pooler(postgres_server: PostgresServer) -> Iterator[Pooler]:
    require("pgbouncer")
    command = program("pgbouncer")
    assert command is not None
    with scratch_folder("pooler-") as folder:
        socket_dir, port = postgres_server.embedded.socket_dir, postgres_server.embedded.port
        (folder / "ini").write_text(
            "[databases]\n"
            f"* = host={socket_dir} port={port} user={OWNER}\n"
            "[pgbouncer]\n"
            "pool_mode = transaction\n"
            "auth_type = any\n"
            "listen_addr =\n"
            "listen_port = 6432\n"
            f"unix_socket_dir = {folder}\n"
            f"default_pool_size = {SERVER_CONNECTIONS}\n"
            f"logfile = {folder}/log\n"
        )
        with (folder / "output").open("wb") as output:
            process = subprocess.Popen(
                unprivileged([command, str(folder / "ini")]), stdout=output, stderr=output, process_group=0
            )
        try:
            until = time.monotonic() + PATIENCE
            while not (folder / ".s.PGSQL.6432").exists():
                assert process.poll() is None, (folder / "output").read_text()
                assert time.monotonic() < until, (folder / "output").read_text()
                time.sleep(0.01)
            yield Pooler(folder)
        finally:
            process.terminate()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
