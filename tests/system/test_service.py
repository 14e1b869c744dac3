"""The messenger with no more rights than the unit of docs/deploy leaves it, told to systemd as it tells."""

import socket
import sys
from collections.abc import Callable
from pathlib import Path

import httpx

from tests.postgres import PostgresServer
from tests.services import require
from tests.system import filtered
from tests.system.server import PATIENCE, Server

UNIT = Path(__file__).resolve().parents[2] / "docs" / "deploy" / "messenger.service"


def test_people_sign_in_under_the_filter_of_the_unit(
    make_server: Callable[..., Server], postgres_server: PostgresServer, tmp_path: Path
) -> None:
    require("systemd-analyze")
    told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    told.settimeout(PATIENCE)
    told.bind(str(tmp_path / "notify"))
    server = make_server(
        settings={
            "DATABASE_URL": postgres_server.url(postgres_server.fresh_database()),
            "NOTIFY_SOCKET": str(tmp_path / "notify"),
        },
        command=[sys.executable, filtered.__file__, str(UNIT)],
    )
    server.start()
    body = {"email": "user1@example.com", "password": "admin", "fingerprint": "one"}
    answer = httpx.post(f"{server.url}/accounts/sign-in/", json=body, timeout=PATIENCE)
    assert answer.status_code == httpx.codes.OK, server.log()
    assert "Traceback" not in server.log()
    server.interrupt()
    assert [told.recv(100) for _ in range(2)] == [b"READY=1", b"STOPPING=1"]
    told.close()


def test_a_call_that_is_not_allowed_is_refused(tmp_path: Path) -> None:
    """Otherwise the test above would show nothing."""
    require("systemd-analyze")
    calls = filtered.allowed(UNIT.read_text())
    assert {"read", "setpriority"} <= calls
    assert not {"chroot", "setuid", "sched_setaffinity", "reboot"} & calls
