"""Carries out what CONTRIBUTING.md and docs/pin-a-chat.md say, as it stands there, in a copy of the checkout with a new module."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import frozen

from infrastructure.scaffold.module import AlreadyThere, lay_module
from tests.architecture.test_tidiness import ROOT
from tests.checkout import copied, run, tool

NEW_FILE = re.compile(r"[Aa] new file,\s+`([^`]+)`")
CHANGE = re.compile(
    r"In\s+`(?P<path>[^`]+)`,\s+(?P<how>below|instead\s+of)\s+(?P<begins>the\s+line\s+that\s+begins\s+with\s+)?"
    r"(?P<ticks>`+)(?P<anchor>.+?)(?P=ticks):$"
)
VERSIONS = Path("infrastructure/postgres/schema/migrations/versions")


@frozen(kw_only=True)
class Step:
    """An example, and where it goes."""

    path: str
    code: str
    anchor: str | None = None
    """The line that the example goes below. With None it is a whole file."""
    is_beginning: bool = False
    """Whether ``anchor`` is only the beginning of the line."""
    replaces: bool = False
    """Whether the example replaces the line instead of following it."""

    def carry_out(self, root: Path) -> None:
        """Raises `ValueError` if the new file exists already, or if the line is missing or not the only such line."""
        file = root / self.path
        if self.anchor is None:
            if file.exists():
                raise ValueError(f"{self.path} is there already")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(self.code)
            return
        lines = file.read_text().splitlines(keepends=True)
        found = [number for number, line in enumerate(lines) if self._is_meant(line.rstrip("\n"))]
        if len(found) != 1:
            raise ValueError(f"{self.path} has {len(found)} lines {self.anchor!r}")
        lines[found[0] + (not self.replaces) : found[0] + 1] = [self.code]
        file.write_text("".join(lines))

    def endpoints(self) -> Iterator[str]:
        """The paths in its rows of the table of authorization; of those in a chat, what comes behind the chat."""
        if self.path == "tests/authorization/rows.py":
            yield from re.findall(r'endpoint=f?"[A-Z]+ (?:{CHAT})?([^"]+)"', self.code)

    def _is_meant(self, line: str) -> bool:
        assert self.anchor is not None
        return line.startswith(self.anchor) if self.is_beginning else line == self.anchor


@frozen
class Command:
    """A command that a page says to run."""

    line: str

    @property
    def program(self) -> str:
        return Path(shlex.split(self.line)[0]).name

    def carry_out(self, root: Path, *more: str) -> None:
        """Runs it with ``more`` arguments behind its own."""
        program, *arguments = shlex.split(self.line)
        assert Path(program).parent == Path(".venv/bin")
        run(root, tool(self.program), *arguments, *more)


def steps(text: str) -> Iterator[Step | Command]:
    """Raises `ValueError` for an example if the text before it does not say where it goes."""
    before = 0
    for block in re.finditer(r"^```(python|markdown|sh)\n(.*?)^```\n", text, re.MULTILINE | re.DOTALL):
        said = text[before : block.start()].rstrip()
        before = block.end()
        language, code = block.groups()
        if language == "sh":
            yield from map(Command, code.replace("\\\n", " ").splitlines())
            continue
        paragraph = said.rpartition("\n\n")[2]
        if change := CHANGE.search(paragraph):
            yield Step(
                path=change["path"],
                code=code,
                anchor=unpadded(change["anchor"]),
                is_beginning=change["begins"] is not None,
                replaces=change["how"] != "below",
            )
        elif new := NEW_FILE.search(paragraph):
            yield Step(path=new[1], code=code)
        else:
            raise ValueError(f"where does this go?\n{code}")


def unpadded(span: str) -> str:
    """Remove the space on both sides that a code span may have in Markdown, to begin or end with a backtick."""
    return span[1:-1] if span.startswith(" ") and span.endswith(" ") else span


@pytest.fixture(scope="module")
def everything() -> list[Step]:
    found = list(steps((ROOT / "CONTRIBUTING.md").read_text()))
    examples = [step for step in found if isinstance(step, Step)]
    assert examples == found, "its only commands are in the text"
    return examples


def test_every_example_works_as_it_stands_and_beside_a_new_module(
    everything: list[Step], tmp_path: Path
) -> None:
    """
    Both pages and what `messenger module create` lays share one copy, because checking types takes most of the time: the
    commands at the end of the second page check all three, and its pytest also runs the tests of the others.
    """
    pinning = list(steps((ROOT / "docs" / "pin-a-chat.md").read_text()))
    checks = [step.line.split() for step in pinning if isinstance(step, Command)]
    assert {Path(program).name for program, *_ in checks} == {
        *("python", "ruff", "mypy", "lint-imports", "pytest"),
    }
    whole = [
        Path(program).name for program, *words in checks if not words or words[-1] in {".", "--no-cache"}
    ]
    assert whole == ["ruff", "ruff", "mypy", "lint-imports"], "the new module is checked too"
    copy = copied(tmp_path, with_caches=True)
    laid = created(copy, "reading_lists_module")
    last = max(path.name[:4] for path in (copy / VERSIONS).glob("0*.py"))
    (migration,) = (step for step in pinning if isinstance(step, Step) and Path(step.path).parent == VERSIONS)
    numbers = (
        Path(migration.path).name[:4],
        re.findall(r'^down_revision.* = "(.*)"', migration.code, re.MULTILINE),
    )
    assert numbers == (f"{int(last) + 1:04}", [last]), (
        f"docs/pin-a-chat.md: number the migration after {last}"
    )
    new = [
        step.path for step in everything if step.anchor is None and Path(step.path).name.startswith("test_")
    ]
    assert len(new) == 3
    of_module = [path for path in laid if path.startswith("tests/")]
    assert len(of_module) == 3
    affected = [
        *("tests/interfaces/http/test_openapi.py", "tests/application/profiles"),
        "tests/infrastructure/postgres/test_migrations.py::test_up_down_up",
        "tests/infrastructure/postgres/test_migrations.py::test_every_line_of_history_has_one_newest_revision",
        "tests/architecture/test_tidiness.py",
    ]
    # what the document and the table say of other endpoints is the same as here, where other tests try it
    only = ("-p", "no:cacheprovider", "-k", "not as_documented or phone or pin or reading")
    rows = {path for step in (*everything, *pinning) if isinstance(step, Step) for path in step.endpoints()}
    assert rows == {"/accounts/profile/phone/", "pin/"}
    for step in (*everything, *pinning):
        if not isinstance(step, Command):
            step.carry_out(copy)
        elif step.program == "pytest":
            step.carry_out(copy, *new, *of_module, *affected, *only)
        elif "tests.authorization" in step.line:
            step.carry_out(copy, *(f"--only={path}" for path in rows))
        else:
            step.carry_out(copy)
    # a second module goes beside the first, which is not written over
    with pytest.raises(AlreadyThere, match="is there already"):
        lay_module("reading_lists", copy)


def created(copy: Path, name: str) -> list[str]:
    """What the command lays in a copy."""
    shown = run(copy, tool("python"), "-m", "config.main", "module", "create", name)
    laid = [line for line in shown.splitlines() if line.endswith(".py")]
    assert {line.split("/")[0] for line in laid} == {
        *("domain", "application", "infrastructure", "interfaces", "config", "tests"),
    }
    assert "MODULES_SECTION_ENABLED_MODULES" in shown
    assert all((copy / path).is_file() for path in laid)
    return laid


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


def test_a_line_is_replaced_and_may_be_named_by_its_beginning(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("| `GET /a/` | A. |\n| `GET /b/` | B. |\n")
    text = "In `a.txt`, {} the line that begins with\n`` | `GET /a/` ``:\n\n```markdown\n| C |\n```\n"
    for step in (*steps(text.format("below")), *steps(text.format("instead\nof"))):
        step.carry_out(tmp_path)
    assert (tmp_path / "a.txt").read_text() == "| C |\n| C |\n| `GET /b/` | B. |\n"
    (ambiguous,) = steps("In `a.txt`, instead of `| C |`:\n\n```markdown\n| D |\n```\n")
    with pytest.raises(ValueError, match="has 2 lines"):
        ambiguous.carry_out(tmp_path)


def test_a_command_that_fails_is_noticed(tmp_path: Path) -> None:
    works, fails = steps("```sh\n.venv/bin/python -c 'pass'\n.venv/bin/python -c 'exit(3)'\n```\n")
    works.carry_out(tmp_path)
    with pytest.raises(AssertionError, match="exit"):
        fails.carry_out(tmp_path)


def test_every_make_target_that_is_named_is_there() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`make ([a-z]+)", (ROOT / "CONTRIBUTING.md").read_text()))
    assert {"test", "check", "format", "explore"} <= named <= targets
