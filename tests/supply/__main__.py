"""
What the messenger is made of: ``python -m tests.supply sbom`` prints its bill of materials (CycloneDX 1.6), and ``python -m
tests.supply advisories [FILE]`` holds the pinned versions to a file of advisories in the format of OSV. The exit status is 1 if
one of them is concerned. Neither asks a server.
"""

import argparse
import json
import sys
from pathlib import Path

from config.build import this_build
from tests.supply.pins import REQUIREMENTS, advisories, concerned, pins, sbom


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.supply", description=__doc__)
    parser.add_argument("what", choices=("sbom", "advisories"))
    parser.add_argument("file", nargs="?", type=Path, default=REQUIREMENTS / "advisories.json")
    options = parser.parse_args(arguments)
    if options.what == "sbom":
        print(json.dumps(sbom(pins(), this_build().version), indent=2))
        return 0
    entries = advisories(options.file)
    found = [line for name in ("run", "dev", "build", "clients") for line in concerned(pins(name), entries)]
    print(
        *dict.fromkeys(found),
        f"{len(entries)} advisories, {len(set(found))} that concern a pinned version",
        sep="\n",
    )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
