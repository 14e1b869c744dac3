"""What is particular about updates over NATS: where the servers are, and how they are protected."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from attrs import define, field
from nats.aio.client import Client

from config.adapters import make_bus
from config.ports import Bus
from config.refusals import CannotStart
from config.settings.groups import Bus as BusSettings
from config.settings.groups import Settings
from config.settings.readers import BusKind
from infrastructure.system.ids import SystemIds
from tests.certificates import make_certificate
from tests.contracts.buses import OverNats, process, processes, until
from tests.nats import NatsServer
from tests.nats_accounts import ACCOUNT, USER, Accounts, Key
from tests.ports import free_port
from tests.scratch import scratch_folder


@define(eq=False)
class AsSet(OverNats):
    """A bus that is made from settings."""

    settings: BusSettings = field(kw_only=True)

    def make(self) -> Bus:
        return make_bus(Settings(bus=self.settings), "postgresql://nowhere", SystemIds())


@pytest.fixture
def guarded() -> Iterator[NatsServer]:
    """A server that speaks TLS, and asks for a certificate and a password."""
    with scratch_folder("nats-tls-") as folder:
        chain, key = make_certificate(folder, "localhost", "127.0.0.1")
        tls = ["--tlsverify", "--tlscert", str(chain), "--tlskey", str(key), "--tlscacert", str(chain)]
        server = NatsServer(folder, [*tls, "--user", "messenger", "--pass", "a secret"])
        server.start()
        try:
            yield server
        finally:
            server.stop()


def settings_for(server: NatsServer, **changes: object) -> BusSettings:
    files = {"nats_ca": "fullchain.pem", "nats_certificate": "fullchain.pem", "nats_key": "privkey.pem"}
    values: dict[str, object] = {
        "kind": BusKind.NATS,
        "nats_servers": (server.url.replace("nats:", "tls:"),),
        "nats_user": "messenger",
        "nats_password": "a secret",
        "nats_subject": uuid4().hex,
        **{name: server.folder / file for name, file in files.items()},
        **changes,
    }
    return BusSettings(**values)  # type: ignore[arg-type]


async def test_tls_with_a_certificate_and_a_password(guarded: NatsServer) -> None:
    async with processes(AsSet(guarded, settings=settings_for(guarded)), 2):
        pass


@pytest.mark.parametrize(
    "changes",
    [{"nats_password": "another"}, {"nats_certificate": None, "nats_key": None}, {"nats_ca": None}],
    ids="-".join,
)
async def test_what_the_server_refuses_is_logged(
    guarded: NatsServer, changes: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    async with process(AsSet(guarded, settings=settings_for(guarded, **changes))):
        await until(lambda: "the connection between processes was lost" in caplog.text)
    assert "a secret" not in caplog.text


async def test_one_server_of_several_is_enough(nats_server: NatsServer) -> None:
    gone = f"nats://127.0.0.1:{free_port()}"
    settings = BusSettings(kind=BusKind.NATS, nats_servers=(gone, nats_server.url), nats_subject=uuid4().hex)
    async with processes(AsSet(nats_server, settings=settings), 3):
        pass


@pytest.mark.parametrize("method", ["connect", "subscribe", "publish", "flush"])
async def test_an_error_in_the_clients_own_code_is_a_lost_connection(
    nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, method: str
) -> None:
    works, closes = getattr(Client, method), Client.close
    failed: list[str] = []

    async def fails_once(client: Client, *args: object, **options: object) -> object:
        if not failed:
            failed.append(method)
            raise AttributeError("'NoneType' object has no attribute 'write'")
        return await works(client, *args, **options)

    async def closes_badly(client: Client) -> None:
        await closes(client)
        raise RuntimeError("unable to perform operation; the handler is closed")

    monkeypatch.setattr(Client, method, fails_once)
    monkeypatch.setattr(Client, "close", closes_badly)
    settings = BusSettings(kind=BusKind.NATS, nats_servers=(nats_server.url,), nats_subject=uuid4().hex)
    async with processes(AsSet(nats_server, settings=settings), 2):
        pass
    assert failed == [method]
    assert "the connection between processes was lost" in caplog.text


def test_files_that_are_no_certificates_end_the_start(tmp_path: Path) -> None:
    wrong = tmp_path / "ca.pem"
    wrong.write_text("nothing")
    settings = BusSettings(kind=BusKind.NATS, nats_servers=("nats://one",), nats_ca=wrong)
    with pytest.raises(CannotStart, match="NATS_CA_FILE"):
        make_bus(Settings(bus=settings), "postgresql://nowhere", SystemIds())


@pytest.fixture
def accounts() -> Iterator[tuple[NatsServer, Accounts]]:
    """A server whose users are let in by their account."""
    with scratch_folder("nats-accounts-") as folder:
        accounts = Accounts()
        (folder / "conf").write_text(accounts.configuration())
        server = NatsServer(folder, ["-c", str(folder / "conf")])
        server.start()
        try:
            yield server, accounts
        finally:
            server.stop()


def with_credentials(server: NatsServer, path: Path) -> BusSettings:
    return BusSettings(
        kind=BusKind.NATS, nats_servers=(server.url,), nats_credentials=path, nats_subject=uuid4().hex
    )


async def test_credentials_of_a_user_open_the_door(accounts: tuple[NatsServer, Accounts]) -> None:
    server, made = accounts
    path = made.credentials(server.folder / "creds")
    async with processes(AsSet(server, settings=with_credentials(server, path)), 2):
        pass


async def test_a_key_that_is_not_the_tokens_is_refused_until_the_file_is_renewed(
    accounts: tuple[NatsServer, Accounts], caplog: pytest.LogCaptureFixture
) -> None:
    server, made = accounts
    path = made.credentials(server.folder / "creds", seed=Key(USER).seed)
    medium = AsSet(server, settings=with_credentials(server, path))
    async with process(medium):
        await until(lambda: "the connection between processes was lost" in caplog.text)
        made.credentials(path)
        async with processes(medium, 2):
            pass


def damaged(seed: str) -> str:
    """The seed with a character of its middle replaced by another one."""
    return seed[:30] + ("B" if seed[30] == "A" else "A") + seed[31:]


@pytest.mark.parametrize(
    "content",
    [None, "", "{key}", Key(ACCOUNT).seed, damaged(Key(USER).seed), "SU", "no base32: 1"],
    ids=["no file", "empty", "only a key", "of an account", "damaged", "short", "nonsense"],
)
def test_credentials_that_cannot_be_used_end_the_start(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "creds"
    if content in {"", "{key}"}:
        path.write_text(
            content.format(
                key=f"-----BEGIN USER NKEY SEED-----\n{Key(USER).seed}\n-----END USER NKEY SEED-----"
            )
        )
    elif content is not None:
        Accounts().credentials(path, seed=content)
    settings = BusSettings(kind=BusKind.NATS, nats_servers=("nats://one",), nats_credentials=path)
    with pytest.raises(CannotStart, match="NATS_CREDENTIALS_FILE"):
        make_bus(Settings(bus=settings), "postgresql://nowhere", SystemIds())
