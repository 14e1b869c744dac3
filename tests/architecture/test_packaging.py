"""The wheel holds metadata only: the six folders must never land where everybody's packages are."""

import tomllib
from importlib import import_module
from pathlib import Path
from zipfile import ZipFile

import pytest
from hatchling.build import build_wheel

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("domain", "application", "infrastructure", "interfaces", "config", "tests")


def modules_in(wheel: Path) -> list[str]:
    with ZipFile(wheel) as archive:
        return [name for name in archive.namelist() if ".dist-info/" not in name]


def test_the_wheel_has_no_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    wheel = tmp_path / build_wheel(str(tmp_path))
    assert modules_in(wheel) == []
    with ZipFile(wheel) as archive:
        (entry_points,) = (name for name in archive.namelist() if name.endswith("entry_points.txt"))
        assert "messenger = config.main:main" in archive.read(entry_points).decode()


def test_sees_a_module(tmp_path: Path) -> None:
    with ZipFile(tmp_path / "some.whl", "w") as archive:
        archive.writestr("some-1.dist-info/METADATA", "")
        archive.writestr("domain/chat.py", "")
    assert modules_in(tmp_path / "some.whl") == ["domain/chat.py"]


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_are_imported_from_here(package: str) -> None:
    assert Path(str(import_module(package).__file__)).parent == ROOT / package


def test_the_build_backend_is_what_is_pinned() -> None:
    """Without build isolation pip takes what is installed; with it, what pyproject.toml says."""
    required = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    pinned = (ROOT / "requirements" / "build.txt").read_text()
    assert [line for line in required if f"{line} " not in pinned] == []
