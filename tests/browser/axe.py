"""What axe-core, which examines pages for people who cannot see or point, finds on a page."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from tests.browser.browser import Page, assert_readable

SOURCE: Final = (
    Path(__file__).parents[2] / ".venv" / "clients" / "node" / "node_modules" / "axe-core" / "axe.min.js"
)
"""Where `requirements/install.sh` puts it."""

CONTRAST: Final = ("color-contrast",)
"""The rule of axe-core that reads the colours of each text and of all that lies behind it."""

EXAMINE: Final = """
const [without, leavingOut, done] = arguments;
const rules = Object.fromEntries(leavingOut.map((rule) => [rule, { enabled: false }]));
const options = { resultTypes: ["violations"], rules };
axe.run(without.length ? { exclude: without } : document, options).then(
  ({ violations }) => done(violations.map(({ id, impact, nodes }) => [id, impact, nodes.map(({ html, any }) => [html.slice(0, 300), any.map((each) => each.message)])])),
  (error) => done([["failed", String(error), []]]),
);
"""


def require_axe() -> None:
    """Ends the test that asks if axe-core is not there: it fails in CI, and is skipped elsewhere."""
    if not SOURCE.exists():
        words = "no axe-core (install npm, then run make test again)"
        if os.environ.get("CI"):
            pytest.fail(words, pytrace=False)
        pytest.skip(words)


def findings(page: Page, *, without: Sequence[str] = (), leaving_out: Sequence[str] = ()) -> list[Any]:
    """
    Returns each rule that the page breaks, with its impact and the elements. ``without`` holds selectors of what is not ours,
    and ``leaving_out`` the names of rules.
    """
    if not page.run("return 'axe' in window"):
        page.run(SOURCE.read_text(encoding="utf-8"))
    found: list[Any] = page.driver.execute_async_script(EXAMINE, list(without), list(leaving_out))
    return found


def assert_accessible(page: Page, *, without: Sequence[str] = ()) -> None:
    """By day, by all rules of axe-core, and by night, by contrast alone, which is all that a dark page may lack beside a light one."""
    page.prefer("light")
    found = findings(page, without=without)
    assert found == [], found
    page.prefer("dark")
    assert_readable(page, without=without)
