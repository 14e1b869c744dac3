"""Every migration goes up, down and up again, and what it makes is what the tables declare."""

import asyncio
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from attrs import frozen
from sqlalchemy import Engine, MetaData, create_engine, inspect, text
from sqlalchemy.schema import Column, Table
from sqlalchemy.types import Integer

from domain.account import Email
from infrastructure.postgres.accounts import PostgresAccounts
from infrastructure.postgres.driver.engine import make_engine
from infrastructure.postgres.schema.base import assumed_keys, metadata, with_all_tables
from infrastructure.postgres.schema.migrate import SCRIPTS, configured, downgrade, migrate, upgrade

with_all_tables(metadata)


@pytest.fixture
def engine(fresh_database: str) -> Iterator[Engine]:
    engine = create_engine(fresh_database)
    yield engine
    engine.dispose()


@frozen
class Made:
    """What a database holds, beside rows."""

    tables: set[str]
    indexes: set[tuple[str, str]]
    options: set[tuple[str, Any]]


def made(engine: Engine) -> Made:
    with engine.connect() as connection:
        inspector = inspect(connection)
        names = set(inspector.get_table_names()) - {"alembic_version"}
        indexes = connection.execute(
            text(
                "SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
            )
        )
        options = connection.execute(
            text(
                """
                SELECT relname, reloptions FROM pg_class WHERE relkind = 'r' AND reloptions IS NOT NULL
                UNION ALL
                SELECT attrelid::regclass || '.' || attname, attoptions FROM pg_attribute WHERE attoptions IS NOT NULL
                """
            )
        )
        return Made(names, {(t, d) for t, d in indexes}, {(name, tuple(values)) for name, values in options})


def revisions(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        script = ScriptDirectory.from_config(configured(connection))
        return [revision.revision for revision in script.walk_revisions()][::-1]


def differences(engine: Engine, target: MetaData = metadata) -> list[Any]:
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        found: list[Any] = compare_metadata(context, target)
        return found


def test_up_down_up(engine: Engine) -> None:
    states, steps = [made(engine)], revisions(engine)
    for revision in steps:
        with engine.begin() as connection:
            upgrade(connection, revision)
        states.append(made(engine))
    first_time = states.pop()
    while steps:
        with engine.begin() as connection:
            downgrade(connection, f"{steps.pop()}@-1")
        assert made(engine) == states.pop()
    with engine.begin() as connection:
        upgrade(connection)
    assert made(engine) == first_time


def test_tables_equal_migrations(engine: Engine, fresh_database: str) -> None:
    with engine.begin() as connection:
        upgrade(connection)
    assert differences(engine) == []
    migrated = made(engine)
    with engine.begin() as connection:
        downgrade(connection)
        metadata.create_all(connection)
    assert made(engine) == migrated, (
        "also in what Alembic does not compare: fillfactor, partial indexes, n_distinct"
    )
    assert {name for name, _ in migrated.options} == {
        "chat_head",
        "profile_head",
        "reading",
        *(
            f"{name}.{table.info['keyed_by']}"
            for name, table in metadata.tables.items()
            if assumed_keys(table)
        ),
    }


def test_a_table_that_differs_is_found(engine: Engine) -> None:
    with engine.begin() as connection:
        upgrade(connection)
    other = MetaData()
    for table in metadata.sorted_tables:
        table.to_metadata(other)
    other.tables["chat"].append_column(Column("colour", Integer))
    assert [change[0] for change in differences(engine, other)] == ["add_column"]
    Table("another", other, Column("id", Integer, primary_key=True))
    assert {change[0] for change in differences(engine, other)} == {"add_table", "add_column"}


def test_every_line_of_history_has_one_newest_revision(engine: Engine) -> None:
    with engine.connect() as connection:
        scripts = ScriptDirectory.from_config(configured(connection))
    assert len(scripts.get_heads()) == len(scripts.get_bases())
    assert SCRIPTS.is_dir()


async def test_migrating_twice_and_at_once_changes_nothing(fresh_database: str) -> None:
    engines = [make_engine(fresh_database) for _ in range(3)]
    await asyncio.gather(*(migrate(engine) for engine in engines))
    await migrate(engines[0])
    async with engines[0].connect() as connection:
        rows = (await connection.execute(text("SELECT id, base FROM origin"))).all()
    assert rows == [(1, 0)]
    for engine in engines:
        await engine.dispose()


def put(engine: Engine, table: str, *rows: dict[str, Any]) -> None:
    with engine.begin() as connection:
        for row in rows:
            names = ", ".join(row)
            values = ", ".join(f":{name}" for name in row)
            connection.execute(text(f"INSERT INTO {table} ({names}) VALUES ({values})"), row)


def pairs(engine: Engine, table: str) -> dict[str, UUID]:
    with engine.connect() as connection:
        return {row[0]: row[1] for row in connection.execute(text(f"SELECT * FROM {table}"))}


async def test_accounts_and_usernames_of_before_are_found_in_any_spelling(
    engine: Engine, fresh_database: str
) -> None:
    with engine.begin() as connection:
        upgrade(connection, "0003")
    accounts = [uuid4() for _ in range(4)]
    emails = ["anna@example.com", "иван@Пример.рф", "иван@xn--e1afmkfd.xn--p1ai", "olga@ｅxample.com"]
    for account_id, email in zip(accounts, emails, strict=True):
        put(engine, "account", {"account_id": account_id, "email": email, "created_at": "2026-01-01Z"})
        put(engine, "account_by_email", {"email_folded": email.lower(), "account_id": account_id})
    usernames = ["anna", "Ａnton", "boris", "b\ufe0foris", "paypa1"]
    profiles = [UUID(int=number) for number in range(1, 6)]
    for profile_id, username in zip(profiles, usernames, strict=True):
        former = username.casefold()
        put(
            engine,
            "profile",
            {
                "profile_id": profile_id,
                "account_id": uuid4(),
                "username": username,
                "username_folded": former,
            },
        )
        put(engine, "profile_by_username", {"username_folded": former, "profile_id": profile_id})
    with engine.begin() as connection:
        upgrade(connection, "0004")

    # Two accounts had one address: each keeps the spelling it is found by.
    assert pairs(engine, "account_by_email") == {
        "anna@example.com": accounts[0],
        "иван@пример.рф": accounts[1],
        "иван@xn--e1afmkfd.xn--p1ai": accounts[2],
        "olga@example.com": accounts[3],
    }
    assert pairs(engine, "profile_by_username") == {
        "anna": profiles[0],
        "anton": profiles[1],
        "boris": profiles[2],
        "b\ufe0foris": profiles[3],
        "paypa1": profiles[4],
        "paypal": profiles[4],
    }
    storage = make_engine(fresh_database)
    async with storage.begin() as connection_:
        kept_accounts = PostgresAccounts(connection_)
        for account_id, email in zip(accounts, emails, strict=True):
            found = await kept_accounts.find_by_email(Email(email))
            assert found
            assert found.id == account_id
    await storage.dispose()


def test_statistics_of_before_are_made_anew_with_few_keys(engine: Engine) -> None:
    """The planner knows nothing of the setting until a table is analyzed."""
    with engine.begin() as connection:
        upgrade(connection, "0007")
    chats = [uuid4() for _ in range(500)]
    readings = [
        {"chat_id": chat_id, "profile_id": uuid4(), "mark": 0, "less": 0, "tx": 1} for chat_id in chats
    ]
    put(engine, "reading", *readings)
    keys = text("SELECT n_distinct FROM pg_stats WHERE tablename = 'reading' AND attname = 'chat_id'")
    with engine.begin() as connection:
        connection.execute(text("ANALYZE reading"))
        assert connection.scalar(keys) == -1
        upgrade(connection)
        assert connection.scalar(keys) == 200
