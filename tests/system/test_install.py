"""`make install` in a folder of its own, as docs/production.md has it."""

import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from config.build import this_build
from tests.architecture.test_image import copied, last_stage, steps

ROOT = Path(__file__).resolve().parents[2]
HANGS = 300


def make_install(to: Path) -> "subprocess.CompletedProcess[str]":
    """Without a package index: everything that is to be installed is there, or must not be asked for."""
    return subprocess.run(
        ["make", "install", f"TO={to}"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HOME": str(to.parent), "PIP_NO_INDEX": "1"},
        capture_output=True,
        text=True,
        timeout=HANGS,
        check=False,
    )


@pytest.fixture
def older(tmp_path: Path) -> Path:
    """An older installation. Its environment borrows the packages of ours, so that nothing has to be fetched."""
    folder = tmp_path / "opt" / "messenger"
    (folder / "domain" / "__pycache__").mkdir(parents=True)
    (folder / "domain" / "gone.py").touch()
    (folder / "pyproject.toml").write_text('[project]\nname = "messenger"\n')
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / ".venv"], check=True)
    site = next((folder / ".venv" / "lib").glob("python*/site-packages"))
    (site / "borrowed.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return folder


def test_everything_that_runs_is_installed_and_nothing_else(older: Path, tmp_path: Path) -> None:
    made = make_install(older)
    assert made.returncode == 0, made.stderr
    messenger, elsewhere = older / ".venv" / "bin" / "messenger", tmp_path / "elsewhere"
    elsewhere.mkdir()
    told = subprocess.run([messenger, "--version"], cwd=elsewhere, capture_output=True, text=True, check=True)
    assert told.stdout.startswith(f"messenger {this_build().version} (revision ")
    assert f"Installed: {told.stdout.strip()} in {messenger}" in made.stdout
    revision = re.sub(r".*revision (\S+?)(-dirty)?,.*\n", r"\1", told.stdout)
    assert revision == (this_build().revision or "unknown")
    where = "import config.main, domain; print(config.main.__file__, domain.__file__)"
    found = subprocess.run(
        [older / ".venv" / "bin" / "python", "-c", where],
        cwd=elsewhere,
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.split() == [str(older / "config" / "main.py"), str(older / "domain" / "__init__.py")]
    assert not (older / "domain" / "gone.py").exists()
    assert list((older / "domain" / "__pycache__").glob("chat.*.pyc")), "or each start compiles it anew"
    in_image = set(copied(last_stage(steps((ROOT / "Dockerfile").read_text()))))
    there = {path.name for path in older.iterdir() if path.name != "docs"}
    there |= {str(path.relative_to(older)) for path in (older / "docs").iterdir()}
    assert there - {"REVISION"} == in_image | {"requirements", "Makefile", ".venv"}
    (ready,) = (older / ".venv" / "ready").iterdir()
    assert ready.name.startswith("run-"), "only what is needed to run"


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "etc"
    folder.mkdir()
    (folder / "config").write_text("mine")
    made = make_install(folder)
    assert made.returncode != 0
    assert "is not empty and holds no messenger" in made.stderr
    assert [path.read_text() for path in folder.iterdir()] == ["mine"]
