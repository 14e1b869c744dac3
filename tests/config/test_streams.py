"""What is printed beside the log."""

import subprocess
import sys

from config.streams import Printed
from tests.config.conftest import ROOT

CLOSED = """
import os, socket, sys
from config.streams import open_standard_streams
open_standard_streams()
with socket.socket() as opened:
    assert opened.fileno() > 2, opened.fileno()
assert os.readlink("/proc/self/fd/1") == os.devnull
print("nobody reads this")
sys.stderr.write("nor this")
assert sys.stdin.read() == ""
sys.exit(7)
"""


def test_closed_streams_are_not_given_to_files() -> None:
    """Otherwise the log could be written into a socket, or into the file of a letter."""
    closing = 'exec "$@" 0<&- 1>&- 2>&-'
    done = subprocess.run(
        ["sh", "-c", closing, "sh", sys.executable, "-c", CLOSED], cwd=ROOT, timeout=120, check=False
    )
    assert done.returncode == 7


def test_printed_lines_are_handed_over() -> None:
    lines: list[str] = []
    printed = Printed(lines.append, 1)
    print("one\ntwo", file=printed)
    print("three", end="", file=printed)
    assert lines == ["one", "two"]
    printed.flush()
    printed.flush()
    assert lines == ["one", "two", "three"]
