"""
The messenger behind the real nginx and the real Caddy, with the samples of docs/deploy: only names, ports, files and one
timeout are replaced.
"""

import asyncio
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from attrs import define, field

from tests.certificates import make_certificate
from tests.ports import free_port
from tests.services import program, require
from tests.system.client import ChatSocket, data, dial
from tests.system.server import PATIENCE, Server

DEPLOY = Path(__file__).resolve().parents[2] / "docs" / "deploy"
NAME = "chat.example.com"
CLIENT = "127.0.0.2"
"""The address that clients connect from; proxies connect from 127.0.0.1, which alone is trusted."""

CUT_AFTER = 4
"""Seconds after which the proxy cuts a silent connection, instead of the 75 of the sample."""


def replaced(text: str, words: Mapping[str, str]) -> str:
    """Fails if one of the words is not there: then the sample has changed, and this would test something else."""
    for old, new in words.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


@define(eq=False)
class Proxy:
    """A proxy in front of two messengers: one has a host of its own, the other is under /talk."""

    folder: Path
    host: Server
    path: Server
    port: int = field(factory=free_port)
    path_port: int = field(factory=free_port)
    plain_port: int = field(factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def files(self) -> dict[str, str]:
        raise NotImplementedError

    @property
    def command(self) -> list[str]:
        raise NotImplementedError

    def start(self) -> None:
        self.folder.mkdir(parents=True)
        make_certificate(self.folder, NAME)
        for name, text in self.files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        with (self.folder / "output").open("wb") as output:
            self.process = subprocess.Popen(
                self.command,
                cwd=self.folder,
                env={"HOME": str(self.folder), "XDG_DATA_HOME": str(self.folder)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        until = time.monotonic() + PATIENCE
        while True:
            try:
                with self.client(self.port) as http:
                    http.get("/livez")
                return
            except httpx.TransportError:
                output_now = (self.folder / "output").read_text()
                assert self.process.poll() is None, output_now
                assert time.monotonic() < until, output_now
                time.sleep(0.02)

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(PATIENCE)

    @property
    def trusting(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.folder / "fullchain.pem"))

    def client(self, port: int) -> httpx.Client:
        """Comes from `CLIENT`, and asks for `NAME`, which is not in the domain name system."""
        return httpx.Client(
            base_url=f"https://127.0.0.1:{port}",
            headers={"Host": NAME},
            transport=Named(verify=self.trusting, local_address=CLIENT),
            timeout=PATIENCE,
        )


class Named(httpx.HTTPTransport):
    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.extensions["sni_hostname"] = NAME
        return super().handle_request(request)


class Nginx(Proxy):
    @property
    def files(self) -> dict[str, str]:
        sample = (DEPLOY / "nginx" / "messenger.conf").read_text()
        host = replaced(
            sample,
            {
                "127.0.0.1:8788": f"127.0.0.1:{self.host.port}",
                "/etc/letsencrypt/live/chat.example.com": str(self.folder),
                "listen 80;": f"listen 127.0.0.1:{self.plain_port};",
                "    listen [::]:80;\n": "",
                "listen 443 ssl http2;": f"listen 127.0.0.1:{self.port} ssl http2;",
                "    listen [::]:443 ssl http2;\n": "",
            },
        )
        # A host that exists already, which includes the messenger under a path.
        other = f"""
            upstream other {{ server 127.0.0.1:{self.path.port}; keepalive 64; keepalive_timeout 60s; }}
            server {{
                listen 127.0.0.1:{self.path_port} ssl http2;
                server_name {NAME};
                ssl_certificate {self.folder}/fullchain.pem;
                ssl_certificate_key {self.folder}/privkey.pem;
                include snippets/messenger-path.conf;
            }}
        """
        under_path = (DEPLOY / "nginx" / "messenger-path.conf").read_text()
        return {
            "snippets/messenger-proxy.conf": replaced(
                (DEPLOY / "nginx" / "messenger-proxy.conf").read_text(),
                {"proxy_read_timeout 75s": f"proxy_read_timeout {CUT_AFTER}s"},
            ),
            "snippets/messenger-path.conf": replaced(under_path, {"http://messenger/": "http://other/"}),
            "nginx.conf": f"""
                daemon off; master_process off; pid nginx.pid; error_log stderr;
                events {{ }}
                http {{
                    access_log off;
                    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
                    uwsgi_temp_path uwsgi; scgi_temp_path scgi;
                    {host}
                    {other}
                }}
            """,
        }

    @property
    def command(self) -> list[str]:
        found = program("nginx")
        assert found is not None
        return [found, "-e", "stderr", "-p", str(self.folder), "-c", "nginx.conf"]


class Caddy(Proxy):
    @property
    def files(self) -> dict[str, str]:
        sample = (DEPLOY / "caddy" / "Caddyfile").read_text()
        under_path = (DEPLOY / "caddy" / "path.Caddyfile").read_text()
        snippet = sample[sample.index("(messenger)") : sample.index(f"{NAME} {{")]
        tls = f"\ttls {self.folder}/fullchain.pem {self.folder}/privkey.pem\n\tbind 127.0.0.1\n"
        return {
            "Caddyfile": "\n".join(
                [
                    f"{{\n\tadmin off\n\tauto_https disable_redirects\n\thttp_port {self.plain_port}\n}}",
                    replaced(
                        snippet, {"(messenger)": "(other)", "127.0.0.1:8788": f"127.0.0.1:{self.path.port}"}
                    ),
                    replaced(
                        sample,
                        {
                            "127.0.0.1:8788": f"127.0.0.1:{self.host.port}",
                            f"{NAME} {{\n": f"https://{NAME}:{self.port} {{\n{tls}",
                        },
                    ),
                    replaced(
                        under_path,
                        {
                            "\nexample.com {\n": f"\nhttps://{NAME}:{self.path_port} {{\n{tls}",
                            "import messenger": "import other",
                        },
                    ),
                ]
            )
        }

    @property
    def command(self) -> list[str]:
        found = program("caddy")
        assert found is not None
        return [found, "run", "--config", "Caddyfile", "--adapter", "caddyfile"]


BEHIND = {
    "API_TRUSTED_PROXIES": "127.0.0.1/32",
    "WS_HEARTBEAT_SECONDS": "1",
    "WS_PONG_SECONDS": "60",
}


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    settings = BEHIND | {"API_PUBLIC_URL": f"https://{NAME}"}
    with Server(tmp_path_factory.mktemp("host"), settings, is_new=False).running() as server:
        yield server


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    settings = BEHIND | {"API_PUBLIC_URL": f"https://{NAME}/talk"}
    with Server(tmp_path_factory.mktemp("path"), settings, is_new=False).running() as server:
        yield server


@pytest.fixture(scope="module", params=[Nginx, Caddy])
def proxy(
    request: pytest.FixtureRequest, host: Server, path: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxy]:
    kind = request.param
    require(kind.__name__.lower())
    proxy: Proxy = kind(tmp_path_factory.mktemp(kind.__name__) / "proxy", host, path)
    try:
        proxy.start()
        yield proxy
    finally:
        proxy.stop()


def sign_in(http: httpx.Client, number: int, **headers: str) -> str:
    """The access token."""
    body = {"email": f"user{number}@example.com", "password": "admin", "fingerprint": "one"}
    token: str = data(http.post("accounts/sign-in/", json=body, headers=headers))["accessToken"]
    http.headers["Authorization"] = f"Bearer {token}"
    return token


def new_chat(http: httpx.Client) -> str:
    made: str = data(http.post("chats/", json={"name": "Behind a proxy", "memberIds": []}))["id"]
    return made


@asynccontextmanager
async def talking(proxy: Proxy, port: int, at: str, http: httpx.Client) -> AsyncIterator[ChatSocket]:
    """A socket of user 1 in a new chat."""
    token = sign_in(http, 1)
    chat = new_chat(http)
    async with dial(
        f"wss://{NAME}:{port}{at}",
        chat,
        ssl=proxy.trusting,
        host="127.0.0.1",
        port=port,
        local_addr=(CLIENT, 0),
        ping_interval=None,
    ) as socket:
        await socket.send("auth", token=token)
        await socket.until("auth_success")
        yield socket


async def test_a_conversation(proxy: Proxy) -> None:
    with proxy.client(proxy.port) as http:
        async with talking(proxy, proxy.port, "", http) as socket:
            assert (await socket.say("Hello"))["message"]["text"] == "Hello"


async def test_an_idle_socket_outlives_the_timeout_of_the_proxy(proxy: Proxy) -> None:
    with proxy.client(proxy.port) as http:
        async with talking(proxy, proxy.port, "", http) as socket:
            await asyncio.sleep(CUT_AFTER + 1)
            assert (await socket.say("Still here"))["message"]["text"] == "Still here"


def test_events_are_passed_on_as_they_come(proxy: Proxy) -> None:
    with proxy.client(proxy.port) as http:
        sign_in(http, 1)
        chat = new_chat(http)
        with http.stream("GET", "events/") as stream:
            assert stream.status_code == 200
            lines = stream.iter_lines()
            assert any('"type":"resumed"' in line for line in lines)
            with proxy.client(proxy.port) as other:
                other.headers["Authorization"] = http.headers["Authorization"]
                data(other.post(f"chats/{chat}/messages/", json={"text": "through the proxy"}))
            assert any("through the proxy" in line for line in lines)
            assert any(line == ":" for line in lines), "a heartbeat comes through as well"


def test_the_address_of_the_client_is_real(proxy: Proxy) -> None:
    """Also when the client says that it comes from elsewhere."""
    with proxy.client(proxy.port) as http:
        sign_in(http, 2, **{"X-Forwarded-For": "203.0.113.9"})
        current = [each for each in data(http.get("accounts/sessions/")) if each["current"]]
        assert [each["address"] for each in current] == [CLIENT]


def test_bodies_end_where_the_messenger_ends_them(proxy: Proxy) -> None:
    def body(size: int) -> bytes:
        return b'{"email": "a@b.example", "password": "' + b"x" * (size - 40) + b'"}'

    with proxy.client(proxy.port) as http:
        for size, status in ((262144, 401), (262145, 413)):
            assert len(body(size)) == size
            answer = http.post(
                "accounts/sign-in/", content=body(size), headers={"Content-Type": "application/json"}
            )
            assert answer.status_code == status


def test_links_and_cookies_are_of_the_public_address(proxy: Proxy) -> None:
    with proxy.client(proxy.port) as http:
        sign_in(http, 3)
        assert [(cookie.path, cookie.secure) for cookie in http.cookies.jar] == [("/accounts/", True)]
        assert http.get("chats").headers["location"] == "/chats/"
        assert "strict-transport-security" in http.get("livez").headers


async def test_under_a_path(proxy: Proxy) -> None:
    with proxy.client(proxy.path_port) as http:
        assert http.get("/talk").headers["location"].removeprefix(f"https://{NAME}") == "/talk/"
        http.base_url = httpx.URL(f"https://127.0.0.1:{proxy.path_port}/talk/")
        async with talking(proxy, proxy.path_port, "/talk", http) as socket:
            await socket.say("Hello")
        assert [cookie.path for cookie in http.cookies.jar] == ["/talk/accounts/"]
        assert http.post("accounts/token/refresh/", json={"fingerprint": "one"}).status_code == 200
        assert http.get("chats").headers["location"] == "/talk/chats/"


@pytest.mark.parametrize("name", ["metrics", "healthcheck/detailed"])
def test_what_is_for_operators_stays_inside(proxy: Proxy, name: str) -> None:
    with proxy.client(proxy.port) as http:
        answer = http.get(name)
        assert answer.status_code == httpx.codes.NOT_FOUND
        assert "application/json" not in answer.headers.get("content-type", ""), "answered by the proxy"


async def test_a_restart_behind_it(proxy: Proxy, host: Server) -> None:
    """Sockets hear of it, and the next request is served as soon as the messenger is there again."""
    with proxy.client(proxy.port) as http:
        async with talking(proxy, proxy.port, "", http) as socket:
            await socket.say("Before")
            host.interrupt()
            assert (await socket.closed())[0] == 1012
        assert http.get("readyz").status_code == httpx.codes.BAD_GATEWAY
        host.start()
        assert http.get("readyz").status_code == httpx.codes.OK
        async with talking(proxy, proxy.port, "", http) as socket:
            await socket.say("After")
