"""The HTTP side of the running server: what settings say of connections, addresses and proxies is what happens."""

import http.client
import re
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.system.server import Server

PEOPLE = 3


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Behind a proxy that takes ``/talk`` off, with short deadlines."""
    server = Server(
        tmp_path_factory.mktemp("strict"),
        {
            "API_PUBLIC_URL": "https://chat.example.com/talk",
            "API_TRUSTED_PROXIES": "127.0.0.0/8",
            "API_HSTS_SECONDS": "600",
            "API_HEAD_SECONDS": "0.5",
            "API_BODY_SECONDS": "0.5",
            "API_KEEP_ALIVE_SECONDS": "70",
            "API_HEADERS_LIMIT": "20",
            "API_CHUNKS_LIMIT": "5",
            "AUTH_EMAIL_STATUS_PER_MINUTE": "5",
        },
        command=("prlimit", "--nofile=256:512"),
        is_new=False,
    )
    with server.running():
        yield server


def line(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=30)


def told(sock: socket.socket) -> bytes:
    """All that comes until the other side ends it."""
    found = b""
    while some := sock.recv(65536):
        found += some
    return found


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"", b""),
        (b"GET /livez HTT", b"HTTP/1.1 408"),
        (b"GET /livez HTTP/1.1\r\nHost: localhost\r\n", b"HTTP/1.1 408"),
        (
            b"POST /accounts/sign-in/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{",
            b"HTTP/1.1 408",
        ),
        (b"GET /livez HTTP/1.1\r\nHost: localhost\r\n" + b"a: b\r\n" * 30 + b"\r\n", b"HTTP/1.1 431"),
        (
            b"POST /accounts/sign-in/ HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
            + b"1\r\n \r\n" * 9,
            b"HTTP/1.1 400",
        ),
    ],
)
def test_slow_and_overlong_requests(strict: Server, sent: bytes, status: bytes) -> None:
    with line(strict) as sock:
        sock.sendall(sent)
        assert told(sock)[:12] == status


def test_an_idle_connection_is_kept_beyond_the_deadlines_of_requests(strict: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", strict.port, timeout=30)
    connection.connect()
    first = connection.sock
    for _ in range(2):
        connection.request("GET", "/livez")
        answer = connection.getresponse()
        assert (answer.status, answer.getheader("server")) == (200, None)
        assert answer.getheader("strict-transport-security") == "max-age=600"
        answer.read()
        time.sleep(0.8)
    connection.request("GET", "/livez")
    assert connection.getresponse().status == http.HTTPStatus.OK
    assert connection.sock is first, "not a new one"
    connection.close()


def test_more_silent_connections_than_there_are_descriptors(strict: Server) -> None:
    """With a hundred more connections than the hard limit has descriptors, the server still answers and says so in its log."""
    lines = [line(strict) for _ in range(612)]
    try:
        assert httpx.get(f"{strict.url}/readyz").status_code == httpx.codes.OK
    finally:
        for sock in lines:
            sock.close()
    log = strict.await_log("connections are in use", "One network uses all")
    assert "Too many open files" not in log


def test_limits_count_networks_behind_trusted_proxies(strict: Server) -> None:
    def refused(*addresses: str) -> int:
        statuses = [
            httpx.get(
                f"{strict.url}/accounts/email/status/?email=a@b.cc", headers={"X-Forwarded-For": address}
            ).status_code
            for address in addresses
        ]
        return statuses.count(httpx.codes.TOO_MANY_REQUESTS)

    assert refused(*["2001:db8:1:1::7"] * 8) == PEOPLE
    assert refused(*(f"2001:db8:2:2::{n:x}" for n in range(8))) == PEOPLE
    assert refused(*["203.0.113.5", "::ffff:203.0.113.5"] * 4) == PEOPLE


def test_what_people_follow_begins_with_the_public_address(strict: Server) -> None:
    host = {"Host": "localhost"}
    page = httpx.get(f"{strict.url}/confirm-email?token=x", headers=host).text
    assert 'data-confirm="/talk/confirm-email"' in page
    assert httpx.get(f"{strict.url}/chats", headers=host).headers["location"] == "/talk/chats/"
    email = "behind@example.com"
    answer = httpx.post(f"{strict.url}/accounts/sign-up/", json={"email": email, "password": "Password1"})
    assert answer.status_code == httpx.codes.OK
    body = strict.await_letter(email).get_body(("plain",))
    assert body is not None
    assert re.search(r"https://chat\.example\.com/talk/confirm-email\?token=\S+", body.get_content())
    cookie = httpx.post(f"{strict.url}/accounts/sign-out/").headers["set-cookie"]
    assert "Path=/talk/accounts/" in cookie
    assert "Secure" in cookie


def test_a_socket_takes_a_place_until_it_is_gone(make_server: Callable[..., Server], tmp_path: Path) -> None:
    server = make_server(tmp_path / "few", settings={"API_CONNECTIONS_PER_NETWORK": "3"})
    server.start()
    upgrade = (
        b"GET /chats/6f9619ff-8b86-d011-b42d-00cf4fc964ff/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    for _ in range(3):
        lines = [line(server) for _ in range(3)]
        for sock in lines:
            sock.sendall(upgrade)
            assert sock.recv(12) == b"HTTP/1.1 101"
        with line(server) as refused:
            assert told(refused)[:12] == b"HTTP/1.1 503"
        for sock in lines:
            sock.close()
        until = time.monotonic() + 30
        while True:
            try:
                if httpx.get(f"{server.url}/livez").status_code == httpx.codes.OK:
                    break
            except httpx.TransportError:
                pass
            assert time.monotonic() < until
