"""What rounds have shown is kept in a file, and the page says it."""

from pathlib import Path
from xml.etree import ElementTree as ET

from attrs import evolve

from tests.system.faults.page import Table, document, picture
from tests.system.faults.record import Record, Trial, append, read, read_trials
from tests.system.faults.round import Latency, Mark

KILLED = Record(
    bus="nats",
    number=7,
    marks=[Mark("F1", 0.5, 1.0, 3.0), Mark("F8", 4.0, 5.0, 9.0)],
    violations=[],
    messages=120,
    load=1.5,
    latencies=[Latency(0.1, 0.02, 0.03), Latency(0.6, None, None)],
)
LATE = evolve(KILLED, number=8, marks=[Mark("F1", 0.5, 1.0, 11.5)], latencies=[])
SURVIVED = Trial("caches_members", 6, None)
FOUND = Trial("caches_members", 2, "D11")
NEVER = evolve(LATE, bus="notify", marks=[Mark("F1", 0.5, 1.0, None)], violations=["D12 at 9.0: missed"])


def test_what_is_kept_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "rounds"
    assert [*read(path)] == []
    for record in (KILLED, SURVIVED, NEVER, FOUND):
        append(path, record)
    assert [*read(path)] == [KILLED, NEVER]
    assert [*read_trials(path)] == [SURVIVED, FOUND]


def test_the_table_has_a_row_for_each_fault_and_bus() -> None:
    assert [*Table.of([KILLED, LATE, NEVER]).lines()][2:] == [
        "| F1 | a node is killed | nats | 2 | 0 | 6.2 s | 10.5 s |",
        "| F1 | a node is killed | notify | 1 | 1 | never | never |",
        "| F8 | PostgreSQL is killed | nats | 1 | 0 | 4.0 s | 4.0 s |",
    ]


def test_a_table_is_good_if_nothing_is_wrong_and_all_heals_in_time() -> None:
    assert Table.of([KILLED]).is_good
    assert not Table.of([KILLED, LATE]).is_good
    assert not Table.of([KILLED, NEVER]).is_good


def test_the_page_has_the_table_and_its_picture_all_points() -> None:
    records = [KILLED, LATE, NEVER]
    page = document(records, [], workers=1)
    assert "\n".join(Table.of(records).lines()) in page
    assert "In 3 rounds there were 4 faults and 360 messages." in " ".join(page.split())
    drawn = ET.fromstring(picture([KILLED]))
    names = [each.tag.rpartition("}")[2] for each in drawn.iter()]
    assert names.count("circle") == 2, "one message was never heard"
    assert {"a node is killed", "PostgreSQL is killed"} <= {each.text for each in drawn.iter()}


def test_the_page_has_the_last_trial_of_each_mutant() -> None:
    others = Trial("subscribes_late", 6, None)
    page = document([KILLED], [SURVIVED, others, FOUND], workers=1)
    lines = [line for line in page.splitlines() if line.startswith(("| cached", "| subscribe"))]
    assert lines == [
        "| cached membership | nats | F22 | 2 | D11 |",
        "| subscribe after history | nats | F23, F22 | none of 6 | nothing |",
    ]
