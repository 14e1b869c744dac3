"""What operators see of a real messenger: figures, health, leaving, modules that are off."""

import asyncio
import signal
import time
from collections.abc import Callable
from importlib.metadata import version

import httpx
import orjson
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.frames import Close

from tests.ports import free_port
from tests.system.client import Token, Visit, data
from tests.system.metrics import figures
from tests.system.server import PATIENCE, Server

MakeServer = Callable[..., Server]

TOKEN = "a-token-for-scrapers-0123456789"


async def test_figures_of_a_conversation(make_server: MakeServer) -> None:
    port = free_port()
    server = make_server(
        settings={"METRICS_PORT": str(port), "METRICS_TOKEN": TOKEN, "HEALTH_CHECK_DETAILED": "true"}
    )
    server.start()
    async with (
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as aside,
        httpx.AsyncClient(base_url=server.url) as http,
    ):
        async with Visit(server.url, server.ws_url) as visit:
            ann = await visit.user(1)
            chat = await ann.create_chat("Figures")
            before = figures((await aside.get("/metrics")).text)  # the example people have talked already
            async with ann.dial(chat) as socket:
                await socket.say("Hello", nonce="1")
                marked = await ann.http.put(f"/chats/{chat}/read/", json={"upTo": 1})
                assert marked.status_code == 200
                found = figures((await aside.get("/metrics")).text)
                assert found["messenger_sockets"] == 1
                assert found["messenger_frames_received_total"] == 2
                # greeting, history, answer, the message itself
                assert found["messenger_frames_sent_total"] == 4
                for kind in ("messages", "marks"):
                    assert found[f'messenger_batch_commands_sum{{kind="{kind}"}}'] == 1
                    assert found[f'messenger_batch_seconds_count{{kind="{kind}"}}'] == 1
                    commits = f'messenger_commit_seconds_count{{kind="{kind}"}}'
                    assert found[commits] - before.get(commits, 0) == 1
                    assert found[f'messenger_commit_seconds_sum{{kind="{kind}"}}'] > 0
                assert found["messenger_commit_to_socket_seconds_count"] >= 1
                assert 0 <= found["messenger_cursor_lag_seconds"] < PATIENCE
                assert found["messenger_outbox_bytes"] == 0
                assert found["messenger_loop_lag_seconds_count"] > 0
                assert found["process_start_time_seconds"] < time.time()
                for pool in ("work", "reads", "batches"):
                    used = [
                        found[f'messenger_pool_connections{{pool="{pool}",state="{state}"}}']
                        for state in ("in_use", "idle")
                    ]
                    assert 1 <= sum(used) <= found[f'messenger_pool_size{{pool="{pool}"}}']
                built = [name for name in found if name.startswith("messenger_build_info")]
                assert len(built) == 1
                assert f'version="{version("messenger")}"' in built[0]
                posted = 'messenger_http_requests_total{method="POST",route="/chats/",status="200"}'
                assert found[posted] == 1
            async with asyncio.timeout(PATIENCE):
                while figures((await aside.get("/metrics")).text)["messenger_sockets"]:
                    pass
        assert (await http.get("/metrics")).status_code == 401
        presented = await http.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
        assert figures(presented.text).keys() >= {"messenger_sockets"}
        detailed = data(await http.get("/healthcheck/detailed"))
        assert detailed["version"] == version("messenger")
        assert f'revision="{detailed["revision"] or ""}"' in built[0]
        assert {name: check["status"] for name, check in detailed["checks"].items()} == {
            "database": "ok",
            "cursor": "ok",
            "disk": "ok",
        }
        assert (await aside.get("/accounts/me/")).status_code == 404
    server.interrupt()
    assert TOKEN not in server.log()
    assert [server.log().count(word) for word in ("listening on", "stopping", "stopped", "uvicorn")] == [
        1,
        1,
        1,
        0,
    ]


def test_without_a_word_there_are_no_figures(server: Server) -> None:
    for path in ("/metrics", "/healthcheck/detailed"):
        assert httpx.get(server.url + path).status_code == 404


def test_what_is_left_of_a_limit_is_told(make_server: MakeServer) -> None:
    server = make_server(settings={"AUTH_EMAIL_STATUS_PER_MINUTE": "2"})
    server.start()
    answers = [httpx.get(f"{server.url}/accounts/email/status/") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    left = [answer.headers["RateLimit"].partition(";t=")[0] for answer in answers]
    assert left == [f'"email status";r={uses}' for uses in (1, 0, 0)]
    assert {answer.headers["RateLimit-Policy"] for answer in answers} == {'"email status";q=2;w=60'}


async def test_a_node_that_leaves_serves_on_while_it_says_so(make_server: MakeServer) -> None:
    """Its sockets stay open too: those of all chats are asked to leave, and the others are closed before it stops."""
    server = make_server(settings={"API_DRAIN_SECONDS": "6"})
    server.start()
    assert server.process is not None
    async with (
        Visit(server.url, server.ws_url) as visit,
        connect(f"{server.ws_url}/ws") as socket,
        httpx.AsyncClient(base_url=server.url) as http,
        asyncio.timeout(PATIENCE),
    ):
        ann = await visit.user(1)
        await socket.send(orjson.dumps({"type": "auth", "token": ann.token}), text=True)
        while orjson.loads(await socket.recv())["type"] != "resumed":
            pass
        assert (await http.get("/readyz")).status_code == 200
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        while (answer := await http.get("/readyz")).status_code == 200:
            pass
        assert answer.status_code == 503
        assert (await http.get("/livez")).status_code == 200
        assert (await http.get("/healthcheck/")).status_code == 200
        told = orjson.loads(await socket.recv())
        assert 0 < told.pop("within") < 6
        assert told == {"type": "goaway"}
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
        assert closed.value.rcvd == Close(1012, "the server stops")
    assert server.process.wait(PATIENCE) == 0
    assert time.monotonic() - began >= 6.0
    assert server.leftovers() == []


def test_a_second_signal_does_not_wait(make_server: MakeServer) -> None:
    server = make_server(settings={"API_DRAIN_SECONDS": "300"})
    server.start()
    assert server.process is not None
    server.process.send_signal(signal.SIGINT)
    with httpx.Client(base_url=server.url) as http:
        until = time.monotonic() + PATIENCE
        while http.get("/readyz").status_code == 200:
            assert time.monotonic() < until
    server.interrupt()
    assert server.process.returncode == 0


def test_with_modules_off_the_rest_is_there(make_server: MakeServer) -> None:
    server = make_server(
        settings={"MODULES_SECTION_ENABLED_MODULES": "catalogues_module,auth_module,nope_module"},
        is_empty=True,
    )
    server.start()
    with httpx.Client(base_url=server.url) as http:
        for path, status in {
            "/healthcheck/": 404,
            "/chats/": 404,
            "/catalogues/test/": 401,
            "/accounts/me/": 401,
            "/readyz": 200,
        }.items():
            assert http.get(path).status_code == status, path
        body = {"email": "user1@example.com", "password": "admin", "fingerprint": "one"}
        token = http.post("/accounts/sign-in/", json=body).json()["data"]["accessToken"]
        listed = http.get("/catalogues/test/", headers={"Authorization": f"Bearer {token}"})
        assert listed.json()["data"] == [{"key": "test", "value": "Тест"}]
        # letters still go out: signing up needs them
        http.post("/accounts/sign-up/", json={"email": "new@example.com", "password": "Correct-Horse"})
    server.await_letter("new@example.com")
    assert "module_name=nope" in server.await_log("ignored an unknown module")
    server.interrupt()


async def test_everything_has_its_prefix(make_server: MakeServer) -> None:
    server = make_server(settings={"API_PREFIX": "/api/v1/", "JWT_ALG": "HS512"}, ready="/api/v1/readyz")
    server.start()
    async with Visit(f"{server.url}/api/v1", f"{server.ws_url}/api/v1") as visit:
        ann = await visit.user(1)
        assert Token.read(ann.token).head == {"alg": "HS512", "typ": "JWT"}
        chat = await ann.create_chat("Prefixed")
        async with ann.dial(chat) as socket:
            await socket.say("Hello")
        assert next(iter(ann.http.cookies.jar)).path == "/api/v1/accounts/"
        assert (await ann.http.get(f"{server.url}/accounts/me/")).status_code == 404
    server.interrupt()


def test_with_everything_off_it_still_starts_and_stops(make_server: MakeServer) -> None:
    server = make_server(settings={"MODULES_SECTION_ENABLED_MODULES": ","}, is_empty=True)
    server.start()
    assert httpx.get(f"{server.url}/accounts/me/").status_code == 404
    assert httpx.get(f"{server.url}/livez").status_code == 200
    server.interrupt()
