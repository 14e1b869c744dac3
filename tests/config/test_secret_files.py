"""Secrets in files of their own, as Docker and systemd provide them."""

import os
from pathlib import Path

import pytest

from config.settings.explain import explain
from config.settings.groups import secret_names
from config.settings.load import load
from config.settings.texts import WrongSettings
from tests.config.test_settings import NO_FILE, PROD, ROOT, SECRET

UNSAID = {name: value for name, value in PROD.items() if name != "JWT_SECRET_KEY"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text(f"{SECRET}\n")
    return path


def faults(environ: dict[str, str]) -> list[str]:
    with pytest.raises(WrongSettings) as wrong:
        load(environ, NO_FILE)
    return wrong.value.faults


def test_each_secret_may_be_in_a_file(tmp_path: Path) -> None:
    values = {
        "JWT_SECRET_KEY": SECRET,
        "PG_SERVER_PASSWD": " pass word\u00e9 ",
        "MAIL_PASSWORD": "letters",
        "METRICS_TOKEN": "t" * 20,
    }
    environ = UNSAID | {
        "PG_SERVER_ADDRESS": "db",
        "PG_SERVER_LOGIN": "me",
        "PG_SERVER_DB": "messenger",
        "MAIL_USERNAME": "me",
    }
    for name, value in values.items():
        (tmp_path / name).write_text(f"{value}\n", encoding="utf-8")
        environ[f"{name}_FILE"] = str(tmp_path / name)
    settings = load(environ, NO_FILE)
    direct = load(
        {name: value for name, value in environ.items() if not name.endswith("_FILE")} | values, NO_FILE
    )
    assert settings == direct
    assert settings.jwt.secret == SECRET
    assert settings.database.url is not None


def test_a_whole_address_of_a_database(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("postgresql://me:secret@db/messenger\r\n")
    settings = load(PROD | {"DATABASE_URL_FILE": str(tmp_path / "url")}, NO_FILE)
    assert settings == load(PROD | {"DATABASE_URL": "postgresql://me:secret@db/messenger"}, NO_FILE)
    assert settings.database.url is not None


def test_a_dotenv_file_may_name_it(tmp_path: Path, file: Path) -> None:
    (tmp_path / ".env").write_text(f"JWT_SECRET_KEY_FILE={file}\n")
    assert load(UNSAID, tmp_path / ".env").jwt.secret == SECRET


def test_of_two_values_neither_counts(file: Path) -> None:
    assert faults(PROD | {"JWT_SECRET_KEY_FILE": str(file)}) == [
        "JWT_SECRET_KEY is set, and so is JWT_SECRET_KEY_FILE: expected only one of them"
    ]


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (None, "which cannot be read: No such file or directory"),
        (b"\xff", "which cannot be read: it is not in UTF-8"),
        (b"\n", "which is empty: expected the value of JWT_SECRET_KEY"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_in_a_line(
    tmp_path: Path, content: bytes | None, cause: str
) -> None:
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
    assert faults(UNSAID | {"JWT_SECRET_KEY_FILE": str(path)}) == [
        f"JWT_SECRET_KEY_FILE is '{path}', {cause}"
    ]


def test_what_is_in_a_file_is_checked_like_any_value(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter2")
    (fault,) = faults(UNSAID | {"JWT_SECRET_KEY_FILE": str(tmp_path / "secret")})
    assert fault.startswith("JWT_SECRET_KEY is too short")


def test_a_command_does_not_mind_a_secret_that_it_does_not_need(tmp_path: Path) -> None:
    load({"JWT_SECRET_KEY_FILE": str(tmp_path / "none")}, NO_FILE, needed=["database"])


def test_the_file_is_told_as_the_source(file: Path) -> None:
    environ = UNSAID | {"JWT_SECRET_KEY_FILE": str(file), "PG_SERVER_PASSWD_FILE": str(file)}
    environ |= {"PG_SERVER_ADDRESS": "db", "PG_SERVER_LOGIN": "me", "PG_SERVER_DB": "messenger"}
    told = {name: (value, source) for name, value, source in explain(environ, NO_FILE)}
    assert told["JWT_SECRET_KEY"] == told["PG_SERVER_PASSWD"] == ("(set)", str(file))


def test_local_makes_no_secret_beside_a_file(tmp_path: Path, file: Path) -> None:
    environ = {"ENVIRONMENT": "LOCAL", "VAR_DIR": str(tmp_path / "var"), "JWT_SECRET_KEY_FILE": str(file)}
    assert load(environ, NO_FILE).jwt.secret == SECRET
    assert not (tmp_path / "var").exists()
    assert os.fspath(file) in str(explain(environ, NO_FILE))


def test_the_page_names_each_of_them() -> None:
    text = (ROOT / "docs" / "settings.md").read_text().partition("## The original")[0]
    assert [name for name in secret_names() if f"`{name}`" not in text] == []
