import os
import re
import stat
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from attrs import define, field
from dotenv import dotenv_values
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy import make_url
from typing_extensions import override

from config.features.accounts import make_account_rules
from config.settings.groups import Settings, names
from config.settings.load import Loader, load
from config.settings.readers import BusKind, Environment, Security
from config.settings.texts import WrongSettings
from domain.account import Password, PasswordCommon, PasswordPattern, PasswordRule, PasswordUnfit
from infrastructure.crypto.common_passwords import common_passwords
from interfaces.browsers import Pages

ROOT = Path(__file__).resolve().parents[2]
NO_FILE = Path("/nowhere/.env")
SECRET = "x1Yb-7Qm_kT3w9Lz_c5Vn8Hq2_r6Dj4Fs"

PROD = {
    "API_PUBLIC_URL": "https://chat.example.com/",
    "JWT_SECRET_KEY": SECRET,
    "MAIL_SERVER": "mail.example.com",
    "MAIL_FROM_EMAIL": "chat@example.com",
}


def faults(environ: dict[str, str], dotenv_path: Path = NO_FILE) -> list[str]:
    with pytest.raises(WrongSettings) as wrong:
        load(environ, dotenv_path)
    return wrong.value.faults


@pytest.fixture
def local(tmp_path: Path) -> dict[str, str]:
    return {"ENVIRONMENT": "LOCAL", "VAR_DIR": str(tmp_path / "var")}


def test_prod_is_the_default() -> None:
    settings = load(PROD, NO_FILE)
    assert settings.environment is Environment.PROD
    assert settings.api.public_url == "https://chat.example.com"
    assert settings.api.secure_cookies
    assert settings.database.url is None
    assert settings.var_dir == Path.cwd() / "var"


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("https://чат.рф", "https://xn--80a0bn.xn--p1ai"),
        ("https://ЧАТ.рф:443/Папка/", "https://xn--80a0bn.xn--p1ai/Папка"),
        ("HTTPS://Chat.Example.com:443/M", "https://chat.example.com/M"),
        ("https://chat.example.com.:8443", "https://chat.example.com:8443"),
        ("http://chat.example.com:80", "http://chat.example.com"),
        ("http://chat.example.com:443", "http://chat.example.com:443"),
        ("http://[2001:DB8::1]:8788", "http://[2001:db8::1]:8788"),
        ("http://chat_service:8788", "http://chat_service:8788"),
    ],
)
def test_addresses_are_read_as_browsers_write_them(given: str, read: str) -> None:
    assert load(PROD | {"API_PUBLIC_URL": given}, NO_FILE).api.public_url == read


def test_names_in_any_script_allow_what_browsers_send() -> None:
    api = load(
        PROD
        | {
            "API_PUBLIC_URL": "https://чат.рф",
            "API_ALLOWED_HOSTS": "Другой.рф, INTERNAL",
            "API_CORS_ALLOWED_HOSTS": "https://фронт.рф:443,http://Front.example.com:8080",
        },
        NO_FILE,
    ).api
    assert {"xn--80a0bn.xn--p1ai", "xn--c1abqtis.xn--p1ai", "internal"} <= set(api.hosts)
    assert api.cors_origins == ("https://xn--m1abfkg.xn--p1ai", "http://front.example.com:8080")
    assert Pages.of(api.public_url, api.cors_origins).accept(
        {
            "type": "http",
            "scheme": "http",
            "headers": [(b"host", b"xn--80a0bn.xn--p1ai"), (b"origin", b"https://xn--80a0bn.xn--p1ai")],
        }
    )


@pytest.mark.parametrize("value", ["https://-я-.рф", "https://.", "https://а..рф"])
def test_names_that_no_host_can_have(value: str) -> None:
    (fault,) = faults(PROD | {"API_PUBLIC_URL": value})
    assert "expected an address like" in fault
    assert faults(PROD | {"API_CORS_ALLOWED_HOSTS": value})


def test_dev_answers_for_any_host_until_it_is_told_its_name() -> None:
    dev = PROD | {"ENVIRONMENT": "DEV"}
    del dev["API_PUBLIC_URL"]
    assert load(dev, NO_FILE).api.hosts == ()
    assert "messenger" in load(dev | {"API_ALLOWED_HOSTS": "messenger"}, NO_FILE).api.hosts
    assert "chat.example.com" in load(PROD | {"ENVIRONMENT": "DEV"}, NO_FILE).api.hosts


def test_local_needs_nothing(local: dict[str, str]) -> None:
    settings = load(local | {"API_SERVICE_PORT": "9000"}, NO_FILE)
    assert settings.local
    assert settings.api.public_url == "http://localhost:9000"
    assert not settings.api.secure_cookies
    assert settings.mail.server is None


def test_the_process_wins_over_the_file_and_case_does_not_matter(
    local: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / ".env"
    file.write_text(
        "\ufeff# comment\napi_host=10.0.0.1\nLog_Level=debug\nMAIL_FROM_NAME='Ми ${MUSIC} ${NOBODY}${NOBODY:-la}'\nUNKNOWN=1\nJWT_ALG=\n"
    )
    settings = load(local | {"Api_Host": "10.0.0.2", "MUSIC": "до"}, file)
    assert settings.api.host == "10.0.0.2"
    assert settings.log.level == "DEBUG"
    assert settings.mail.from_name == "Ми до la"
    assert settings.jwt.algorithm == "HS256"


def test_names_in_the_file_stand_for_lines_above(local: dict[str, str], tmp_path: Path) -> None:
    """The original's `.env` repeats its parts in an address."""
    file = tmp_path / ".env"
    file.write_text(
        "PG_LOGIN=ann\nPG_SERVER_PASSWD=a$b\nDATABASE_URL=postgresql://${PG_LOGIN}:${PG_SERVER_PASSWD}@db/${PG_LOGIN}\n"
    )
    url = load(local, file).database.url
    assert url is not None
    assert (make_url(url).username, make_url(url).password, make_url(url).database) == ("ann", "a$b", "ann")


def test_the_environment_wins_over_the_file_also_inside_it(local: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("MAIL_FROM_NAME=${WHO}\n")
    assert load(local | {"WHO": "Ann"}, file).mail.from_name == "Ann"


def test_local_listens_on_loopback_unless_told(local: dict[str, str]) -> None:
    assert load(local, NO_FILE).api.host == "127.0.0.1"
    assert load(local | {"API_HOST": "0.0.0.0"}, NO_FILE).api.host == "0.0.0.0"
    assert load(PROD, NO_FILE).api.host == "0.0.0.0"


@pytest.mark.parametrize(
    ("told", "in_prod", "in_local"),
    [
        ({"API_PUBLIC_URL": "https://a.example"}, *["https://a.example/app"] * 2),
        (
            {"API_PUBLIC_URL": "https://a.example/chat", "API_PREFIX": "/api"},
            *["https://a.example/chat/api/app"] * 2,
        ),
        ({"API_WEB_CLIENT": "false"}, "", "http://localhost:8788/docs"),
        ({"API_WEB_CLIENT": "false", "API_DOCS": "false"}, "", ""),
        # without these modules the web client is not served
        ({"MODULES_SECTION_BASE_MODULES": "healthcheck,base,chat"}, "", "http://localhost:8788/docs"),
        ({"MODULES_SECTION_BASE_MODULES": "healthcheck,base,auth"}, "", "http://localhost:8788/docs"),
        (
            {"MODULES_SECTION_ENABLED_MODULES": "auth,chat", "API_PUBLIC_URL": "https://a.example"},
            *["https://a.example/app"] * 2,
        ),
        (
            {
                "API_PUBLIC_URL": "https://a.example/chat",
                "API_PREFIX": "/api",
                "API_DOC_PATH": "/help",
                "API_WEB_CLIENT": "false",
            },
            "",
            "https://a.example/chat/api/help",
        ),
        ({"API_CORS_ALLOWED_HOSTS": "http://localhost:5173,https://a.example"}, *["https://a.example"] * 2),
        ({"API_CORS_ALLOWED_HOSTS": "https://a.example,https://b.example"}, *["https://a.example"] * 2),
        (
            {"API_CORS_ALLOWED_HOSTS": ",", "API_PUBLIC_URL": "https://a.example"},
            *["https://a.example/app"] * 2,
        ),
        (
            {"API_APP_URL": "https://app.example/start/", "API_CORS_ALLOWED_HOSTS": "https://a.example"},
            *["https://app.example/start"] * 2,
        ),
    ],
)
def test_pages_lead_on_to_the_application(
    local: dict[str, str], told: dict[str, str], in_prod: str, in_local: str
) -> None:
    """A newcomer has nothing where the original's front end is developed, and people of an installation even less."""
    settings = load(PROD | told, NO_FILE), load(local | told, NO_FILE)
    assert [each.api.app_url for each in settings] == [in_prod, in_local]


def test_a_default_of_the_caller_yields_to_everything(tmp_path: Path) -> None:
    """This is how `make run` starts a LOCAL messenger unless `.env` names another environment."""
    file = tmp_path / ".env"
    file.write_text("ENVIRONMENT=DEV\n")
    local = {"ENVIRONMENT": "LOCAL"}
    assert load({"VAR_DIR": str(tmp_path)}, NO_FILE, defaults=local).local
    assert load(PROD, file, defaults=local).environment is Environment.DEV


@define(eq=False)
class Asked(dict[str, str]):
    """Settings that remember which of them were asked for."""

    names: set[object] = field(factory=set)

    @override
    def __contains__(self, name: object) -> bool:
        self.names.add(name)
        return super().__contains__(name)


def test_every_setting_is_read(local: dict[str, str]) -> None:
    asked = Asked()
    asked.update(local)
    loader = Loader(asked)
    loader.settings()
    assert set(names()) - asked.names == set()
    assert load({**local, "LIMIT_SENDS_PER_ACCOUNT_AND_MINUTE": "7"}, NO_FILE).limits.sends == 7


def test_only_what_is_needed_is_asked_for(tmp_path: Path) -> None:
    environ = {"VAR_DIR": str(tmp_path / "var"), "API_SERVICE_PORT": "many"}
    settings = load(environ, NO_FILE, needed=("database", "auth"))
    assert settings.environment is Environment.PROD
    with pytest.raises(WrongSettings, match=r"\ADATABASE_POOL_SIZE is 'x': [^\n]*\Z"):
        load(environ | {"DATABASE_POOL_SIZE": "x"}, NO_FILE, needed=("database",))
    assert not (tmp_path / "var").exists(), "no secret is made that is not needed"


def test_two_servers_want_two_ports(local: dict[str, str]) -> None:
    assert faults(local | {"METRICS_PORT": "8788"}) == [
        "METRICS_PORT is '8788': expected another port than API_SERVICE_PORT"
    ]


def test_typing_can_be_renewed_before_it_ends(local: dict[str, str]) -> None:
    assert faults(local | {"WS_TYPING_INTERVAL_SECONDS": "6"}) == [
        "WS_TYPING_INTERVAL_SECONDS is '6': expected less than WS_TYPING_EXPIRY_SECONDS (6), so that typing can be renewed"
    ]


def test_accidents_of_the_original_are_ignored(local: dict[str, str]) -> None:
    plain = load(local, NO_FILE)
    odd = {
        "API_ENVIRONMENT": "PROD",
        "HOST": "1.2.3.4",
        "PORT": "1",
        "LEVEL": "loud",
        "CHAT": "1",
        "API_RELOAD": "true",
    }
    assert load(local | odd, NO_FILE) == plain


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        (r"^(?=.*[a-zа-яА-Я])(?=.*[A-Zа-яА-Я]).{8,}$", PasswordPattern.LETTERS),
        ("Letters", PasswordPattern.LETTERS),
        ("letters-and-digit", PasswordPattern.LETTERS_AND_DIGIT),
        ("length", PasswordPattern.LENGTH),
    ],
)
def test_patterns_of_passwords_are_known_by_name(
    local: dict[str, str], text: str, pattern: PasswordPattern
) -> None:
    assert load(local | {"AUTH_PASSWORD_PATTERN": text}, NO_FILE).auth.password_pattern is pattern


def test_no_other_expression_is_run_against_passwords(local: dict[str, str]) -> None:
    (fault,) = faults(local | {"AUTH_PASSWORD_PATTERN": "^(a+)+$"})
    assert "expected letters, letters-and-digit, length or the original messenger's expression" in fault


def test_common_passwords_are_refused_unless_told_otherwise(local: dict[str, str]) -> None:
    rule = make_account_rules(load(local, NO_FILE)).password
    for text in ("Password1", "Qwerty123", "Парольпароль", "Йцукенгш", "Gfhjkm123"):
        with pytest.raises(PasswordCommon):
            rule.check(Password(text))
    assert all(8 <= len(each) <= 128 and each == each.lower() for each in rule.common)
    lenient = load(local | {"AUTH_REFUSE_COMMON_PASSWORDS": "false"}, NO_FILE)
    make_account_rules(lenient).password.check(Password("Password1"))


@pytest.mark.parametrize("pattern", PasswordPattern)
def test_three_thousand_common_passwords_fit_whatever_is_asked_for(pattern: PasswordPattern) -> None:
    """A list of passwords that the rule refuses anyhow would protect nobody."""
    rule, refusing = PasswordRule(pattern=pattern), PasswordRule(pattern=pattern, common=common_passwords())
    fitting = 0
    for text in common_passwords():
        # As a person writes it who has to have a capital letter: of those with two letters, one becomes one.
        chosen = Password(text.capitalize() if text[0].isalpha() else text.title())
        with suppress(PasswordUnfit):
            rule.check(chosen)
            fitting += 1
            with pytest.raises(PasswordCommon):
                refusing.check(chosen)
    assert fitting >= 3000


def test_everything_wrong_is_told_at_once() -> None:
    assert faults(
        {
            "API_SERVICE_PORT": "70000",
            "API_WORKERS": "0",
            "API_PUBLIC_URL": "chat.example.com",
            "API_ORIGINAL_STATUSES": "maybe",
            "API_CORS_ALLOWED_HOSTS": "http://localhost:5173,*",
            "DATABASE_URL": "mysql://root:hunter2@db/messenger",
            "JWT_SECRET_KEY": "hunter2",
            "JWT_ACCESS_TOKEN_EXPIRE_MINUTES": "-5",
            "MAIL_SECURITY": "ssl",
            "MAIL_USERNAME": "me",
            "CHAT_HISTORY_PAGE": "500",
            "WS_AUTH_SECONDS": "nan",
            "LOG_LEVEL": "loud",
        }
    ) == [
        "API_SERVICE_PORT is '70000': expected a whole number from 1 to 65535",
        "API_WORKERS is '0': expected a whole number from 1 to 256, or auto",
        "API_PUBLIC_URL is 'chat.example.com': expected an address like https://chat.example.com, without query",
        (
            "API_CORS_ALLOWED_HOSTS is 'http://localhost:5173,*': expected origins by name: browsers send no cookies"
            " to a server that allows everybody"
        ),
        "API_ORIGINAL_STATUSES is 'maybe': expected true or false",
        "DATABASE_URL is set to something else: expected an address like postgresql://user:password@host:5432/database",
        "MAIL_SECURITY is 'ssl': expected starttls, tls or none",
        "MAIL_SERVER is not set: expected outside LOCAL, or nobody could confirm an account",
        "MAIL_PASSWORD is not set: expected beside MAIL_USERNAME",
        "CHAT_HISTORY_PAGE is '500': expected at most CHAT_HISTORY_PAGE_LIMIT, 200",
        "WS_AUTH_SECONDS is 'nan': expected seconds from 0.1 to 300",
        "LOG_LEVEL is 'loud': expected NOTSET, DEBUG, INFO, WARNING, ERROR or CRITICAL",
        "JWT_ACCESS_TOKEN_EXPIRE_MINUTES is '-5': expected a whole number from 1 to 43200",
        "JWT_SECRET_KEY is too short: expected at least 32 random bytes, as `openssl rand -hex 32` makes them",
    ]


def test_how_the_interface_introduces_itself(local: dict[str, str]) -> None:
    api = load(local, NO_FILE).api
    assert (api.title, api.version, api.docs, api.docs_path) == (
        "Messenger REST-API engine",
        "1.0.0",
        True,
        "/docs",
    )
    chosen = {
        "API_TITLE": "Ours",
        "API_VERSION": "v2",
        "API_CONTACT_NAME": "Team",
        "API_CONTACT_EMAIL": "team@example.com",
        "API_DOCS": "off",
        "API_DOC_PATH": "/about",
    }
    api = load(local | chosen, NO_FILE).api
    assert (api.title, api.version, api.contact_name, api.contact_email) == (
        "Ours",
        "v2",
        "Team",
        "team@example.com",
    )
    assert (api.docs, api.docs_path) == (False, "/about")


@pytest.mark.parametrize("path", ["docs", "/docs/", "/", "/docs?x=1", "/{docs}"])
def test_where_documents_cannot_be(local: dict[str, str], path: str) -> None:
    (fault,) = faults(local | {"API_DOC_PATH": path})
    assert fault.startswith(f"API_DOC_PATH is '{path}': expected a path like /")


# Some hundred and fifty settings share a dozen readers, so each gets a quarter of the examples of other properties.
@pytest.mark.parametrize("name", names())
@settings(max_examples=settings().max_examples // 4)
@example(value="~nobody-of-this-name/var")
@given(value=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1))
def test_any_value_is_read_or_told_in_one_line(name: str, value: str) -> None:
    told = ["nothing is wrong"]
    try:
        load(PROD | {name: value}, NO_FILE)
    except WrongSettings as wrong:
        told = wrong.faults
    assert told
    assert [line for line in told if len(line.splitlines()) != 1] == []


class TestJwtSecret:
    def test_is_made_at_the_first_local_start_and_kept(self, local: dict[str, str], tmp_path: Path) -> None:
        first, second = load(local, NO_FILE), load(local, NO_FILE)
        kept = tmp_path / "var" / "secrets" / "jwt_secret_key"
        assert first.jwt.secret == second.jwt.secret == kept.read_text()
        assert len(first.jwt.secret) >= 32
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
        assert [path.name for path in kept.parent.iterdir()] == [kept.name]

    def test_differs_from_folder_to_folder(self, local: dict[str, str], tmp_path: Path) -> None:
        other = local | {"VAR_DIR": str(tmp_path / "other")}
        assert load(local, NO_FILE).jwt.secret != load(other, NO_FILE).jwt.secret

    def test_may_be_anything_in_local(self, local: dict[str, str], tmp_path: Path) -> None:
        assert load(local | {"JWT_SECRET_KEY": "short"}, NO_FILE).jwt.secret == "short"
        assert not (tmp_path / "var").exists()

    def test_is_not_made_while_something_is_wrong(self, local: dict[str, str], tmp_path: Path) -> None:
        assert len(faults(local | {"API_WORKERS": "none"})) == 1
        assert not (tmp_path / "var").exists()

    def test_a_damaged_file_is_told(self, local: dict[str, str], tmp_path: Path) -> None:
        kept = tmp_path / "var" / "secrets" / "jwt_secret_key"
        kept.parent.mkdir(parents=True)
        kept.write_text("")
        assert faults(local) == [f"{kept} is damaged: remove it, and a new secret is made"]

    def test_a_folder_that_cannot_be_made_is_told(self, local: dict[str, str], tmp_path: Path) -> None:
        (tmp_path / "var").touch()
        assert "cannot be used" in faults(local)[0]

    @pytest.mark.parametrize("environment", ["PROD", "DEV"])
    @pytest.mark.parametrize(
        ("secret", "told"),
        [
            (None, "is not set"),
            ("   ", "is not set"),
            ("a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P", "is too short"),
            ("changemechangemechangemechangeme", "is known to everybody"),
            ("Your-Super-Secret-Key-Change-In-Production", "is known to everybody"),
            ("0123456789abcdef0123456789abcdef", "is known to everybody"),
        ],
    )
    def test_is_refused_elsewhere(self, environment: str, secret: str | None, told: str) -> None:
        environ = PROD | {"ENVIRONMENT": environment} | ({"JWT_SECRET_KEY": secret} if secret else {})
        if secret is None:
            del environ["JWT_SECRET_KEY"]
        (fault,) = faults(environ)
        assert fault.startswith(f"JWT_SECRET_KEY {told}: expected")
        assert not secret or not secret.strip() or secret not in fault

    def test_has_bytes_for_characters(self) -> None:
        assert load(PROD | {"JWT_SECRET_KEY": "абвгдежзийклмноп"}, NO_FILE).jwt.secret == "абвгдежзийклмноп"


class TestDatabase:
    def test_in_parts_is_escaped(self) -> None:
        settings = load(
            PROD
            | {
                "PG_SERVER_LOGIN": "a@b",
                "PG_SERVER_PASSWD": " p:/@?#%ж ",
                "PG_SERVER_ADDRESS": "db.example.com",
                "PG_SERVER_DB": "messenger-api",
                "PG_SERVER_DIALECT": "postgresql",
            },
            NO_FILE,
        )
        assert settings.database.url is not None
        url = make_url(settings.database.url)
        assert (url.drivername, url.username, url.password) == ("postgresql+psycopg", "a@b", " p:/@?#%ж ")
        assert (url.host, url.port, url.database) == ("db.example.com", 5432, "messenger-api")

    def test_url_wins(self) -> None:
        for scheme in ("postgres", "postgresql", "postgresql+psycopg"):
            environ = PROD | {"DATABASE_URL": f"{scheme}://u:p@h/d", "PG_SERVER_ADDRESS": "elsewhere"}
            assert load(environ, NO_FILE).database.url == "postgresql+psycopg://u:p@h/d"

    def test_parts_belong_together(self) -> None:
        assert faults(PROD | {"PG_SERVER_PASSWD": "hunter2"}) == [
            f"{name} is not set: expected beside the other PG_SERVER_ settings"
            for name in ("PG_SERVER_ADDRESS", "PG_SERVER_LOGIN", "PG_SERVER_DB")
        ]


class TestMail:
    @pytest.mark.parametrize(
        ("port", "security", "expected"),
        [
            (None, None, Security.TLS),
            ("465", None, Security.TLS),
            ("587", None, Security.STARTTLS),
            ("25", "none", Security.NONE),
            ("465", "STARTTLS", Security.STARTTLS),
        ],
    )
    def test_security_follows_the_port(
        self, port: str | None, security: str | None, expected: Security
    ) -> None:
        given = {"MAIL_PORT": port, "MAIL_SECURITY": security}
        environ = PROD | {name: value for name, value in given.items() if value}
        assert load(environ, NO_FILE).mail.security is expected

    @pytest.mark.parametrize("environment", ["PROD", "DEV"])
    def test_is_needed_outside_local(self, environment: str) -> None:
        environ = {name: value for name, value in PROD.items() if not name.startswith("MAIL_")}
        assert faults(environ | {"ENVIRONMENT": environment}) == [
            "MAIL_SERVER is not set: expected outside LOCAL, or nobody could confirm an account"
        ]

    def test_sender_is_needed_beside_the_server(self, local: dict[str, str]) -> None:
        assert faults(local | {"MAIL_SERVER": "localhost"}) == [
            "MAIL_FROM_EMAIL is not set: expected beside MAIL_SERVER"
        ]

    @pytest.mark.parametrize("name", ["MAIL_FROM_NAME", "MAIL_FROM_EMAIL"])
    def test_no_header_gets_in(self, name: str) -> None:
        assert len(faults(PROD | {name: "a@b.example\r\nBcc: c@d.example"})) == 1


def test_secrets_are_not_shown() -> None:
    settings = load(
        PROD
        | {"MAIL_USERNAME": "me", "MAIL_PASSWORD": "hunter2", "DATABASE_URL": "postgresql://u:hunter3@h/d"},
        NO_FILE,
    )
    shown = repr(settings)
    assert settings.mail.password == "hunter2"
    assert not [secret for secret in (SECRET, "hunter2", "hunter3") if secret in shown]


def test_an_unreadable_file_is_told(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_bytes(b"API_HOST=\xff\n")
    assert f"{file} cannot be read" in faults(PROD, file)[0]
    assert "cannot be read" in faults(PROD, tmp_path)[0]


class TestSample:
    """`.env.sample`, each of its comments that is a setting taken out of the comment."""

    @pytest.fixture
    def sample(self, tmp_path: Path) -> Path:
        file = tmp_path / ".env"
        file.write_text(re.sub(r"(?m)^# ([A-Z_]+=)", r"\1", (ROOT / ".env.sample").read_text()))
        return file

    def test_names_everything_once(self, sample: Path) -> None:
        assert sorted(dotenv_values(sample)) == sorted(names())
        assert len(re.findall(r"(?m)^[A-Z_]+=", sample.read_text())) == len(names())

    def test_tells_the_defaults(self, sample: Path, local: dict[str, str]) -> None:
        without_database = (
            sample.read_text()
            .replace("\nDATABASE_URL=", "\n# ")
            .replace("\nPG_SERVER_PORT=", "\n# ")
            .replace("\nAPI_HOST=", "\n# ")
        )
        sample.write_text(without_database)
        assert load(local, sample) == load(local, NO_FILE)

    def test_as_it_stands_sets_nothing(self) -> None:
        assert dotenv_values(ROOT / ".env.sample") == {}


def test_defaults_are_those_of_the_design() -> None:
    """docs/protocol.md, docs/guarantees.md, docs/storage.md and section 11 of the original's interface."""
    settings = Settings()
    assert (settings.socket.auth_seconds, settings.socket.frame_limit, settings.socket.heartbeat_seconds) == (
        10,
        65536,
        25,
    )
    assert (settings.socket.outbox_frames, settings.socket.outbox_bytes) == (256, 256 * 1024)
    assert settings.socket.heartbeat_seconds + settings.socket.pong_seconds <= 40
    assert (settings.chat.history_page, settings.chat.history_page_limit) == (50, 200)
    assert (settings.chat.batch_messages, settings.chat.batch_messages_per_chat) == (500, 128)
    assert settings.chat.batch_bytes_per_chat == 128 * 1024
    assert settings.auth.refresh_grace == timedelta(seconds=10)
    assert settings.api.port == 8788
    assert settings.api.cors_origins == ("http://localhost:5173",)
    assert settings.jwt.access_lifetime == timedelta(minutes=30)
    assert settings.jwt.refresh_lifetime == timedelta(days=60)
    assert settings.jwt.confirmation_lifetime == timedelta(days=2)


def test_chaos_is_refused_outside_local_in_one_line(local: dict[str, str]) -> None:
    expected = "CHAOS_SEED is '7': expected only in LOCAL, because it breaks connections on purpose"
    assert faults(PROD | {"CHAOS_SEED": "7"}) == [expected]
    assert load(PROD | {"CHAOS_DROPS": "0.5"}, NO_FILE).chaos.seed is None
    assert load(local | {"CHAOS_SEED": "7", "CHAOS_DROPS": "0.5"}, NO_FILE).chaos.drops == 0.5
    assert faults(local | {"CHAOS_DROPS": "2"}) == ["CHAOS_DROPS is '2': expected a share from 0 to 1"]


def test_several_workers_have_a_bus_without_further_settings(local: dict[str, str]) -> None:
    assert load(local, NO_FILE).bus.kind is BusKind.NONE
    assert load(local | {"API_WORKERS": "2"}, NO_FILE).bus.kind is BusKind.NOTIFY
    assert load(local | {"API_WORKERS": "2", "BUS": "none"}, NO_FILE).bus.kind is BusKind.NONE
    assert load(local | {"BUS": "notify"}, NO_FILE).bus.kind is BusKind.NOTIFY


def test_a_worker_for_each_core_that_the_process_may_use(local: dict[str, str]) -> None:
    assert load(local | {"API_WORKERS": "auto"}, NO_FILE).api.workers == len(os.sched_getaffinity(0))


def test_a_replica_is_one_of_a_database_that_is_named(local: dict[str, str]) -> None:
    replica = local | {"DATABASE_REPLICA_URL": "postgresql://me@replica/messenger"}
    assert faults(replica) == [
        "DATABASE_REPLICA_URL is set: expected only beside DATABASE_URL, because the embedded database has no replica"
    ]
    named = load(replica | {"DATABASE_URL": "postgresql://me@db/messenger"}, NO_FILE).database
    assert named.replica_url == "postgresql+psycopg://me@replica/messenger"
    parts = {"PG_SERVER_ADDRESS": "db", "PG_SERVER_LOGIN": "me", "PG_SERVER_DB": "messenger"}
    assert load(replica | parts, NO_FILE).database.replica_url == named.replica_url


def test_tables_are_divided_in_a_database_that_is_named_and_has_no_replica(local: dict[str, str]) -> None:
    divided = local | {"DATABASE_DIVIDED": "true"}
    assert faults(divided) == [
        "DATABASE_DIVIDED is true: expected only beside DATABASE_URL, because the embedded database is one server"
    ]
    named = divided | {"DATABASE_URL": "postgresql://me@db/messenger"}
    assert load(named, NO_FILE).database.divided
    assert faults(named | {"DATABASE_REPLICA_URL": "postgresql://me@replica/messenger"}) == [
        "DATABASE_REPLICA_URL is set: expected only without DATABASE_DIVIDED, because a replica of the coordinator has no chats"
    ]


class TestNats:
    def test_needs_servers(self, local: dict[str, str]) -> None:
        assert faults(local | {"BUS": "nats"}) == ["NATS_SERVERS is not set: expected beside BUS=nats"]

    def test_has_servers_with_and_without_ports(self, local: dict[str, str]) -> None:
        servers = "nats://one:4222, tls://two.example.com,nats://[::1]:4223"
        assert load(local | {"NATS_SERVERS": servers}, NO_FILE).bus.nats_servers == tuple(
            servers.replace(" ", "").split(",")
        )

    @pytest.mark.parametrize("wrong", ["one:4222", "http://one", "nats://", "nats://me@one", "nats://one/x"])
    def test_refuses_other_addresses(self, local: dict[str, str], wrong: str) -> None:
        (told,) = faults(local | {"NATS_SERVERS": wrong})
        assert told.startswith("NATS_SERVERS is ")
        assert told.endswith(
            "expected addresses like nats://host:4222 or tls://host:4222, separated by commas"
        )

    def test_has_names_with_their_other_halves(self, local: dict[str, str]) -> None:
        assert faults(local | {"NATS_USER": "me"}) == ["NATS_PASSWORD is not set: expected beside NATS_USER"]

    @pytest.mark.parametrize("wrong", ["a b", "a.", ".a", "a.*", "a.>"])
    def test_has_a_subject_without_wildcards(self, local: dict[str, str], wrong: str) -> None:
        (told,) = faults(local | {"NATS_SUBJECT": wrong})
        assert told.startswith("NATS_SUBJECT is ")

    def test_has_files_that_are_there(self, local: dict[str, str], tmp_path: Path) -> None:
        (told,) = faults(local | {"NATS_CA_FILE": str(tmp_path / "missing.pem")})
        assert told.endswith("expected a file that can be read")
