"""Readers turn the text of a setting into a value. Each one raises `Unfit` with what was expected."""

import json
import os
import re
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, urlsplit

import idna

from application.ports.providers import ProviderInfo
from domain.account import PasswordPattern
from domain.group_rules import WhoMayAdd
from infrastructure.oidc.registration import Registration
from infrastructure.postgres.driver.target import ADDRESS_EXPECTED, parse
from interfaces.http.addresses import Networks

MOST_WORKERS: Final = 256

SHORTEST_TOKEN: Final = 16
"""In characters."""


class Environment(Enum):
    PROD = "PROD"
    DEV = "DEV"
    LOCAL = "LOCAL"


class BusKind(Enum):
    """The bus between processes."""

    NONE = "none"
    NOTIFY = "notify"
    NATS = "nats"


class Security(Enum):
    """How the connection to the mail server is protected."""

    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


PASSWORD_EXPRESSIONS: Final = {
    "^(?=.*[a-zа-яА-Я])(?=.*[A-Zа-яА-Я]).{8,}$": PasswordPattern.LETTERS,
    "^.{8,}$": PasswordPattern.LENGTH,
}
"""The meaning of the regular expressions that the original messenger's installations use."""


class Unfit(Exception):
    """The text of a setting is wrong. The message says what was expected instead."""


_USUAL_PORT: Final = {"http": 80, "https": 443}
_HOST: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?")


def text(value: str) -> str:
    if not value.isprintable():
        raise Unfit("one line of text")
    return value


def whole(least: int, most: int) -> Callable[[str], int]:
    def read(value: str) -> int:
        if not (value.isascii() and value.isdecimal() and len(value) < 20 and least <= int(value) <= most):
            raise Unfit(f"a whole number from {least} to {most}")
        return int(value)

    return read


def seconds(least: float, most: float) -> Callable[[str], float]:
    def read(value: str) -> float:
        try:
            number = float(value)
        except ValueError:
            number = float("nan")
        if not least <= number <= most:
            raise Unfit(f"seconds from {least:g} to {most:g}")
        return number

    return read


def workers(value: str) -> int:
    if value.lower() == "auto":
        return len(os.sched_getaffinity(0))
    try:
        return whole(1, MOST_WORKERS)(value)
    except Unfit as expected:
        raise Unfit(f"{expected}, or auto") from None


def share(value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = float("nan")
    if not 0 <= number <= 1:
        raise Unfit("a share from 0 to 1")
    return number


def duration(unit: str, most: int, least: int = 1) -> Callable[[str], timedelta]:
    def read(value: str) -> timedelta:
        return timedelta(**{unit: whole(least, most)(value)})

    return read


def flag(value: str) -> bool:
    match value.lower():
        case "true" | "yes" | "on" | "1":
            return True
        case "false" | "no" | "off" | "0":
            return False
        case _:
            raise Unfit("true or false")


def one_of(*words: str) -> Callable[[str], str]:
    def read(value: str) -> str:
        if value.upper() not in words:
            raise Unfit(", ".join(words[:-1]) + f" or {words[-1]}" if len(words) > 1 else words[0])
        return value.upper()

    return read


def environment(value: str) -> Environment:
    return Environment(one_of("PROD", "DEV", "LOCAL")(value))


def bus_kind(value: str) -> BusKind:
    if value.lower() not in {each.value for each in BusKind}:
        raise Unfit("none, notify or nats")
    return BusKind(value.lower())


def nats_servers(value: str) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(filter(None, re.split(r"[,\s]+", value))))
    for each in found:
        if not re.fullmatch(r"(nats|tls)://([\w.-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?", each):
            raise Unfit("addresses like nats://host:4222 or tls://host:4222, separated by commas")
    return found


def subject(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*", value):
        raise Unfit("letters, digits, - and _, in parts that are separated by dots")
    return value


def file(value: str) -> Path:
    with suppress(ValueError, OSError, RuntimeError):  # no path can be so, or there is no such home
        path = Path(value).expanduser()
        if path.is_file():
            return path.absolute()
    raise Unfit("a file that can be read")


def security(value: str) -> Security:
    if value.lower() not in {"starttls", "tls", "none"}:
        raise Unfit("starttls, tls or none")
    return Security(value.lower())


def who_may_add(value: str) -> WhoMayAdd:
    if value.lower() not in set(WhoMayAdd):
        raise Unfit("anyone, shared_chat or nobody")
    return WhoMayAdd(value.lower())


def password_pattern(value: str) -> PasswordPattern:
    # Regular expressions are not run: one that backtracks could take forever on a password that anybody can send. The
    # usual ones are recognised instead.
    known = PASSWORD_EXPRESSIONS.get(value)
    if known is not None:
        return known
    try:
        return PasswordPattern(value.lower())
    except ValueError:
        raise Unfit(", ".join(PasswordPattern) + " or the original messenger's expression") from None


def folder(value: str) -> Path:
    try:
        return Path(text(value)).expanduser().absolute()
    except RuntimeError:  # the home of an unknown user, such as ~nobody
        raise Unfit("a folder") from None


def public_url(value: str) -> str:
    """
    The address as browsers write it: scheme and host in small letters, the host in ASCII (``xn--...``), the usual port left
    out. Without a slash at the end.
    """
    expected = "an address like https://chat.example.com, without query"
    try:
        parts = urlsplit(value)
        sound = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        raise Unfit(expected) from None
    if (
        not sound
        or parts.query
        or parts.fragment
        or parts.username
        or " " in value
        or not value.isprintable()
    ):
        raise Unfit(expected)
    host = _in_ascii(parts.hostname or "", expected).removesuffix(".")
    if not host:
        raise Unfit(expected)
    return f"{parts.scheme}://{_netloc(parts, host)}{parts.path}".rstrip("/")


def _netloc(parts: SplitResult, host: str) -> str:
    name = f"[{host}]" if ":" in host else host
    return name if parts.port in {None, _USUAL_PORT[parts.scheme]} else f"{name}:{parts.port}"


def _in_ascii(host: str, expected: str) -> str:
    """Returns the name as it is asked for in DNS and written in headers."""
    if host.isascii():
        return host.lower()
    try:
        return idna.encode(host, uts46=True).decode("ascii").lower()
    except idna.IDNAError:
        raise Unfit(expected) from None


def origins(value: str) -> tuple[str, ...]:
    """Origins as browsers write them, see `public_url`."""
    found = []
    for origin in words(value):
        if origin == "*":
            raise Unfit("origins by name: browsers send no cookies to a server that allows everybody")
        found.append(public_url(origin))
        if urlsplit(origin).path:
            raise Unfit("origins like http://localhost:5173, separated by commas")
    return tuple(found)


def hosts(value: str) -> tuple[str, ...]:
    """Names of hosts in ASCII and without ports, or ``*``."""
    expected = "names like chat.example.com, without ports, separated by commas, or *"
    names = tuple(_in_ascii(name, expected) for name in words(value))
    for name in names:
        if name != "*" and not _HOST.fullmatch(name):
            raise Unfit(expected)
    return names


def words(value: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in value.split(",") if word.strip())


def modules(value: str) -> tuple[str, ...]:
    """Names of modules. The original messenger's ending ``_module`` is left out."""
    names = tuple(name.removesuffix("_module") for name in words(value))
    if any(not name.isprintable() for name in names):
        raise Unfit("names of modules, separated by commas")
    return names


def module_list(value: str) -> tuple[str, ...]:
    """Names of modules as a JSON list, as in the original messenger, or separated by commas."""
    try:
        names = json.loads(value) if value.startswith("[") else list(words(value))
    except ValueError:
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise Unfit('names of modules, as ["auth_module", "chat_module"]')
    return modules(",".join(names))


def networks(value: str) -> tuple[str, ...]:
    names = words(value)
    try:
        Networks.of(names)
    except ValueError:
        raise Unfit("addresses or networks like 10.0.0.0/8, separated by commas") from None
    return names


def token(value: str) -> str:
    if len(value) < SHORTEST_TOKEN or not value.isascii() or not value.isprintable() or " " in value:
        raise Unfit(f"at least {SHORTEST_TOKEN} random characters, as `openssl rand -hex 32` makes them")
    return value


def prefix(value: str) -> str:
    if not re.fullmatch(r"(?:/[A-Za-z0-9._~-]+)+", value.rstrip("/")):
        raise Unfit("a path like /api")
    return value.rstrip("/")


def path(value: str) -> str:
    if not value.startswith("/") or not value.isprintable() or any(mark in value for mark in " ?#"):
        raise Unfit("a path like /confirm-email")
    return value


def page_path(value: str) -> str:
    if value.endswith("/") or any(mark in path(value) for mark in "{}"):
        raise Unfit("a path like /docs, without a slash at its end")
    return value


def address(value: str) -> str:
    local, at, host = value.rpartition("@")
    if not (local and at and host) or not value.isprintable() or any(mark in value for mark in " <>,;\"'"):
        raise Unfit("one e-mail address")
    return value


def database_url(value: str) -> str:
    try:
        target = parse(value)
    except ValueError as why:
        raise Unfit(str(why)) from None
    if "dbname" not in target.parameters:
        raise Unfit(ADDRESS_EXPECTED)
    return target.url


_PROVIDER_ID: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_PROVIDER_TEXTS: Final = ("id", "name", "issuer", "client_id", "client_secret", "scope")
_PROVIDER_NEEDED: Final = ("id", "issuer", "client_id")
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


def providers(value: str) -> tuple[Registration, ...]:
    """Reads providers of identities. The value is secret, so what is wrong is said without repeating any of it."""
    try:
        given = json.loads(value)
    except ValueError:
        given = None
    if not isinstance(given, list):
        raise Unfit("a JSON list of objects, each with id, issuer and client_id")
    read = tuple(_provider(each, number) for number, each in enumerate(given, 1))
    for named in ("id", "issuer"):
        if len({getattr(each.info, named) for each in read}) < len(read):
            raise Unfit(f"providers of which no two have the same {named}")
    return read


def _provider(given: object, number: int) -> Registration:
    which = f"provider {number} to have"
    if not isinstance(given, dict) or not given.keys() <= {*_PROVIDER_TEXTS, "trusts_email"}:
        raise Unfit(f"{which} no other members than {', '.join(_PROVIDER_TEXTS)} and trusts_email")
    texts = {name: given.get(name, "") for name in _PROVIDER_TEXTS}
    for name, each in texts.items():
        if not isinstance(each, str) or not each.isprintable():
            raise Unfit(f"{which} one line of text as its {name}")
        if name in _PROVIDER_NEEDED and not each:
            raise Unfit(f"{which} {name}")
    if not _PROVIDER_ID.fullmatch(texts["id"]):
        raise Unfit(f"{which} an id of at most 32 small letters a-z, digits and dashes")
    if not _is_issuer(texts["issuer"]):
        raise Unfit(f"{which} an https address without query as its issuer (http only on this machine)")
    scope = texts["scope"] or "openid email"
    if "openid" not in scope.split():
        raise Unfit(f"{which} openid in its scope")
    if not isinstance(trusts_email := given.get("trusts_email", False), bool):
        raise Unfit(f"{which} true or false as trusts_email")
    info = ProviderInfo(
        id=texts["id"],
        name=texts["name"] or texts["id"],
        issuer=texts["issuer"],
        trusts_email=trusts_email,
    )
    return Registration(
        info=info, client_id=texts["client_id"], client_secret=texts["client_secret"], scope=scope
    )


def _is_issuer(text: str) -> bool:
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    is_plain = not (parts.query or parts.fragment or parts.username or "?" in text or "#" in text)
    is_encrypted = parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK)
    return bool(host) and is_plain and is_encrypted
