"""What the messenger is made of is known, and none of it is known to be faulty."""

import json

import pytest

from tests.supply.__main__ import main
from tests.supply.pins import REQUIREMENTS, Pin, advisories, concerned, pins, read, sbom

ENTRIES = advisories(REQUIREMENTS / "advisories.json")


def pin(name: str, version: str) -> Pin:
    return Pin(name=name, version=version, hashes=(), wanted_by=())


@pytest.mark.parametrize("what", ["run", "dev", "build", "clients"])
def test_every_pin_has_hashes_and_no_stored_advisory(what: str) -> None:
    found = pins(what)
    lines = REQUIREMENTS.joinpath(f"{what}.txt").read_text().splitlines()
    assert len(found) == sum(bool(line) and line[0] not in " #" for line in lines)
    assert all(each.hashes for each in found)
    assert concerned(found, ENTRIES) == []


@pytest.mark.parametrize(
    ("version", "is_concerned"),
    [("0.38.9", True), ("0.39.0", True), ("0.49.0", True), ("0.49.1", False), ("1.10.0", False)],
)
def test_a_version_is_compared_with_ranges(version: str, is_concerned: bool) -> None:
    found = concerned([pin("starlette", version)], ENTRIES)
    assert any("CVE" in line or "GHSA" in line for line in found) == is_concerned


def test_versions_by_name_withdrawn_entries_and_other_packages() -> None:
    entry = {
        "id": "X-1",
        "affected": [{"package": {"ecosystem": "PyPI", "name": "Python_Multipart"}, "versions": ["1.0"]}],
    }
    assert concerned([pin("python-multipart", "1.0")], [entry]) == ["python-multipart 1.0: X-1, "]
    assert concerned([pin("python-multipart", "1.1"), pin("other", "1.0")], [entry]) == []
    assert concerned([pin("python-multipart", "1.0")], [{**entry, "withdrawn": "2026-01-01"}]) == []


def test_the_bill_of_materials(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sbom"]) == 0
    bill = json.loads(capsys.readouterr().out)
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    refs = {each["bom-ref"] for each in bill["components"]}
    assert refs == {each.purl for each in pins()}
    root = bill["metadata"]["component"]["bom-ref"]
    needed = {each["ref"]: each["dependsOn"] for each in bill["dependencies"]}
    assert set(needed) == {root, *refs}
    assert {other for others in needed.values() for other in others} == refs, "each is there for a reason"
    assert any(
        each.startswith("pkg:pypi/h11@") for each in needed[next(ref for ref in refs if "/uvicorn@" in ref)]
    )
    assert bill == sbom(pins(), bill["metadata"]["component"]["version"]), "the same each time"


def test_the_check_as_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["advisories"]) == 0
    assert f"{len(ENTRIES)} advisories, 0 that concern" in capsys.readouterr().out


def test_pins_are_read_as_they_are_written() -> None:
    text = (
        "Some.Thing==1.0 ; python_version < '3.12' \\\n    --hash=sha256:"
        + "a" * 64
        + "\n    # via\n    #   one\n    #   two\n"
    )
    assert list(read(text)) == [
        Pin(name="some-thing", version="1.0", hashes=("a" * 64,), wanted_by=("one", "two"))
    ]
