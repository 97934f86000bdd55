import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptn_backtest.clock import DAY_MS, HOUR_MS
from ptn_backtest.report.charts import (
    MOST_POINTS,
    SIZE,
    drawdown_chart,
    line_chart,
    nice_ticks,
    return_chart,
    sparkline,
    stack_chart,
    thin,
    time_ticks,
)
from ptn_backtest.results.statistics import EquityCurve, equity_curve
from tests.results.made_runs import MIDNIGHT_MS, ledger


def points_of(path: str) -> list[tuple[int, int]]:
    """The points of a path of relative steps."""
    start, _, steps = path.removeprefix("M").partition("l")
    numbers = np.array([*start.split(), *re.findall(r"-?\d+", steps)], dtype=int)
    return [(int(x), int(y)) for x, y in np.cumsum(numbers.reshape(-1, 2), axis=0)]


def test_a_curve_spans_the_chart() -> None:
    # 0 %, +2 %, -2 %, +4 %: the range has 6 % of room beyond both ends
    chart = return_chart(equity_curve(ledger([1.02, 0.98, 1.04])))
    points = points_of(chart.line)
    assert [x for x, _ in points] == [0, 272, 636, 1000]  # 9, 21 and 33 of 33 hours
    top, bottom = 0.0436, -0.0236
    expected = [(top - value) / (top - bottom) * SIZE for value in (0, 0.02, -0.02, 0.04)]
    assert [y for _, y in points] == [round(y) for y in expected]
    assert chart.zero == points[0][1]
    assert [tick.label for tick in chart.y_ticks] == ["-2%", "0%", "2%", "4%"]


def test_a_drawdown_hangs_from_zero() -> None:
    chart = drawdown_chart(equity_curve(ledger([1.0, 0.9])))
    assert chart.zero == 0
    assert chart.y_ticks[-1].label == "0%"


@pytest.mark.parametrize("values", [[1.0], [1.0, 1.0], [1e-9, 1e-9], [1.0, 1.0000001]])
def test_curves_that_hardly_move_can_be_drawn(values: list[float]) -> None:
    curve = equity_curve(ledger(values))
    for path in (return_chart(curve).line, drawdown_chart(curve).line, sparkline(curve)):
        assert re.fullmatch(r"M\d+ \d+(l(-?\d+ ?)+|H1000)", path)


def test_one_instant_shows_as_a_level() -> None:
    curve = equity_curve(ledger([1.02]))
    instant = EquityCurve(*(getattr(curve, name)[:1] for name in EquityCurve.__slots__))
    assert re.fullmatch(r"M0 \d+H1000", return_chart(instant).line)


@given(
    st.lists(st.floats(0.01, 100), min_size=MOST_POINTS + 1, max_size=900),
    st.integers(10, MOST_POINTS),
)
def test_thinning_keeps_ends_and_extremes(values: list[float], most: int) -> None:
    series = np.array(values)
    keep = thin(series, most)
    assert len(keep) <= most
    assert (keep[0], keep[-1]) == (0, len(series) - 1)
    assert np.all(np.diff(keep) > 0)
    assert series[keep].max() == series.max()
    assert series[keep].min() == series.min()


def test_ticks_are_round() -> None:
    assert nice_ticks(-0.021, 0.074) == pytest.approx([-0.02, 0, 0.02, 0.04, 0.06])
    assert nice_ticks(0.0, 1.0) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0])


@given(st.floats(-1, 100), st.floats(1e-5, 1e4))
def test_ticks_stay_in_range_and_few(low: float, span: float) -> None:
    ticks = nice_ticks(low, low + span)
    assert 1 <= len(ticks) <= 7
    assert all(low - span * 1e-6 <= tick <= low + span * (1 + 1e-6) for tick in ticks)


def test_times_are_round_and_name_a_new_year() -> None:
    start = MIDNIGHT_MS - 20 * DAY_MS + 5 * HOUR_MS  # 26 December 2024, 05:00
    labels = [label for _, label in time_ticks(start, start + 24 * DAY_MS)]
    assert labels[0].endswith("2024")
    assert sum("2025" in label for label in labels) == 1
    assert time_ticks(MIDNIGHT_MS, MIDNIGHT_MS + 4 * HOUR_MS)[1] == (MIDNIGHT_MS + HOUR_MS, "01:00")


def test_a_drawdown_chart_has_room_for_its_limit() -> None:
    # 2 % of drawdown under a limit of 10 %: the range is 0 to -10.6 %
    chart = drawdown_chart(equity_curve(ledger([1.0, 0.98])), limit=0.1)
    assert chart.limit == round(0.1 / 0.106 * SIZE)
    assert points_of(chart.line)[-1] == (SIZE, round(0.02 / 0.106 * SIZE))
    assert chart.y_ticks[0].label == "-10%"
    assert drawdown_chart(equity_curve(ledger([1.0, 0.98]))).limit is None


def test_counts_stand_on_each_other_and_hold_until_the_next() -> None:
    times = np.array([0, 5, 10]) * DAY_MS
    counts = {"main": np.array([0, 1, 2]), "challenge": np.array([4, 3, 1]), "none": np.zeros(3)}
    chart = stack_chart(times, counts, 20 * DAY_MS)
    # of 4 traders at most; the higher area is drawn first, what nobody ever was in not at all
    assert [(one.name, one.path) for one in chart.series] == [
        ("challenge", "M0 1000V0H250V0H500V250H1000V1000Z"),
        ("main", "M0 1000V1000H250V750H500V500H1000V1000Z"),
    ]
    assert [(tick.at, tick.label) for tick in chart.y_ticks] == [
        (100.0, "0"), (75.0, "1"), (50.0, "2"), (25.0, "3"), (0.0, "4"),
    ]  # fmt: skip


def test_lines_have_gaps_where_nothing_is_known() -> None:
    times = np.arange(5) * DAY_MS
    values = np.array([1.0, 0.5, np.nan, np.nan, 0.5])
    (line,) = line_chart(times, {"crypto": values}).series
    top = 1.06
    first, half = round((top - 1) / top * SIZE), round((top - 0.5) / top * SIZE)
    assert line.path == f"M0 {first}l250 {half - first}M1000 {half}h1"


def test_the_best_rank_is_at_the_top() -> None:
    chart = line_chart(np.arange(3) * DAY_MS, {"rank": np.array([11.0, 1.0, 6.0])}, best=1.0)
    assert points_of(chart.series[0].path) == [(0, 1000), (500, 0), (1000, 500)]
    assert (chart.y_ticks[0].at, chart.y_ticks[0].label) == (0.0, "1")


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_level_line_has_only_its_ends(value: float) -> None:
    (line,) = line_chart(np.arange(90) * DAY_MS, {"crypto": np.full(90, value)}, 30).series
    assert [x for x, _ in points_of(line.path)] == [0, 1000]
