"""Programs of the system that some tests need, and what is done where one of them is missing."""

import os
import shutil
from collections.abc import Mapping
from typing import Final

import pytest

PACKAGES: Final[Mapping[str, str]] = {
    "caddy": "caddy",
    "chromium": "chromium",
    "chromedriver": "chromium-driver",
    "nginx": "nginx",
    "pgbouncer": "pgbouncer",
    "systemd-analyze": "systemd",
}
"""The Debian package of each program. `.ci/run` installs them all."""

SYSTEM_FOLDERS: Final = "/usr/sbin:/sbin"
"""Where Debian keeps servers. They are not on an ordinary user's path."""


def program(name: str) -> str | None:
    """The path of a program, or None if it is not installed."""
    return shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:{SYSTEM_FOLDERS}")


def require(*names: str) -> None:
    """
    Ends the test that asks if one of the programs is missing: it fails in CI (where the variable ``CI`` is set), so that
    nobody takes a test that did not run for one that passed, and is skipped elsewhere with the package to install.
    """
    lacking = [name for name in names if program(name) is None]
    if lacking:
        packages = " ".join(PACKAGES[name] for name in lacking)
        words = f"no {' and no '.join(lacking)} (on Debian: apt-get install {packages})"
        if os.environ.get("CI"):
            pytest.fail(words, pytrace=False)
        pytest.skip(words)
