"""Every page that code, tests or other pages refer to is in the repository."""

import re
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.test_tidiness import ROOT, files

NAMED = re.compile(r"(?<![\w./-])((?:[\w.-]+/)*[\w-]+\.md)\b")
"""The path or name of a page, as prose and code mention it."""

LINKED = re.compile(r"\]\((?!\w+:)([^)#\s]+)")
"""The target of a Markdown link to a file of the repository."""


def named(text: str) -> Iterator[str]:
    yield from NAMED.findall(text)


def missing(path: Path, text: str) -> list[str]:
    """The pages that ``text`` refers to and that exist neither beside ``path``, nor under the root, nor in docs/."""
    found = set(named(text)) | (set(LINKED.findall(text)) if path.suffix == ".md" else set())
    return sorted(
        name
        for name in found
        if not (path.parent / name).exists()
        and not (ROOT / name).exists()
        and not (ROOT / "docs" / name).exists()
    )


def test_every_page_that_is_referred_to_exists() -> None:
    texts = {
        path: path.read_text(errors="replace") for path in files() if path.suffix in {".py", ".md", ".toml"}
    }
    assert len(texts) > 200
    assert {str(p.relative_to(ROOT)): m for p, text in texts.items() if (m := missing(p, text))} == {}


def test_a_missing_page_is_found() -> None:
    page = ROOT / "docs" / "protocol.md"
    absent = "docs/absent" + ".md"  # in pieces, so that this file does not name it
    assert missing(page, f"See {absent} and operation.md.") == [absent]
    assert missing(page, "[other](nowhere/) and [this](decisions/)") == ["nowhere/"]
