"""
Generates the files of a new module, in all layers.

The generated module is small and complete, and passes the project's own checks: a profile can add and list things that it
owns. It is meant to be rewritten, and shows where each part belongs.
"""

import re
from collections.abc import Sequence
from keyword import iskeyword
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

VERSIONS: Final = "infrastructure/postgres/schema/migrations/versions"

FILES: Final = {
    "domain": "domain/{one}.py",
    "port": "application/ports/{many}.py",
    "empty": "application/{many}/__init__.py",
    "add": "application/{many}/add.py",
    "memory": "infrastructure/memory/{many}.py",
    "tables": "infrastructure/postgres/schema/{one}_tables.py",
    "postgres": "infrastructure/postgres/{many}.py",
    "branch": VERSIONS + "/{many}/__init__.py",
    "migration": VERSIONS + "/{many}/{many}_0001.py",
    "http": "interfaces/http/{many}.py",
    "module": "config/modules/{many}.py",
    "test_domain": "tests/domain/test_{one}.py",
    "test_contract": "tests/contracts/test_{many}.py",
    "test_http": "tests/interfaces/http/test_{many}.py",
}
"""The paths of the generated files, by the name of their template. The migrations of a module are a branch in its own folder."""

PLURAL: Final = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*s")
LONGEST: Final = 16


class BadModuleName(Exception):
    pass


class AlreadyThere(Exception):
    pass


def lay_module(name: str, root: Path) -> Sequence[Path]:
    """
    Generates a module and returns its files, relative to ``root``. Existing files are not changed.

    Raises:
        BadModuleName: ``name`` cannot name a module.
        AlreadyThere: A module of this name exists, or ``root`` is not a checkout of the messenger.
    """
    many = name.removesuffix("_module")
    if not PLURAL.fullmatch(many) or len(many) > LONGEST or iskeyword(one := singular(many)) or one == many:
        raise BadModuleName(
            f"{name!r} cannot name a module: small letters, digits and underscores, in the plural, as bookmarks"
        )
    if not (root / VERSIONS).is_dir():
        raise AlreadyThere(f"{root} is not the folder of the messenger's sources")
    names = {"one": one, "many": many}
    paths = {template: Path(pattern.format(**names)) for template, pattern in FILES.items()}
    if taken := [path for path in paths.values() if (root / path).exists()]:
        raise AlreadyThere(f"{taken[0]} is there already")
    if (root / "config" / "modules" / f"{one}.py").exists():
        raise AlreadyThere(f"config/modules/{one}.py is there already")
    known = {
        **names,
        "One": camel(one),
        "Many": camel(many),
        "ONE": one.upper(),
        "path": many.replace("_", "-"),
        "said": many.replace("_", " "),
        "Said": many.replace("_", " ").capitalize(),
        "said_one": one.replace("_", " "),
    }
    templates = _templates()
    for template, path in paths.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        text = templates.get_template(f"{template}.txt").render(known)
        (root / path).write_text(with_sorted_imports(text), encoding="utf-8")
    return list(paths.values())


def singular(many: str) -> str:
    if many.endswith("ies") and len(many) > 4:
        return f"{many[:-3]}y"
    if many.endswith(("sses", "xes", "ches", "shes")):
        return many[:-2]
    return many if many.endswith("ss") else many[:-1]


def camel(name: str) -> str:
    return "".join(part.title() for part in name.split("_"))


def with_sorted_imports(text: str) -> str:
    """Sorts each block of imports, because the place of an import depends on the name of the module."""
    imports = re.compile(r"(?m)(?:^from \S+ import .*\n)+")
    return imports.sub(
        lambda block: "".join(sorted(block.group().splitlines(keepends=True), key=_module_of)), text
    )


def _module_of(line: str) -> str:
    return line.split(" ")[1]


def _templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - Python, no page; names are checked
        variable_start_string="<<",
        variable_end_string=">>",
        block_start_string="<%",
        block_end_string="%>",
        keep_trailing_newline=True,
    )
