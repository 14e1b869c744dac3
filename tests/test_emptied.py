from typing import Any

import psycopg
import pytest

from tests.postgres import Emptied, PostgresServer


def test_all_connections_to_an_emptied_database_are_closed_at_its_end(
    postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is left open fails some later test, when it is collected."""
    opened: list[psycopg.Connection[Any]] = []
    connect = PostgresServer.connect

    def noted(server: PostgresServer, database: str = "postgres") -> psycopg.Connection[Any]:
        opened.append(connect(server, database))
        return opened[-1]

    monkeypatch.setattr(PostgresServer, "connect", noted)
    with Emptied.of(postgres_server, postgres_server.fresh_database()) as emptied:
        emptied.empty()
        with postgres_server.connect() as other:
            other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [emptied.name]
            )
        emptied.empty()
        assert [each.closed for each in opened[-3:]] == [True, True, False], "one is kept from test to test"
    assert all(each.closed for each in opened)
