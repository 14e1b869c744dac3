"""Parses database URLs into connection parameters for libpq."""

import re
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import quote, unquote

from attrs import field, frozen
from psycopg import pq

SCHEMES: Final = ("postgresql", "postgres", "postgresql+psycopg")

ADDRESS_EXPECTED: Final = "an address like postgresql://user:password@host:5432/database"

CONNECT_SECONDS: Final = "3"
"""How long one attempt to connect to one host may take, unless the URL says otherwise."""

KNOWN: Final = frozenset(option.keyword.decode() for option in pq.Conninfo.get_defaults())

DEFAULTS: Final = {
    "application_name": "messenger",
    "client_encoding": "UTF8",
    "connect_timeout": CONNECT_SECONDS,
    "options": "",
}
"""Parameters of a connection that a URL may override."""

STATED: Final = {"client_encoding": "UTF8"}
"""Parameters that a URL cannot override."""

DEFAULT_SCHEMA: Final = "public"

_PLACE: Final = re.compile(r"(?:\[(?P<bracketed>[^\]]*)\]|(?P<host>[^:/]*))(?::(?P<port>[^:]*))?")
"""A host with an optional port. Folders and IPv6 addresses without brackets do not match and are used as they are."""

_SEARCH_PATH: Final = re.compile(r"(?:^|\s)(?:-c\s*|--)search_path=((?:\\.|\S)+)")


@frozen
class Target:
    """
    The parameters of a connection, password included.

    Nothing that decides what is stored comes from the environment: an empty ``options`` keeps libpq from reading
    ``PGOPTIONS``, and ``client_encoding`` from reading ``PGCLIENTENCODING``.
    """

    parameters: Mapping[str, str] = field(repr=False)

    @classmethod
    def of(cls, *, user: str, password: str | None, host: str, port: int, database: str) -> "Target":
        """Makes a target from parts that are not percent-encoded. ``host`` may be a Unix socket folder or several hosts."""
        parts = {
            "user": user,
            "password": password or "",
            "host": host,
            "port": str(port),
            "dbname": database,
        }
        return cls(_stated({name: value for name, value in parts.items() if value}))

    @property
    def url(self) -> str:
        """The URL of this target, password included. SQLAlchemy accepts it, and `parse` reads the same parameters from it."""
        given = {name: value for name, value in self.parameters.items() if DEFAULTS.get(name) != value}
        place = quote(given.pop("user", ""), safe="")
        if password := given.pop("password", ""):
            place += f":{quote(password, safe='')}"
        place += "@" if place else ""
        if not re.search("[/,:]", given.get("host", "/")):
            place += given.pop("host")
            place += f":{given.pop('port')}" if "port" in given else ""
        database = quote(given.pop("dbname", ""), safe="")
        query = "&".join(f"{name}={quote(value, safe=',')}" for name, value in sorted(given.items()))
        return f"postgresql+psycopg://{place}/{database}" + (f"?{query}" if query else "")

    @property
    def label(self) -> str:
        """User, host, port and database in the form of a URL, for people: nothing is encoded, and no password is shown."""
        shown = {name: self.parameters.get(name, "") for name in ("user", "host", "port", "dbname")}
        user = f"{shown['user']}@" if shown["user"] else ""
        port = f":{shown['port']}" if shown["port"] else ""
        return f"postgresql://{user}{shown['host']}{port}/{shown['dbname']}"

    @property
    def libpq(self) -> Mapping[str, str]:
        """
        The parameters for libpq. The search path is not among them, as it is set on each connection: PgBouncer accepts no
        ``options``.
        """
        return {**self.parameters, "options": _SEARCH_PATH.sub("", self.parameters["options"]).strip()}

    @property
    def schema(self) -> str:
        """The search path from ``options`` in the URL, or `DEFAULT_SCHEMA`."""
        found = _SEARCH_PATH.search(self.parameters["options"])
        return found[1].replace("\\", "") if found else DEFAULT_SCHEMA


def parse(url: str) -> Target:
    """
    Reads ``postgresql://user:password@host:port/database?parameter=value``.

    As in libpq, there may be several hosts, separated by commas, and a host may be a folder with a Unix socket, its slashes
    written as ``%2F``. As in SQLAlchemy, hosts may also be given as ``?host=`` parameters, which may be repeated and may
    each have a port. Every part may be percent-encoded; spaces need not be.

    Raises:
        ValueError: This is not such a URL. The message says what was expected and repeats nothing of the URL.
    """
    scheme, found, rest = url.partition("://")
    if not found or scheme not in SCHEMES:
        raise ValueError(ADDRESS_EXPECTED)
    rest, _, query = rest.partition("?")
    authority, _, database = rest.partition("/")
    login, _, hosts = authority.rpartition("@")
    user, _, password = login.partition(":")
    asked = [(name, unquote(value)) for name, _, value in map(_pair, filter(None, query.split("&")))]
    parameters = {"user": unquote(user), "password": unquote(password), "dbname": unquote(database)}
    parameters |= _places(hosts.split(","))
    parameters |= dict(asked)
    parameters |= _places(
        [quote(one, safe="/:[]") for name, value in asked if name == "host" for one in value.split(",")]
    )
    return Target(_stated({name: value for name, value in parameters.items() if value}))


def _pair(text: str) -> tuple[str, str, str]:
    return text.partition("=")


def _places(hosts: Sequence[str]) -> dict[str, str]:
    """Returns ``host`` and ``port`` in the form that libpq expects, from hosts of which each may have a port."""
    if not any(hosts):
        return {}
    split = [_PLACE.fullmatch(host) for host in hosts]
    names = [
        unquote((found["bracketed"] or found["host"]) if found else host)
        for found, host in zip(split, hosts, strict=True)
    ]
    ports = [(found["port"] or "") if found else "" for found in split]
    return {"host": ",".join(names)} | ({"port": ",".join(ports)} if any(ports) else {})


def _stated(parameters: Mapping[str, str]) -> Mapping[str, str]:
    if unknown := sorted(parameters.keys() - KNOWN):
        raise ValueError(f"only parameters that PostgreSQL knows, and it does not know {unknown[0]!r}")
    if any("\0" in value for value in parameters.values()):
        raise ValueError("an address without NUL characters")
    _check_ports(parameters.get("port", ""))
    several = "," in parameters.get("host", "")
    return {
        **DEFAULTS,
        **({"target_session_attrs": "read-write"} if several else {}),
        **parameters,
        **STATED,
    }


def _check_ports(ports: str) -> None:
    for port in filter(None, ports.split(",")):
        if not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65535):
            raise ValueError("a port from 1 to 65535")
