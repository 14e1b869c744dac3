"""
Clients that generators make of `/openapi.json`: they compile strictly, and sign in, list, send and read on a running
messenger. The document keeps the rules of the OpenAPI Initiative's schema and of spectral, and `/asyncapi.json` those of
spectral.

The generators are in `.venv/clients`, where `requirements/install.sh` puts them.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from interfaces.wire import examples
from tests.system.server import Server

ROOT: Final = Path(__file__).parents[2]
SOURCES: Final = ROOT / "tests" / "clients"
TOOLS: Final = ROOT / ".venv" / "clients"
NODE: Final = TOOLS / "node" / "node_modules"

EXPECTED: Final = {"lasts": True, "read": True}

ENOUGH: Final = 300.0
"""Seconds for a tool that takes a few of them on a quiet machine."""

with_node = pytest.mark.skipif(
    shutil.which("npm") is None and "CI" not in os.environ, reason="npm is not installed"
)


def done(*command: str | Path, at: Path, environment: Mapping[str, str] | None = None) -> str:
    """Runs a tool that must succeed, and returns what it printed."""
    run = subprocess.run(
        [str(word) for word in command],
        cwd=at,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=ENOUGH,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-4000:]
    return run.stdout


def node(tool: str, *arguments: str | Path, at: Path) -> str:
    return done("node", NODE / tool, *arguments, at=at)


@pytest.fixture(scope="module")
def document(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clients") / "openapi.json"
    path.write_bytes(httpx.get(f"{server.url}/openapi.json").raise_for_status().content)
    return path


def assert_conversed(printed: str, language: str) -> None:
    told: dict[str, Any] = json.loads(printed)
    assert told.pop("chat")
    assert told.pop("role") in {"owner", "admin", "member"}
    assert told == EXPECTED | {"newest": f"Привет from {language}", "nonce": f"from-{language.lower()}"}


def test_the_document_is_openapi(document: Path) -> None:
    done(sys.executable, "-m", "openapi_spec_validator", document, at=document.parent)


def test_a_python_client(server: Server, document: Path, tmp_path: Path) -> None:
    done(
        *(TOOLS / "python" / "bin" / "openapi-python-client", "generate", "--path", document),
        *("--output-path", tmp_path / "messenger_client", "--meta", "none"),
        *("--config", SOURCES / "generator.yaml", "--fail-on-warning"),
        at=tmp_path,
    )
    client = tmp_path / "conversation.py"
    shutil.copy(SOURCES / "conversation.txt", client)
    # An empty configuration: neither that of this project nor that of somebody's home. Nobody would read a cache.
    strictly = ("--strict", "--config-file=", f"--cache-dir={os.devnull}")
    done(sys.executable, "-m", "mypy", *strictly, client, at=tmp_path)
    printed = done(sys.executable, client, server.url, examples.EMAIL, examples.PASSWORD, at=tmp_path)
    assert_conversed(printed, "Python")


@with_node
def test_a_typescript_client(server: Server, document: Path, tmp_path: Path) -> None:
    for name in ("conversation.ts", "tsconfig.json", "package.json"):
        shutil.copy(SOURCES / name, tmp_path)
    (tmp_path / "node_modules").symlink_to(NODE)
    node("openapi-typescript/bin/cli.js", document, "--output", "messenger.d.ts", at=tmp_path)
    node("typescript/bin/tsc", "--project", ".", at=tmp_path)
    printed = done(*("node", "conversation.js", server.url, examples.EMAIL, examples.PASSWORD), at=tmp_path)
    assert_conversed(printed, "TypeScript")


BROKEN: Final = (
    ({"openapi": "3.1.0", "info": {"title": "A", "version": "1"}, "paths": {}}, "oas3-api-servers"),
    ({"asyncapi": "3.0.0", "info": {"title": "A", "version": "1"}}, "asyncapi-servers"),
)
"""Documents without servers, and the rules that they break."""


@with_node
def test_spectral_finds_nothing(server: Server, document: Path, tmp_path: Path) -> None:
    """In either document, over HTTP and over sockets. In such as are broken it finds something."""
    for name in ("lint.js", "package.json"):
        shutil.copy(SOURCES / name, tmp_path)
    (tmp_path / "node_modules").symlink_to(NODE)
    frames = tmp_path / "asyncapi.json"
    frames.write_bytes(httpx.get(f"{server.url}/asyncapi.json").raise_for_status().content)
    broken = {tmp_path / f"{rule}.json": rule for _, rule in BROKEN}
    for path, (text, _) in zip(broken, BROKEN, strict=True):
        path.write_text(json.dumps(text))
    found = json.loads(done("node", "lint.js", document, frames, *broken, at=tmp_path))
    assert found[str(document)] == []
    assert found[str(frames)] == []
    for path, rule in broken.items():
        assert rule in {each["code"] for each in found[str(path)]}
