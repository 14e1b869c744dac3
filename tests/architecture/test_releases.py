"""The changelog has a section for each version, and the newest is the one in pyproject.toml."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

HEADING = re.compile(r"## (\d+)\.(\d+)\.(\d+) \((unreleased|\d{4}-\d{2}-\d{2})\)")


def faults(changelog: str, version: str) -> list[str]:
    headings = re.findall(r"^## .*", changelog, re.MULTILINE)
    found = [f"not a version with a date: {line}" for line in headings if not HEADING.fullmatch(line)]
    parts = [match.groups() for line in headings if (match := HEADING.fullmatch(line))]
    numbers = [tuple(map(int, each[:3])) for each in parts]
    dates = [each[3] for each in parts]
    if not numbers or ".".join(map(str, numbers[0])) != version:
        found.append("the first section is not of the version in pyproject.toml")
    if sorted(set(numbers), reverse=True) != numbers:
        found.append("versions do not descend")
    if "unreleased" in dates[1:]:
        found.append("an older version is not dated")
    return found


def test_the_changelog_fits_the_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert faults((ROOT / "CHANGELOG.md").read_text(), version) == []


@pytest.mark.parametrize(
    ("changelog", "fault"),
    [
        ("## Unreleased\n", "not a version with a date: ## Unreleased"),
        ("## 0.1.0 (unreleased)\n", "the first section is not of the version in pyproject.toml"),
        ("## 0.2.0 (unreleased)\n## 0.3.0 (2027-01-01)\n", "versions do not descend"),
        ("## 0.2.0 (unreleased)\n## 0.1.0 (unreleased)\n", "an older version is not dated"),
    ],
)
def test_sees_what_is_wrong(changelog: str, fault: str) -> None:
    assert fault in faults(changelog, "0.2.0")
