"""The health check asks the messenger that the same settings have started."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.config.conftest import ROOT


@contextmanager
def answering(status: int, host: str = "127.0.0.1") -> Iterator[int]:
    """Listens like a messenger whose `/readyz` has this status. Yields the port."""

    class Ready(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/readyz" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer((host, 0), Ready) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def check(folder: Path, **environment: str) -> tuple[int, str]:
    """The exit code and what is printed, for the settings in ``environment`` and in the `.env` of the folder."""
    done = subprocess.run(
        [sys.executable, "-m", "config.healthcheck"],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stderr


def test_the_port_is_read_from_the_file_too(tmp_path: Path) -> None:
    with answering(200) as port:
        (tmp_path / ".env").write_text(f"BASE={port}\nAPI_HOST=0.0.0.0\napi_service_port=${{BASE}}\n")
        assert check(tmp_path) == (0, "")


def test_the_environment_comes_first_as_for_the_server(tmp_path: Path, unused_tcp_port: int) -> None:
    (tmp_path / ".env").write_text(f"API_SERVICE_PORT={unused_tcp_port}\n")
    with answering(503) as port:
        assert check(tmp_path, API_SERVICE_PORT=str(port)) == (1, "not ready: 503\n")


def test_a_messenger_that_listens_on_one_address_is_asked_there(tmp_path: Path) -> None:
    with answering(200, "127.0.0.2") as port:
        assert check(tmp_path, API_HOST="127.0.0.2", API_SERVICE_PORT=str(port)) == (0, "")


@pytest.mark.parametrize(
    ("file", "told"),
    [
        ("API_SERVICE_PORT={port}", "no answer from 127.0.0.1 port {port}: "),
        ("API_SERVICE_PORT=many", "the settings cannot be read: "),
    ],
)
def test_what_fails_is_one_line(tmp_path: Path, unused_tcp_port: int, file: str, told: str) -> None:
    (tmp_path / ".env").write_text(file.format(port=unused_tcp_port))
    code, line = check(tmp_path)
    assert code == 1
    assert line.startswith(told.format(port=unused_tcp_port))
    assert line.count("\n") == 1
