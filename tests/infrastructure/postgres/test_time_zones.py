"""The list of time zones against a database of them that is not ours."""

from config.data.time_zones import TIME_ZONES
from tests.postgres import PostgresServer

RECENTLY_CHANGED = 3
"""Zones whose laws changed between two editions; more would be mistakes."""


def test_time_zones_are_those_that_postgresql_knows(postgres_server: PostgresServer) -> None:
    with postgres_server.connect() as connection:
        known = connection.execute(
            """
            SELECT name, to_char(least(
                ('2026-01-15 12:00Z'::timestamptz AT TIME ZONE name) - timestamp '2026-01-15 12:00',
                ('2026-07-15 12:00Z'::timestamptz AT TIME ZONE name) - timestamp '2026-07-15 12:00'
            ), 'HH24:MI') FROM pg_timezone_names
            """
        ).fetchall()
    theirs = {name: _written(str(offset)) for name, offset in known}
    ours = {entry.key: entry.value for entry in TIME_ZONES.entries}
    assert ours.keys() - theirs.keys() == set()
    differing = {key: (value, theirs[key]) for key, value in ours.items() if theirs[key] != value}
    assert len(differing) <= RECENTLY_CHANGED, differing


def _written(offset: str) -> str:
    """PostgreSQL puts a sign before each part of a negative interval."""
    sign = "-" if "-" in offset else "+"
    return f"UTC{sign}{offset.replace('-', '')}"
