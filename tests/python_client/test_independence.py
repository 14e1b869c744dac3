"""The Python client is a product of its own: it is installed by itself, and imports nothing of the house."""

import ast
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import pytest
from hatchling.build import build_wheel

FOLDER = Path(__file__).resolve().parents[2] / "interfaces" / "clients" / "python"
PACKAGE = FOLDER / "messenger_client"
ALLOWED = sys.stdlib_module_names | {"messenger_client", "websockets"}


def imported(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (name.name.partition(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0]


def test_it_imports_the_standard_library_and_websockets() -> None:
    found = {path.name: set(imported(path.read_text())) - ALLOWED for path in PACKAGE.rglob("*.py")}
    assert len(found) > 10
    assert {name: strange for name, strange in found.items() if strange} == {}


def test_sees_a_strange_import() -> None:
    assert set(imported("import os\nfrom interfaces.wire import frames")) - ALLOWED == {"interfaces"}


def test_its_core_knows_no_io() -> None:
    """The state machine can be driven by anything: no module of it imports what waits or connects."""
    pure = ("core", "held", "outbox", "asking", "pause", "model", "changes", "frames", "states", "errors")
    waits = {"asyncio", "websockets", "socket", "time", "random", "threading", "urllib", "http", "os"}
    for name in pure:
        assert set(imported((PACKAGE / f"{name}.py").read_text())) & waits == set(), name


def test_it_is_installed_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FOLDER)
    with ZipFile(tmp_path / build_wheel(str(tmp_path))) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
        (metadata,) = (name for name in wheel.namelist() if name.endswith("METADATA"))
        needs = [line for line in wheel.read(metadata).decode().splitlines() if line.startswith("Requires-")]
    assert names == {f"messenger_client/{path.name}" for path in PACKAGE.iterdir() if path.is_file()}
    assert "messenger_client/py.typed" in names
    assert needs == ["Requires-Python: >=3.11", "Requires-Dist: websockets>=14"]


def test_its_build_backend_is_what_the_house_pins() -> None:
    ours, theirs = (
        tomllib.loads((folder / "pyproject.toml").read_text())["build-system"]["requires"]
        for folder in (FOLDER, FOLDER.parents[2])
    )
    assert set(ours) <= set(theirs)
