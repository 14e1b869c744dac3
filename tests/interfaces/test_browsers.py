"""Which web pages a browser may act for, whatever the transport."""

from typing import Any, Final

import pytest
from starlette.types import Scope

from interfaces.browsers import ForeignPage, Pages

PUBLIC: Final = "https://chat.example.com/messenger"
FRONT: Final = "https://front.example.com:8443"

PAGES: Final = Pages.of(PUBLIC, (FRONT,))


def request(*headers: tuple[str, str], scheme: str = "http", host: str | None = "10.0.0.7:8788") -> Scope:
    sent = [("host", host), *headers] if host is not None else list(headers)
    return {
        "type": "http",
        "scheme": scheme,
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in sent],
    }


def of(origin: str, **more: Any) -> Scope:
    return request(("origin", origin), **more)


@pytest.mark.parametrize(
    "scope",
    [
        request(),
        request(host=None),
        request(("sec-fetch-site", "none")),
        request(("sec-fetch-site", "same-origin")),
        of("https://chat.example.com"),
        of(FRONT),
        request(("origin", FRONT), ("sec-fetch-site", "cross-site")),
        request(("origin", "https://chat.example.com"), ("sec-fetch-site", "same-site")),
        of("http://10.0.0.7:8788"),
        of("http://10.0.0.7:8788", scheme="ws"),
        request(("origin", "http://10.0.0.7:8788"), ("sec-fetch-site", "same-origin")),
        of("https://10.0.0.7:8788", scheme="http"),
        of("https://10.0.0.7:8788", scheme="wss"),
        of("http://localhost", host="LOCALHOST:80"),
        of("https://other.example.com", host="other.example.com:443", scheme="https"),
        of("https://other.example.com", host="other.example.com"),
        of("https://other.example.com", host="other.example.com:"),
        of("HTTPS://Chat.Example.COM"),
        of("https://chat.example.com:443"),
        of("wss://chat.example.com"),
        of("wss://Chat.example.com:443"),
        of("ws://10.0.0.7:8788", scheme="ws"),
        of("wss://10.0.0.7:8788", scheme="ws"),
        of("wss://10.0.0.7:8788", scheme="wss"),
        of("ws://other.example.com", scheme="ws", host="other.example.com"),
        of("ws://other.example.com:80", scheme="ws", host="other.example.com"),
        of("wss://other.example.com", scheme="wss", host="other.example.com:443"),
        of("wss://[::1]:443", scheme="wss", host="[::1]"),
    ],
)
def test_own_pages_allowed_ones_and_clients_without_a_browser(scope: Scope) -> None:
    assert PAGES.accept(scope)
    PAGES.check(scope)


@pytest.mark.parametrize(
    "scope",
    [
        of("null"),
        of(""),
        of("https://evil.example"),
        of("https://chat.example.com.evil.example"),
        of("https://evilchat.example.com"),
        of("https://chat.example.com@evil.example"),
        of("https://chat.example.com:8443"),
        of("http://chat.example.com"),
        of("https://chat.example.com/"),
        of("https://chat.example.com https://evil.example"),
        of("https://front.example.com"),
        of("https://10.0.0.7"),
        of("http://10.0.0.7:8788", scheme="https"),
        of("ws://10.0.0.7:8788", scheme="wss"),
        of("ws://10.0.0.7:8789", scheme="ws"),
        of("ws://chat.example.com", scheme="ws"),
        of("wss://evil.example", scheme="wss"),
        of("wss://chat.example.com:80", scheme="wss"),
        request(("origin", "ws://10.0.0.7:8788"), ("sec-fetch-site", "cross-site"), scheme="ws"),
        of("http://10.0.0.7:8789"),
        of("http://", host=None),
        of("https://", host=""),
        of("https://сhat.example.com".encode().decode("latin-1")),
        request(("origin", "https://chat.example.com"), ("origin", "https://evil.example")),
        request(("origin", FRONT), ("origin", FRONT)),
        request(("origin", "http://10.0.0.7:8788"), ("sec-fetch-site", "cross-site")),
        request(("sec-fetch-site", "cross-site")),
        request(("sec-fetch-site", "same-site")),
        request(("sec-fetch-site", "")),
    ],
)
def test_foreign_null_and_look_alike_pages(scope: Scope) -> None:
    assert not PAGES.accept(scope)
    with pytest.raises(ForeignPage):
        PAGES.check(scope)


def test_the_usual_port_of_the_public_address_does_not_matter() -> None:
    assert Pages.of("https://chat.example.com:443", ()) == Pages.of("https://chat.example.com", ())


def test_without_a_public_address_only_the_host_counts() -> None:
    pages = Pages.of("", ())
    assert pages.allowed == frozenset()
    assert pages.accept(of("http://10.0.0.7:8788"))
    assert not pages.accept(of("null"))
