"""Metrics against figures worked out by hand, a published t statistic, and the golden replays."""

import json
import math
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptn_backtest.bundles.comparing import Comparison
from ptn_backtest.ledger.checkpoint import PORTFOLIO, PerfLedger
from ptn_backtest.rulebook.scoring_rules import DayWeights, MinimumDays, ScoringRules
from ptn_backtest.rules import metrics
from ptn_backtest.rules.formulas import day_weights
from ptn_backtest.rules.metric_report import metric_report
from tests.results.made_runs import ledger

GOLDEN = Path(__file__).resolve().parents[3] / "shared" / "golden"
FOLDERS = sorted(folder.name for folder in GOLDEN.glob("*/")) or ["golden replays"]

HALVING = ScoringRules(
    return_days=DayWeights(floor=0.0, decay=math.log(2)),
    pnl_days=DayWeights(floor=0.0, decay=math.log(2)),
)
"""Each day weighs half of the next, so that a weighted mean is worked out in the head."""

SWINGS = np.array([-0.02, 0.01, -0.04, 0.03])
"""Mean -0.005; weighted (1/8, 1/4, 1/2, 1): 0.01 / 1.875."""


@pytest.mark.parametrize(
    ("rule", "weights"),
    [
        (DayWeights(floor=0.0, decay=math.log(2)), [0.25, 0.5, 1.0]),
        (DayWeights(floor=0.5, decay=math.log(2)), [0.625, 0.75, 1.0]),
        (ScoringRules().return_days, [0.8816017799, 0.9385819634, 1.0]),  # e^-0.15 = 0.8607079764
        (ScoringRules().pnl_days, [0.8669761175, 0.9309950294, 1.0]),  # e^-0.075 = 0.9277434863
    ],
)
def test_weights_of_days(rule, weights):
    assert day_weights(3, rule) == pytest.approx(weights, abs=1e-10)


@pytest.mark.parametrize(("weighted", "mean"), [(False, -0.005), (True, 0.01 / 1.875)])
def test_mean_and_what_follows_from_it(weighted, mean):
    assert metrics.average(SWINGS, weighted=weighted, rules=HALVING) == pytest.approx(mean)
    yearly = {"days_in_year": 100, "weighted": weighted, "rules": HALVING}
    assert metrics.ann_excess_return(SWINGS, **yearly) == pytest.approx(100 * mean - 0.0389)
    assert metrics.base_return_log_percentage(SWINGS, **yearly) == pytest.approx(10_000 * mean)


def test_base_return_compounds_to_a_simple_return():
    # a day of 10 % and a year of two days: 1.1 x 1.1 = 1.21
    assert metrics.base_return(np.log([1.1]), days_in_year=2) == pytest.approx(21.0)


@pytest.mark.parametrize("weighted", [True, False])
def test_one_day_tells_no_variance(weighted):
    assert metrics.variance(np.array([0.01]), weighted=weighted) == math.inf
    assert metrics.variance(np.array([]), weighted=weighted) == 0.0


def test_a_return_beyond_all_numbers_is_infinite():
    assert metrics.base_return(np.array([2.0]), days_in_year=365, weighted=False) == math.inf
    lost = metrics.base_return(np.array([-9.0]), days_in_year=365, weighted=False)
    assert lost == -100.0


@pytest.mark.parametrize(
    ("weighted", "variance"),
    [
        # the squares are 4, 1, 16 and 9 ten-thousandths
        (False, 0.003 / 4 - 0.005**2),
        # weighted, 0.5, 0.25, 8 and 9 of them
        (True, 0.001775 / 1.875 - (0.01 / 1.875) ** 2),
    ],
)
def test_variance_volatility_and_sharpe(weighted, variance):
    assert metrics.variance(SWINGS, weighted=weighted, rules=HALVING) == pytest.approx(variance)
    yearly = {"days_in_year": 100, "weighted": weighted, "rules": HALVING}
    assert metrics.ann_volatility(SWINGS, **yearly) == pytest.approx(10 * math.sqrt(variance))
    excess = 100 * (0.01 / 1.875 if weighted else -0.005) - 0.0389
    assert metrics.sharpe(SWINGS, **yearly) == pytest.approx(excess / (10 * math.sqrt(variance)))


def test_sharpe_divides_by_a_hundredth_at_least():
    steady = np.full(10, 0.001)
    assert metrics.sharpe(steady, days_in_year=365) == pytest.approx((0.365 - 0.0389) / 0.01)


@pytest.mark.parametrize(
    ("weighted", "downside", "sortino"),
    [
        # -0.02 and -0.04 around -0.03: variance 0.0001
        (False, 0.1, (-0.5 - 0.0389) / 0.1),
        # around (-0.0025 - 0.02) / 0.625 = -0.036: (0.125 x 0.016^2 + 0.5 x 0.004^2) / 0.625
        (True, 0.08, (1 / 1.875 - 0.0389) / 0.08),
    ],
)
def test_downside_deviation_is_around_its_own_mean(weighted, downside, sortino):
    yearly = {"days_in_year": 100, "weighted": weighted, "rules": HALVING}
    assert metrics.ann_downside_volatility(SWINGS, **yearly) == pytest.approx(downside)
    assert metrics.sortino(SWINGS, **yearly) == pytest.approx(sortino)


def test_sortino_of_one_and_of_equal_downside_days():
    one, equal = np.array([0.02, -0.01, 0.02]), np.array([0.03, -0.01, -0.01])
    assert metrics.ann_downside_volatility(one, days_in_year=252) == math.inf
    assert metrics.sortino(one, days_in_year=252) == 0
    found = metrics.sortino(equal, days_in_year=252, weighted=False)
    assert found == pytest.approx((252 * 0.01 / 3 - 0.0389) / 0.01)


def test_a_day_below_the_risk_free_return_is_a_downside_day():
    # log(1.0389) / 365 = 0.00010455
    returns = np.array([0.0001, 0.0, 0.00011])
    below = metrics.ann_downside_volatility(returns, days_in_year=365, weighted=False)
    assert below == pytest.approx(0.00005 * math.sqrt(365))


@pytest.mark.parametrize(
    ("returns", "weighted", "omega"),
    [
        (SWINGS, False, 0.04 / 0.06),
        # gains 0.0025 + 0.03 of weight 1.25, losses 0.0025 + 0.02 of weight 0.625
        (SWINGS, True, (0.0325 * 0.625) / (0.0225 * 1.25)),
        (np.array([0.02, -0.001]), False, 0.02 / 0.01),
        # a day without a change is a loss of weight 1/2; the floor is on the scaled sum
        (np.array([0.0, 0.04]), True, 0.04 * 0.5 / 0.01),
        # no day of loss: its weight counts as 0.01
        (np.array([0.04, 0.04]), True, 0.06 * 0.01 / 0.01),
    ],
)
def test_omega(returns, weighted, omega):
    assert metrics.omega(returns, weighted=weighted, rules=HALVING) == pytest.approx(omega)


@pytest.mark.parametrize(
    ("mdd", "calmar"),
    [
        (0.96, -50 / 4),
        (0.9, -50 / 10),  # 9.999999999999998 % is not beyond the limit (quirk 27)
        (0.89, 0.0),
        (1.0, 0.0),
    ],
)
def test_calmar(mdd, calmar):
    found = metrics.calmar(SWINGS, mdd, days_in_year=100, weighted=False)
    assert found == pytest.approx(calmar)


@pytest.mark.parametrize(
    ("mdd", "beyond", "normalization"),
    [
        (1.0, (False, 0.0), 0.0),
        (0.95, (False, 5.0), 0.2),
        (0.9, (False, 10.0), 0.1),
        (0.8999, (True, 10.01), 0.0),
        (0.0, (True, 100.0), 0.0),
    ],
)
def test_drawdown_limit(mdd, beyond, normalization):
    assert metrics.is_beyond_max_drawdown(mdd) == beyond
    assert metrics.risk_normalization(mdd) == pytest.approx(normalization)


def test_t_statistic_of_students_sleep_data():
    # the textbook example of a one-sample t test (Student 1908): t = 4.0621 with 9 degrees
    slept = np.array([1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4])
    assert metrics.statistical_confidence(slept) == pytest.approx(4.0621, abs=5e-5)
    assert metrics.statistical_confidence(-slept) == pytest.approx(-4.0621, abs=5e-5)


def test_a_t_statistic_needs_variance():
    # +-0.0001 around the mean has exactly the least variance, 1e-8
    assert metrics.statistical_confidence(np.array([0.0, 0.0001, 0.0001, 0.0])) == -100
    assert metrics.statistical_confidence(np.array([0.0, 0.0003])) == pytest.approx(1.0)
    assert metrics.statistical_confidence(np.array([0.05])) == -100


@pytest.mark.parametrize(
    ("pnl", "weighted", "mean"),
    [
        ([300.0, 0.0, -50.0], False, 250 / 3),
        ([300.0, 0.0, -50.0], True, 25 / 1.75),
        ([], True, 0.0),
    ],
)
def test_pnl(pnl, weighted, mean):
    found = metrics.pnl_score(np.array(pnl), weighted=weighted, rules=HALVING)
    assert found == pytest.approx(mean)


def test_daily_drawdown_begins_with_the_end_of_the_first_day():
    # 0.5, 0.6, 0.54, 1.08: the fall of the first day is before the first value
    returns = np.log([0.5, 1.2, 0.9, 2.0])
    assert metrics.daily_max_drawdown(returns) == pytest.approx(0.9)
    assert metrics.daily_max_drawdown(np.array([])) == 0


def test_too_few_days_have_the_worst_value():
    assert metrics.sharpe(SWINGS, days_in_year=365, minimum_days=5) == -100
    assert metrics.sortino(SWINGS, days_in_year=365, minimum_days=5) == -100
    assert metrics.calmar(SWINGS, 0.95, days_in_year=365, minimum_days=5) == -100
    assert metrics.statistical_confidence(SWINGS, minimum_days=5) == -100
    assert metrics.omega(SWINGS, minimum_days=5) == 0
    assert metrics.omega(SWINGS, minimum_days=4) > 0
    assert metrics.sharpe(SWINGS, days_in_year=365, minimum_days=4) != -100


def test_no_day_at_all():
    none = np.array([])
    found = metrics.class_metrics(none, none, 0.99, days_in_year=365)
    assert found.pop("statistical_confidence") == -100
    assert set(found.values()) == {0.0}
    assert metrics.ann_volatility(none, days_in_year=365) == math.inf


@given(st.lists(st.floats(-0.25, 0.25, width=32), min_size=2, max_size=60))
def test_unweighted_figures_are_those_of_the_standard_library(returns):
    """`statistics` computes in exact fractions."""
    values, n_days = np.array(returns), len(returns)
    mean, spread = statistics.fmean(returns), statistics.pvariance(returns)
    assert metrics.average(values, weighted=False) == pytest.approx(mean, rel=1e-9, abs=1e-15)
    assert metrics.variance(values, weighted=False) == pytest.approx(spread, rel=1e-9, abs=1e-15)
    yearly = math.sqrt(spread * 365)
    found = metrics.ann_volatility(values, days_in_year=365, weighted=False)
    assert found == pytest.approx(yearly, rel=1e-9, abs=1e-7)
    sharpe = metrics.sharpe(values, days_in_year=365, weighted=False)
    assert sharpe == pytest.approx((mean * 365 - 0.0389) / max(yearly, 0.01), rel=1e-6, abs=1e-6)
    if spread > 1e-7:  # far from the variance that is too small to be judged
        t = mean / (statistics.stdev(returns) / math.sqrt(n_days))
        assert metrics.statistical_confidence(values) == pytest.approx(t, rel=1e-6, abs=1e-9)


@given(
    st.lists(st.floats(-0.2, 0.2), min_size=2, max_size=40),
    st.sampled_from([252, 365]),
)
def test_days_that_weigh_the_same_are_a_plain_mean(returns, days_in_year):
    values = np.array(returns)
    rules = ScoringRules(return_days=DayWeights(floor=0.0, decay=0.0))
    for metric in (metrics.sharpe, metrics.sortino, metrics.ann_volatility):
        plain = metric(values, days_in_year=days_in_year, weighted=False, rules=rules)
        weighted = metric(values, days_in_year=days_in_year, weighted=True, rules=rules)
        assert weighted == plain


def test_report_asks_for_the_largest_minimum_of_days():
    led = ledger([1.01, 1.02, 0.99, 1.03])  # two full days
    assert metric_report(led)["weighting_true_confident"]["sharpe"] == -100
    rules = ScoringRules(minimum_days=MinimumDays(most=2))
    report = metric_report(led, rules=rules)
    assert report["weighting_true_confident"]["sharpe"] == report["weighting_true"]["sharpe"]
    assert report["n_days"] == 2


@pytest.mark.parametrize("name", FOLDERS)
def test_metrics_of_the_golden_replays(name: str, shared: Path) -> None:
    expected = json.loads((shared / "golden" / name / "expected.json").read_text())
    comparison = Comparison()
    for hotkey, wanted in expected["metrics"].items():
        portfolio = PerfLedger.from_dict(expected["ledgers"][hotkey][PORTFOLIO])
        comparison.compare(hotkey, _texts(metric_report(portfolio)), wanted)
    assert [str(difference) for difference in comparison.differences] == []
    assert comparison.n_values >= 52 * len(expected["metrics"]) > 0


def _texts(value: Any) -> Any:
    """Numbers that are not finite, as the files write them."""
    if isinstance(value, dict):
        return {key: _texts(each) for key, each in value.items()}
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
