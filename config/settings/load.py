"""Makes settings of their texts: the process environment comes first, then `.env`, then the defaults."""

import os
import secrets
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlsplit

from attrs import evolve, field, fields, frozen

from config.settings.groups import (
    DEVELOPMENT_ORIGIN,
    Api,
    Bus,
    Chaos,
    Chat,
    Database,
    Jwt,
    Mail,
    PgServer,
    Settings,
    groups_of_settings,
    secret_names,
)
from config.settings.readers import BusKind, Environment, Security, Unfit
from config.settings.texts import WrongSettings, values_by_name
from infrastructure.postgres.driver.target import Target
from interfaces.http.options import WEB_CLIENT_MODULES

KNOWN_SECRETS: Final = frozenset(
    {
        # Placeholders that people forget to replace. The last one is from a tutorial that many have copied. The public
        # default key of the original messenger is not known to us.
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
FILE_SUFFIX: Final = "_FILE"
"""Behind the name of a secret, makes the name of a setting that names a file with its value."""

SHORTEST_SECRET: Final = 32
FEWEST_CHARACTERS: Final = 8
"""The least number of different characters in a secret. `changemechangeme...` is long enough, but has only seven."""


def load(
    environ: Mapping[str, str],
    dotenv_path: Path,
    *,
    defaults: Mapping[str, str] = {},
    needed: Collection[str] | None = None,
) -> Settings:
    """
    Reads all settings. ``defaults`` apply where neither the environment nor the file sets a value. ``needed`` names the
    groups of `Settings` that the caller uses: errors in the others are ignored, and their values must not be used.

    On the first LOCAL start it makes the secret that signs tokens, and stores it under ``VAR_DIR``.

    Raises:
        WrongSettings: Some settings are wrong; the error lists all of them.
    """
    reader = Loader.of({**defaults, **values_by_name(environ, dotenv_path)})
    settings = reader.settings(needed)
    if reader.faults:
        raise WrongSettings(reader.faults)
    return settings


def secrets_from_files(values: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """
    Reads the secrets whose files are named, as Docker and systemd provide them: ``JWT_SECRET_KEY_FILE`` names the file that
    has the value of ``JWT_SECRET_KEY``. A line break at its end does not count.

    Returns all values, and the faults of files that cannot be used, by the name of the secret.
    """
    found, faults = dict(values), {}
    for name in secret_names():
        setting = f"{name}{FILE_SUFFIX}"
        if setting not in values:
            continue
        path = values[setting].strip()
        found.setdefault(name, "")
        if name in values:
            faults[name] = f"{name} is set, and so is {setting}: expected only one of them"
            continue
        try:
            found[name] = Path(path).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            cause = error.strerror if isinstance(error, OSError) else "it is not in UTF-8"
            faults[name] = f"{setting} is {path!r}, which cannot be read: {cause}"
        else:
            if not found[name].strip():
                faults[name] = f"{setting} is {path!r}, which is empty: expected the value of {name}"
    return found, faults


@frozen
class Loader:
    values: Mapping[str, str]
    unreadable: Mapping[str, str] = {}
    """The faults of files that should hold a secret, by the name of the secret."""
    faults: list[str] = field(factory=list)

    @classmethod
    def of(cls, values: Mapping[str, str]) -> Self:
        return cls(*secrets_from_files(values))

    def settings(self, needed: Collection[str] | None = None) -> Settings:
        alone = Settings(**self._chosen(Settings))
        environment, var_dir = alone.environment, alone.var_dir.absolute()
        special: dict[str, Callable[[], object]] = {
            "api": lambda: self._api(environment),
            "database": self._database,
            "bus": self._bus,
            "mail": lambda: self._mail(environment),
            "chat": self._chat,
            "chaos": lambda: self._chaos(environment),
            "jwt": lambda: self._jwt(environment, var_dir),
        }
        groups = {
            name: special.get(name) or partial(self._plain, group)
            for name, group in groups_of_settings().items()
        }
        groups["jwt"] = groups.pop("jwt")  # last, because it makes a file if there was no error
        chosen: dict[str, Any] = {
            name: read() for name, read in groups.items() if needed is None or name in needed
        }
        settings = evolve(alone, var_dir=var_dir, **chosen)
        if "api" in chosen:
            settings = self._with_application(settings)
        if settings.api.workers > 1 and "BUS" not in self.values:
            settings = evolve(settings, bus=evolve(settings.bus, kind=BusKind.NOTIFY))
        if settings.operation.metrics_port == settings.api.port:
            self.faults.append(
                f"METRICS_PORT is '{settings.api.port}': expected another port than API_SERVICE_PORT"
            )
        if settings.auth.passkeys and not _can_have_passkeys(settings.api.public_url):
            self.faults.append(
                f"AUTH_PASSKEYS is '{settings.auth.passkeys}': expected 0 unless API_PUBLIC_URL is https with a name, or"
                " localhost, because browsers have passkeys nowhere else"
            )
        interval, expiry = settings.socket.typing_interval_seconds, settings.socket.typing_expiry_seconds
        if interval >= expiry:
            self.faults.append(
                f"WS_TYPING_INTERVAL_SECONDS is '{interval:g}': expected less than WS_TYPING_EXPIRY_SECONDS"
                f" ({expiry:g}), so that typing can be renewed"
            )
        return settings

    def _plain(self, group: type[Any]) -> object:
        return group(**self._chosen(group))

    def _chosen(self, group: type[Any]) -> dict[str, Any]:
        """Reads the settings of a group that are set. The others keep their defaults."""
        chosen = {}
        for each in fields(group):
            name = each.metadata.get("name")
            if name in self.unreadable:
                self.faults.append(self.unreadable[name])
            elif name in self.values:
                secret = each.metadata["secret"]
                value = self.values[name] if secret else self.values[name].strip()
                try:
                    chosen[each.name] = each.metadata["read"](value)
                except Unfit as expected:
                    given = "set to something else" if secret else repr(value)
                    self.faults.append(f"{name} is {given}: expected {expected}")
        return chosen

    def _api(self, environment: Environment) -> Api:
        api = Api(**self._chosen(Api))
        if environment is Environment.LOCAL and "API_HOST" not in self.values:
            api = evolve(api, host="127.0.0.1")  # the password of the example people is published
        if "API_PUBLIC_URL" not in self.values:
            if environment is Environment.PROD:
                self.faults.append(
                    "API_PUBLIC_URL is not set: expected, in PROD, the address that people use"
                )
            api = evolve(api, public_url=f"http://localhost:{api.port}")
            if environment is Environment.DEV and "API_ALLOWED_HOSTS" not in self.values:
                api = evolve(api, allowed_hosts=("*",))  # its own name is unknown
        return api

    def _with_application(self, settings: Settings) -> Settings:
        """Say whether the web client is served, which needs some modules, and where pages lead people on."""
        is_served = settings.api.web_client and set(settings.modules.wanted) >= WEB_CLIENT_MODULES
        api = evolve(settings.api, web_client=is_served)
        if "API_APP_URL" not in self.values:
            api = evolve(api, app_url=self._app_url(api, settings.environment))
        return evolve(settings, api=api)

    def _app_url(self, api: Api, environment: Environment) -> str:
        """The default of the setting: the first front end that is in use."""
        documentation = f"{api.public_url}{api.prefix}{api.docs_path}"
        otherwise = documentation if environment is Environment.LOCAL and api.docs else ""
        if api.web_client:
            otherwise = (
                f"{api.public_url}{api.prefix}/app"  # as the setting is read: without a slash at its end
            )
        return next((each for each in api.cors_origins if each != DEVELOPMENT_ORIGIN), otherwise)

    def _database(self) -> Database:
        database = Database(**self._chosen(Database))
        if database.divided and database.replica_url is not None:
            self.faults.append(
                "DATABASE_REPLICA_URL is set: expected only without DATABASE_DIVIDED, because a replica of the coordinator"
                " has no chats"
            )
        server = PgServer(**self._chosen(PgServer))
        if "DATABASE_URL" in self.values:
            return database
        needed = {
            "PG_SERVER_ADDRESS": server.address,
            "PG_SERVER_LOGIN": server.login,
            "PG_SERVER_DB": server.database,
        }
        if not any(name in self.values for name in (*needed, "PG_SERVER_PASSWD", "PG_SERVER_PORT")):
            if database.replica_url is not None:
                self.faults.append(
                    "DATABASE_REPLICA_URL is set: expected only beside DATABASE_URL, because the embedded database"
                    " has no replica"
                )
            if database.divided:
                self.faults.append(
                    "DATABASE_DIVIDED is true: expected only beside DATABASE_URL, because the embedded database is one"
                    " server"
                )
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
        return evolve(database, url=target.url, in_parts=True)

    def _bus(self) -> Bus:
        bus = Bus(**self._chosen(Bus))
        if bus.kind is BusKind.NATS and not bus.nats_servers:
            self.faults.append("NATS_SERVERS is not set: expected beside BUS=nats")
        for one, other in (("NATS_USER", "NATS_PASSWORD"), ("NATS_CERT_FILE", "NATS_KEY_FILE")):
            self._expect_both(one, other)
        if bus.nats_credentials is not None:
            for other in ("NATS_USER", "NATS_TOKEN"):
                if other in self.values:
                    self.faults.append(
                        f"NATS_CREDENTIALS_FILE and {other} are both set: expected one of them"
                    )
        return bus

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
        self._expect_both("MAIL_USERNAME", "MAIL_PASSWORD")
        return mail

    def _expect_both(self, one: str, other: str) -> None:
        for name, set_one in ((one, other), (other, one)):
            if name not in self.values and set_one in self.values:
                self.faults.append(f"{name} is not set: expected beside {set_one}")

    def _chat(self) -> Chat:
        chat = Chat(**self._chosen(Chat))
        if chat.history_page > chat.history_page_limit:
            self.faults.append(
                f"CHAT_HISTORY_PAGE is '{chat.history_page}': expected at most CHAT_HISTORY_PAGE_LIMIT,"
                f" {chat.history_page_limit}"
            )
        return chat

    def _chaos(self, environment: Environment) -> Chaos:
        chaos = Chaos(**self._chosen(Chaos))
        if chaos.seed is not None and environment is not Environment.LOCAL:
            self.faults.append(
                f"CHAOS_SEED is '{chaos.seed}': expected only in LOCAL, because it breaks connections on purpose"
            )
        return chaos

    def _jwt(self, environment: Environment, var_dir: Path) -> Jwt:
        jwt = Jwt(**self._chosen(Jwt))
        if "JWT_SECRET_KEY" in self.unreadable:
            return jwt
        if environment is Environment.LOCAL:
            if jwt.secret or self.faults:
                return jwt
            return evolve(jwt, secret=self._kept_secret(var_dir))
        expected = f"expected at least {SHORTEST_SECRET} random bytes, as `openssl rand -hex 32` makes them"
        if not jwt.secret:
            self.faults.append(f"JWT_SECRET_KEY is not set: {expected}")
        elif len(jwt.secret.encode()) < SHORTEST_SECRET:
            self.faults.append(f"JWT_SECRET_KEY is too short: {expected}")
        elif jwt.secret.lower() in KNOWN_SECRETS or len(set(jwt.secret)) < FEWEST_CHARACTERS:
            self.faults.append(f"JWT_SECRET_KEY is known to everybody: {expected}")
        return jwt

    def _kept_secret(self, var_dir: Path) -> str:
        file = var_dir / "secrets" / "jwt_secret_key"
        try:
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not file.exists():
                new = file.with_name(f"{file.name}.{os.getpid()}")
                with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
                    out.write(secrets.token_urlsafe(48))
                with suppress(
                    FileExistsError
                ):  # atomic: of two processes that start at once, one creates the file
                    file.hardlink_to(new)
                new.unlink()
            kept = file.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            self.faults.append(
                f"VAR_DIR is '{var_dir}': {file} cannot be used: {error.strerror if isinstance(error, OSError) else error}"
            )
            return ""
        if len(kept) < SHORTEST_SECRET:
            self.faults.append(f"{file} is damaged: remove it, and a new secret is made")
        return kept


def _can_have_passkeys(public_url: str) -> bool:
    address = urlsplit(public_url)
    host = address.hostname or ""
    try:
        ip_address(host)
    except ValueError:
        return host == "localhost" or (address.scheme == "https" and bool(host))
    return False
