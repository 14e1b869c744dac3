"""Carries out what CONTRIBUTING.md says, as it stands there, in a copy of the checkout."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import frozen

from tests.architecture.test_tidiness import ROOT
from tests.checkout import copied, run, tool

NEW_FILE = re.compile(r"[Aa] new file,\s+`([^`]+)`")
BELOW = re.compile(r"In\s+`([^`]+)`, below\s+`([^`]+)`:$")


@frozen
class Step:
    """One example: the file it is about, the line that it goes below (None: it is the whole file), and what it says."""

    path: str
    anchor: str | None
    code: str

    def carry_out(self, root: Path) -> None:
        """Raises `ValueError` if the file is there already, or has not one such line."""
        file = root / self.path
        if self.anchor is None:
            if file.exists():
                raise ValueError(f"{self.path} is there already")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(self.code)
            return
        lines = file.read_text().splitlines(keepends=True)
        found = [number for number, line in enumerate(lines) if line.rstrip("\n") == self.anchor]
        if len(found) != 1:
            raise ValueError(f"{self.path} has {len(found)} lines {self.anchor!r}")
        lines.insert(found[0] + 1, self.code)
        file.write_text("".join(lines))


def steps(text: str) -> Iterator[Step]:
    """Raises `ValueError` for an example of which nothing says where it goes."""
    before = 0
    for block in re.finditer(r"^```python\n(.*?)^```\n", text, re.MULTILINE | re.DOTALL):
        said = text[before : block.start()].rstrip()
        before = block.end()
        paragraph = said.rpartition("\n\n")[2]
        if below := BELOW.search(paragraph):
            yield Step(below[1], below[2], block[1])
        elif new := NEW_FILE.search(paragraph):
            yield Step(new[1], None, block[1])
        else:
            raise ValueError(f"where does this go?\n{block[1]}")


@pytest.fixture(scope="module")
def everything() -> list[Step]:
    return list(steps((ROOT / "CONTRIBUTING.md").read_text()))


def test_every_example_works_as_it_stands(everything: list[Step], tmp_path: Path) -> None:
    copy = copied(tmp_path)
    for step in everything:
        step.carry_out(copy)
    touched = sorted({step.path for step in everything})
    run(copy, tool("ruff"), "check", *touched)
    run(copy, tool("ruff"), "format", "--check", *touched)
    run(copy, tool("mypy"), *touched)
    run(copy, tool("lint-imports"), "--no-cache")
    new = [
        step.path for step in everything if step.anchor is None and Path(step.path).name.startswith("test_")
    ]
    assert len(new) == 3
    known = "tests/contracts/test_announcing.py::test_every_use_case_has_a_row"
    affected = ["tests/interfaces/http/test_openapi.py", "tests/application/profiles", known]
    run(copy, tool("python"), "-m", "pytest", "-q", "-p", "no:cacheprovider", *new, *affected)


def test_an_example_without_a_place_is_noticed() -> None:
    with pytest.raises(ValueError, match="where does this go"):
        list(steps("Do it:\n\n```python\npass\n```\n"))


def test_a_line_that_is_gone_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("one = 1\n")
    (step,) = steps("In `a.py`, below\n`two = 2`:\n\n```python\nthree = 3\n```\n")
    with pytest.raises(ValueError, match="has 0 lines"):
        step.carry_out(tmp_path)
    (step,) = steps("In `a.py`, below `one = 1`:\n\n```python\nthree = 3\n```\n")
    step.carry_out(tmp_path)
    assert (tmp_path / "a.py").read_text() == "one = 1\nthree = 3\n"


def test_every_make_target_that_is_named_is_there() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`make ([a-z]+)", (ROOT / "CONTRIBUTING.md").read_text()))
    assert {"test", "check", "format", "explore"} <= named <= targets
