"""Headers of every answer of every route: what browsers and caches are told, and that nothing tells of the server."""

import re
from importlib.metadata import distributions
from typing import Final

import httpx
from attrs import define

from tests.authorization.callers import Caller
from tests.authorization.rows import HTTP, OUR_PAGES, Request
from tests.authorization.trying import trials

FOR_ALL: Final = frozenset(f"GET {path}" for path in OUR_PAGES) - {
    f"GET {path}"
    for path in ("/livez", "/readyz", "/healthcheck/", "/confirm-email", "/setup-new-password", "/")
}
"""What is the same for everybody, and may be kept by caches that ask whether it is still the newest."""

TELLING: Final = {"server", "x-powered-by", "via", "x-aspnet-version", "x-runtime"}

PROGRAMS: Final = re.compile(r"uvicorn|starlette|python/|h11|websockets/|postgres|psycopg", re.IGNORECASE)

RANDOM: Final = re.compile(r"[\w-]{20,}")
"""Tokens and ids, in which any short name may occur by chance, and names of headers that are as long."""


def names_a_program(text: str) -> bool:
    return PROGRAMS.search(RANDOM.sub("", text)) is not None


@define
class Judge:
    heard: int = 0

    def __call__(self, row: Request, answer: httpx.Response) -> None:
        self.heard += 1
        headers = answer.headers
        about = f"{row.name}: {answer.status_code}"
        assert headers["x-content-type-options"] == "nosniff", about
        assert headers["referrer-policy"] == "no-referrer", about
        assert headers["x-frame-options"] == "DENY", about
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy or "default-src 'self'" in policy, about
        assert "frame-ancestors 'none'" in policy, about
        assert "base-uri 'none'" in policy, about
        assert "unsafe-inline" not in policy.partition("style-src")[0], about
        assert "unsafe-eval" not in policy, about
        cached = headers["cache-control"]
        assert cached == "no-store" or (row.endpoint in FOR_ALL and answer.status_code < 400), (about, cached)
        assert not TELLING & set(headers), about
        assert not names_a_program(str(headers)), about
        if cookie := headers.get("set-cookie"):
            assert "HttpOnly" in cookie, about
            assert "SameSite=Lax" in cookie, about
        if answer.status_code >= 400:
            assert not names_a_program(answer.text), about
            assert "Traceback" not in answer.text, about


async def test_every_answer_of_every_route_is_safe() -> None:
    judge = Judge()
    async with trials() as house:
        house.heard = judge
        for caller in (Caller.NOBODY, Caller.OWNER):
            for row in HTTP:
                await house.one(row, caller)
    assert judge.heard == 2 * (len(HTTP) - 1), "all but the event stream, which has a test of its own"


def test_a_program_is_found_beside_random_values() -> None:
    token = "fLNsscYC763TtN79hW7RQZweeHh11z"
    assert not names_a_program(f"provider_visit={token}; HttpOnly")
    for name in ("uvicorn", "Starlette/1.0", "h11_impl", "Python/3.11"):
        assert names_a_program(f"provider_visit={token}; server: {name}")


def test_the_programs_that_must_not_show_are_ours() -> None:
    """Otherwise the search above looks for names that are not used any more."""
    names = {each.metadata["Name"].lower() for each in distributions()}
    assert {"uvicorn", "starlette", "h11", "websockets", "psycopg"} <= names
