"""Dumps are whole or not there; restores replace everything or nothing, and begin a new line of history."""

import io
import os
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import pytest
from attrs import evolve
from sqlalchemy import create_engine, make_url

from infrastructure.postgres.backup.dump import dump
from infrastructure.postgres.backup.files import new_file
from infrastructure.postgres.backup.manifest import BadDump, Manifest, read_manifest
from infrastructure.postgres.backup.restore import HasData, InUse, NotAsDumped, restore
from infrastructure.postgres.backup.tools import (
    NoTools,
    ToolFailed,
    connection_parameters,
    find_tools,
    running,
)
from infrastructure.postgres.driver.engine import make_engine
from infrastructure.postgres.driver.errors import UnusableDatabase
from infrastructure.postgres.schema.migrate import migrate, upgrade
from infrastructure.postgres.server import embedded
from infrastructure.postgres.server.adoption import NotAdopted, adopt, check_home
from infrastructure.postgres.server.embedded import EmbeddedPostgres, find_binaries
from tests.citus import CATALOG
from tests.postgres import PostgresServer


def quiet(_done: int, _total: int) -> None:
    pass


def name_of(url: str) -> str:
    return make_url(url).database or ""


@pytest.fixture
def filled(postgres_server: PostgresServer, messenger_database: str) -> str:
    """A database with rows whose texts are hard to carry."""
    texts = ["plain", "tab\tnewline\nbackslash\\.", "\\.", "Привет 👋", "x" * 2_000_000]
    with postgres_server.connect(name_of(messenger_database)) as connection:
        for number, text in enumerate(texts, 1):
            connection.execute(
                "INSERT INTO letter (account_id, letter_id, template, recipient, created_at, next_attempt_at, attempts,"
                " outcome, reason) VALUES (%s, %s, 'confirm_email', %s, now(), now(), %s, 'sent', %s)",
                [uuid4(), uuid4(), f"{number}@example.com", number, text],
            )
    return messenger_database


def dumped(url: str, to: Path, progress: Callable[[int, int], None] = quiet) -> Manifest:
    with new_file(to) as file:
        return dump(url, file, made_at="2026-01-01T00:00:00Z", messenger="0", progress=progress)


def contents(server: PostgresServer, url: str) -> list[object]:
    with server.connect(name_of(url)) as connection:
        connection.execute("SET client_encoding = 'UTF8'; SET DateStyle = 'ISO'")
        return [*connection.execute("SELECT * FROM public.letter ORDER BY recipient")]


def rewritten(file: Path, to: Path, **changes: object) -> Manifest:
    """A dump with another manifest, whose checksums are right."""
    with file.open("rb") as opened:
        manifest = read_manifest(opened)
        archive = opened.read(manifest.size)
    changed = evolve(manifest, **changes)  # type: ignore[arg-type]  # the fields differ in type
    to.write_bytes(archive + changed.written())
    return changed


def restored(url: str, file: Path, *, replace: bool = False) -> Manifest:
    with file.open("rb") as opened:
        manifest = read_manifest(opened)
    restore(url, file, manifest, replace=replace, progress=quiet)
    return manifest


async def test_everything_comes_back_and_a_new_line_of_history_begins(
    postgres_server: PostgresServer, filled: str, fresh_database: str, tmp_path: Path
) -> None:
    told: list[tuple[int, int]] = []
    file = tmp_path / "a dump"
    manifest = dumped(filled, file, lambda done, total: told.append((done, total)))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert manifest.tables["letter"] == 5
    assert told[-1] == (manifest.rows, manifest.rows)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert restored(fresh_database, file) == manifest
    assert contents(postgres_server, fresh_database) == contents(postgres_server, filled)
    engine = make_engine(fresh_database)
    try:
        with pytest.raises(NotAdopted):
            await check_home(engine)
        adopted = await adopt(engine, uuid4())
        assert str(adopted.generation) != manifest.generation
        await check_home(engine)
    finally:
        await engine.dispose()


def test_settings_of_the_database_change_nothing(
    postgres_server: PostgresServer, filled: str, strange_database: str, tmp_path: Path
) -> None:
    before = contents(postgres_server, filled)
    assert filled == strange_database
    dumped(filled, tmp_path / "dump")
    restored(filled, tmp_path / "dump", replace=True)
    assert contents(postgres_server, filled) == before


async def test_tables_in_another_schema_come_back_there(
    postgres_server: PostgresServer, fresh_database: str, messenger_database: str, tmp_path: Path
) -> None:
    schema = '"My ""chat"'
    elsewhere = fresh_database + f"&options=-csearch_path%3D{quote(schema.replace(' ', chr(92) + ' '))}"
    with postgres_server.connect(name_of(fresh_database)) as connection:
        connection.execute(f"CREATE SCHEMA {schema}")
    engine = make_engine(elsewhere)
    await migrate(engine)
    await engine.dispose()
    assert dumped(elsewhere, tmp_path / "dump").schema == 'My "chat'
    restored(messenger_database, tmp_path / "dump")
    with postgres_server.connect(name_of(messenger_database)) as connection:
        found = connection.execute(f"SELECT count(*) FROM {schema}.origin").fetchone()
        beside = connection.execute("SELECT count(*) FROM public.origin").fetchone()
    assert found == beside == (1,)


def test_pg_restore_reads_it_too(filled: str, tmp_path: Path) -> None:
    dumped(filled, tmp_path / "dump")
    shown = subprocess.run(
        [str(find_binaries() / "pg_restore"), "--list", str(tmp_path / "dump")],
        check=True,
        capture_output=True,
    )
    assert b"TABLE DATA public letter" in shown.stdout


def test_rows_that_are_written_meanwhile_are_not_in_it(
    postgres_server: PostgresServer, filled: str, fresh_database: str, tmp_path: Path
) -> None:
    def write(done: int, total: int) -> None:
        with postgres_server.connect(name_of(filled)) as connection:
            connection.execute("DELETE FROM letter")

    manifest = dumped(filled, tmp_path / "dump", write)
    restored(fresh_database, tmp_path / "dump")
    assert manifest.tables["letter"] == len(contents(postgres_server, fresh_database)) == 5


def test_data_is_replaced_only_if_that_is_asked_for(
    postgres_server: PostgresServer, filled: str, tmp_path: Path
) -> None:
    dumped(filled, tmp_path / "dump")
    before = contents(postgres_server, filled)
    with postgres_server.connect(name_of(filled)) as connection:
        connection.execute("DELETE FROM letter WHERE attempts = 1")
        connection.execute("CREATE TABLE of_a_later_version (id int)")
    with pytest.raises(HasData, match="letter"):
        restored(filled, tmp_path / "dump")
    assert len(contents(postgres_server, filled)) == 4
    restored(filled, tmp_path / "dump", replace=True)
    assert contents(postgres_server, filled) == before
    with postgres_server.connect(name_of(filled)) as connection:
        assert connection.execute("SELECT to_regclass('of_a_later_version')").fetchone() == (None,)


def test_nothing_is_restored_while_others_are_connected(
    postgres_server: PostgresServer, filled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dumped(filled, tmp_path / "dump")
    monkeypatch.setattr("infrastructure.postgres.backup.restore.LINGER_SECONDS", 0.0)
    with postgres_server.connect(name_of(filled)), pytest.raises(InUse):
        restored(filled, tmp_path / "dump", replace=True)


@pytest.mark.parametrize(
    "changes", [{"tables": {"letter": 6}}, {"revisions": ["0001"]}], ids=["rows", "revision"]
)
def test_what_is_not_as_dumped_is_undone(
    postgres_server: PostgresServer, filled: str, tmp_path: Path, changes: dict[str, object]
) -> None:
    with postgres_server.connect(name_of(filled)) as connection:
        connection.execute("DELETE FROM letter WHERE attempts > 2")
    manifest = dumped(filled, tmp_path / "dump")
    if "tables" in changes:
        changes = {"tables": {**manifest.tables, "letter": 6}}
    rewritten(tmp_path / "dump", tmp_path / "other", **changes)
    with postgres_server.connect(name_of(filled)) as connection:
        connection.execute("DELETE FROM letter")
    with pytest.raises(NotAsDumped):
        restored(filled, tmp_path / "other", replace=True)
    assert contents(postgres_server, filled) == []


def test_a_dump_of_a_newer_version_is_refused(filled: str, fresh_database: str, tmp_path: Path) -> None:
    dumped(filled, tmp_path / "dump")
    rewritten(tmp_path / "dump", tmp_path / "newer", revisions=["9999"], messenger="7.0")
    with pytest.raises(BadDump, match=r"at revision 9999, which this version does not know: .*\(7\.0\)"):
        restored(fresh_database, tmp_path / "newer")


def test_a_damaged_file_is_recognised(filled: str, tmp_path: Path) -> None:
    dumped(filled, tmp_path / "dump")
    whole = (tmp_path / "dump").read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    manifest = bytearray(whole)
    manifest[-200] ^= 1
    cases = {
        b"": "is not a dump",
        b"something else": "is not a dump",
        whole[:-1]: "is incomplete",
        whole[: len(whole) // 2]: "is incomplete",
        whole + b"\n": "is incomplete",
        bytes(flipped): "is damaged",
        bytes(manifest): "is damaged: its manifest",
        whole[1000:]: "is damaged",
        whole[-300:]: "is damaged",
        whole.replace(b"messenger-dump 01", b"messenger-dump 02"): "a newer version",
    }
    for content, told in cases.items():
        with pytest.raises(BadDump, match=told):
            read_manifest(io.BytesIO(content))


def test_a_database_of_which_any_table_is_divided_is_not_dumped(
    postgres_server: PostgresServer, messenger_database: str, tmp_path: Path
) -> None:
    """Its rows are on other servers, whether or not all the tables were divided that should be."""
    with postgres_server.connect(name_of(messenger_database)) as connection:
        connection.execute(CATALOG)
        connection.execute("INSERT INTO pg_dist_partition VALUES ('message')")
    with pytest.raises(UnusableDatabase, match="Citus"):
        dumped(messenger_database, tmp_path / "dump")


def test_what_has_no_tables_of_ours_is_not_dumped(fresh_database: str, tmp_path: Path) -> None:
    with pytest.raises(UnusableDatabase, match="nothing to dump"):
        dumped(fresh_database, tmp_path / "dump")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def older_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a database on a server of PostgreSQL 16, which comes in the same package."""
    folder = find_binaries().parent.parent / "pginstall" / "bin"
    server = EmbeddedPostgres(var_dir=tmp_path_factory.mktemp("older"), options={"fsync": "off"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embedded, "find_binaries", lambda: folder)
        patch.setattr(embedded, "VERSION", "16")
        url = server.start()
    yield url
    server.stop()


def test_an_older_server_takes_what_a_newer_one_gave_and_gives_it_back(
    postgres_server: PostgresServer, filled: str, fresh_database: str, older_server: str, tmp_path: Path
) -> None:
    before = contents(postgres_server, filled)
    dumped(filled, tmp_path / "newer")
    restored(older_server, tmp_path / "newer")
    engine = create_engine(older_server)
    with engine.begin() as connection:
        # PostgreSQL 15.20 notes such an option of its own, which 18 refuses to be told.
        connection.exec_driver_sql(
            "UPDATE pg_attribute SET attoptions = CASE attname WHEN 'outcome' THEN '{pg_attver=7,n_distinct=4}'::text[]"
            " ELSE '{pg_attver=7}' END WHERE attrelid = 'letter'::regclass AND attnum > 0 AND NOT attisdropped"
        )
    engine.dispose()
    manifest = dumped(older_server, tmp_path / "older")
    assert manifest.server == 16
    restored(fresh_database, tmp_path / "older")
    assert contents(postgres_server, fresh_database) == before
    with postgres_server.connect(name_of(fresh_database)) as connection:
        options = connection.execute(
            "SELECT attname, attoptions FROM pg_attribute WHERE attrelid = 'public.letter'::regclass"
            " AND attoptions IS NOT NULL"
        ).fetchall()
    assert options == [("outcome", ["n_distinct=4"])]


async def test_tables_of_an_older_revision_are_adopted_before_they_are_migrated(
    filled: str, fresh_database: str, tmp_path: Path, postgres_server: PostgresServer
) -> None:
    sync = create_engine(fresh_database)
    with sync.begin() as connection:
        upgrade(connection, "0002")
    sync.dispose()
    dumped(fresh_database, tmp_path / "old")
    restored(filled, tmp_path / "old", replace=True)
    engine = make_engine(filled)
    try:
        with pytest.raises(NotAdopted):
            await check_home(engine)
        await adopt(engine, uuid4())
        await check_home(engine)
    finally:
        await engine.dispose()


def _nothing(_: Path) -> None:
    pass


class TestFiles:
    @pytest.fixture(params=["nameless", "named"])
    def way(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
        way: str = request.param
        if way == "named":  # as on a file system without nameless files, which refuses them
            monkeypatch.setattr("os.O_TMPFILE", os.O_DIRECTORY | os.O_RDWR)
        return way

    def write(self, path: Path, meanwhile: Callable[[Path], object] = _nothing) -> None:
        with new_file(path) as file:
            file.write(b"ours")
            meanwhile(path)

    def test_a_whole_file_is_private(self, way: str, tmp_path: Path) -> None:
        names: list[str] = []
        self.write(tmp_path / "dump", lambda _: names.extend(path.name for path in tmp_path.iterdir()))
        assert names == [] if way == "nameless" else "dump" not in names
        assert [path.name for path in tmp_path.iterdir()] == ["dump"]
        assert (tmp_path / "dump").read_bytes() == b"ours"
        assert stat.S_IMODE((tmp_path / "dump").stat().st_mode) == 0o600

    def test_what_fails_leaves_nothing(self, way: str, tmp_path: Path) -> None:
        def fail(_: Path) -> None:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            self.write(tmp_path / "dump", fail)
        assert list(tmp_path.iterdir()) == []

    def test_a_file_that_is_there_or_appears_meanwhile_stays(self, way: str, tmp_path: Path) -> None:
        with pytest.raises(FileExistsError):
            self.write(tmp_path / "dump", lambda path: path.write_text("theirs"))
        with pytest.raises(FileExistsError):
            self.write(tmp_path / "dump")
        assert (tmp_path / "dump").read_text() == "theirs"
        assert [path.name for path in tmp_path.iterdir()] == ["dump"]


class TestTools:
    def test_the_programs_fit_the_server(self, tmp_path: Path) -> None:
        ours = find_binaries()
        older = ours.parent.parent / "pginstall" / "bin"
        empty = tmp_path / "empty"
        empty.mkdir()

        def folders() -> Iterator[Path]:
            yield from (empty, older, ours)

        assert find_tools(15, folders).folder == older
        assert find_tools(17, folders).folder == ours
        with pytest.raises(NoTools, match=r"PostgreSQL 99 or newer .* postgresql-client-99"):
            find_tools(99, folders)

    def test_secrets_are_not_on_the_command_line(self) -> None:
        url = "postgresql://ann:a%20pass%2Bword@db.example.com/m?sslpassword=of%20a%20key"
        with connection_parameters(url, "test") as (place, secrets):
            assert "pass" not in place.replace("passfile", "")
            assert "of a key" not in place
            assert secrets["PGPASSWORD"] == "a pass+word"
            service = Path(secrets["PGSERVICEFILE"])
            assert stat.S_IMODE(service.stat().st_mode) == 0o600
            assert "sslpassword=of a key" in service.read_text()
        assert not service.exists()

    def test_what_a_program_complains_of_is_told(self) -> None:
        command = find_tools(15).command("pg_restore", "--list", "/nowhere/at/all")
        with pytest.raises(ToolFailed, match="could not open input file"), running(command) as run:
            run.stdout.read()

    def test_a_program_ends_with_the_block(self) -> None:
        sleep = shutil.which("sleep")
        assert sleep is not None
        with pytest.raises(ZeroDivisionError), running([sleep, "600"]) as run:
            raise ZeroDivisionError
        assert run.process.poll() is not None
