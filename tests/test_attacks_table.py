"""The table of `tests.benchmarks.attacks`: what it judges, and that one failed attack does not end it."""

import pytest

from tests.benchmarks.attacks import COLUMNS, Measured, Ratio, Row, judge, measure_all, p99


def windows(*milliseconds: float) -> list[list[float]]:
    """A window for each, in which everything took so long."""
    return [[each / 1000] * 10 for each in milliseconds]


def test_windows_are_taken_together() -> None:
    assert p99([[0.001] * 99, [0.001] * 100, [0.5]]) == pytest.approx(1)
    assert p99([[0.001] * 95, [0.5] * 5]) == pytest.approx(500)
    assert p99([[], []]) == float("inf"), "nothing came"


def test_an_interval_is_as_wide_as_windows_differ() -> None:
    alike = Ratio.of(windows(12, 12, 12), windows(10, 10, 10))
    assert (alike.value, alike.low, alike.high) == pytest.approx((1.2, 1.2, 1.2))
    apart = Ratio.of(windows(5, 10, 10, 20), windows(10, 10, 10))
    assert apart.value == pytest.approx(2.0)
    assert apart.low == pytest.approx(1.0), "one draw in three has none of the slow windows"
    assert apart.high == pytest.approx(2.0)
    assert Ratio.of(windows(10, 10), [[], []]).value == 0.0
    assert Ratio.of([[], []], windows(10, 10)).low == float("inf")


@pytest.mark.parametrize(
    ("to_rest", "to_control", "verdict"),
    [
        ((1.0, 1.19), (1.5, 2.0), ""),
        ((1.5, 2.0), (1.0, 1.19), ""),
        ((1.2, 2.0), (1.3, 1.4), "missed"),
        ((1.1, 1.2), (1.3, 1.4), "undecided"),
        ((1.3, 1.4), (0.8, 1.3), "undecided"),
    ],
)
def test_a_target_is_missed_only_if_neither_rest_nor_the_control_explains_it(
    to_rest: tuple[float, float], to_control: tuple[float, float], verdict: str
) -> None:
    assert judge([Ratio(low, low, high) for low, high in (to_rest, to_control)]) == verdict


def measured(delivered: float, asked: float, memory: float, strikes: float, cpu: float) -> Measured:
    return Measured(
        windows(delivered, delivered), windows(asked, asked), [memory, 1.0], [strikes] * 2, [cpu] * 2
    )


def test_a_row_in_markdown() -> None:
    row = Row(
        "silent",
        200.0,
        221.0,
        ("a | b", "c"),
        rest=measured(10, 10, 200, 0, 0.25),
        control=measured(20, 20, 210, 5000, 0.25),
        attack=measured(30, 10, 300, 1234, 0.5),
    )
    once, more, most = "1.00 (1.00 to 1.00)", "1.50 (1.50 to 1.50)", "3.00 (3.00 to 3.00)"
    assert row.markdown() == (
        f"| silent | 10.0, 20.0, 30.0 | {most} | {more} | {once} | 10.0, 20.0, 10.0 | {once} | 0.50 (0.50 to 0.50) | {once}"
        " | 1,234, 5,000 | 25%, 25%, 50% | 200, 300, 221 | `a / b`; `c` | p99 missed, memory missed |"
    )
    assert row.markdown().count(" | ") == len(COLUMNS) - 1


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
