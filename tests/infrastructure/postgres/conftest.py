from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from sqlalchemy.engine import make_url

from tests.postgres import PostgresServer


@pytest.fixture
def beside(postgres_server: PostgresServer, messenger_database: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection of the test's own."""
    database = make_url(messenger_database).database
    assert database is not None
    with postgres_server.connect(database) as connection:
        yield connection
