import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptn_backtest.clock import DAY_MS, HOUR_MS
from ptn_backtest.report.charts import (
    nice_ticks,
    stack_chart,
    time_ticks,
)
from ptn_backtest.report.curve_data import curve_table, thin
from ptn_backtest.results.statistics import equity_curve
from tests.report.decoded import column
from tests.results.made_runs import MIDNIGHT_MS, ledger

MOST_POINTS = 300


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


@pytest.mark.parametrize("length", [700, 1_900])
def test_a_long_curve_keeps_its_ends_and_extremes(length: int) -> None:
    long = ledger(np.random.default_rng(length).uniform(0.5, 1.5, length).tolist())
    curve = equity_curve(long)
    table = curve_table([long, ledger([1.1])])
    kept, few = column(table, "value")
    assert (len(kept) <= 600, len(few)) == (True, 2)
    about = pytest.approx
    span = curve.value.max() - curve.value.min()
    for pick in (min, max):
        assert pick(kept) == about(pick(curve.value), abs=span * 1e-4)
        deepest = pick(column(table, "drawdown")[0])
        assert deepest == about(pick(curve.drawdown), abs=1e-4)
    assert (kept[0], kept[-1]) == about((curve.value[0], curve.value[-1]), abs=span * 1e-4)
