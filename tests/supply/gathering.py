"""Makes the stored file of advisories from a checkout of a database of advisories."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import yaml
from packaging.version import InvalidVersion, Version

from tests.supply.pins import is_within, normal


def gather(checkout: Path, names: Collection[str], day: date) -> Mapping[str, Any]:
    """
    Return the advisories of some packages, and the day of the checkout.

    A checkout of the Python packaging advisory database has a folder ``vulns`` with a folder for each package. Any other folder is
    searched for JSON files in the format of OSV. Raises ValueError if there are no such files.
    """
    vulns = checkout / "vulns"
    is_by_package = vulns.is_dir()
    files = sorted(vulns.rglob("*.yaml") if is_by_package else checkout.rglob("*.json"))
    if not files:
        raise ValueError(
            f"{checkout} has no advisories: neither vulns/*/*.yaml nor *.json in the format of OSV."
        )
    if is_by_package:
        files = [path for path in files if normal(path.parent.name) in names]
    entries = [_shortened(entry, names) for path in files for entry in _read(path)]
    return {
        "as_of": day.isoformat(),
        "advisories": sorted((each for each in entries if each["affected"]), key=lambda each: each["id"]),
    }


def written(gathered: Mapping[str, Any]) -> str:
    """Return the text of the file, with a line for each advisory, so that a renewal shows what is new."""
    lines = ",\n".join(json.dumps(each) for each in gathered["advisories"])
    return f'{{"as_of": {json.dumps(gathered["as_of"])}, "advisories": [\n{lines}\n]}}'


def _read(path: Path) -> Iterator[Mapping[str, Any]]:
    """Yield the entry of a file, unless it was withdrawn."""
    # The base loader leaves every value a text: "1.10" is a version, and no number.
    entry = (
        yaml.load(path.read_text(), Loader=yaml.CBaseLoader)
        if path.suffix == ".yaml"
        else json.loads(path.read_text())
    )
    if "id" in entry and "withdrawn" not in entry:
        yield entry


def _shortened(entry: Mapping[str, Any], names: Collection[str]) -> Mapping[str, Any]:
    """Return what decides whether a version is concerned. Descriptions are left to the database."""
    return {
        "id": entry["id"],
        "aliases": sorted(entry.get("aliases", ())),
        "affected": [
            _affected(each)
            for each in entry.get("affected", ())
            if each["package"]["ecosystem"] == "PyPI" and normal(each["package"]["name"]) in names
        ],
    }


def _affected(affected: Mapping[str, Any]) -> Mapping[str, Any]:
    ranges = [
        {"type": "ECOSYSTEM", "events": [*each["events"]]}
        for each in affected.get("ranges", ())
        if each["type"] == "ECOSYSTEM"
    ]
    others = [each for each in affected.get("versions", ()) if not _is_in(each, ranges)]
    return {
        "package": {"ecosystem": "PyPI", "name": normal(affected["package"]["name"])},
        "ranges": ranges,
        **({"versions": others} if others else {}),
    }


def _is_in(version: str, ranges: Sequence[Mapping[str, Any]]) -> bool:
    try:
        return any(is_within(each["events"], Version(version)) for each in ranges)
    except InvalidVersion:
        return False
