"""docs/security.md cites tests that there are."""

import ast
import re

import pytest

from tests.architecture.test_tidiness import ROOT

PAGE = (ROOT / "docs" / "security.md").read_text()
CITATION = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")
CITED = sorted(set(CITATION.findall(PAGE)))
ROWS = [line for line in PAGE.splitlines() if re.match(r"\| \d", line)]


def test_every_promise_has_a_test() -> None:
    assert len(ROWS) > 30
    assert [row for row in ROWS if not CITATION.search(row)] == []
    assert PAGE.count("`tests/") == len(CITATION.findall(PAGE)), (
        "a citation is written so that nothing looks it up"
    )


@pytest.mark.parametrize(("path", "name"), CITED)
def test_a_test_that_is_cited_is_there(path: str, name: str) -> None:
    tree = ast.parse((ROOT / path).read_text())
    functions = {
        node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert not name or name in functions
    assert any(each.startswith("test_") for each in functions)
