"""
What the messenger is made of.

``python -m tests.supply sbom`` prints its bill of materials (CycloneDX 1.6). ``python -m tests.supply advisories [FILE]`` holds the
pinned versions to a file of advisories in the format of OSV; the exit status is 1 if one of them is concerned. ``python -m
tests.supply gather FOLDER --day DAY`` prints the advisories of the pinned packages from a checkout of a database of advisories, as
requirements/advisories.json has them. None of the three asks a server.
"""

import argparse
import json
import sys
from datetime import date
from pathlib import Path

from config.build import this_build
from tests.supply.gathering import gather, written
from tests.supply.pins import REQUIREMENTS, advisories, concerned, pins, sbom


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.supply", description=__doc__)
    parser.add_argument("what", choices=("sbom", "advisories", "gather"))
    parser.add_argument("file", nargs="?", type=Path, default=REQUIREMENTS / "advisories.json")
    parser.add_argument("--day", type=date.fromisoformat, help="the day of what is gathered, as 2026-07-23")
    options = parser.parse_args(arguments)
    if options.what == "sbom":
        print(json.dumps(sbom(pins(), this_build().version), indent=2))
        return 0
    everything = {name: pins(name) for name in ("run", "dev", "build", "clients")}
    if options.what == "gather":
        if options.day is None:
            parser.error("Give the day of the checkout: --day 2026-07-23.")
        try:
            gathered = gather(
                options.file, {pin.name for each in everything.values() for pin in each}, options.day
            )
        except ValueError as error:
            parser.error(str(error))
        print(written(gathered))
        return 0
    entries = advisories(options.file)
    found = [line for each in everything.values() for line in concerned(each, entries)]
    print(
        *dict.fromkeys(found),
        f"{len(entries)} advisories, {len(set(found))} that concern a pinned version",
        sep="\n",
    )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
