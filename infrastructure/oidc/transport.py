"""Requests to providers: bounded in size, to addresses that a provider may name, and without following redirects."""

import ssl
from collections.abc import AsyncIterator
from functools import cache
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

import httpx2
from attrs import define, field

from application.errors import ProviderUnavailable

LARGEST: Final = 256 * 1024
"""Bytes of an answer. Those of providers have a few thousand."""

LOCAL_NAMES: Final = ("localhost", ".localhost", ".local", ".internal")


@cache
def _trust() -> ssl.SSLContext:
    """Reading the certificate authorities takes long, and would hold everybody up if each sign-in did it."""
    return httpx2.create_ssl_context()


@define(eq=False)
class Bounded(httpx2.AsyncBaseTransport):
    """Refuses answers that are larger than `LARGEST`, or compressed, because such answers have another size later."""

    inner: httpx2.AsyncBaseTransport = field(factory=lambda: httpx2.AsyncHTTPTransport(verify=_trust()))

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        request.headers["Accept-Encoding"] = "identity"
        response = await self.inner.handle_async_request(request)
        if response.headers.get("Content-Encoding", "identity") != "identity":
            await response.aclose()
            raise ProviderUnavailable("the answer is compressed, though that was not asked for")
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        return httpx2.Response(
            response.status_code,
            headers=response.headers,
            stream=_BoundedStream(response.stream),
            extensions=response.extensions,
        )

    async def aclose(self) -> None:
        await self.inner.aclose()


@define(eq=False)
class _BoundedStream(httpx2.AsyncByteStream):
    inner: httpx2.AsyncByteStream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        read = 0
        async for part in self.inner:
            read += len(part)
            if read > LARGEST:
                raise ProviderUnavailable(f"the answer has more than {LARGEST} bytes")
            yield part

    async def aclose(self) -> None:
        await self.inner.aclose()


def may_be_asked(url: object, issuer: str) -> bool:
    """
    Tells whether a provider may name this address as one of its own. What a provider says must not make the messenger ask
    other services of its own network: an address that is no public name is accepted only if the operator named its host.
    """
    if not isinstance(url, str):
        return False
    try:
        named, own = urlsplit(url), urlsplit(issuer)
        host, _ = named.hostname or "", named.port
    except ValueError:
        return False
    if named.scheme != own.scheme or not host or named.username is not None or named.fragment:
        return False
    return host == own.hostname or _is_public_name(host)


def _is_public_name(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return "." in host.strip(".") and not host.lower().rstrip(".").endswith(LOCAL_NAMES)
    return False
