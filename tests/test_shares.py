"""The shares of CPU that a benchmark asks the kernel for, in a folder that stands for the kernel's."""

import shutil
from pathlib import Path

import pytest

from tests.benchmarks.shares import CannotShare, Kernel


@pytest.fixture(autouse=True)
def removed_with_their_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel removes a group with the files that it shows in it."""
    monkeypatch.setattr(Path, "rmdir", shutil.rmtree)


def written(parent: Path) -> list[dict[str, str]]:
    """What was written into each group."""
    groups = sorted(parent.glob("messenger-share-*"))
    return [{file.name: file.read_text() for file in group.iterdir()} for group in groups]


def test_each_process_has_a_group_of_version_1_with_a_quota(tmp_path: Path) -> None:
    everybody = tmp_path / "cpu" / "cgroup.procs"
    everybody.parent.mkdir()
    everybody.write_text("")
    with Kernel(tmp_path).shares(0.25, [11, 12]):
        quota = {"cpu.cfs_period_us": "10000", "cpu.cfs_quota_us": "2500"}
        assert written(tmp_path / "cpu") == [{**quota, "cgroup.procs": pid} for pid in ("11", "12")]
    assert written(tmp_path / "cpu") == []
    assert everybody.read_text() == "11", "each is moved back, the last one first"


def test_each_process_has_a_group_of_version_2_with_a_quota(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpuset cpu io\n")
    with Kernel(tmp_path).shares(0.5, [11]):
        assert written(tmp_path) == [{"cpu.max": "5000 10000", "cgroup.procs": "11"}]
        assert (tmp_path / "cgroup.subtree_control").read_text() == "+cpu"
    assert written(tmp_path) == []


@pytest.mark.parametrize(
    ("controllers", "why"), [(None, "has no control groups"), ("cpuset io\n", "has no controller for CPU")]
)
def test_says_why_there_are_no_shares(tmp_path: Path, controllers: str | None, why: str) -> None:
    if controllers is not None:
        (tmp_path / "cgroup.controllers").write_text(controllers)
    with pytest.raises(CannotShare, match=why), Kernel(tmp_path).shares(0.25, [11]):
        pass


def test_says_why_it_may_make_no_group(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpu\n")
    (tmp_path / "cgroup.subtree_control").mkdir()
    with pytest.raises(CannotShare, match="lets nobody make groups"), Kernel(tmp_path).shares(0.25, [11]):
        pass
