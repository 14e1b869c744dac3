from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql
from sqlalchemy.engine import make_url

from tests.postgres import PostgresServer


@pytest.fixture
def beside(postgres_server: PostgresServer, messenger_database: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection of the test's own."""
    database = make_url(messenger_database).database
    assert database is not None
    with postgres_server.connect(database) as connection:
        yield connection


STRANGE = {
    "standard_conforming_strings": "off",
    "DateStyle": "German, DMY",
    "IntervalStyle": "iso_8601",
    "TimeZone": "Asia/Kathmandu",
    "array_nulls": "off",
    "transform_null_equals": "on",
    "default_transaction_isolation": "serializable",
    "default_transaction_deferrable": "on",
    "search_path": "elsewhere",
    "statement_timeout": "1min",
    "lock_timeout": "1min",
    "idle_in_transaction_session_timeout": "0",
    "transaction_timeout": "1h",
    "synchronous_commit": "off",
    "client_encoding": "WIN1251",
}


@pytest.fixture
def strange_database(postgres_server: PostgresServer, messenger_database: str) -> str:
    """One whose settings are all different from what the messenger needs."""
    name = make_url(messenger_database).database
    assert name is not None
    with postgres_server.connect() as connection:
        for setting, value in STRANGE.items():
            connection.execute(
                sql.SQL("ALTER DATABASE {} SET {} = {}").format(
                    sql.Identifier(name),
                    sql.Identifier(setting),
                    sql.Literal(value),
                )
            )
    with postgres_server.connect(name) as connection:
        assert connection.execute("SHOW TimeZone").fetchone() == ("Asia/Kathmandu",)
    return messenger_database
