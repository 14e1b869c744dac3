"""
Checks of texts that anybody may send take work in proportion to their length. The work is counted in calls, which are the
same on every machine.
"""

import sys
from collections.abc import Callable
from typing import Any, Final

import pytest
from starlette.datastructures import Headers

from domain.account import Email, Password
from domain.chat import About
from domain.errors import Invalid
from domain.message import Body, Nonce
from domain.profile import Name, Phone, Username
from domain.session import Fingerprint, Origin
from interfaces.http.accept import preferred_language, quality
from interfaces.http.hosts import name_of
from interfaces.http.proxies import hops
from interfaces.wire.decoding import NotJson, decode
from interfaces.wire.faults import InvalidValue
from interfaces.wire.values import identity


def header(name: str, text: str) -> Headers:
    """Headers are bytes, which clients choose."""
    return Headers(raw=[(name.encode(), text.encode())])


CHECKS: Final[dict[str, Callable[[str], object]]] = {
    "address": lambda text: Email(text).mailbox(),
    "password": Password,
    "name": Name,
    "username": lambda text: Username(text).claims,
    "phone": Phone,
    "message": Body,
    "nonce": Nonce,
    "fingerprint": Fingerprint,
    "chat": lambda text: About(text, text),
    "origin": lambda text: Origin(user_agent=text, address=text).network,
    "id": identity,
    "JSON": decode,
    "Host": name_of,
    "Forwarded": lambda text: hops(header("forwarded", text)),
    "X-Forwarded-For": lambda text: hops(header("x-forwarded-for", text)),
    "Accept": lambda text: quality(header("accept", text), "text/html"),
    "Accept-Language": lambda text: preferred_language(header("accept-language", text), ("en", "ru")),
}

PIECES: Final = (
    *(
        "a",
        "@",
        "a.",
        "!",
        "é",
        "İ",
        "e\u0301",
        " ",
        "\u202e",
        "+1",
        "\U0001f468\u200d",
        "{",
        "[",
        '"a",',
        '{"a":',
    ),
    *("for=a,", '"', ";q=", '\\"', ", ", 'for="[::1]"; ', "*/*;q=0.1,", "=", "a-", "1" * 5),
)

REFUSALS: Final = (Invalid, NotJson, InvalidValue)

SHORT, LONG = 500, 4000


def calls(check: Callable[[str], object], text: str) -> int:
    """Count the calls of Python and C functions that a check makes, whatever comes of it."""
    count = 0

    def profile(_: Any, event: str, __: Any) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    sys.setprofile(profile)
    try:
        check(text)
    except REFUSALS:  # as good as an answer
        pass
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("name", CHECKS)
def test_work_grows_no_faster_than_the_text(name: str) -> None:
    check = CHECKS[name]
    for piece in PIECES:
        short, long = (calls(check, piece * size) for size in (SHORT, LONG))
        assert long <= short * (LONG / SHORT) * 1.5 + 100, repr(piece)


@pytest.mark.parametrize(
    "text",
    [
        "a" * 100_000 + "@" + "b" * 3000,
        "@" * 100_000,
        "a." * 50_000 + "@example.com",
        "İ" * 100_000 + "@b.ru",
    ],
)
def test_an_endless_address_costs_hardly_anything(text: str) -> None:
    assert calls(CHECKS["address"], text) < 50


def test_an_endless_username_is_not_normalized() -> None:
    assert calls(CHECKS["username"], "İ" * 100_000) < 50


def test_what_takes_quadratic_work_is_found() -> None:
    def quadratic(text: str) -> None:
        for index in range(len(text)):
            text[:index].count("a")
            for _ in range(index // 50):
                len(text)

    short, long = calls(quadratic, "a" * SHORT), calls(quadratic, "a" * LONG)
    assert long > short * (LONG / SHORT) * 1.5 + 100
