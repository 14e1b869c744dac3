"""A planted fault is found by chance, kept as a file, and found again from that file until it is mended."""

import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.internal.conjecture import engine

from tests.exploring.__main__ import main
from tests.exploring.kept import DEVICES, REGRESSIONS, ROOT, SIMULATION, Kept
from tests.exploring.plugin import SHRINKING_SECONDS
from tests.exploring.runs import (
    explore_chaos,
    explore_devices,
    explore_properties,
    explore_simulation,
    replay,
    run_pytest,
)
from tests.simulation.mutants import MUTANTS, planted
from tests.system import test_resume

PLANTED = """
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

LIMIT = int(Path(__file__).with_name("limit").read_text())


def test_no_property():
    assert False


@given(st.integers(0, 10**6))
def test_numbers(number):
    assert number < LIMIT


class Counting(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.total = 0

    @rule(number=st.integers(0, 10**6))
    def add(self, number):
        self.total = max(self.total, number)
        assert self.total < LIMIT


TestCounting = Counting.TestCase
TestCounting.settings = settings(max_examples=100, stateful_step_count=5)


@pytest.mark.explored
def test_inside():
    run_state_machine_as_test(Counting, settings=settings(max_examples=50, stateful_step_count=5))


@pytest.mark.explored(by="seed")
def test_several():
    for least in (0, 1):

        @given(st.integers(least, 10**6))
        def check(number):
            assert number < LIMIT

        check()


def test_identities():
    Path(__file__).with_name("identities").open("a").write(f"{uuid4()}\\n")
"""

PROPERTIES = ("TestCounting::runTest", "test_inside", "test_several")


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """Tests with a fault in them, which the project's own runs do not collect."""
    folder = tmp_path / "planted"
    folder.mkdir()
    (folder / "test_planted.py").write_text(PLANTED)
    (folder / "conftest.py").write_text('pytest_plugins = ["tests.exploring.plugin"]\n')
    set_limit(folder, 1000)
    return folder


def set_limit(sources: Path, limit: int) -> None:
    (sources / "limit").write_text(str(limit))


@pytest.mark.parametrize("test", PROPERTIES)
def test_a_property_that_fails_is_kept_until_it_holds(test: str, sources: Path, tmp_path: Path) -> None:
    name = f"test_planted.py::{test}"
    (path,) = explore_properties(7, tmp_path / "keep", time.time() + 600, sources, name)
    kept = Kept.read(path)
    assert (kept.test, kept.seed) == (name, 7)
    assert bool(kept.choices) == (test != "test_several")
    assert any("assert 1000 < 1000" in line for line in kept.told), "the smallest example is told"
    assert "assert 1000 < 1000" in (replay(kept, sources) or "")
    set_limit(sources, 10**7)
    assert replay(kept, sources) is None


def test_only_properties_are_explored(sources: Path, tmp_path: Path) -> None:
    set_limit(sources, 10**7)
    name = "test_planted.py"
    assert explore_properties(1, tmp_path / "keep", time.time() + 600, sources, name) == []
    assert "assert False" in run_pytest(f"{name}::test_no_property", hash_seed=0, root=sources).stdout


def test_tests_that_cannot_run_are_no_finding(sources: Path, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="file or directory not found"):
        explore_properties(1, tmp_path / "keep", time.time() + 600, sources, "nowhere")


def test_it_ends_when_the_time_is_up(
    sources: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    set_limit(sources, 10**7)
    assert explore_properties(1, tmp_path / "keep", time.time(), sources, "test_planted.py") == []
    assert main(["--minutes", "0", "--keep", f"{tmp_path / 'keep'}"]) == 0
    assert "nothing was found" in capsys.readouterr().out
    assert not (tmp_path / "keep").exists()


def test_a_finding_of_the_simulation_is_kept_until_the_fault_is_mended(tmp_path: Path) -> None:
    with planted(*MUTANTS["nonces forgotten"]):
        kept = next(kept for number in range(1000) if (kept := explore_simulation(number)))
        read = Kept.read(kept.write(tmp_path))
        assert (read.test, read.seed) == (SIMULATION, kept.seed)
        assert replay(read) is not None
    assert replay(read) is None


def found_soon(explore: Callable[[int], Kept | None]) -> Kept:
    """By the first run that finds something: how the machine shares its time may hide a fault from one."""
    return next(kept for number in range(1, 10) if (kept := explore(number)))


SKIPS_ONE = {"PYTHONPATH": str(test_resume.MUTANTS / "skips_one")}


def test_a_finding_of_the_chaos_is_kept(tmp_path: Path) -> None:
    kept = found_soon(
        lambda number: explore_chaos(number, sends=500, outages=[("server",)], settings=SKIPS_ONE)
    )
    assert any(line.startswith("D13") for line in Kept.read(kept.write(tmp_path)).told)


def test_a_finding_of_devices_is_kept(tmp_path: Path) -> None:
    kept = found_soon(lambda number: explore_devices(number, "python", breaks=8, settings=SKIPS_ONE))
    read = Kept.read(kept.write(tmp_path))
    assert read.test == DEVICES["python"]
    assert any(line.startswith("D13") for line in read.told)


def test_the_command_draws_the_same_every_time(sources: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"test_planted.py::{test}" for test in ("test_numbers", "test_inside", "test_identities")]
    examples = []
    for environment in ({}, {"CI": "true", "HYPOTHESIS_PROFILE": "thorough"}):
        with monkeypatch.context() as patched:
            patched.delenv("CI", raising=False)
            for variable, value in environment.items():
                patched.setenv(variable, value)
            told = run_pytest(*names, hash_seed=0, root=sources).stdout
        examples.append(set(re.findall(r"reproduce_failure\(.*?\)", told)))
    assert examples[0]
    assert examples[0] == examples[1]
    assert len(set((sources / "identities").read_text().split())) == 1


def test_looking_for_a_smaller_example_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    assert engine.MAX_SHRINKING_SECONDS == SHRINKING_SECONDS
    monkeypatch.setattr(engine, "MAX_SHRINKING_SECONDS", 0.5)
    tried = 0

    @given(st.lists(st.integers(0, 10**6), min_size=200, max_size=200))
    def check(numbers: list[int]) -> None:
        nonlocal tried
        tried += 1
        time.sleep(0.01)
        assert sum(numbers) < 10**6

    with pytest.raises(AssertionError):
        check()
    assert tried < 150, "shrinking these takes some thousand attempts"


def drawing_inside() -> Iterator[tuple[str, bool]]:
    """Each file of tests that draws examples inside a function, and whether a test of it is marked as `explored`."""
    for path in sorted((ROOT / "tests").rglob("*.py")):
        source = path.read_text()
        if re.search(r"^ +@given\(|^ .*\brun_state_machine_as_test\(", unclassed(source), re.MULTILINE):
            yield str(path.relative_to(ROOT)), "@pytest.mark.explored" in source


def unclassed(source: str) -> str:
    """Without the methods of classes, which Hypothesis marks as it marks functions."""
    return re.sub(r"^class Test.*\n(?:(?: .*)?\n)*", "", source, flags=re.MULTILINE)


def test_what_draws_inside_a_test_is_explored_too() -> None:
    found = dict(drawing_inside())
    assert len(found) >= 7
    assert [name for name, is_marked in found.items() if not is_marked] == []


def test_what_was_found_stays_mended() -> None:
    """Every file in `tests/regressions`."""
    wrong = {
        path.name: told for path in sorted(REGRESSIONS.glob("*.json")) if (told := replay(Kept.read(path)))
    }
    assert wrong == {}, "\n".join(wrong.values())


def test_make_explore_says_how_long() -> None:
    shown = subprocess.run(
        ["make", "--dry-run", "explore", "MINUTES=3"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert "-m tests.exploring --minutes 3" in shown
