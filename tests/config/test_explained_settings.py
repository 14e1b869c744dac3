"""What `messenger settings` tells."""

from pathlib import Path

import pytest

from config.settings.explain import explain
from config.settings.groups import names
from config.settings.load import load
from config.settings.texts import WrongSettings
from tests.config.test_settings import NO_FILE, PROD


def told(environ: dict[str, str], file: Path = NO_FILE) -> dict[str, tuple[str, str]]:
    return {name: (value, source) for name, value, source in explain(environ, file)}


def test_everything_is_told_and_where_it_came_from(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("api_service_port=9000\nCHAT_HISTORY_PAGE=20\nCHAT_HISTORY_PAGE_LIMIT=\n")
    found = told(PROD | {"chat_history_page": "30", "WS_AUTH_SECONDS": " "}, file)
    assert found["API_SERVICE_PORT"] == ("9000", str(file))
    assert found["CHAT_HISTORY_PAGE"] == ("30", "environment")
    assert found["CHAT_HISTORY_PAGE_LIMIT"] == ("200", "default")
    assert found["WS_AUTH_SECONDS"] == ("10.0", "default")
    assert found["ENVIRONMENT"] == ("PROD", "default")
    in_parts = {name for name in names() if name.startswith("PG_SERVER_")}
    assert set(names()) - in_parts == set(found)


def test_what_follows_others_says_so() -> None:
    found = told({"ENVIRONMENT": "LOCAL", "API_SERVICE_PORT": "9000", "MAIL_PORT": "587"})
    assert found["API_PUBLIC_URL"] == ("http://localhost:9000", "follows other settings")
    assert found["MAIL_SECURITY"] == ("starttls", "follows other settings")
    database = told(
        PROD
        | {
            "PG_SERVER_ADDRESS": "db",
            "PG_SERVER_LOGIN": "me",
            "PG_SERVER_DB": "messenger",
            "PG_SERVER_PASSWD": "hunter2",
        }
    )
    assert database["DATABASE_URL"] == ("(set)", "follows other settings")
    assert database["PG_SERVER_PASSWD"] == ("(set)", "environment")
    assert database["PG_SERVER_ADDRESS"] == ("db", "environment")


def test_what_is_told_is_what_one_would_set() -> None:
    given = PROD | {
        "AUTH_RESET_LIFETIME_MINUTES": "2000",
        "CHAT_MIN_MESSAGE_INTERVAL": "1234.125",
        "CHAT_PURGE_AFTER_DAYS": "0",
        "MODULES_SECTION_ENABLED_MODULES": "BASE,catalogues",
        "API_TRUSTED_PROXIES": "192.0.2.1,192.0.2.2",
    }
    shown = {name: value for name, (value, _) in told(given).items()}
    assert shown["AUTH_RESET_LIFETIME_MINUTES"] == "2000"
    assert shown["JWT_REFRESH_TOKEN_EXPIRE_DAYS"] == "60"
    secret = {name for name, value in shown.items() if value in {"(set)", "(not set)"}}
    again = given | {name: value for name, value in shown.items() if name not in secret}
    assert load(again, NO_FILE) == load(given, NO_FILE)


def test_no_secret_is_told() -> None:
    secrets = {
        "JWT_SECRET_KEY": "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6",
        "DATABASE_URL": "postgresql://u:hunter3@h/d",
        "MAIL_USERNAME": "me",
        "MAIL_PASSWORD": "hunter2hunter2",
        "METRICS_TOKEN": "hunter4hunter4hunter4",
    }
    found = told(PROD | secrets)
    everything = str(found)
    for name in ("JWT_SECRET_KEY", "DATABASE_URL", "MAIL_PASSWORD", "METRICS_TOKEN"):
        assert found[name] == ("(set)", "environment")
        assert secrets[name] not in everything
    assert "hunter" not in everything
    assert told(PROD)["METRICS_TOKEN"] == ("(not set)", "default")


def test_it_makes_nothing(tmp_path: Path) -> None:
    found = told({"ENVIRONMENT": "local", "VAR_DIR": str(tmp_path / "var")})
    assert found["JWT_SECRET_KEY"] == ("(set)", str(tmp_path / "var" / "secrets" / "jwt_secret_key"))
    assert list(tmp_path.iterdir()) == []


def test_what_is_wrong_is_told_instead() -> None:
    with pytest.raises(WrongSettings, match="API_SERVICE_PORT"):
        explain(PROD | {"API_SERVICE_PORT": "0"}, NO_FILE)
