"""The table and the page that `make bench` makes of its figures. What it measures is no test."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

import cattrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.benchmarks.everything import Earlier, Figure, Picture, Run, earlier_figures, table, write_page
from tests.benchmarks.pictures import bars, curves, number

NAMES = st.text(st.characters(exclude_categories=["Cc", "Cs", "Cn"]), min_size=1, max_size=20)
VALUES = st.floats(1e-3, 1e9)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.0123, "0.0123"), (1.234, "1.23"), (12.34, "12.3"), (123.4, "123"), (123456.0, "123,456")],
)
def test_three_digits_are_told(value: float, text: str) -> None:
    assert number(value) == text


@given(values=st.dictionaries(NAMES, VALUES, min_size=1, max_size=5))
def test_bars_are_well_formed_and_stay_in_the_picture(values: Mapping[str, float]) -> None:
    picture = ET.fromstring(bars("<title> & more", "us", values))
    drawn = [float(each.get("width", "")) for each in picture.iter("{http://www.w3.org/2000/svg}rect")]
    assert len(drawn) == len(values)
    for (_, value), width in zip(values.items(), drawn, strict=True):
        assert width == pytest.approx(360 * value / max(values.values()), abs=0.1)


@given(
    lines=st.dictionaries(
        NAMES, st.lists(st.tuples(st.floats(1, 1e7), VALUES), min_size=1, max_size=6), min_size=1, max_size=4
    )
)
def test_curves_are_well_formed_and_stay_in_the_picture(
    lines: Mapping[str, Sequence[tuple[float, float]]],
) -> None:
    picture = ET.fromstring(curves("title", "ms", "messages", lines))
    dots = [*picture.iter("{http://www.w3.org/2000/svg}circle")]
    assert len(dots) == sum(map(len, lines.values()))
    for dot in dots:
        assert 60 <= float(dot.get("cx", "")) <= 620
        assert 40 <= float(dot.get("cy", "")) <= 260


def a_run(
    at: str, *values: float, machine: str = "a machine", load: str = "Python", rounds: int | None = 3
) -> Run:
    figures = [
        Figure("fast", "messages/s", values[0], 10, more_is_better=True),
        Figure("cheap", "us", values[1], 10),
        Figure("only told", "kB", values[2]),
    ]
    picture = Picture("some", "Some bars", "us", bars={"messenger": 1.0})
    return Run(at, machine, load, rounds, figures, [picture])


def kept(folder: Path, *runs: Run) -> None:
    for each in runs:
        (folder / f"{each.at}.json").write_text(json.dumps(cattrs.unstructure(each)))


def all_of(run: Run) -> dict[str, Earlier]:
    return {each.name: Earlier(each, run) for each in run.figures}


def test_targets_are_reached_or_missed_from_the_right_side() -> None:
    earlier = all_of(a_run("2026-01-01T00:00", 10.0, 40.0, 20.0))
    assert table(a_run("2026-01-02", 20.0, 20.0, 20.0), earlier) == [
        ("fast", "20.0 messages/s", "10.0: reached", "+100 % since 2026-01-01"),
        ("cheap", "20.0 us", "10.0: missed", "-50 % since 2026-01-01"),
        ("only told", "20.0 kB", "", "+0 % since 2026-01-01"),
    ]
    assert [row[3] for row in table(a_run("2026-01-02", 20.0, 20.0, 20.0), {})] == ["", "", ""]


@pytest.mark.parametrize(
    ("rounds", "told"), [(3, ""), (1, " (1 round)"), (5, " (5 rounds)"), (None, " (rounds unknown)")]
)
def test_other_numbers_of_rounds_are_told(rounds: int | None, told: str) -> None:
    earlier = all_of(a_run("2026-01-01", 10.0, 10.0, 10.0, rounds=rounds))
    changes = [row[3] for row in table(a_run("2026-01-02", 20.0, 10.0, 5.0), earlier)]
    assert changes == [f"{change} % since 2026-01-01{told}" for change in ("+100", "+0", "-50")]


def test_the_latest_figures_on_the_same_machine_under_the_same_load_count(tmp_path: Path) -> None:
    runs = [
        a_run("1", 1, 1, 1),
        a_run("2", 2, 2, 2),
        a_run("3", 3, 3, 3, machine="another"),
        a_run("4", 4, 4, 4, load="C"),
    ]
    kept(tmp_path, *runs)
    assert earlier_figures(tmp_path, a_run("5", 5, 5, 5)) == all_of(runs[1])
    assert earlier_figures(tmp_path, a_run("5", 5, 5, 5, machine="none")) == {}
    assert earlier_figures(tmp_path / "none", a_run("5", 5, 5, 5)) == {}


def test_a_run_of_one_area_replaces_only_its_figures(tmp_path: Path) -> None:
    whole, part = a_run("1", 1, 1, 1), a_run("2", 2, 2, 2, rounds=1)
    del part.figures[1:]
    kept(tmp_path, whole, part)
    assert earlier_figures(tmp_path, a_run("3", 3, 3, 3)) == all_of(whole) | all_of(part)


def test_runs_that_were_kept_without_their_rounds_are_read(tmp_path: Path) -> None:
    former = cattrs.unstructure(a_run("1", 1, 1, 1, rounds=None))
    del former["rounds"]
    (tmp_path / "1.json").write_text(json.dumps(former))
    assert earlier_figures(tmp_path, a_run("2", 2, 2, 2))["fast"].run.rounds is None


def test_the_page_shows_each_figure_and_each_picture(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    write_page(page, a_run("2026-01-02T03:04:05", 1.0, 2.0, 3.0))
    text = page.read_text()
    assert "on 2026-01-02: a machine, load from Python, 3 rounds." in text
    assert "| cheap | 2.00 us | 10.0: reached |" in text
    assert "![Some bars](README/some.svg)" in text
    ET.parse(tmp_path / "README" / "some.svg")
