"""Temporary folders of processes that were killed are removed by the next process."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from config.temporary import PREFIX, locked_folder, remove_abandoned

ROOT = Path(__file__).resolve().parents[2]

PROGRAM = """
import sys
from config.temporary import locked_folder
with locked_folder() as folder:
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def another(place: Path) -> tuple[subprocess.Popen[str], Path]:
    """Start a process that has such a folder, and return both."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(place)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_it_is_there_until_the_end(place: Path) -> None:
    with locked_folder() as folder:
        assert folder.is_dir()
        assert folder.stat().st_mode & 0o077 == 0
        (folder / "0").touch()
    assert list(place.iterdir()) == []


def test_what_a_killed_process_left_is_removed_and_what_is_used_is_not(place: Path) -> None:
    killed, abandoned = another(place)
    (abandoned / "0").touch()
    running, used = another(place)
    try:
        assert abandoned.is_dir(), "the first one was running when the second one started"
        killed.send_signal(signal.SIGKILL)
        killed.communicate()
        with locked_folder() as own:
            assert sorted(place.iterdir()) == sorted([own, used])
    finally:
        running.communicate("")
    assert list(place.iterdir()) == []


def test_nothing_else_is_touched(place: Path) -> None:
    others = [place / "messenger-dump", place / f"{PREFIX}file", place / f"{PREFIX}link", place / "elsewhere"]
    others[0].mkdir()
    others[1].touch()
    others[3].mkdir()
    others[2].symlink_to(others[3])
    remove_abandoned()
    assert sorted(place.iterdir()) == sorted(others)


@pytest.mark.parametrize("is_opened", [False, True])
def test_a_folder_that_was_taken_for_an_abandoned_one_is_not_used(
    place: Path, monkeypatch: pytest.MonkeyPatch, *, is_opened: bool
) -> None:
    made: list[Path] = []

    def make(prefix: str) -> str:
        folder = place / f"{prefix}{len(made)}"
        folder.mkdir(mode=0o700)
        made.append(folder)
        return str(folder)

    opened = os.open

    def open_late(folder: Path, flags: int) -> int:
        if len(made) == 1 and not is_opened:
            folder.rmdir()
        lock = opened(folder, flags)
        if len(made) == 1:
            folder.rmdir()
        return lock

    monkeypatch.setattr("config.temporary.mkdtemp", make)
    monkeypatch.setattr("config.temporary.os.open", open_late)
    with locked_folder() as folder:
        assert folder == made[1]
        assert folder.is_dir()
