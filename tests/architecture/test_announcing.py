"""Use cases announce nothing themselves: units of work do, after their commit. Only what is never stored is published."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NEVER_STORED = {"application/updates/typing.py"}
PORT = "application.ports.updates"


def publishes(source: str) -> bool:
    """Whether a module calls ``publish``, or asks to be given something that could."""
    return any(_publishes(node) for node in ast.walk(ast.parse(source)))


def _publishes(node: ast.AST) -> bool:
    match node:
        case ast.Attribute(attr="publish" | "subscribe"):
            return True
        case ast.ImportFrom(module=module, names=names) if module == PORT:
            return any(name.name in {"Updates", "*"} for name in names)
        case ast.Import(names=names):
            return any(name.name == PORT for name in names)
        case _:
            return False


def use_cases() -> Iterator[Path]:
    for path in sorted((ROOT / "application").rglob("*.py")):
        if "ports" not in path.parts:
            yield path


def test_only_what_is_never_stored_is_published_by_its_use_case() -> None:
    found = {str(path.relative_to(ROOT)) for path in use_cases() if publishes(path.read_text())}
    assert found == NEVER_STORED


def test_sees_violations() -> None:
    assert publishes("self.updates.publish(told)")
    assert publishes("publish = self.updates.publish")
    assert publishes(f"from {PORT} import Update, Updates")
    assert publishes(f"import {PORT}")
    assert not publishes(f"from {PORT} import Moved")
