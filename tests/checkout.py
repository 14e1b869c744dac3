"""A copy of the checkout, for tests that change sources and run the project's own checks on them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.architecture.test_tidiness import ROOT, files

HANGS = 600.0
"""Seconds after which a tool hangs."""


def copied(to: Path, *, with_caches: bool = False) -> Path:
    """
    Everything that is not ignored by git; ``with_caches`` also what mypy knows and compiled modules, which hold there as
    well: what has changed by its size or its time is looked at anew.
    """
    for path in files():
        target = to / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)
        if with_caches and path.suffix == ".py":
            for compiled in path.parent.glob(f"__pycache__/{path.stem}.*.pyc"):
                (target.parent / "__pycache__").mkdir(exist_ok=True)
                shutil.copy2(compiled, target.parent / "__pycache__")
    if with_caches and (ROOT / ".mypy_cache").is_dir():
        shutil.copytree(ROOT / ".mypy_cache", to / ".mypy_cache", ignore_dangling_symlinks=True)
    return to


def run(where: Path, *command: str) -> str:
    """What the command printed. Fails the test if it does not end with 0."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR", "HOME") if name in os.environ}
    ran = subprocess.run(
        command,
        cwd=where,
        env={**kept, "PYTHONPATH": str(where), "MYPYPATH": str(where)},
        capture_output=True,
        text=True,
        timeout=HANGS,
        check=False,
    )
    assert ran.returncode == 0, f"{' '.join(command)}\n{ran.stdout}{ran.stderr}"
    return ran.stdout


def tool(name: str) -> str:
    """The path of a program of this virtual environment."""
    return str(Path(sys.executable).with_name(name))
