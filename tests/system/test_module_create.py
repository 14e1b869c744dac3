"""What `messenger module create` lays passes the project's own checks, in a copy of the checkout."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from infrastructure.scaffold.module import AlreadyThere, BadModuleName, lay_module, singular
from tests.architecture.test_tidiness import files
from tests.checkout import copied, run, tool

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", ["bugs", "z" * 15 + "s", "zoo_visits"])
def test_names_of_all_lengths_are_laid_tidily(name: str, tmp_path: Path) -> None:
    copy = copied(tmp_path)
    laid = [str(path) for path in lay_module(name, copy)]
    run(copy, tool("ruff"), "check", *laid)
    run(copy, tool("ruff"), "format", "--check", *laid)


def test_what_is_laid_passes_every_check(tmp_path: Path) -> None:
    copy = copied(tmp_path)
    shown = run(copy, sys.executable, "-m", "config.main", "module", "create", "reading_lists_module")
    laid = [line for line in shown.splitlines() if line.endswith(".py")]
    assert {line.split("/")[0] for line in laid} == {
        "domain",
        "application",
        "infrastructure",
        "interfaces",
        "config",
        "tests",
    }
    assert "MODULES_SECTION_ENABLED_MODULES" in shown
    assert all((copy / path).is_file() for path in laid)
    run(copy, tool("ruff"), "check", *laid)
    run(copy, tool("ruff"), "format", "--check", *laid)
    run(copy, tool("mypy"), *laid)
    run(copy, tool("lint-imports"), "--no-cache")
    tests = [path for path in laid if path.startswith("tests/")]
    assert len(tests) == 3
    run(
        copy,
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        *tests,
        "tests/infrastructure/postgres/test_migrations.py",
        "tests/architecture/test_schema.py",
        "tests/architecture/test_tidiness.py",
    )
    # a second one goes beside it, and the first is not written over
    again = subprocess.run(
        [sys.executable, "-m", "config.main", "module", "create", "reading_lists"],
        cwd=copy,
        env={"PYTHONPATH": str(copy), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert again.returncode == 1
    assert again.stderr.endswith("is there already\n")


@pytest.mark.parametrize(
    "name",
    ["", "note", "Notes", "1notes", "no-tes", "../notes", "s", "ass", "notes_", "x" * 16 + "s", "заметки"],
)
def test_what_cannot_name_a_module(name: str, tmp_path: Path) -> None:
    with pytest.raises(BadModuleName):
        lay_module(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_only_where_the_sources_are(tmp_path: Path) -> None:
    with pytest.raises(AlreadyThere, match="is not the folder"):
        lay_module("notes", tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["messages", "chats", "catalogues", "profiles"])
def test_nothing_that_is_there_is_touched(name: str) -> None:
    before = _state()
    with pytest.raises(AlreadyThere, match="is there already"):
        lay_module(name, ROOT)
    assert _state() == before


def _state() -> Sequence[tuple[str, int]]:
    return [(str(path), path.stat().st_mtime_ns) for path in files()]


def test_words_in_the_singular() -> None:
    assert [singular(many) for many in ("notes", "replies", "boxes", "branches", "classes", "ties")] == [
        "note",
        "reply",
        "box",
        "branch",
        "class",
        "tie",
    ]
