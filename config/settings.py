"""
What can be set from outside: the process environment first, then `.env`, then the defaults here.

Names are those of the original messenger where it had one. Each field says its name, how its text is read and what
holds without it; `.env.sample` tells the same to people, and a test holds the two together.
"""

import json
import os
import re
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from attrs import evolve, field, fields, frozen, has
from dotenv import dotenv_values

from domain.account import PasswordPattern
from infrastructure.postgres.driver.target import ADDRESS_EXPECTED, Target, parse
from interfaces.http.addresses import Networks

T = TypeVar("T")

KNOWN_SECRETS = frozenset(
    {
        # The original messenger's default key is public; we have not seen it. These are what people leave in place,
        # the last one from a tutorial that half of the web has copied.
        "your-256-bit-secret-your-256-bit-secret",
        "your-super-secret-key-change-in-production",
        "your-secret-key-change-this-in-production",
        "your-secret-key-here-change-in-production",
        "change-this-secret-key-in-production",
        "please-change-this-secret-key-in-production",
        "super-secret-key-that-nobody-can-guess",
        "0123456789abcdef0123456789abcdef",
        "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
    }
)
SHORTEST_SECRET = 32
SHORTEST_TOKEN = 16
FEWEST_CHARACTERS = 8
"""Different ones, in a secret: `changemechangeme...` is long and has seven."""


BASE = "BASE"


class Environment(Enum):
    PROD = "PROD"
    DEV = "DEV"
    LOCAL = "LOCAL"


class Security(Enum):
    """How the connection to the mail server is protected."""

    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


PASSWORD_EXPRESSIONS = {
    "^(?=.*[a-zа-яА-Я])(?=.*[A-Zа-яА-Я]).{8,}$": PasswordPattern.LETTERS,
    "^.{8,}$": PasswordPattern.LENGTH,
}
"""By the original's regular expressions, what they demand."""


class WrongSettings(Exception):
    """Everything that is wrong, a line for each, without the values of secrets."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class _Unfit(Exception):
    """What was expected instead."""


def _setting(name: str, read: Callable[[str], T], default: T, *, secret: bool = False) -> T:
    """A field, for attrs; its default, for mypy."""
    made: T = field(default=default, repr=not secret, metadata={"name": name, "read": read, "secret": secret})
    return made


def _text(value: str) -> str:
    if not value.isprintable():
        raise _Unfit("one line of text")
    return value


def _whole(least: int, most: int) -> Callable[[str], int]:
    def read(value: str) -> int:
        if not (value.isascii() and value.isdecimal() and len(value) < 20 and least <= int(value) <= most):
            raise _Unfit(f"a whole number from {least} to {most}")
        return int(value)

    return read


def _seconds(least: float, most: float) -> Callable[[str], float]:
    def read(value: str) -> float:
        try:
            number = float(value)
        except ValueError:
            number = float("nan")
        if not least <= number <= most:
            raise _Unfit(f"seconds from {least:g} to {most:g}")
        return number

    return read


def _duration(unit: str, most: int, least: int = 1) -> Callable[[str], timedelta]:
    def read(value: str) -> timedelta:
        return timedelta(**{unit: _whole(least, most)(value)})

    return read


def _flag(value: str) -> bool:
    match value.lower():
        case "true" | "yes" | "on" | "1":
            return True
        case "false" | "no" | "off" | "0":
            return False
        case _:
            raise _Unfit("true or false")


def _one_of(*words: str) -> Callable[[str], str]:
    def read(value: str) -> str:
        if value.upper() not in words:
            raise _Unfit(", ".join(words[:-1]) + f" or {words[-1]}" if len(words) > 1 else words[0])
        return value.upper()

    return read


def _environment(value: str) -> Environment:
    return Environment(_one_of("PROD", "DEV", "LOCAL")(value))


def _security(value: str) -> Security:
    if value.lower() not in {"starttls", "tls", "none"}:
        raise _Unfit("starttls, tls or none")
    return Security(value.lower())


def _password_pattern(value: str) -> PasswordPattern:
    # Not as a regular expression: an operator's may take for ever, and everybody may send it a password. Those that are
    # known to be asked for are known by what they mean.
    known = PASSWORD_EXPRESSIONS.get(value)
    if known is not None:
        return known
    try:
        return PasswordPattern(value.lower())
    except ValueError:
        raise _Unfit(", ".join(PasswordPattern) + " or the original messenger's expression") from None


def _folder(value: str) -> Path:
    try:
        return Path(_text(value)).expanduser().absolute()
    except RuntimeError:  # ~somebody who does not exist
        raise _Unfit("a folder") from None


def _public_url(value: str) -> str:
    expected = "an address like https://chat.example.com, without query"
    try:
        parts = urlsplit(value)
        sound = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        raise _Unfit(expected) from None
    if (
        not sound
        or parts.query
        or parts.fragment
        or parts.username
        or " " in value
        or not value.isprintable()
    ):
        raise _Unfit(expected)
    return value.rstrip("/")


def _origins(value: str) -> tuple[str, ...]:
    origins = tuple(origin.strip() for origin in value.split(",") if origin.strip())
    for origin in origins:
        if origin == "*":
            raise _Unfit("origins by name: browsers send no cookies to a server that allows everybody")
        if _public_url(origin) != origin or urlsplit(origin).path:
            raise _Unfit("origins like http://localhost:5173, separated by commas")
    return origins


def _words(value: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in value.split(",") if word.strip())


def _modules(value: str) -> tuple[str, ...]:
    """Without the ending that the original messenger's names have."""
    names = tuple(name.removesuffix("_module") for name in _words(value))
    if any(not name.isprintable() for name in names):
        raise _Unfit("names of modules, separated by commas")
    return names


def _module_list(value: str) -> tuple[str, ...]:
    """The original messenger's way is a list in JSON."""
    try:
        names = json.loads(value) if value.startswith("[") else list(_words(value))
    except ValueError:
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise _Unfit('names of modules, as ["auth_module", "chat_module"]')
    return _modules(",".join(names))


def _networks(value: str) -> tuple[str, ...]:
    names = _words(value)
    try:
        Networks.of(names)
    except ValueError:
        raise _Unfit("addresses or networks like 10.0.0.0/8, separated by commas") from None
    return names


def _token(value: str) -> str:
    if len(value) < SHORTEST_TOKEN or not value.isascii() or not value.isprintable() or " " in value:
        raise _Unfit(f"at least {SHORTEST_TOKEN} random characters, as `openssl rand -hex 32` makes them")
    return value


def _prefix(value: str) -> str:
    if not re.fullmatch(r"(?:/[A-Za-z0-9._~-]+)+", value.rstrip("/")):
        raise _Unfit("a path like /api")
    return value.rstrip("/")


def _path(value: str) -> str:
    if not value.startswith("/") or not value.isprintable() or any(mark in value for mark in " ?#"):
        raise _Unfit("a path like /confirm-email")
    return value


def _page_path(value: str) -> str:
    if value.endswith("/") or any(mark in _path(value) for mark in "{}"):
        raise _Unfit("a path like /docs, without a slash at its end")
    return value


def _address(value: str) -> str:
    local, at, host = value.rpartition("@")
    if not (local and at and host) or not value.isprintable() or any(mark in value for mark in " <>,;\"'"):
        raise _Unfit("one e-mail address")
    return value


def _database_url(value: str) -> str:
    try:
        target = parse(value)
    except ValueError as why:
        raise _Unfit(str(why)) from None
    if "dbname" not in target.parameters:
        raise _Unfit(ADDRESS_EXPECTED)
    return target.url


@frozen(kw_only=True)
class Api:
    host: str = _setting("API_HOST", _text, "0.0.0.0")  # noqa: S104 - as the original; `make run` binds to loopback
    port: int = _setting("API_SERVICE_PORT", _whole(1, 65535), 8788)
    prefix: str = _setting("API_PREFIX", _prefix, "")
    """Before every path, also behind `API_PUBLIC_URL` in links."""

    workers: int = _setting("API_WORKERS", _whole(1, 1024), 1)
    public_url: str = _setting("API_PUBLIC_URL", _public_url, "http://localhost:8788")
    """Where people reach the messenger: in links of letters, without a slash at the end."""

    confirmation_path: str = _setting("API_ROUTE_CONFIRM_PASSWORD", _path, "/confirm-email")
    """Of the link in the letter that confirms an address; the original's name for it."""

    new_password_path: str = _setting("API_ROUTE_SETUP_NEW_PASSWORD", _path, "/setup-new-password")
    """Of the link in the letter for a forgotten password."""

    title: str = _setting("API_TITLE", _text, "Messenger REST-API engine")
    description: str = _setting("API_DESCRIPTION", _text, "")
    version: str = _setting("API_VERSION", _text, "1.0.0")
    contact_name: str = _setting("API_CONTACT_NAME", _text, "")
    contact_email: str = _setting("API_CONTACT_EMAIL", _address, "")
    """In `/openapi.json`, these five."""

    docs: bool = _setting("API_DOCS", _flag, default=True)
    """Whether there are `/openapi.json` and pages to read it."""

    docs_path: str = _setting("API_DOC_PATH", _page_path, "/docs")
    cors_origins: tuple[str, ...] = _setting("API_CORS_ALLOWED_HOSTS", _origins, ("http://localhost:5173",))
    trusted_proxies: tuple[str, ...] = _setting("API_TRUSTED_PROXIES", _networks, ())
    """Addresses and networks of proxies whose `Forwarded` or `X-Forwarded-For` is believed."""

    hsts_seconds: int = _setting("API_HSTS_SECONDS", _whole(0, 2 * 365 * 86400), 365 * 86400)
    """How long browsers shall insist on HTTPS once they came by it; told only where `public_url` is HTTPS."""

    original_statuses: bool = _setting("API_ORIGINAL_STATUSES", _flag, default=False)
    body_limit: int = _setting("API_BODY_LIMIT", _whole(4096, 64 * 1024 * 1024), 262144)
    """Bytes of one request."""

    shutdown_seconds: float = _setting("API_SHUTDOWN_SECONDS", _seconds(0, 60), 2.0)
    """How long what is under way may take after a signal to stop."""

    drain_seconds: float = _setting("API_DRAIN_SECONDS", _seconds(0, 300), 0.0)
    """How long everything is still served after that signal, while `/readyz` already says no."""

    @property
    def public_path(self) -> str:
        return urlsplit(self.public_url).path

    @property
    def secure_cookies(self) -> bool:
        return self.public_url.startswith("https:")


@frozen(kw_only=True)
class Database:
    url: str | None = _setting("DATABASE_URL", _database_url, None, secret=True)
    """For SQLAlchemy with psycopg. None: the embedded PostgreSQL."""

    pool_size: int = _setting("DATABASE_POOL_SIZE", _whole(2, 1000), 10)
    deadline: float = _setting("DATABASE_DEADLINE_SECONDS", _seconds(0.1, 60), 5.0)
    """After which an answer that has not come is not waited for."""


@frozen(kw_only=True)
class _PgServer:
    """The original's way to name a database."""

    login: str | None = _setting("PG_SERVER_LOGIN", _text, None)
    password: str | None = _setting("PG_SERVER_PASSWD", str, None, secret=True)
    address: str | None = _setting("PG_SERVER_ADDRESS", _text, None)
    port: int = _setting("PG_SERVER_PORT", _whole(1, 65535), 5432)
    database: str | None = _setting("PG_SERVER_DB", _text, None)
    dialect: str = _setting("PG_SERVER_DIALECT", _one_of("POSTGRESQL"), "POSTGRESQL")


@frozen(kw_only=True)
class Jwt:
    secret: str = _setting("JWT_SECRET_KEY", str, "", secret=True)
    algorithm: str = _setting("JWT_ALG", _one_of("HS256", "HS384", "HS512"), "HS256")
    issuer: str = _setting("JWT_ISSUER", _text, "messenger")
    audience: str = _setting("JWT_AUDIENCE", _text, "messenger")
    access_lifetime: timedelta = _setting(
        "JWT_ACCESS_TOKEN_EXPIRE_MINUTES", _duration("minutes", 60 * 24 * 30), timedelta(minutes=30)
    )
    refresh_lifetime: timedelta = _setting(
        "JWT_REFRESH_TOKEN_EXPIRE_DAYS", _duration("days", 3650), timedelta(days=60)
    )
    confirmation_lifetime: timedelta = _setting(
        "JWT_CONFIRMATION_TOKEN_EXPIRE_DAYS", _duration("days", 365), timedelta(days=2)
    )


@frozen(kw_only=True)
class Mail:
    server: str | None = _setting("MAIL_SERVER", _text, None)
    """None, in LOCAL only: letters become files."""

    port: int = _setting("MAIL_PORT", _whole(1, 65535), 465)
    security: Security = _setting("MAIL_SECURITY", _security, Security.TLS)
    """Follows the port where it is not set: 465 is TLS from the first byte, all others start with plain text."""

    username: str | None = _setting("MAIL_USERNAME", _text, None)
    password: str | None = _setting("MAIL_PASSWORD", str, None, secret=True)
    from_email: str = _setting("MAIL_FROM_EMAIL", _address, "messenger@localhost")
    from_name: str = _setting("MAIL_FROM_NAME", _text, "Messenger")
    timeout: float = _setting("MAIL_TIMEOUT", _seconds(0.1, 300), 10.0)
    lease: timedelta = _setting("MAIL_LEASE_SECONDS", _duration("seconds", 3600), timedelta(seconds=60))
    """For how long a letter that a worker has taken is left to it."""


@frozen(kw_only=True)
class Auth:
    hashing_threads: int = _setting("AUTH_HASHING_THREADS", _whole(1, 64), 2)
    refresh_grace: timedelta = _setting(
        "AUTH_REFRESH_GRACE_SECONDS", _duration("seconds", 60, least=0), timedelta(seconds=10)
    )
    """In which the refresh token used last gets the same new pair again: two tabs, a lost answer."""

    password_pattern: PasswordPattern = _setting(
        "AUTH_PASSWORD_PATTERN", _password_pattern, PasswordPattern.LETTERS
    )
    refuse_common_passwords: bool = _setting("AUTH_REFUSE_COMMON_PASSWORDS", _flag, default=True)
    reset_lifetime: timedelta = _setting(
        "AUTH_RESET_LIFETIME_MINUTES", _duration("minutes", 60 * 24 * 7), timedelta(hours=1)
    )
    """Of the link for a forgotten password."""

    failures: int = _setting("AUTH_WRONG_PASSWORDS_PER_HOUR", _whole(0, 1_000_000), 30)
    """Wrong passwords for one account from one network address; 0 is no limit, here and in those that follow."""

    letters_per_recipient: int = _setting("AUTH_LETTERS_PER_RECIPIENT_AND_HOUR", _whole(0, 1_000_000), 10)
    letters_per_address: int = _setting("AUTH_LETTERS_PER_ADDRESS_AND_HOUR", _whole(0, 1_000_000), 100)
    """Asked for from one network address."""

    status_per_address: int = _setting("AUTH_EMAIL_STATUS_PER_MINUTE", _whole(0, 1_000_000), 120)


@frozen(kw_only=True)
class Chat:
    history_page: int = _setting("CHAT_HISTORY_PAGE", _whole(1, 1000), 50)
    history_page_limit: int = _setting("CHAT_HISTORY_PAGE_LIMIT", _whole(1, 1000), 200)
    min_message_interval: timedelta = _setting(
        "CHAT_MIN_MESSAGE_INTERVAL",
        lambda value: timedelta(seconds=_seconds(0, 3600)(value)),
        timedelta(seconds=1),
    )
    send_backlog: int = _setting("CHAT_SEND_BACKLOG", _whole(1, 1_000_000), 5000)
    """Messages that may wait for their batch; one more is refused as overload."""

    batch_messages: int = _setting("CHAT_BATCH_MESSAGES", _whole(1, 5000), 500)
    batch_messages_per_chat: int = _setting("CHAT_BATCH_MESSAGES_PER_CHAT", _whole(1, 5000), 128)
    batch_bytes_per_chat: int = _setting("CHAT_BATCH_BYTES_PER_CHAT", _whole(65536, 16 * 1024 * 1024), 131072)
    purge_after: timedelta = _setting(
        "CHAT_PURGE_AFTER_DAYS", _duration("days", 3650, least=0), timedelta(days=30)
    )
    """How long what was said in a deleted chat is kept; nobody can read it meanwhile."""


@frozen(kw_only=True)
class Socket:
    auth_seconds: float = _setting("WS_AUTH_SECONDS", _seconds(0.1, 300), 10.0)
    frame_limit: int = _setting("WS_FRAME_LIMIT", _whole(1024, 16 * 1024 * 1024), 65536)
    """Bytes of one incoming frame."""

    outbox_frames: int = _setting("WS_OUTBOX_FRAMES", _whole(8, 100_000), 256)
    outbox_bytes: int = _setting("WS_OUTBOX_BYTES", _whole(65536, 64 * 1024 * 1024), 262144)
    heartbeat_seconds: float = _setting("WS_HEARTBEAT_SECONDS", _seconds(1, 3600), 25.0)
    pong_seconds: float = _setting("WS_PONG_SECONDS", _seconds(1, 3600), 15.0)
    """After a ping without an answer the socket is dead."""


@frozen(kw_only=True)
class Modules:
    enabled: tuple[str, ...] = _setting("MODULES_SECTION_ENABLED_MODULES", _modules, ("BASE",))
    base: tuple[str, ...] = _setting(
        "MODULES_SECTION_BASE_MODULES", _module_list, ("healthcheck", "auth", "base", "chat")
    )
    """What the word BASE stands for."""

    @property
    def wanted(self) -> tuple[str, ...]:
        """Each once, in the order of their routes: what BASE stands for comes last, as in the original messenger."""
        named = [name for name in self.enabled if name != BASE]
        return tuple(dict.fromkeys([*named, *(self.base if BASE in self.enabled else ())]))


@frozen(kw_only=True)
class Operation:
    """What operators look at."""

    detailed_health: bool = _setting("HEALTH_CHECK_DETAILED", _flag, default=False)
    check_seconds: float = _setting("HEALTH_CHECK_TIMEOUT", _seconds(0.1, 60), 5.0)
    """For each check of the detailed one."""

    metrics_port: int | None = _setting("METRICS_PORT", _whole(1, 65535), None)
    """Where `/metrics` is alone and asks for no token. None: there is no such port."""

    metrics_host: str = _setting("METRICS_HOST", _text, "127.0.0.1")
    metrics_token: str | None = _setting("METRICS_TOKEN", _token, None, secret=True)
    """With it `/metrics` is on the messenger's own port too, for whoever presents it as a bearer token."""


@frozen(kw_only=True)
class Log:
    level: str = _setting(
        "LOG_LEVEL", _one_of("NOTSET", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"), "INFO"
    )


@frozen(kw_only=True)
class Settings:
    environment: Environment = _setting("ENVIRONMENT", _environment, Environment.PROD)
    var_dir: Path = _setting("VAR_DIR", _folder, Path("var"))
    """Everything that the messenger writes of its own accord lies under it."""

    api: Api = Api()
    database: Database = Database()
    jwt: Jwt = Jwt()
    mail: Mail = Mail()
    auth: Auth = Auth()
    chat: Chat = Chat()
    socket: Socket = Socket()
    modules: Modules = Modules()
    operation: Operation = Operation()
    log: Log = Log()

    @property
    def local(self) -> bool:
        return self.environment is Environment.LOCAL


def names() -> list[str]:
    """Of everything that can be set."""
    groups = (Settings, Api, Database, _PgServer, Jwt, Mail, Auth, Chat, Socket, Modules, Operation, Log)
    return [each.metadata["name"] for group in groups for each in fields(group) if "name" in each.metadata]


def load(environ: Mapping[str, str], dotenv_path: Path) -> Settings:
    """
    Raises `WrongSettings` with all that is wrong. On a first LOCAL start it makes the secret that signs tokens and
    keeps it under ``VAR_DIR``.
    """
    reader = _Reader(values=_values(environ, dotenv_path))
    settings = reader.settings()
    if reader.faults:
        raise WrongSettings(reader.faults)
    return settings


def explain(environ: Mapping[str, str], dotenv_path: Path) -> list[tuple[str, str, str]]:
    """
    Every setting by name, as text, and where that came from. Of secrets only whether there is one. Makes nothing.

    Raises:
        WrongSettings: With all that is wrong.
    """
    values = _values(environ, dotenv_path)
    from_process = {name.upper() for name, value in environ.items() if value.strip()}
    made = values.get("ENVIRONMENT", "").strip().upper() == "LOCAL" and "JWT_SECRET_KEY" not in values
    reader = _Reader(values=values | ({"JWT_SECRET_KEY": "made at the first start"} if made else {}))
    settings = reader.settings()
    if reader.faults:
        raise WrongSettings(reader.faults)
    told = []
    for group in (settings, *(getattr(settings, each.name) for each in fields(Settings))):
        if not has(type(group)):
            continue
        for each in fields(type(group)):
            if "name" not in each.metadata:
                continue
            name, value = each.metadata["name"], getattr(group, each.name)
            if name in values:
                source = "environment" if name in from_process else str(dotenv_path)
            else:
                source = "default" if value == each.default or name == "VAR_DIR" else "follows other settings"
            if name == "JWT_SECRET_KEY" and made:
                source = str(settings.var_dir / "secrets" / "jwt_secret_key")
            told.append((name, _hidden(value) if each.metadata["secret"] else _shown(name, value), source))
    for each in fields(_PgServer):
        name = each.metadata["name"]
        if name in values:
            source = "environment" if name in from_process else str(dotenv_path)
            told.append((name, "(set)" if each.metadata["secret"] else values[name].strip(), source))
    return sorted(told)


def _hidden(value: object) -> str:
    return "(set)" if value else "(not set)"


UNITS: Final = {"DAYS": timedelta(days=1), "MINUTES": timedelta(minutes=1)}
"""Of durations, by the last word of their setting's name; all others are in seconds."""


def _shown(name: str, value: object) -> str:
    """As it would be set."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case tuple():
            return ",".join(map(str, value))
        case Enum():
            return str(value.value)
        case timedelta():
            unit = UNITS.get(name.rpartition("_")[2], timedelta(seconds=1))
            return f"{value / unit:.9g}"
        case _:
            return str(value)


def _values(environ: Mapping[str, str], dotenv_path: Path) -> dict[str, str]:
    """By upper-case name; what is set to nothing is not set."""
    values: dict[str, str] = {}
    try:
        with dotenv_path.open(encoding="utf-8-sig") as file:
            found = dotenv_values(stream=file, interpolate=False)
    except FileNotFoundError:
        found = {}
    except (OSError, UnicodeDecodeError) as error:
        raise WrongSettings([f"{dotenv_path} cannot be read: {error}"]) from error
    for source in (found, environ):
        for name, value in source.items():
            if value is not None and value.strip():
                values[name.upper()] = value
    return values


@frozen
class _Reader:
    values: Mapping[str, str]
    faults: list[str] = field(factory=list)

    def settings(self) -> Settings:
        alone = Settings(**self._chosen(Settings))
        environment, var_dir = alone.environment, alone.var_dir.absolute()
        return evolve(
            alone,
            var_dir=var_dir,
            api=self._api(environment),
            database=self._database(),
            mail=self._mail(environment),
            auth=Auth(**self._chosen(Auth)),
            chat=self._chat(),
            socket=Socket(**self._chosen(Socket)),
            modules=Modules(**self._chosen(Modules)),
            operation=Operation(**self._chosen(Operation)),
            log=Log(**self._chosen(Log)),
            jwt=self._jwt(environment, var_dir),  # the last one: it makes a file where nothing else is wrong
        )

    def _chosen(self, group: type[Any]) -> dict[str, Any]:
        """What was set of a group, read; the rest has its defaults."""
        chosen = {}
        for each in fields(group):
            name = each.metadata.get("name")
            if name in self.values:
                secret = each.metadata["secret"]
                value = self.values[name] if secret else self.values[name].strip()
                try:
                    chosen[each.name] = each.metadata["read"](value)
                except _Unfit as expected:
                    given = "set to something else" if secret else repr(value)
                    self.faults.append(f"{name} is {given}: expected {expected}")
        return chosen

    def _api(self, environment: Environment) -> Api:
        api = Api(**self._chosen(Api))
        if api.workers != 1:
            self.faults.append(
                f"API_WORKERS is '{api.workers}': expected 1, several processes are not built yet"
            )
        if "API_PUBLIC_URL" in self.values:
            return api
        if environment is Environment.PROD:
            self.faults.append("API_PUBLIC_URL is not set: expected, in PROD, the address that people use")
        return evolve(api, public_url=f"http://localhost:{api.port}")

    def _database(self) -> Database:
        database = Database(**self._chosen(Database))
        server = _PgServer(**self._chosen(_PgServer))
        if "DATABASE_URL" in self.values:
            return database
        needed = {
            "PG_SERVER_ADDRESS": server.address,
            "PG_SERVER_LOGIN": server.login,
            "PG_SERVER_DB": server.database,
        }
        if not any(name in self.values for name in (*needed, "PG_SERVER_PASSWD", "PG_SERVER_PORT")):
            return database
        missing = [name for name in needed if name not in self.values]
        self.faults.extend(
            f"{name} is not set: expected beside the other PG_SERVER_ settings" for name in missing
        )
        if missing:
            return database
        target = Target.of(
            user=server.login or "",
            password=server.password,
            host=server.address or "",
            port=server.port,
            database=server.database or "",
        )
        return evolve(database, url=target.url)

    def _mail(self, environment: Environment) -> Mail:
        chosen = self._chosen(Mail)
        if "MAIL_SECURITY" not in self.values:
            chosen["security"] = Security.TLS if chosen.get("port", 465) == 465 else Security.STARTTLS
        mail = Mail(**chosen)
        if mail.server is None and environment is not Environment.LOCAL:
            self.faults.append(
                "MAIL_SERVER is not set: expected outside LOCAL, or nobody could confirm an account"
            )
        if mail.server is not None and "MAIL_FROM_EMAIL" not in self.values:
            self.faults.append("MAIL_FROM_EMAIL is not set: expected beside MAIL_SERVER")
        for name, other in (("MAIL_USERNAME", "MAIL_PASSWORD"), ("MAIL_PASSWORD", "MAIL_USERNAME")):
            if name not in self.values and other in self.values:
                self.faults.append(f"{name} is not set: expected beside {other}")
        return mail

    def _chat(self) -> Chat:
        chat = Chat(**self._chosen(Chat))
        if chat.history_page > chat.history_page_limit:
            self.faults.append(
                f"CHAT_HISTORY_PAGE is '{chat.history_page}': expected at most CHAT_HISTORY_PAGE_LIMIT,"
                f" {chat.history_page_limit}"
            )
        return chat

    def _jwt(self, environment: Environment, var_dir: Path) -> Jwt:
        jwt = Jwt(**self._chosen(Jwt))
        if environment is Environment.LOCAL:
            if jwt.secret or self.faults:
                return jwt
            return evolve(jwt, secret=self._kept_secret(var_dir / "secrets" / "jwt_secret_key"))
        expected = f"expected at least {SHORTEST_SECRET} random bytes, as `openssl rand -hex 32` makes them"
        if not jwt.secret:
            self.faults.append(f"JWT_SECRET_KEY is not set: {expected}")
        elif len(jwt.secret.encode()) < SHORTEST_SECRET:
            self.faults.append(f"JWT_SECRET_KEY is too short: {expected}")
        elif jwt.secret.lower() in KNOWN_SECRETS or len(set(jwt.secret)) < FEWEST_CHARACTERS:
            self.faults.append(f"JWT_SECRET_KEY is known to everybody: {expected}")
        return jwt

    def _kept_secret(self, file: Path) -> str:
        try:
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not file.exists():
                new = file.with_name(f"{file.name}.{os.getpid()}")
                with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
                    out.write(secrets.token_urlsafe(48))
                with suppress(FileExistsError):  # whole or not at all, and by one of two that start at once
                    file.hardlink_to(new)
                new.unlink()
            kept = file.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            self.faults.append(f"{file} cannot be used: {error}")
            return ""
        if len(kept) < SHORTEST_SECRET:
            self.faults.append(f"{file} is damaged: remove it, and a new secret is made")
        return kept
