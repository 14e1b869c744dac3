"""Two nodes behind the real nginx, over one PostgreSQL and a real NATS: nothing is lost while parts of it end and come back."""

import asyncio
import re
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from attrs import define, field

from messenger_client import Change, MessengerClient, NewMessage, State
from tests.nats import NatsServer
from tests.ports import free_port
from tests.services import program, require
from tests.system.client import PASSWORD
from tests.system.postgres import Postgres
from tests.system.server import PATIENCE, Server
from tests.system.test_behind_proxies import DEPLOY
from tests.system.test_workers import until

NGINX = """
    daemon off;
    pid {folder}/pid;
    error_log stderr warn;
    worker_processes 1;
    events {{ worker_connections 256; }}
    http {{
        access_log off;
        client_body_temp_path {folder}/body;
        proxy_temp_path {folder}/proxy;
        fastcgi_temp_path {folder}/fastcgi;
        uwsgi_temp_path {folder}/uwsgi;
        scgi_temp_path {folder}/scgi;
        include site.conf;
    }}
"""

COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "cluster.yml").read_text())


def services(profile: str) -> dict[str, dict[str, Any]]:
    """The services that start with a profile of docs/deploy/cluster.yml."""
    return {
        name: service
        for name, service in COMPOSE["services"].items()
        if profile in service.get("profiles", [profile])
    }


def environment(service: str, **instead: str) -> dict[str, str]:
    """What a messenger of the compose file is told, with this machine's addresses in place of those inside Docker."""
    given: dict[str, str] = COMPOSE["services"][service]["environment"]
    kept = {name: re.sub(r"\$\{\w+:-(.*)\}", r"\1", text) for name, text in given.items()}
    assert instead.keys() <= kept.keys()
    ours = {
        "ENVIRONMENT",
        "API_HOST",
        "API_SERVICE_PORT",
        *(name for name in kept if name.startswith("MAIL_")),
    }
    return {name: text for name, text in kept.items() if name not in ours} | instead


@define(eq=False)
class Cluster:
    nodes: list[Server]
    bus: NatsServer
    port: int = field(factory=free_port)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[NatsServer]:
    """A server of the test's own, which it may stop."""
    folder = tmp_path / "nats"
    folder.mkdir()
    server = NatsServer(folder)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def cluster(
    make_postgres: Callable[[], Postgres], make_server: Callable[..., Server], bus: NatsServer, tmp_path: Path
) -> Iterator[Cluster]:
    require("nginx")
    command = program("nginx")
    assert command is not None
    url = make_postgres().create("messenger")
    here = {"DATABASE_URL": url, "NATS_SERVERS": bus.url, "API_TRUSTED_PROXIES": "127.0.0.1"}
    names = [name for name in services("cluster") if name.startswith("node-")]
    cluster = Cluster([make_server(settings=environment(name, **here)) for name in names], bus)
    for node in cluster.nodes:
        node.start()
    folder = tmp_path / "nginx"
    folder.mkdir()
    (folder / "conf").write_text(NGINX.format(folder=folder))
    (folder / "snippets").symlink_to(DEPLOY / "nginx")
    site = (
        (DEPLOY / "nginx" / "cluster.conf")
        .read_text()
        .replace("listen 8788", f"listen 127.0.0.1:{cluster.port}")
    )
    for name, node in zip(names, cluster.nodes, strict=True):
        site = site.replace(f"server {name}:8788", f"server 127.0.0.1:{node.port}")
    (folder / "site.conf").write_text(site)
    with (folder / "output").open("wb") as output:
        nginx = subprocess.Popen([command, "-c", str(folder / "conf")], stdout=output, stderr=output)
    try:
        until = time.monotonic() + PATIENCE
        while True:
            try:
                httpx.get(f"{cluster.url}/livez").raise_for_status()
                break
            except httpx.HTTPError:
                assert nginx.poll() is None, (folder / "output").read_text()
                assert time.monotonic() < until, (folder / "output").read_text()
                time.sleep(0.02)
        yield cluster
    finally:
        nginx.terminate()
        nginx.wait(PATIENCE)


@define(eq=False)
class Listener:
    client: MessengerClient
    heard: list[str] = field(factory=list)

    def hear(self, change: Change) -> None:
        if isinstance(change, NewMessage):
            self.heard.append(change.message.text)


@asynccontextmanager
async def person(cluster: Cluster, number: int) -> AsyncIterator[Listener]:
    email = f"user{number}@example.com"
    async with MessengerClient(cluster.url, email=email, password=PASSWORD) as client:
        one = Listener(client)
        client.on_change(one.hear)
        await client.until(State.LIVE)
        yield one


@define(eq=False)
class Talk:
    """Ann says one thing after the other, each when the one before was acknowledged."""

    ann: Listener
    chat_id: str
    said: list[str] = field(factory=list)
    is_over: bool = False

    async def run(self) -> None:
        while not self.is_over:
            text = f"message {len(self.said)}"
            await self.ann.client.say(self.chat_id, text)
            self.said.append(text)

    async def goes_on(self) -> None:
        """Returns when some more has been said."""
        enough = len(self.said) + 10
        await until(lambda: len(self.said) >= enough)


async def test_nothing_is_lost_while_parts_end_and_come_back(cluster: Cluster) -> None:
    async with person(cluster, 1) as ann, person(cluster, 2) as bob:
        chat = await ann.client.create_chat("Rolling", [bob.client.profile_id])
        talk = Talk(ann, chat.id)
        talking = asyncio.create_task(talk.run())
        await talk.goes_on()
        for node in cluster.nodes:  # a rolling restart
            await asyncio.to_thread(node.interrupt)
            assert node.process is not None
            assert node.process.poll() == 0
            await talk.goes_on()
            await asyncio.to_thread(node.start)
            await talk.goes_on()
        await asyncio.to_thread(cluster.bus.stop)
        await talk.goes_on()
        await asyncio.to_thread(cluster.bus.start)
        await talk.goes_on()
        await asyncio.to_thread(cluster.nodes[0].kill)
        await talk.goes_on()
        talk.is_over = True
        await talking
        await until(lambda: len(bob.heard) >= len(talk.said))
    assert bob.heard == talk.said


def test_the_compose_file_has_what_each_step_needs() -> None:
    assert services("workers").keys() == {"database", "mail", "workers"}
    assert services("cluster").keys() == {"database", "mail", "nats", "node-1", "node-2", "proxy"}
    assert environment("workers")["API_WORKERS"] == "2"
    assert environment("node-1") == environment("node-2")
    assert environment("node-1")["NATS_SERVERS"] == "nats://nats:4222"
    for mounted in COMPOSE["services"]["proxy"]["volumes"]:
        assert (DEPLOY / mounted.partition(":")[0]).is_file()
    published = [port for each in COMPOSE["services"].values() for port in each.get("ports", ())]
    assert all(port.startswith("127.0.0.1:") for port in published)
