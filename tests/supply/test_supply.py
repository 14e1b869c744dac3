"""What the messenger is made of is known, and none of it is known to be faulty."""

import json
from datetime import date
from pathlib import Path

import pytest

from tests.supply.__main__ import main
from tests.supply.gathering import gather
from tests.supply.pins import REQUIREMENTS, Pin, advisories, concerned, pins, read, sbom

ENTRIES = advisories(REQUIREMENTS / "advisories.json")


def pin(name: str, version: str) -> Pin:
    return Pin(name=name, version=version, hashes=(), wanted_by=())


@pytest.mark.parametrize("what", ["run", "dev", "build", "pip", "clients"])
def test_every_pin_has_hashes_and_no_stored_advisory(what: str) -> None:
    found = pins(what)
    lines = REQUIREMENTS.joinpath(f"{what}.txt").read_text().splitlines()
    assert len(found) == sum(bool(line) and line[0] not in " #" for line in lines)
    assert all(each.hashes for each in found)
    assert concerned(found, ENTRIES) == []


@pytest.mark.parametrize(
    ("version", "is_concerned"),
    [("0.38.9", False), ("0.39.0", True), ("0.49.0", True), ("0.49.1", False), ("1.10.0", False)],
)
def test_a_version_is_compared_with_ranges(version: str, is_concerned: bool) -> None:
    found = concerned([pin("starlette", version)], ENTRIES)
    assert any("CVE-2025-62727" in line for line in found) == is_concerned


def test_versions_by_name_withdrawn_entries_and_other_packages() -> None:
    entry = {
        "id": "X-1",
        "affected": [{"package": {"ecosystem": "PyPI", "name": "Python_Multipart"}, "versions": ["1.0"]}],
    }
    assert concerned([pin("python-multipart", "1.0")], [entry]) == ["python-multipart 1.0: X-1"]
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


ENTRY = """
id: PYSEC-0-1
details: Nothing of this is kept.
aliases: [GHSA-0, CVE-0]
affected:
- package: {ecosystem: PyPI, name: Some_Thing}
  ranges:
  - {type: GIT, repo: x, events: [{introduced: "0"}]}
  - type: ECOSYSTEM
    events: [{fixed: 1.10}, {introduced: 1.2}]
  versions: [1.2, "1.9", 0.1b2]
- package: {ecosystem: PyPI, name: another}
- package: {ecosystem: npm, name: some-thing}
"""


def kept(folder: Path) -> dict[str, list[str]]:
    """Return what is gathered of the package ``some-thing``: the id of each advisory, and which versions it names."""
    entries = gather(folder, {"some-thing"}, date(2026, 7, 23))["advisories"]
    versions = [f"{major}.{minor}" for major in (0, 1) for minor in range(12)] + ["0.1b2"]
    return {
        entry["id"]: [each for each in versions if concerned([pin("some-thing", each)], [entry])]
        for entry in entries
    }


def test_a_checkout_is_gathered_with_the_same_versions(tmp_path: Path) -> None:
    for name, text in {
        "some-thing/PYSEC-0-1.yaml": ENTRY,
        "some.thing/PYSEC-0-2.yaml": ENTRY.replace("-1", "-2") + "withdrawn: 2026-01-01T00:00:00Z\n",
        "another/PYSEC-0-3.yaml": ENTRY.replace("-1", "-3"),
    }.items():
        tmp_path.joinpath("vulns", name).parent.mkdir(parents=True)
        tmp_path.joinpath("vulns", name).write_text(text)
    assert kept(tmp_path) == {
        "PYSEC-0-1": ["1.2", "1.3", "1.4", "1.5", "1.6", "1.7", "1.8", "1.9", "0.1b2"],
    }


def test_a_folder_of_json_is_gathered(tmp_path: Path) -> None:
    for name, package in {"1": "Some.Thing", "2": "another"}.items():
        affected = [
            {
                "package": {"ecosystem": "PyPI", "name": package},
                "ranges": [
                    {"type": "ECOSYSTEM", "events": [{"introduced": "1.9"}, {"last_affected": "1.10"}]}
                ],
            }
        ]
        tmp_path.joinpath(f"{name}.json").write_text(json.dumps({"id": name, "affected": affected}))
    assert kept(tmp_path) == {"1": ["1.9", "1.10"]}


def test_gathering_as_a_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entry = ENTRY.replace("Some_Thing", "starlette")
    folder = tmp_path / "vulns" / "starlette"
    folder.mkdir(parents=True)
    folder.joinpath("PYSEC-0-1.yaml").write_text(entry)
    assert main(["gather", str(tmp_path), "--day", "2026-07-23"]) == 0
    text = capsys.readouterr().out
    assert json.loads(text)["as_of"] == "2026-07-23"
    assert len(text.splitlines()) == 3, "a line for each advisory"
    stored = tmp_path / "stored.json"
    stored.write_text(text)
    assert concerned([pin("starlette", "1.3")], advisories(stored)) == [
        "starlette 1.3: PYSEC-0-1, CVE-0, GHSA-0"
    ]


@pytest.mark.parametrize(
    ("arguments", "said"), [([], "the day of the checkout"), (["--day", "2026-07-23"], "has no advisories")]
)
def test_what_cannot_be_gathered(
    tmp_path: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["gather", str(tmp_path), *arguments])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_the_stored_file_tells_its_day() -> None:
    stored = json.loads((REQUIREMENTS / "advisories.json").read_text())
    assert date.fromisoformat(stored["as_of"]) >= date(2026, 7, 23)
    assert len({each["id"] for each in ENTRIES}) == len(ENTRIES) > 100
