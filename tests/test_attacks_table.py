"""The table of `tests.benchmarks.attacks`: what it judges, and that one failed attack does not end it."""

from attrs import evolve

from tests.benchmarks.attacks import COLUMNS, Row, Span, measure_all

QUIET = Span(delivered=10.0, asked=5.0, memory=200.0)
LOUD = Span(delivered=30.0, asked=15.0, memory=300.0, strikes=1234.0)
ROW = Row("silent", QUIET, QUIET, QUIET, memory_at_first=200.0, memory_at_last=200.0)


def test_a_target_is_missed_only_if_neither_before_nor_the_control_explains_it() -> None:
    assert ROW.missed == []
    assert evolve(ROW, during=LOUD).missed == ["p99", "page"]
    assert evolve(ROW, during=LOUD, control=LOUD).missed == []
    assert evolve(ROW, during=evolve(QUIET, delivered=11.9), memory_at_last=219.0).missed == []
    assert evolve(ROW, during=evolve(QUIET, delivered=12.1), memory_at_last=221.0).missed == ["p99", "memory"]
    nothing_came = evolve(QUIET, delivered=float("inf"))
    assert evolve(ROW, during=nothing_came).missed == ["p99"]
    assert evolve(ROW, before=nothing_came, control=nothing_came, during=nothing_came).missed == ["p99"]


def test_a_row_in_markdown() -> None:
    control = Span(delivered=20.0, asked=10.0, memory=200.0, strikes=5000.0, cpu=0.256)
    row = evolve(ROW, control=control, during=LOUD, memory_at_last=210.0, log=("a | b", "c"))
    assert row.markdown() == (
        "| silent | 10.0, 20.0, 30.0 | 3.0 | 1.5 | 5.0, 10.0, 15.0 | 3.0 | 1.5 | 1,234, 5,000 | 0%, 26%, 0% | 200, 300, 210 | `a / b`; `c`"
        " | p99, page |"
    )


def test_others_are_measured_where_one_fails() -> None:
    begun, told = list[list[str]](), list[str]()

    def measure(names: list[str]) -> None:
        begun.append([])
        if len(begun) == 2:
            raise OSError("no messenger")
        while names:
            begun[-1].append(names.pop(0))
            if begun[-1][-1] == "second":
                raise TimeoutError
            told.append(f"| {begun[-1][-1]} |")

    measure_all(["first", "second", "third", "fourth"], measure, told.append)
    assert begun == [["first", "second"], [], ["fourth"]]
    heading, _, *rows = told
    assert heading.startswith("| attack |")
    assert [row.split()[1] for row in rows] == ["first", "second", "third", "fourth"]
    assert [row.count(" | ") for row in rows if "failed" in row] == [len(COLUMNS) - 1] * 2
