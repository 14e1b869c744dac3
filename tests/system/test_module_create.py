"""What `messenger module create` lays, and what it refuses. That all checks pass with it is shown in `test_contributing`."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from config.commands import commands
from infrastructure.scaffold.module import AlreadyThere, BadModuleName, lay_module, singular
from interfaces.cli.main import command_line
from tests.architecture.test_tidiness import ROOT, files
from tests.checkout import copied, run, tool


@pytest.mark.parametrize("name", ["bugs", "z" * 15 + "s", "zoo_visits"])
def test_names_of_all_lengths_are_laid_tidily(name: str, tmp_path: Path) -> None:
    copy = copied(tmp_path)
    laid = [str(path) for path in lay_module(name, copy)]
    run(copy, tool("ruff"), "check", *laid)
    run(copy, tool("ruff"), "format", "--check", *laid)


def test_the_command_writes_over_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    before = _state()
    ran = CliRunner().invoke(command_line(commands()), ["module", "create", "chats_module"])
    assert (ran.exit_code, ran.stdout) == (1, "")
    assert ran.stderr.endswith("is there already\n")
    assert _state() == before


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
