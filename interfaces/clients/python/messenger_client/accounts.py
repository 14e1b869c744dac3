"""Signing in and refreshing, over HTTP: the two things that the socket cannot do."""

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage
from http.cookies import SimpleCookie
from typing import Any, Protocol
from urllib.parse import urlsplit

from messenger_client.errors import Refused, Unreachable

COOKIE = "refresh_token"

TIMEOUT = 15.0
"""Seconds for one request."""

MAY_PASS = frozenset({408, 425, 429})
"""Statuses below 500 after which the same request may succeed later."""


class Headers(Protocol):
    def get(self, name: str, /) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Tokens:
    access: str
    refresh: str
    expires_in: float
    """Seconds from the answer until the access token ends."""


class Accounts:
    """
    The accounts of one server. ``url`` is its address, with the prefix of its interface if it has one.

    All methods raise `Refused` if the server refuses, and `Unreachable` if it does not answer or cannot just now.
    """

    def __init__(self, url: str) -> None:
        if urlsplit(url).scheme not in {"http", "https"}:
            raise ValueError(f"The address of a server begins with http:// or https://, not {url!r}")
        self._url = url.rstrip("/")

    @property
    def socket_url(self) -> str:
        return f"ws{self._url.removeprefix('http')}/ws"

    async def sign_in(self, email: str, password: str, fingerprint: str) -> Tokens:
        body = {"email": email, "password": password, "fingerprint": fingerprint}
        return _tokens(*await self._post("/accounts/sign-in/", body))

    async def refresh(self, refresh_token: str, fingerprint: str) -> Tokens:
        body = {"fingerprint": fingerprint}
        return _tokens(*await self._post("/accounts/token/refresh/", body, refresh_token))

    async def sign_out(self, refresh_token: str) -> None:
        await self._post("/accounts/sign-out/", {}, refresh_token)

    async def _post(
        self, path: str, body: Mapping[str, Any], refresh_token: str | None = None
    ) -> tuple[Any, HTTPMessage]:
        return await asyncio.to_thread(self._post_now, path, body, refresh_token)

    def _post_now(
        self, path: str, body: Mapping[str, Any], refresh_token: str | None
    ) -> tuple[Any, HTTPMessage]:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if refresh_token is not None:
            headers["Cookie"] = f"{COOKIE}={refresh_token}"
        request = urllib.request.Request(  # noqa: S310
            f"{self._url}{path}", json.dumps(body).encode(), headers, method="POST"
        )
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310
                return json.loads(answer.read())["data"], answer.headers
        except urllib.error.HTTPError as error:
            with error:
                raise _refusal(error.code, error.headers, error.read()) from error
        except (OSError, HTTPException, ValueError, KeyError) as error:
            raise Unreachable(str(error)) from error


def _refusal(status: int, headers: Headers, body: bytes) -> Refused | Unreachable:
    try:
        error = json.loads(body)["error"]
        code, message = str(error["code"]), str(error["message"])
    except (ValueError, KeyError, TypeError):
        code, message = f"HTTP_{status}", body[:200].decode(errors="replace")
    if status >= 500 or status in MAY_PASS:
        return Unreachable(f"{status} {code}: {message}", retry_after(headers))
    return Refused(code, message)


def retry_after(headers: Headers) -> float | None:
    """The pause of a ``Retry-After`` in seconds. One that is a date is passed over."""
    value = headers.get("Retry-After") or ""
    return float(value) if value.isdecimal() else None


def _tokens(data: Any, headers: HTTPMessage) -> Tokens:
    for line in headers.get_all("Set-Cookie", []):
        cookie: SimpleCookie = SimpleCookie()
        cookie.load(line)
        if COOKIE in cookie:
            return Tokens(data["accessToken"], cookie[COOKIE].value, float(data["expiresIn"]))
    raise Unreachable("the answer has no refresh token: a proxy may have removed its cookie")
