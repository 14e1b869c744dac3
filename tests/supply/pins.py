"""The pinned dependencies, as requirements/*.txt has them, and what they are held to."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from attrs import frozen
from packaging.version import Version

from tests.architecture.test_tidiness import ROOT

REQUIREMENTS: Final = ROOT / "requirements"

_PIN: Final = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)(.*?)(?=^[A-Za-z0-9]|\Z)", re.MULTILINE | re.DOTALL)
_HASH: Final = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_VIA: Final = re.compile(r"^ {4}#(?: via)? {1,3}([A-Za-z0-9._-]+)", re.MULTILINE)


@frozen(kw_only=True)
class Pin:
    name: str
    version: str
    hashes: tuple[str, ...]
    wanted_by: tuple[str, ...]
    """The pins that need it; empty if we do."""

    @property
    def purl(self) -> str:
        return f"pkg:pypi/{self.name}@{self.version}"


def pins(what: str = "run") -> Sequence[Pin]:
    """Return what ``requirements/WHAT.txt`` pins."""
    return [*read(REQUIREMENTS.joinpath(f"{what}.txt").read_text())]


def read(text: str) -> Iterator[Pin]:
    for name, version, rest in _PIN.findall(text):
        yield Pin(
            name=normal(name),
            version=version,
            hashes=tuple(_HASH.findall(rest)),
            wanted_by=tuple(normal(each) for each in _VIA.findall(rest) if each not in {"via", "-r"}),
        )


def normal(name: str) -> str:
    """Return a name as registries compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def sbom(found: Sequence[Pin], version: str) -> Mapping[str, Any]:
    """Return the bill of materials of a release, as CycloneDX 1.6. The same pins give the same document."""
    root = f"pkg:generic/messenger@{version}"
    by_name = {pin.name: pin.purl for pin in found}
    needed: dict[str, set[str]] = {root: set(), **{pin.purl: set() for pin in found}}
    for pin in found:
        users = [by_name[each] for each in pin.wanted_by if each in by_name] or [root]
        for user in users:
            needed[user].add(pin.purl)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid5(NAMESPACE_URL, ' '.join([root, *sorted(by_name.values())]))}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": root,
                "name": "messenger",
                "version": version,
                "purl": root,
            }
        },
        "components": [
            {
                "type": "library",
                "bom-ref": pin.purl,
                "name": pin.name,
                "version": pin.version,
                "purl": pin.purl,
                "scope": "required",
                "properties": [{"name": "pip:hash", "value": f"sha256:{each}"} for each in pin.hashes],
            }
            for pin in sorted(found, key=lambda pin: pin.purl)
        ],
        "dependencies": [{"ref": ref, "dependsOn": sorted(others)} for ref, others in sorted(needed.items())],
    }


def advisories(path: Path) -> Sequence[Mapping[str, Any]]:
    """Return the entries of a file of advisories in the format of OSV: our own file, a list, or one entry."""
    stored = json.loads(path.read_text())
    if isinstance(stored, dict):
        stored = stored.get("advisories", [stored])
    return [*stored]


def concerned(found: Sequence[Pin], entries: Sequence[Mapping[str, Any]]) -> Sequence[str]:
    """Return a line for each pinned version that an advisory names."""
    return [
        f"{pin.name} {pin.version}: {', '.join([entry['id'], *entry.get('aliases', ())])}"
        for entry in entries
        for affected in entry.get("affected", ())
        for pin in found
        if "withdrawn" not in entry and _names(affected, pin)
    ]


def _names(affected: Mapping[str, Any], pin: Pin) -> bool:
    package = affected["package"]
    if package["ecosystem"] != "PyPI" or normal(package["name"]) != pin.name:
        return False
    if pin.version in affected.get("versions", ()):
        return True
    return any(
        is_within(each["events"], Version(pin.version))
        for each in affected.get("ranges", ())
        if each["type"] == "ECOSYSTEM"
    )


def is_within(events: Sequence[Mapping[str, str]], version: Version) -> bool:
    """Tell whether a version is affected by the events of a range, in whatever order they are."""
    is_affected = False
    for event in sorted(events, key=lambda event: Version(next(iter(event.values())))):
        match event:
            case {"introduced": since} if since == "0" or version >= Version(since):
                is_affected = True
            case {"fixed": at} if version >= Version(at):
                is_affected = False
            case {"last_affected": last} if version > Version(last):
                is_affected = False
    return is_affected
