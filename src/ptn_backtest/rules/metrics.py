"""The network's metrics: arrays of daily values in, a number out.

Callable on any series: `returns` are natural log returns, one per full day, oldest first, `pnl` is
USD per day. `weighted` lets newer days count more. `mdd` is the lowest value / running peak, 1.0 =
no drawdown. With fewer than `minimum_days` days a ratio is not judged and takes the value of the
worst. A series without a day has 0 for everything but volatility. `docs/scoring.md` has the formulas.
"""

import math
import sys

import numpy as np
from numpy.typing import NDArray

from ptn_backtest.ledger.checkpoint import PerfLedger
from ptn_backtest.rulebook.scoring_rules import DEFAULT_SCORING, DayWeights, ScoringRules
from ptn_backtest.rules import formulas
from ptn_backtest.rules.formulas import Series

Floats = NDArray[np.float64]

_PERCENT = 100.0
_LARGEST_LOG = math.log(sys.float_info.max)


def average(
    returns: Floats, *, weighted: bool = True, rules: ScoringRules = DEFAULT_SCORING
) -> float:
    """Mean log return of a day."""
    return _only(_series(returns).mean(_rule(weighted, rules)))


def variance(
    returns: Floats, *, weighted: bool = True, rules: ScoringRules = DEFAULT_SCORING
) -> float:
    """Mean squared deviation from the mean, the population's (divisor n, or the sum of weights).

    Infinite for one day; 0 without days.
    """
    if len(returns) == 1:
        return math.inf
    return _only(_series(returns).variance(_rule(weighted, rules)))


def ann_excess_return(
    returns: Floats,
    *,
    days_in_year: int,
    weighted: bool = True,
    rules: ScoringRules = DEFAULT_SCORING,
) -> float:
    """Log return a year above the risk-free rate; 0 without days."""
    rule = _rule(weighted, rules)
    return _only(formulas.excess(_series(returns), rule, days_in_year, rules.risk_free_rate))


def ann_volatility(
    returns: Floats,
    *,
    days_in_year: int,
    weighted: bool = True,
    rules: ScoringRules = DEFAULT_SCORING,
) -> float:
    """Standard deviation of log returns a year; infinite for fewer than 2 days."""
    return _only(formulas.volatility(_series(returns), _rule(weighted, rules), days_in_year))


def ann_downside_volatility(
    returns: Floats,
    *,
    days_in_year: int,
    weighted: bool = True,
    rules: ScoringRules = DEFAULT_SCORING,
) -> float:
    """Volatility of the days below the risk-free return, around their own mean.

    A day keeps the weight that it has among all days. Infinite for fewer than 2 such days.
    """
    below = _series(returns).below(formulas.risk_free_day(rules, days_in_year))
    return _only(formulas.volatility(below, _rule(weighted, rules), days_in_year))


def base_return_log_percentage(
    returns: Floats,
    *,
    days_in_year: int,
    weighted: bool = True,
    rules: ScoringRules = DEFAULT_SCORING,
) -> float:
    """Log return a year x 100."""
    return average(returns, weighted=weighted, rules=rules) * days_in_year * _PERCENT


def base_return(
    returns: Floats,
    *,
    days_in_year: int,
    weighted: bool = True,
    rules: ScoringRules = DEFAULT_SCORING,
) -> float:
    """Simple return a year in percent; infinite where it is too large for a number."""
    yearly = average(returns, weighted=weighted, rules=rules) * days_in_year
    return (math.exp(yearly) - 1) * _PERCENT if yearly < _LARGEST_LOG else math.inf


def sharpe(
    returns: Floats,
    *,
    days_in_year: int,
    weighted: bool = True,
    minimum_days: int = 0,
    rules: ScoringRules = DEFAULT_SCORING,
) -> float:
    """Excess return / volatility."""
    if len(returns) < minimum_days:
        return rules.insufficient
    excess = ann_excess_return(returns, days_in_year=days_in_year, weighted=weighted, rules=rules)
    spread = ann_volatility(returns, days_in_year=days_in_year, weighted=weighted, rules=rules)
    return excess / max(spread, rules.ratio_floor)


def sortino(
    returns: Floats,
    *,
    days_in_year: int,
    weighted: bool = True,
    minimum_days: int = 0,
    rules: ScoringRules = DEFAULT_SCORING,
) -> float:
    """Excess return / downside volatility; 0 for fewer than 2 downside days."""
    if len(returns) < minimum_days:
        return rules.insufficient
    excess = ann_excess_return(returns, days_in_year=days_in_year, weighted=weighted, rules=rules)
    spread = ann_downside_volatility(
        returns, days_in_year=days_in_year, weighted=weighted, rules=rules
    )
    return excess / max(spread, rules.ratio_floor)


def omega(
    returns: Floats,
    *,
    weighted: bool = True,
    minimum_days: int = 0,
    rules: ScoringRules = DEFAULT_SCORING,
) -> float:
    """Gains / losses; 0 with too few days.

    Weighted, each sum is scaled by the weights of the other side, so that the ratio is one of
    weighted means; days without a change count as losses, and the floor is on the scaled sum.
    """
    if len(returns) < minimum_days:
        return 0.0
    return _only(formulas.omega(_series(returns), _rule(weighted, rules), rules.ratio_floor))


def calmar(
    returns: Floats,
    mdd: float,
    *,
    days_in_year: int,
    weighted: bool = True,
    minimum_days: int = 0,
    rules: ScoringRules = DEFAULT_SCORING,
) -> float:
    """Log return a year / drawdown; 0 for a drawdown beyond the limit, and for none."""
    if len(returns) < minimum_days:
        return rules.insufficient
    yearly = base_return_log_percentage(
        returns, days_in_year=days_in_year, weighted=weighted, rules=rules
    )
    return yearly * risk_normalization(mdd, rules=rules)


def statistical_confidence(
    returns: Floats, *, minimum_days: int = 0, rules: ScoringRules = DEFAULT_SCORING
) -> float:
    """T statistic of the mean against 0, each day counting the same."""
    if len(returns) < minimum_days:
        return rules.insufficient
    one = _series(returns)
    return _only(formulas.t_statistic(one, rules.min_variance, rules.insufficient))


def pnl_score(
    pnl: Floats, *, weighted: bool = True, rules: ScoringRules = DEFAULT_SCORING
) -> float:
    """Mean PnL of a day, USD; 0 without days."""
    return _only(_series(pnl).mean(rules.pnl_days if weighted else None))


def drawdown_percent(mdd: float) -> float:
    """Drawdown in percent of `mdd`, the lowest value / running peak."""
    return _only(formulas.drawdown_percent(np.array([mdd])))


def is_beyond_max_drawdown(
    mdd: float, *, rules: ScoringRules = DEFAULT_SCORING
) -> tuple[bool, float]:
    """Whether a drawdown reaches the limit, and the drawdown in percent, 2 decimals.

    Compared in floating point, unrounded: for 0.9 the drawdown is 9.999999999999998 %.
    """
    drawdown = drawdown_percent(mdd)
    return drawdown >= rules.drawdown_limit, round(drawdown, 2)


def risk_normalization(mdd: float, *, rules: ScoringRules = DEFAULT_SCORING) -> float:
    """1 / drawdown in percent; 0 for a drawdown beyond the limit, and for none."""
    return _only(formulas.risk_normalization(np.array([mdd]), rules.drawdown_limit))


def daily_max_drawdown(returns: Floats) -> float:
    """Lowest value / running peak at the ends of days, the end of the first day the first value.

    1.0 = no drawdown; 0 without days.
    """
    if len(returns) == 0:
        return 0.0
    values = np.exp(np.cumsum(returns))
    return float((values / np.maximum.accumulate(values)).min())


def lowest_mdd(ledger: PerfLedger) -> float:
    """Lowest mdd of a ledger's checkpoints; 1.0 without any."""
    return float(ledger.cps["mdd"].min()) if len(ledger.cps) else 1.0


def class_metrics(
    returns: Floats,
    pnl: Floats,
    mdd: float,
    *,
    days_in_year: int,
    weighted: bool = True,
    minimum_days: int = 0,
    rules: ScoringRules = DEFAULT_SCORING,
) -> dict[str, float]:
    """{metric: value} of the metrics that a class score is made of, see `METRICS`."""
    all_metrics = formulas.class_metrics(
        _series(returns),
        _series(pnl),
        np.array([mdd]),
        rules,
        days_in_year=days_in_year,
        weighted=weighted,
    )
    n_days = np.array([len(returns)])
    found = formulas.with_days_enough(all_metrics, n_days, minimum_days, rules)
    return {name: _only(values) for name, values in found.items()}


def _series(values: Floats) -> Series:
    return Series(values[None, :], np.ones((1, len(values))))


def _rule(weighted: bool, rules: ScoringRules) -> DayWeights | None:
    return rules.return_days if weighted else None


def _only(values: Floats) -> float:
    return float(values[0])
