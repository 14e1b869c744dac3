"""Migrations of a module that `messenger module create` made are a branch, which the messenger's next release leaves alone."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import inspect
from sqlalchemy.ext.asyncio import AsyncEngine

from config.commands.modules import create_module
from infrastructure.postgres.driver.engine import make_engine
from infrastructure.postgres.schema import migrate as migrations
from infrastructure.postgres.schema.migrate import (
    NoSuchRevision,
    UnknownRevision,
    check_revision,
    current_revision,
    migrate,
    newest_revision,
)
from infrastructure.scaffold.module import VERSIONS

OF_THE_NEXT_RELEASE = """
import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = "{before}"
branch_labels = None
depends_on = None


def upgrade():
    op.add_column("chat", sa.Column("colour", sa.Text(), nullable=True))
"""

SECOND_OF_THE_MODULE = """
import sqlalchemy as sa
from alembic import op

revision = "bookmarks_0002"
down_revision = "bookmarks_0001"
branch_labels = None
depends_on = "{needed}"


def upgrade():
    op.add_column("bookmark", sa.Column("colour", sa.Text(), nullable=True))
"""


@pytest.fixture
async def engine(fresh_database: str) -> AsyncIterator[AsyncEngine]:
    engine = make_engine(fresh_database)
    yield engine
    await engine.dispose()


@pytest.fixture
def versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the migrations in a copy, below a path with characters that configuration files take for their own."""
    checkout = tmp_path / "my 100% checkout"
    copy = checkout / VERSIONS
    shutil.copytree(migrations.SCRIPTS, copy.parent, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(migrations, "SCRIPTS", copy.parent)
    monkeypatch.chdir(checkout)
    return copy


async def columns(engine: AsyncEngine, table: str) -> set[str]:
    async with engine.connect() as connection:
        return await connection.run_sync(
            lambda sync: {column["name"] for column in inspect(sync).get_columns(table)}
        )


async def test_a_module_and_the_messenger_migrate_beside_each_other(
    engine: AsyncEngine, versions: Path
) -> None:
    before = newest_revision()
    await migrate(engine)
    create_module("bookmarks")
    assert newest_revision() == f"{before}, bookmarks_0001"
    assert await check_revision(engine) == before
    await migrate(engine)
    assert await check_revision(engine) == newest_revision()
    assert "bookmark_id" in await columns(engine, "bookmark")

    (versions / "9999_colours.py").write_text(OF_THE_NEXT_RELEASE.format(before=before))
    assert newest_revision() == "9999, bookmarks_0001"
    await migrate(engine)
    assert await check_revision(engine) == newest_revision()
    assert "colour" in await columns(engine, "chat")

    second = SECOND_OF_THE_MODULE.format(needed="9999")
    (versions / "bookmarks" / "bookmarks_0002.py").write_text(second)
    await migrate(engine, "bookmarks@head")
    assert await check_revision(engine) == newest_revision() == "9999, bookmarks_0002"
    assert "colour" in await columns(engine, "bookmark")


async def test_a_module_goes_into_an_empty_database_together_with_the_messenger(
    engine: AsyncEngine, versions: Path
) -> None:
    create_module("bookmarks")
    await migrate(engine, "head")
    assert await current_revision(engine) == newest_revision()


async def test_a_database_with_a_module_that_is_missing_is_told_apart(
    engine: AsyncEngine, versions: Path
) -> None:
    create_module("bookmarks")
    await migrate(engine)
    shutil.rmtree(versions / "bookmarks")
    with pytest.raises(UnknownRevision, match="the module bookmarks, whose files are missing"):
        await check_revision(engine)


async def test_an_unknown_revision_to_migrate_to_is_named(engine: AsyncEngine) -> None:
    with pytest.raises(NoSuchRevision, match="no revision 'nope'"):
        await migrate(engine, "nope")
