"""The JavaScript client: its core under node's own test runner, and its declarations under TypeScript."""

import re
from pathlib import Path

from tests.system.test_generated_clients import done, node, with_node

HERE = Path(__file__).parent

pytestmark = with_node


def test_the_core() -> None:
    printed = done("node", "--test", "--test-reporter=tap", "core.test.js", at=HERE)
    assert re.search(r"^# fail 0$", printed, re.MULTILINE), printed
    assert re.search(r"^# pass ([1-9]\d+)$", printed, re.MULTILINE), printed


def test_the_types_are_those_of_the_code() -> None:
    """Checks the modules by their comments, the declarations by the modules, and a program by the declarations."""
    node("typescript/bin/tsc", "--project", ".", at=HERE)
