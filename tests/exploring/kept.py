"""
What an exploration found, kept as a file in `tests/regressions`.

A kept file names a test and the chance under which it failed. `make test` tries each of them again. When the fault is
mended and a test of its own says what was wrong, the file may go.
"""

import base64
import hashlib
import json
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, Self

from attrs import asdict, frozen

ROOT: Final = Path(__file__).resolve().parents[2]

REGRESSIONS: Final = ROOT / "tests" / "regressions"

SIMULATION: Final = "simulation"
CHAOS: Final = "chaos"
DEVICES: Final[Mapping[str, str]] = {"python": "devices-python", "javascript": "devices-javascript"}
"""By the client that the devices have."""

TOLD_LINES: Final = 60
"""How many lines of what a failing run told are kept for the reader."""


@frozen(kw_only=True)
class Kept:
    """One finding."""

    test: str
    """The node id of a property's test; `SIMULATION`, `CHAOS` or one of `DEVICES` for a run that is a function of its number."""
    seed: int
    """The seed of the run that failed, or its number."""
    choices: Sequence[str] = ()
    """The failing examples as Hypothesis' choice sequences, in hexadecimal. If there are none, the seed is replayed."""
    told: Sequence[str] = ()
    """Some lines of what the failing run told."""

    @classmethod
    def of_property(cls, test: str, seed: int, blobs: Sequence[str], told: str) -> Self:
        """``blobs`` are the arguments of `reproduce_failure` that Hypothesis prints."""
        choices = [_choices(blob).hex() for blob in blobs]
        return cls(test=test, seed=seed, choices=choices, told=told.splitlines()[-TOLD_LINES:])

    @classmethod
    def of_run(cls, kind: str, number: int, faults: Iterable[object]) -> Self | None:
        """Makes the finding of a simulated or a chaotic run. Returns None if the run has no faults."""
        told = [str(fault) for fault in faults][:TOLD_LINES]
        return cls(test=kind, seed=number, told=told) if told else None

    @classmethod
    def read(cls, path: Path) -> Self:
        return cls(**json.loads(path.read_text()))

    def write(self, folder: Path) -> Path:
        """The same finding gets the same name, so that it is kept once."""
        words = re.sub(r"\W+", "-", self.test.rpartition("::")[2]).strip("-")
        digest = hashlib.sha256(repr((self.test, self.seed, list(self.choices))).encode()).hexdigest()
        path = folder / f"{words}-{digest[:8]}.json"
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n")
        return path


def _choices(blob: str) -> bytes:
    """What `reproduce_failure` is given: a byte that says whether the rest is compressed, all of it in base 64."""
    decoded = base64.b64decode(blob)
    return zlib.decompress(decoded[1:]) if decoded[:1] == b"\1" else decoded[1:]
