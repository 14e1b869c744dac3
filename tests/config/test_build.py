"""Which build this is, as `messenger --version`, the metrics and the detailed health check tell it."""

import subprocess
import tomllib
from pathlib import Path

import pytest

from config.build import ROOT, revision, this_build

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def git(tmp_path: Path) -> Path:
    folder = tmp_path / ".git"
    folder.mkdir()
    (folder / "HEAD").write_text("ref: refs/heads/main\n")
    return folder


def test_the_version_is_that_of_the_project() -> None:
    assert this_build().version == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def test_a_branch_in_a_file_of_its_own(git: Path, tmp_path: Path) -> None:
    (git / "refs" / "heads").mkdir(parents=True)
    (git / "refs" / "heads" / "main").write_text(f"{COMMIT}\n")
    assert revision(tmp_path) == COMMIT[:12]


def test_a_packed_branch(git: Path, tmp_path: Path) -> None:
    (git / "packed-refs").write_text(f"# pack-refs\n{'f' * 40} refs/heads/main2\n{COMMIT} refs/heads/main\n")
    assert revision(tmp_path) == COMMIT[:12]


def test_a_commit_without_a_branch(git: Path, tmp_path: Path) -> None:
    (git / "HEAD").write_text(f"{COMMIT}\n")
    assert revision(tmp_path) == COMMIT[:12]


def test_a_further_worktree(git: Path, tmp_path: Path) -> None:
    (git / "packed-refs").write_text(f"{COMMIT} refs/heads/other\n")
    own = git / "worktrees" / "other"
    own.mkdir(parents=True)
    (own / "HEAD").write_text("ref: refs/heads/other\n")
    (own / "commondir").write_text("../..\n")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / ".git").write_text(f"gitdir: {own}\n")
    assert revision(tmp_path / "tree") == COMMIT[:12]


def test_what_an_installation_has_written_wins(git: Path, tmp_path: Path) -> None:
    (git / "HEAD").write_text(f"{COMMIT}\n")
    (tmp_path / "REVISION").write_text("0a1b2c-dirty\n")
    assert revision(tmp_path) == "0a1b2c-dirty"


@pytest.mark.parametrize("head", [None, "", "ref: refs/heads/unborn\n"])
def test_otherwise_it_is_unknown(tmp_path: Path, head: str | None) -> None:
    if head is not None:
        (tmp_path / ".git").mkdir()
        (tmp_path / ".git" / "HEAD").write_text(head)
    assert revision(tmp_path) is None


def test_git_itself_agrees(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", "-b", "main", tmp_path], check=True)
    by = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b.example"]
    subprocess.run([*by, "commit", "-q", "--allow-empty", "-m", "First"], check=True)
    told = subprocess.run([*by, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout
    for _ in range(2):
        assert revision(tmp_path) == told.strip()[:12]
        subprocess.run([*by, "pack-refs", "--all"], check=True)
