"""
Defines every setting: its name in the environment, its reader, and its default.

Settings that the original messenger had keep its names. `.env.sample` explains the same settings to operators, and a test
compares the two.
"""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from attrs import NOTHING, Attribute, field, fields, frozen

from application.notifications.deliver import DeliverDueLettersHandler
from config.settings import readers as read
from config.settings.readers import BusKind, Environment, Security
from domain.account import PasswordPattern
from domain.group_rules import WhoMayAdd
from domain.session import Lifetimes
from infrastructure.crypto.passwords import PooledPasswords
from infrastructure.gather import BatchLimits
from infrastructure.nats.updates import NatsUpdates
from infrastructure.oidc.registration import Registration
from infrastructure.postgres.replica import Replica
from infrastructure.smtp.mailer import MailServer
from interfaces.chaos.chance import Rates
from interfaces.http.node import HttpLimits
from interfaces.http.options import ApiInfo, HttpOptions
from interfaces.live.sync import SyncOptions
from interfaces.ws.options import SocketOptions

T = TypeVar("T")

HTTP: Final = fields(HttpOptions)
ABOUT: Final = fields(ApiInfo)
BATCH: Final = fields(BatchLimits)
LIMITS: Final = fields(HttpLimits)
SOCKET: Final = fields(SocketOptions)
SYNC: Final = fields(SyncOptions)
LIFETIMES: Final = fields(Lifetimes)
RATES: Final = fields(Rates)

DEVELOPMENT_ORIGIN: Final = "http://localhost:5173"
"""The address of a front end that is being developed. The original messenger allowed it by default."""

BASE: Final = "BASE"
"""Among the enabled modules, stands for the modules in `Modules.base`."""


def default_of(attribute: "Attribute[T]") -> T:
    """The default of an option, which is written only once, in the class that uses it."""
    if attribute.default is NOTHING:
        raise TypeError(f"{attribute.name} has no default")
    return attribute.default  # type: ignore[return-value]  # never a Factory in an option class


def _setting(name: str, read: Callable[[str], T], default: T, *, secret: bool = False) -> T:
    """Makes a field of a setting. The return type is that of the default, as mypy expects of attrs fields."""
    made: T = field(default=default, repr=not secret, metadata={"name": name, "read": read, "secret": secret})
    return made


@frozen(kw_only=True)
class Api:
    host: str = _setting("API_HOST", read.text, "0.0.0.0")  # noqa: S104 - as the original; `make run` binds to loopback
    port: int = _setting("API_SERVICE_PORT", read.whole(1, 65535), 8788)
    prefix: str = _setting("API_PREFIX", read.prefix, "")
    """Precedes every path, also in links, where it follows `API_PUBLIC_URL`."""

    workers: int = _setting("API_WORKERS", read.workers, 1)
    """Processes that share the port."""

    public_url: str = _setting("API_PUBLIC_URL", read.public_url, "http://localhost:8788")
    """The address under which people reach the messenger, for links in letters. Without a slash at the end."""

    confirmation_path: str = _setting("API_ROUTE_CONFIRM_PASSWORD", read.path, default_of(HTTP.confirm_path))
    """The page that the link in a confirmation letter opens. The setting has its name from the original messenger."""

    new_password_path: str = _setting(
        "API_ROUTE_SETUP_NEW_PASSWORD", read.path, default_of(HTTP.new_password_path)
    )
    """The page that the link in a letter for a forgotten password opens."""

    app_url: str = _setting("API_APP_URL", read.public_url, default_of(HTTP.app_url))
    """
    The address of the application that people use, to which our pages lead them on. If it is not set, that is the first of
    `API_CORS_ALLOWED_HOSTS` except its default; without that, in LOCAL the documentation, and elsewhere pages lead nowhere.
    """

    title: str = _setting("API_TITLE", read.text, default_of(ABOUT.title))
    description: str = _setting("API_DESCRIPTION", read.text, default_of(ABOUT.description))
    version: str = _setting("API_VERSION", read.text, default_of(ABOUT.version))
    contact_name: str = _setting("API_CONTACT_NAME", read.text, default_of(ABOUT.contact_name))
    contact_email: str = _setting("API_CONTACT_EMAIL", read.address, default_of(ABOUT.contact_email))
    """These five settings are shown in `/openapi.json`."""

    docs: bool = _setting("API_DOCS", read.flag, default=default_of(HTTP.docs))
    """Whether `/openapi.json` and its pages are served."""

    docs_path: str = _setting("API_DOC_PATH", read.page_path, default_of(HTTP.docs_path))
    web_client: bool = _setting("API_WEB_CLIENT", read.flag, default=default_of(HTTP.web_client))
    """True if the messenger serves the web client at `/app/` and `/chats/ui/`."""

    cors_origins: tuple[str, ...] = _setting("API_CORS_ALLOWED_HOSTS", read.origins, (DEVELOPMENT_ORIGIN,))
    allowed_hosts: tuple[str, ...] = _setting("API_ALLOWED_HOSTS", read.hosts, ())
    """Names that requests may have in `Host`, besides that of `public_url`, localhost and addresses; `*` allows any."""

    trusted_proxies: tuple[str, ...] = _setting("API_TRUSTED_PROXIES", read.networks, ())
    """Addresses and networks of proxies whose `Forwarded` or `X-Forwarded-For` is trusted."""

    hsts_seconds: int = _setting("API_HSTS_SECONDS", read.whole(0, 2 * 365 * 86400), 365 * 86400)
    """How long browsers must use HTTPS (Strict-Transport-Security). Only sent if `public_url` is HTTPS."""

    hsts_subdomains: bool = _setting(
        "API_HSTS_SUBDOMAINS", read.flag, default=default_of(HTTP.hsts_subdomains)
    )
    """True if that holds for all names below that of `public_url` as well, also where another server answers for one."""

    original_statuses: bool = _setting(
        "API_ORIGINAL_STATUSES", read.flag, default=default_of(HTTP.original_statuses)
    )
    body_limit: int = _setting(
        "API_BODY_LIMIT", read.whole(4096, 64 * 1024 * 1024), default_of(HTTP.body_limit)
    )
    """The greatest size of a request body, in bytes."""

    requests_per_account: int = _setting("API_REQUESTS_PER_ACCOUNT_AND_SECOND", read.whole(0, 1_000_000), 50)
    """Requests over HTTP and frames on sockets together; those beyond it wait (`interfaces.pace`). 0 means no limit."""

    sign_ins_per_network: int = _setting("API_SIGN_INS_PER_NETWORK_AND_SECOND", read.whole(0, 1_000_000), 5)
    """
    Sign-ins with a wrong password in a second. As many as are due in twenty seconds may be refused or under way at once; further
    ones wait. 0 means no limit.
    """

    shutdown_seconds: float = _setting("API_SHUTDOWN_SECONDS", read.seconds(0, 60), 2.0)
    """Within how many seconds the process ends after a signal to stop. Less than one counts as one."""

    drain_seconds: float = _setting("API_DRAIN_SECONDS", read.seconds(0, 300), 0.0)
    """How long new requests are still served after that signal, while `/readyz` already reports 503."""

    @property
    def public_path(self) -> str:
        return urlsplit(self.public_url).path

    @property
    def hosts(self) -> tuple[str, ...]:
        """All names that requests may have in `Host`; empty if any is allowed."""
        if "*" in self.allowed_hosts:
            return ()
        return (urlsplit(self.public_url).hostname or "", self.host, "localhost", *self.allowed_hosts)

    @property
    def secure_cookies(self) -> bool:
        return self.public_url.startswith("https:")


@frozen(kw_only=True)
class Connections:
    """The fields of `interfaces.http.node.HttpLimits`, which explains them."""

    head_seconds: float = _setting(
        "API_HEAD_SECONDS", read.seconds(0.1, 300), default_of(LIMITS.head_seconds)
    )
    body_seconds: float = _setting(
        "API_BODY_SECONDS", read.seconds(0.1, 3600), default_of(LIMITS.body_seconds)
    )
    idle_seconds: float = _setting(
        "API_KEEP_ALIVE_SECONDS", read.seconds(0.1, 3600), default_of(LIMITS.idle_seconds)
    )
    write_seconds: float = _setting(
        "API_WRITE_SECONDS", read.seconds(0.1, 3600), default_of(LIMITS.write_seconds)
    )
    head_bytes: int = _setting("API_HEAD_LIMIT", read.whole(1024, 1024 * 1024), default_of(LIMITS.head_bytes))
    headers: int = _setting("API_HEADERS_LIMIT", read.whole(10, 10_000), default_of(LIMITS.headers))
    chunks: int = _setting("API_CHUNKS_LIMIT", read.whole(1, 1_000_000), default_of(LIMITS.chunks))
    pipelined: int = _setting("API_PIPELINE_LIMIT", read.whole(1, 10_000), default_of(LIMITS.pipelined))
    bodies_bytes: int = _setting(
        "API_BODIES_LIMIT", read.whole(65536, 64 * 1024 * 1024 * 1024), default_of(LIMITS.bodies_bytes)
    )
    answers_bytes: int = _setting(
        "API_ANSWERS_LIMIT",
        read.whole(1024 * 1024, 64 * 1024 * 1024 * 1024),
        default_of(LIMITS.answers_bytes),
    )
    connections: int = _setting(
        "API_CONNECTIONS_LIMIT", read.whole(0, 1_000_000), default_of(LIMITS.connections)
    )
    connections_per_network: int = _setting(
        "API_CONNECTIONS_PER_NETWORK", read.whole(0, 1_000_000), default_of(LIMITS.connections_per_network)
    )
    requests_per_network: int = _setting(
        "API_REQUESTS_PER_NETWORK_AND_SECOND",
        read.whole(0, 1_000_000),
        default_of(LIMITS.requests_per_network),
    )


@frozen(kw_only=True)
class Database:
    url: str | None = _setting("DATABASE_URL", read.database_url, None, secret=True)
    """A URL for SQLAlchemy with psycopg, or None for the embedded PostgreSQL."""

    pool_size: int = _setting("DATABASE_POOL_SIZE", read.whole(2, 1000), 10)
    deadline: float = _setting("DATABASE_DEADLINE_SECONDS", read.seconds(0.1, 60), 5.0)
    """The longest time to wait for an answer of the database."""

    wait_seconds: float = _setting("DATABASE_WAIT_SECONDS", read.seconds(0, 3600), 15.0)
    """Seconds that a start waits for a database that does not answer yet."""

    replica_url: str | None = _setting("DATABASE_REPLICA_URL", read.database_url, None, secret=True)
    """A streaming replica of the database, for pages of history."""

    replica_patience: float = _setting(
        "DATABASE_REPLICA_PATIENCE_SECONDS",
        read.seconds(0.01, 10),
        default_of(fields(Replica).patience),
    )
    """The time in which a page must be read from the replica, the wait for it included. After that the primary is read."""

    divided: bool = _setting("DATABASE_DIVIDED", read.flag, False)
    """True if `messenger db distribute` has divided the tables over a Citus cluster. The URL names its coordinator then."""

    in_parts: bool = False
    """Whether the URL was made from the PG_SERVER_ settings."""


@frozen(kw_only=True)
class Bus:
    """The bus that carries updates between processes over one database."""

    kind: BusKind = _setting("BUS", read.bus_kind, BusKind.NONE)
    """If it is not set, NOTIFY for several workers and nothing for one."""

    database_url: str | None = _setting("BUS_DATABASE_URL", read.database_url, None, secret=True)
    """The same database past a pooler, for LISTEN and NOTIFY; None if `Database.url` leads to the database itself."""

    nats_servers: tuple[str, ...] = _setting("NATS_SERVERS", read.nats_servers, ())
    nats_user: str | None = _setting("NATS_USER", read.text, None)
    nats_password: str | None = _setting("NATS_PASSWORD", str, None, secret=True)
    nats_token: str | None = _setting("NATS_TOKEN", str, None, secret=True)
    nats_credentials: Path | None = _setting("NATS_CREDENTIALS_FILE", read.file, None)
    """A token and the seed of a key, as `nsc` writes them for a user. It is read again for each connection."""

    nats_ca: Path | None = _setting("NATS_CA_FILE", read.file, None)
    """The certificates of authorities that sign those of the servers, in PEM. If it is not set, those of the system."""

    nats_certificate: Path | None = _setting("NATS_CERT_FILE", read.file, None)
    nats_key: Path | None = _setting("NATS_KEY_FILE", read.file, None)
    """The messenger's own certificate and its key, for servers that ask for one."""

    nats_subject: str = _setting("NATS_SUBJECT", read.subject, default_of(fields(NatsUpdates).subject))


@frozen(kw_only=True)
class PgServer:
    """The settings by which the original messenger names its database."""

    login: str | None = _setting("PG_SERVER_LOGIN", read.text, None)
    password: str | None = _setting("PG_SERVER_PASSWD", str, None, secret=True)
    address: str | None = _setting("PG_SERVER_ADDRESS", read.text, None)
    port: int = _setting("PG_SERVER_PORT", read.whole(1, 65535), 5432)
    database: str | None = _setting("PG_SERVER_DB", read.text, None)
    dialect: str = _setting("PG_SERVER_DIALECT", read.one_of("POSTGRESQL"), "POSTGRESQL")


@frozen(kw_only=True)
class Jwt:
    secret: str = _setting("JWT_SECRET_KEY", str, "", secret=True)
    algorithm: str = _setting("JWT_ALG", read.one_of("HS256", "HS384", "HS512"), "HS256")
    issuer: str = _setting("JWT_ISSUER", read.text, "messenger")
    audience: str = _setting("JWT_AUDIENCE", read.text, "messenger")
    access_lifetime: timedelta = _setting(
        "JWT_ACCESS_TOKEN_EXPIRE_MINUTES",
        read.duration("minutes", 60 * 24 * 30),
        default_of(LIFETIMES.access),
    )
    refresh_lifetime: timedelta = _setting(
        "JWT_REFRESH_TOKEN_EXPIRE_DAYS", read.duration("days", 3650), default_of(LIFETIMES.refresh)
    )
    confirmation_lifetime: timedelta = _setting(
        "JWT_CONFIRMATION_TOKEN_EXPIRE_DAYS", read.duration("days", 365), timedelta(days=2)
    )


@frozen(kw_only=True)
class Mail:
    server: str | None = _setting("MAIL_SERVER", read.text, None)
    """None, which only LOCAL allows, if letters are written to files instead."""

    port: int = _setting("MAIL_PORT", read.whole(1, 65535), 465)
    security: Security = _setting("MAIL_SECURITY", read.security, Security.TLS)
    """If it is not set, port 465 means TLS from the first byte, and any other port STARTTLS."""

    username: str | None = _setting("MAIL_USERNAME", read.text, None)
    password: str | None = _setting("MAIL_PASSWORD", str, None, secret=True)
    from_email: str = _setting("MAIL_FROM_EMAIL", read.address, "messenger@localhost")
    from_name: str = _setting("MAIL_FROM_NAME", read.text, "Messenger")
    timeout: float = _setting("MAIL_TIMEOUT", read.seconds(0.1, 300), default_of(fields(MailServer).timeout))
    lease: timedelta = _setting(
        "MAIL_LEASE_SECONDS",
        read.duration("seconds", 3600),
        default_of(fields(DeliverDueLettersHandler).lease),
    )
    """How long a worker may take to send a letter before another worker takes it over."""

    at_once: int = _setting("MAIL_AT_ONCE", read.whole(1, 64), 4)
    """How many letters are sent at the same time."""


@frozen(kw_only=True)
class Auth:
    hashing_threads: int = _setting(
        "AUTH_HASHING_THREADS", read.whole(1, 64), default_of(fields(PooledPasswords).threads)
    )
    hashing_backlog: int = _setting(
        "AUTH_HASHING_BACKLOG", read.whole(1, 10_000), default_of(fields(PooledPasswords).backlog)
    )
    """How many passwords may wait to be hashed; as many again from devices that are known to their accounts."""

    hashing_share: int = _setting(
        "AUTH_HASHING_SHARE", read.whole(1, 10_000), default_of(fields(PooledPasswords).share)
    )
    """How many of them may be from one network, and how many for one account."""

    refresh_grace: timedelta = _setting(
        "AUTH_REFRESH_GRACE_SECONDS", read.duration("seconds", 60, least=0), default_of(LIFETIMES.grace)
    )
    """How long a used refresh token returns the same new pair again, for two tabs or a lost answer."""

    one_access_token: bool = _setting(
        "AUTH_ONE_ACCESS_TOKEN", read.flag, default_of(LIFETIMES.one_access_token)
    )
    """Whether refreshing ends the access token of before at once, as in the original messenger."""

    password_pattern: PasswordPattern = _setting(
        "AUTH_PASSWORD_PATTERN", read.password_pattern, PasswordPattern.LETTERS
    )
    old_password_needed: bool = _setting("AUTH_OLD_PASSWORD_NEEDED", read.flag, default=False)
    """True if a change of the password needs the old one. Clients of the original messenger do not send it."""

    proof_to_end_sessions: bool = _setting("AUTH_PROOF_TO_END_SESSIONS", read.flag, default=True)
    """True if ending other sessions of one's own takes the password or a passkey."""

    refuse_common_passwords: bool = _setting("AUTH_REFUSE_COMMON_PASSWORDS", read.flag, default=True)
    reset_lifetime: timedelta = _setting(
        "AUTH_RESET_LIFETIME_MINUTES", read.duration("minutes", 60 * 24 * 7), timedelta(hours=1)
    )
    """How long the link for a forgotten password works."""

    events_kept: int = _setting("AUTH_EVENTS_KEPT", read.whole(1, 10_000), 200)
    """The newest events of an account, such as sign-ins and changed passwords, are kept for its owner, up to this number."""

    events_for: timedelta = _setting("AUTH_EVENTS_DAYS", read.duration("days", 3650), timedelta(days=90))
    """Older events of accounts are removed."""

    failures: int = _setting("AUTH_WRONG_PASSWORDS_PER_HOUR", read.whole(0, 1_000_000), 30)
    """Wrong passwords for one account from one network. 0 means no limit, here and in the settings below."""

    failures_per_network: int = _setting(
        "AUTH_WRONG_PASSWORDS_PER_NETWORK_AND_HOUR", read.whole(0, 1_000_000), 300
    )
    """Wrong passwords from one network (an IPv4 address or an IPv6 /64), for any account."""

    failures_per_account: int = _setting(
        "AUTH_WRONG_PASSWORDS_PER_ACCOUNT_AND_HOUR", read.whole(0, 1_000_000), 100
    )
    """Wrong passwords for one account, from any network. Known devices of the account are not affected."""

    factor_key: str = _setting("AUTH_FACTOR_KEY", read.token, "", secret=True)
    """Encrypts the secrets of second factors. Without it nobody can set one up."""

    factor_issuer: str = _setting("AUTH_FACTOR_ISSUER", read.text, "Messenger")
    """The name under which applications for codes, and devices with passkeys, show the account."""

    access_tokens: int = _setting("AUTH_ACCESS_TOKENS", read.whole(0, 1000), 0)
    """An account may have this many access tokens for programs. With 0 nobody can make one; those that exist stay good."""

    access_token_lifetime: timedelta = _setting(
        "AUTH_ACCESS_TOKEN_LIFETIME_DAYS", read.duration("days", 3650), timedelta(days=365)
    )
    """For how long an access token for a program is good at most."""

    providers: tuple[Registration, ...] = _setting("AUTH_PROVIDERS", read.providers, (), secret=True)
    """Other providers through which people sign in (OpenID Connect), as a JSON list."""

    provider_seconds: float = _setting("AUTH_PROVIDER_SECONDS", read.seconds(0.1, 60), 10.0)
    """The time that all requests to a provider may take together in one step of a sign-in."""

    passkeys: int = _setting("AUTH_PASSKEYS", read.whole(0, 100), 0)
    """An account may have this many passkeys. With 0 there are none: nobody signs in by one."""

    begun_sign_ins: int = _setting("AUTH_BEGUN_SIGN_INS_PER_NETWORK_AND_HOUR", read.whole(0, 1_000_000), 300)
    """Sign-ins through providers and with passkeys that one network begins."""

    wrong_codes: int = _setting("AUTH_WRONG_CODES_PER_HOUR", read.whole(0, 1_000_000), 10)
    """Wrong codes of a second factor for one account; as many again from each device that the account knows."""

    letters_per_recipient: int = _setting("AUTH_LETTERS_PER_RECIPIENT_AND_HOUR", read.whole(0, 1_000_000), 10)
    letters_per_address: int = _setting("AUTH_LETTERS_PER_ADDRESS_AND_HOUR", read.whole(0, 1_000_000), 100)
    """Letters that are requested from one network."""

    notices_per_recipient: int = _setting("AUTH_NOTICES_PER_RECIPIENT_AND_HOUR", read.whole(0, 1_000_000), 5)
    """Letters of one kind that report something, such as a new device. Further ones are not sent."""

    most_sessions: int = _setting("AUTH_SESSIONS_PER_ACCOUNT", read.whole(0, 1_000_000), 100)
    """When an account signs in beyond this, its oldest session ends. 0 means no limit."""

    session_days: int = _setting("AUTH_SESSION_DAYS", read.whole(0, 36_500), 0)
    """For how many days a session lasts from its sign-in on, however often it is used. 0 means no limit."""

    status_per_address: int = _setting("AUTH_EMAIL_STATUS_PER_MINUTE", read.whole(0, 1_000_000), 120)


@frozen(kw_only=True)
class Chat:
    history_page: int = _setting("CHAT_HISTORY_PAGE", read.whole(1, 1000), default_of(HTTP.history_page))
    history_page_limit: int = _setting(
        "CHAT_HISTORY_PAGE_LIMIT", read.whole(1, 1000), default_of(HTTP.history_most)
    )
    min_message_interval: timedelta = _setting(
        "CHAT_MIN_MESSAGE_INTERVAL",
        lambda value: timedelta(seconds=read.seconds(0, 3600)(value)),
        timedelta(seconds=1),
    )
    send_backlog: int = _setting("CHAT_SEND_BACKLOG", read.whole(1, 1_000_000), default_of(BATCH.backlog))
    """Messages that may wait for their batch. Further ones are refused with `Overloaded`."""

    batch_messages: int = _setting("CHAT_BATCH_MESSAGES", read.whole(1, 5000), default_of(BATCH.batch))
    batch_messages_per_chat: int = _setting(
        "CHAT_BATCH_MESSAGES_PER_CHAT", read.whole(1, 5000), default_of(BATCH.per_key)
    )
    batch_bytes_per_chat: int = _setting(
        "CHAT_BATCH_BYTES_PER_CHAT", read.whole(65536, 16 * 1024 * 1024), default_of(BATCH.weight_per_key)
    )
    remembered: int = _setting("CHAT_REMEMBERED", read.whole(0, 1_000_000), 10_000)
    """
    Chats and authors that a process remembers, so that nothing is read before their next messages are stored. With 0 it
    remembers none.
    """

    purge_after: timedelta = _setting(
        "CHAT_PURGE_AFTER_DAYS", read.duration("days", 3650, least=0), timedelta(days=30)
    )
    """How long the messages of a deleted chat are kept. Clients cannot read them meanwhile."""

    most_members: int = _setting("CHAT_MEMBERS_MAX", read.whole(0, 10_000_000), 10_000)
    """Members of one group. 0 means no limit, here and in the next setting."""

    most_chats: int = _setting("CHAT_CHATS_MAX", read.whole(0, 10_000_000), 10_000)
    """Chats of one person."""

    who_may_add: WhoMayAdd = _setting("CHAT_WHO_MAY_ADD", read.who_may_add, WhoMayAdd.ANYONE)
    """Decides whether strangers may put a person into a group."""


def _limit(name: str, default: int) -> int:
    return _setting(f"LIMIT_{name}", read.whole(0, 100_000_000), default)


@frozen(kw_only=True)
class Limits:
    """
    How often one account, or one network (an IPv4 address or an IPv6 /64), may do something: as often at once, and as
    often again evenly over an hour or a minute. 0 means no limit. Networks have none where only accounts with a confirmed
    address may do it, because a whole company can be behind one network.
    """

    sign_ins: int = _limit("SIGN_INS_PER_ACCOUNT_AND_HOUR", 300)
    """Only those with the right password."""
    network_sign_ins: int = _limit("SIGN_INS_PER_NETWORK_AND_HOUR", 3000)
    network_sign_ups: int = _limit("SIGN_UPS_PER_NETWORK_AND_HOUR", 600)
    network_resets: int = _limit("RESETS_PER_NETWORK_AND_HOUR", 600)
    refreshes: int = _limit("REFRESHES_PER_SESSION_AND_HOUR", 600)
    network_refreshes: int = _limit("REFRESHES_PER_NETWORK_AND_HOUR", 0)
    sends: int = _limit("SENDS_PER_ACCOUNT_AND_MINUTE", 3000)
    network_sends: int = _limit("SENDS_PER_NETWORK_AND_MINUTE", 0)
    marks: int = _limit("MARKS_PER_ACCOUNT_AND_MINUTE", 3000)
    network_marks: int = _limit("MARKS_PER_NETWORK_AND_MINUTE", 0)
    typing: int = _limit("TYPING_PER_ACCOUNT_AND_MINUTE", 3000)
    network_typing: int = _limit("TYPING_PER_NETWORK_AND_MINUTE", 0)
    new_chats: int = _limit("NEW_CHATS_PER_ACCOUNT_AND_HOUR", 300)
    network_new_chats: int = _limit("NEW_CHATS_PER_NETWORK_AND_HOUR", 0)
    added_people: int = _limit("ADDED_PEOPLE_PER_ACCOUNT_AND_HOUR", 10_000)
    """People whom an account puts into groups."""
    network_added_people: int = _limit("ADDED_PEOPLE_PER_NETWORK_AND_HOUR", 0)
    searches: int = _limit("SEARCHES_PER_ACCOUNT_AND_MINUTE", 600)
    network_searches: int = _limit("SEARCHES_PER_NETWORK_AND_MINUTE", 0)
    connects: int = _limit("CONNECTS_PER_ACCOUNT_AND_MINUTE", 1200)
    """Sockets and event streams that are opened."""
    network_connects: int = _limit("CONNECTS_PER_NETWORK_AND_MINUTE", 0)
    syncs: int = _limit("SYNCS_PER_ACCOUNT_AND_MINUTE", 3000)
    network_syncs: int = _limit("SYNCS_PER_NETWORK_AND_MINUTE", 0)


@frozen(kw_only=True)
class Socket:
    auth_seconds: float = _setting("WS_AUTH_SECONDS", read.seconds(0.1, 300), default_of(SOCKET.auth_timeout))
    frame_limit: int = _setting(
        "WS_FRAME_LIMIT", read.whole(1024, 16 * 1024 * 1024), default_of(SOCKET.max_message_bytes)
    )
    """The greatest size of an incoming message, in bytes."""

    per_session: int = _setting("WS_PER_SESSION", read.whole(0, 1_000_000), default_of(SOCKET.per_session))
    per_account: int = _setting("WS_PER_ACCOUNT", read.whole(0, 1_000_000), default_of(SOCKET.per_account))
    per_network: int = _setting("WS_PER_NETWORK", read.whole(0, 1_000_000), default_of(SOCKET.per_network))
    """Sockets and event streams at once of one session, account and network; 0 means no limit."""

    outbox_frames: int = _setting(
        "WS_OUTBOX_FRAMES", read.whole(8, 100_000), default_of(SOCKET.outbox_frames)
    )
    outbox_bytes: int = _setting(
        "WS_OUTBOX_BYTES", read.whole(65536, 64 * 1024 * 1024), default_of(SOCKET.outbox_bytes)
    )
    gap_percent: int = _setting("WS_GAP_PERCENT", read.whole(50, 100), default_of(SOCKET.gap_percent))
    """Above this share of both limits, messages that wait on a socket of all chats are replaced by gaps."""

    node_outbox_bytes: int = _setting(
        "WS_NODE_OUTBOX_BYTES", read.whole(1024 * 1024, 2**40), default_of(SOCKET.node_outbox_bytes)
    )
    node_tail_bytes: int = _setting(
        "WS_NODE_TAIL_BYTES", read.whole(0, 2**40), default_of(SOCKET.node_tail_bytes)
    )
    """Recent events of chats, kept in memory for clients that come back; 0 keeps none."""

    pending_sends: int = _setting("WS_PENDING_SENDS", read.whole(1, 10_000), default_of(SOCKET.pending_sends))
    waiting_frames: int = _setting(
        "WS_WAITING_FRAMES", read.whole(1, 10_000), default_of(SOCKET.waiting_frames)
    )
    waiting_bytes: int = _setting(
        "WS_WAITING_BYTES", read.whole(4096, 64 * 1024 * 1024), default_of(SOCKET.waiting_bytes)
    )
    node_waiting_bytes: int = _setting(
        "WS_NODE_WAITING_BYTES", read.whole(1024 * 1024, 2**40), default_of(SOCKET.node_waiting_bytes)
    )
    message_seconds: float = _setting(
        "WS_MESSAGE_SECONDS", read.seconds(0.1, 3600), default_of(SOCKET.message_timeout)
    )
    entering: int = _setting("WS_ENTERING", read.whole(1, 10_000), default_of(SOCKET.entering))
    entry_seconds: float = _setting(
        "WS_ENTRY_SECONDS", read.seconds(0.1, 300), default_of(SOCKET.entry_timeout)
    )
    """A socket that waits longer is closed with 1013 (try again later)."""

    chats_page: int = _setting("WS_CHATS_PAGE", read.whole(1, 1000), default_of(SOCKET.chats_page))
    cursor_seconds: int = _setting(
        "WS_CURSOR_SECONDS", read.whole(1, 3600), default_of(SOCKET.cursor_interval)
    )
    typing_interval_seconds: float = _setting(
        "WS_TYPING_INTERVAL_SECONDS", read.seconds(0.1, 60), default_of(SOCKET.typing_interval)
    )
    typing_expiry_seconds: float = _setting(
        "WS_TYPING_EXPIRY_SECONDS", read.seconds(1, 300), default_of(SOCKET.typing_expiry)
    )
    presence_seconds: float = _setting(
        "WS_PRESENCE_SECONDS", read.seconds(0, 300), default_of(SOCKET.presence_pause)
    )
    """Seconds for which a person is still shown as online after their last client has disconnected."""

    watched_profiles: int = _setting(
        "WS_WATCHED_PROFILES", read.whole(0, 1000), default_of(SOCKET.watched_profiles)
    )
    heartbeat_seconds: float = _setting(
        "WS_HEARTBEAT_SECONDS", read.seconds(1, 3600), default_of(SOCKET.heartbeat_interval)
    )
    pong_seconds: float = _setting("WS_PONG_SECONDS", read.seconds(1, 3600), default_of(SOCKET.pong_timeout))
    """How long the answer to a ping may take before the socket is closed."""


@frozen(kw_only=True)
class Sync:
    frames: int = _setting("SYNC_FRAMES", read.whole(1, 100_000), default_of(SYNC.frames_most))
    """The most frames of one answer of `/sync/`, and their bytes."""
    bytes: int = _setting("SYNC_BYTES", read.whole(4096, 64 * 1024 * 1024), default_of(SYNC.bytes_most))
    wait_seconds: float = _setting("SYNC_WAIT_SECONDS", read.seconds(0, 600), default_of(SYNC.wait_most))
    """The most seconds that a request to `/sync/` may wait for news."""


@frozen(kw_only=True)
class Modules:
    enabled: tuple[str, ...] = _setting("MODULES_SECTION_ENABLED_MODULES", read.modules, ("BASE",))
    base: tuple[str, ...] = _setting(
        "MODULES_SECTION_BASE_MODULES", read.module_list, ("healthcheck", "auth", "base", "chat")
    )
    """The modules that BASE stands for."""

    @property
    def wanted(self) -> tuple[str, ...]:
        """Each module once, in the order of their routes. The modules of BASE come last, as in the original messenger."""
        named = [name for name in self.enabled if name != BASE]
        return tuple(dict.fromkeys([*named, *(self.base if BASE in self.enabled else ())]))


@frozen(kw_only=True)
class Operation:
    """Health checks and metrics."""

    detailed_health: bool = _setting("HEALTH_CHECK_DETAILED", read.flag, default=False)
    check_seconds: float = _setting("HEALTH_CHECK_TIMEOUT", read.seconds(0.1, 60), 5.0)
    """How long each check of the detailed health check may take."""

    metrics_port: int | None = _setting("METRICS_PORT", read.whole(1, 65535), None)
    """A port that serves only `/metrics`, without a token; None if there is no such port."""

    metrics_host: str = _setting("METRICS_HOST", read.text, "127.0.0.1")
    metrics_token: str | None = _setting("METRICS_TOKEN", read.token, None, secret=True)
    """If set, `/metrics` is also on the messenger's own port, for clients with this bearer token."""


@frozen(kw_only=True)
class Chaos:
    """The chaos switch, for LOCAL only. The rates are the fields of `interfaces.chaos.chance.Rates`, which explains them."""

    seed: int | None = _setting("CHAOS_SEED", read.whole(0, 2**63 - 1), None)
    """Everything that goes wrong is a function of it; None if nothing does."""

    drops: float = _setting("CHAOS_DROPS", read.share, default_of(RATES.drops))
    tears: float = _setting("CHAOS_TEARS", read.share, default_of(RATES.tears))
    delays: float = _setting("CHAOS_DELAYS", read.share, default_of(RATES.delays))
    delay_seconds: float = _setting(
        "CHAOS_DELAY_SECONDS", read.seconds(0, 60), default_of(RATES.delay_seconds)
    )
    repeats: float = _setting("CHAOS_REPEATS", read.share, default_of(RATES.repeats))
    resets: float = _setting("CHAOS_RESETS", read.share, default_of(RATES.resets))
    lost_answers: float = _setting("CHAOS_LOST_ANSWERS", read.share, default_of(RATES.lost_answers))


@frozen(kw_only=True)
class Log:
    level: str = _setting(
        "LOG_LEVEL", read.one_of("NOTSET", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"), "INFO"
    )
    probes: bool = _setting("LOG_PROBES", read.flag, False)
    """Whether requests of health checks and scrapers are logged."""


@frozen(kw_only=True)
class Settings:
    environment: Environment = _setting("ENVIRONMENT", read.environment, Environment.PROD)
    var_dir: Path = _setting("VAR_DIR", read.folder, Path("var"))
    """The folder for everything that the messenger writes to disk."""

    allow_example_people: bool = _setting("ALLOW_EXAMPLE_PEOPLE", read.flag, default=False)
    """Whether to start in PROD on a database with example people, whose password is public."""

    api: Api = Api()
    connections: Connections = Connections()
    database: Database = Database()
    bus: Bus = Bus()
    jwt: Jwt = Jwt()
    mail: Mail = Mail()
    auth: Auth = Auth()
    chat: Chat = Chat()
    limits: Limits = Limits()
    socket: Socket = Socket()
    sync: Sync = Sync()
    modules: Modules = Modules()
    operation: Operation = Operation()
    log: Log = Log()
    chaos: Chaos = Chaos()

    @property
    def local(self) -> bool:
        return self.environment is Environment.LOCAL


def groups_of_settings() -> dict[str, type[Any]]:
    """Returns the groups, by the names of their fields in `Settings`."""
    return {each.name: type(each.default) for each in fields(Settings) if "name" not in each.metadata}


def _all_fields() -> Iterator["Attribute[Any]"]:
    groups = (
        Settings,
        Api,
        Connections,
        Database,
        Bus,
        PgServer,
        Jwt,
        Mail,
        Auth,
        Chat,
        Limits,
        Socket,
        Sync,
        Modules,
        Operation,
        Log,
        Chaos,
    )
    return (each for group in groups for each in fields(group) if "name" in each.metadata)


def names() -> list[str]:
    """The names of all settings."""
    return [each.metadata["name"] for each in _all_fields()]


def secret_names() -> list[str]:
    """The names of the settings whose values are secret."""
    return [each.metadata["name"] for each in _all_fields() if each.metadata["secret"]]
