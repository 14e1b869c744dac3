"""What no file of the project may hold."""

import ast
import fnmatch
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# In pieces, so that this file does not hold them itself.
REGISTRIES = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("debian", "org"),
        ("golang", "org"),
    )
]
MACHINE = ["/" + place for place in ("work/", "opt/pypi", "opt/wheels", "root/", "home/")]
HIDING = "TYPE_" + "CHECKING"


def files() -> Iterator[Path]:
    """Everything here that .gitignore does not name."""
    ignored = re.compile(
        "|".join(
            fnmatch.translate(each.strip("/"))
            for each in [".git", *(ROOT / ".gitignore").read_text().split()]
        )
    )
    waiting = [str(ROOT)]
    while waiting:
        with os.scandir(waiting.pop()) as found:
            there = sorted(found, key=lambda entry: entry.name)
        for entry in there:
            if ignored.match(entry.name):
                continue
            if entry.is_dir():
                waiting.append(entry.path)
            else:
                yield Path(entry.path)


def mentions(text: str, unwanted: list[str]) -> list[str]:
    return [each for each in unwanted if each in text]


def hides_imports(source: str) -> bool:
    return re.search(rf"\b{HIDING}\b", source) is not None


def idle_places(source: str) -> list[int]:
    """The lines on which a test of the browser names an element and does nothing with it, not even wait for it."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Call)
        and isinstance(node.value.func, ast.Attribute)
        and node.value.func.attr in {"one", "first", "button", "row"}
    ]


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    return {str(path.relative_to(ROOT)): path.read_text(errors="replace") for path in files()}


def test_finds_the_files(texts: dict[str, str]) -> None:
    assert {"pyproject.toml", "config/settings/groups.py", ".ci/run", "requirements/run.txt"} <= texts.keys()
    assert not [name for name in texts if name.startswith((".venv", ".git/", "var/"))]


def test_no_registry_is_named(texts: dict[str, str]) -> None:
    assert {name: found for name, text in texts.items() if (found := mentions(text, REGISTRIES))} == {}


def test_no_path_of_a_machine(texts: dict[str, str]) -> None:
    assert {name: found for name, text in texts.items() if (found := mentions(text, MACHINE))} == {}


def test_no_import_is_hidden(texts: dict[str, str]) -> None:
    hidden = [name for name, text in texts.items() if name.endswith(".py") and hides_imports(text)]
    assert hidden == []


def test_whatever_a_browser_is_to_wait_for_is_waited_for(texts: dict[str, str]) -> None:
    sources = {name: text for name, text in texts.items() if re.match(r"tests/browser/.*\.py$", name)}
    assert len(sources) > 10
    assert {name: found for name, text in sources.items() if (found := idle_places(text))} == {}


def test_pinned_requirements_have_hashes_and_no_addresses(texts: dict[str, str]) -> None:
    for what in ("run", "build", "pip", "dev", "clients"):
        text = texts[f"requirements/{what}.txt"]
        pins = re.findall(
            r"^([a-z0-9-]+)==\S+.*\n(?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+", text, re.MULTILINE
        )
        assert len(pins) == len(re.findall(r"^\S", text, re.MULTILINE)) > 0
        assert "://" not in text


def test_pinned_npm_packages_have_hashes_and_no_addresses(texts: dict[str, str]) -> None:
    packages = json.loads(texts["tests/clients/package-lock.json"])["packages"]
    wanted = json.loads(texts["tests/clients/package.json"])["devDependencies"]
    assert packages.pop("")["devDependencies"] == wanted
    assert all(version[0].isdigit() for version in wanted.values())
    assert all(each["integrity"].startswith("sha512-") for each in packages.values())
    assert [name for name, each in packages.items() if "resolved" in each] == []


def test_tests_run_with_what_runs(texts: dict[str, str]) -> None:
    def pins(what: str) -> set[str]:
        return set(re.findall(r"^\S+==\S+", texts[f"requirements/{what}.txt"], re.MULTILINE))

    assert pins("run") | pins("build") <= pins("dev")


def test_sees_violations() -> None:
    assert mentions(f"--index-url https://{REGISTRIES[0]}/simple", REGISTRIES) == [REGISTRIES[0]]
    assert mentions(f"cd {MACHINE[0]}main", MACHINE) == [MACHINE[0]]
    assert hides_imports(f"from typing import {HIDING}\n")
    assert not hides_imports(f"{HIDING}_OF_TYPES = 1\n")
    assert idle_places('page.press("a")\npage.one("b")\npage.one("c").found()\n') == [2]
