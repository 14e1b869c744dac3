"""
What is not ours: a load generator and the physical limit, two files of C in the folder that MESSENGER_TOOLS names.

`wsload` opens sockets, sends, and checks that each hears everything once and in order. `cserver` does nothing but tell a
room what one of it said; with an argument more it joins what it tells one socket in a tick. Where the folder is not named
nothing is measured that needs them.
"""

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import frozen

VARIABLE = "MESSENGER_TOOLS"


@frozen
class Tools:
    folder: Path
    """The folder of the compiled programs."""

    def cserver(self, port: int, *, joined: bool) -> list[str]:
        return [str(self.folder / "cserver"), str(port), *(["joined"] if joined else [])]

    def wsload(self, lines: Sequence[tuple[str, str, str]], *options: str) -> subprocess.Popen[str]:
        """``lines`` are path, greeting and room of each socket. What it measured, `told` returns when it has ended."""
        path = self.folder / "lines"
        path.write_text("".join("\t".join(line) + "\n" for line in lines))
        command = [str(self.folder / "wsload"), f"--conns={len(lines)}", f"--lines={path}", *options]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def told(load: subprocess.Popen[str]) -> dict[str, Any]:
    output, _ = load.communicate()
    assert load.returncode == 0, output
    figures: dict[str, Any] = json.loads(output)
    return figures


@contextmanager
def compiled() -> Iterator[Tools | None]:
    """None, and a line that says so, where there are none."""
    source = os.environ.get(VARIABLE)
    if source is None:
        print(f"{VARIABLE} is not set: no C limit, and the load comes from Python")
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="messenger-tools-") as folder:
        for name in ("wsload", "cserver"):
            command = [
                "gcc",
                "-O2",
                "-w",
                "-o",
                str(Path(folder) / name),
                str(Path(source) / f"{name}.c"),
                "-lm",
            ]
            subprocess.run(command, check=True)
        yield Tools(Path(folder))
