"""
The texts of the product and its tests read like the documentation of a good library.

A test cannot judge prose, but it can refuse the patterns that made readers stop: docstrings without a subject, and
pronouns that point at nobody. What is refused here was found by people who read the code for the first time.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.test_tidiness import ROOT

ROOMS = ("domain", "application", "infrastructure", "interfaces", "config")

BEGINNINGS = re.compile(
    r"None:|(Of|It|So|Where|Whose|What|Who|Their|Whoever|The ones?|As|Whatever|That|Asked)\b"
)
"""
A docstring that begins so has no subject, or one that only its author knows. Say what the thing is: "The members who
left", not "Who left"; "Returns None if nothing changed", not "None: it is so already".
"""

BEGINNINGS_OF_TESTS = re.compile(
    r"None:|(Of|It|So|Whose|Their|Whoever|Whatever|As|That|Asked|Where it|The ones?)\b"
)
"""The same in tests, where a docstring may also be the heading of what follows: "What every storage promises"."""

RIDDLES = re.compile(
    r"\b(who(so)?ever|nobody (knows|hears|waits|has)|who (comes|goes|asks) (back|for)|of those who|is told of"
    r"|there is no other|and no more|not a one|none of (its|their) business)\b",
    re.IGNORECASE,
)
"""Phrases that a reader has to read twice. Name the subject: the client, the caller, the reader, the server."""


def docstrings(source: str) -> Iterator[tuple[int, str]]:
    """The docstrings of a module and of what it defines, attributes included: line and text."""
    waiting: list[ast.AST] = [ast.parse(source)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Expr):
            if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
                yield node.lineno, node.value.value.strip()
        elif not isinstance(node, ast.expr):  # an expression holds no statement
            waiting.extend(ast.iter_child_nodes(node))


def comments(source: str) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string.lstrip("# ")


def refused(source: str, beginnings: re.Pattern[str] = BEGINNINGS) -> list[str]:
    found = [
        (line, text) for line, text in docstrings(source) if beginnings.match(text) or RIDDLES.search(text)
    ]
    if RIDDLES.search(source):  # to look for comments takes ten times as long
        found += [(line, text) for line, text in comments(source) if RIDDLES.search(text)]
    return [f"{line}: {text.splitlines()[0]}" for line, text in sorted(found)]


@pytest.mark.parametrize("room", [*ROOMS, "tests"])
def test_no_riddles(room: str) -> None:
    modules = [path for path in sorted((ROOT / room).rglob("*.py")) if path != Path(__file__)]
    assert modules
    beginnings = BEGINNINGS_OF_TESTS if room == "tests" else BEGINNINGS
    found = {
        str(path.relative_to(ROOT)): hits
        for path in modules
        if (hits := refused(path.read_text(), beginnings))
    }
    assert found == {}


def pages() -> list[Path]:
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_no_riddles_in_pages() -> None:
    found = {
        path.name: hits
        for path in pages()
        if (hits := [m.group(0) for m in RIDDLES.finditer(path.read_text())])
    }
    assert found == {}


def test_riddles_are_found() -> None:
    assert refused('def f():\n    """None: it is called so already."""\n') == [
        "2: None: it is called so already."
    ]
    assert refused("x = 1  # Whoever waits is told later.\n") == ["1: Whoever waits is told later."]
    assert refused('X = 1\n"""How many bytes fit."""\n') == []
    assert refused('"""Opens the direct chat of two people."""\n') == []
