"""The network's metrics: arrays of daily values in, a number out.

Callable on any series: `returns` are natural log returns, one per full day, oldest first, `pnl` is
USD per day. `weighted` lets newer days count more. `mdd` is the lowest value / running peak, 1.0 =
no drawdown. With fewer than `minimum_days` days a ratio is not judged and takes the value of the
worst. A series without a day has 0 for everything but volatility. `docs/scoring.md` has the formulas.
"""

import math

import numpy as np
from numpy.typing import NDArray

from ptn_backtest.ledger.checkpoint import PerfLedger
from ptn_backtest.rulebook.scoring_rules import DEFAULT_SCORING, DayWeights, ScoringRules

Floats = NDArray[np.float64]

_PERCENT = 100.0
_LEAST_FOR_A_DEVIATION = 2


def day_weights(n_days: int, rule: DayWeights) -> Floats:
    """Weight of each of n days, oldest first, the newest 1."""
    age = np.arange(n_days - 1, -1, -1, dtype=np.float64)
    return rule.floor + (1 - rule.floor) * np.exp(-rule.decay * age)


def average(
    returns: Floats, *, weighted: bool = True, rules: ScoringRules = DEFAULT_SCORING
) -> float:
    """Mean log return of a day."""
    return _mean(returns, _weights(returns, weighted, rules))


def variance(
    returns: Floats, *, weighted: bool = True, rules: ScoringRules = DEFAULT_SCORING
) -> float:
    """Mean squared deviation from the mean, the population's (divisor n, or the sum of weights)."""
    return _variance(returns, _weights(returns, weighted, rules))


def ann_excess_return(
    returns: Floats,
    *,
    days_in_year: int,
    weighted: bool = True,
    rules: ScoringRules = DEFAULT_SCORING,
) -> float:
    """Log return a year above the risk-free rate; 0 without days."""
    if len(returns) == 0:
        return 0.0
    return average(returns, weighted=weighted, rules=rules) * days_in_year - rules.risk_free_rate


def ann_volatility(
    returns: Floats,
    *,
    days_in_year: int,
    weighted: bool = True,
    rules: ScoringRules = DEFAULT_SCORING,
) -> float:
    """Standard deviation of log returns a year; infinite for fewer than 2 days."""
    return _annual_deviation(returns, _weights(returns, weighted, rules), days_in_year)


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
    below = returns < math.log(1 + rules.risk_free_rate) / days_in_year
    weights = _weights(returns, weighted, rules)
    return _annual_deviation(returns[below], weights[below], days_in_year)


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
    """Simple return a year in percent."""
    mean = average(returns, weighted=weighted, rules=rules)
    return (math.exp(mean * days_in_year) - 1) * _PERCENT


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
    gains = returns > 0
    if not weighted:
        losses = abs(float(returns[~gains].sum()))
        return float(returns[gains].sum()) / max(losses, rules.ratio_floor)
    weights = day_weights(len(returns), rules.return_days)
    gained, lost = weights[gains], weights[~gains]
    positive = float(gained @ returns[gains]) * max(float(lost.sum()), rules.ratio_floor)
    negative = float(lost @ returns[~gains]) * max(float(gained.sum()), rules.ratio_floor)
    return positive / max(abs(negative), rules.ratio_floor)


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
    spread = variance(returns, weighted=False, rules=rules)
    if len(returns) < minimum_days or spread <= rules.min_variance:
        return rules.insufficient
    # the sample's variance / n = the population's / (n - 1)
    return average(returns, weighted=False, rules=rules) / math.sqrt(spread / (len(returns) - 1))


def pnl_score(
    pnl: Floats, *, weighted: bool = True, rules: ScoringRules = DEFAULT_SCORING
) -> float:
    """Mean PnL of a day, USD; 0 without days."""
    weights = day_weights(len(pnl), rules.pnl_days) if weighted else np.ones(len(pnl))
    return _mean(pnl, weights)


def drawdown_percent(mdd: float) -> float:
    """Drawdown in percent of `mdd`, the lowest value / running peak."""
    return (1 - mdd) * _PERCENT


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
    drawdown = drawdown_percent(mdd)
    beyond, _ = is_beyond_max_drawdown(mdd, rules=rules)
    return 0.0 if beyond or drawdown == 0 else 1 / drawdown


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
    drawn = calmar(
        returns,
        mdd,
        days_in_year=days_in_year,
        weighted=weighted,
        minimum_days=minimum_days,
        rules=rules,
    )
    per_risk, per_downside = (
        ratio(
            returns,
            days_in_year=days_in_year,
            weighted=weighted,
            minimum_days=minimum_days,
            rules=rules,
        )
        for ratio in (sharpe, sortino)
    )
    return {
        "calmar": drawn,
        "sharpe": per_risk,
        "omega": omega(returns, weighted=weighted, minimum_days=minimum_days, rules=rules),
        "sortino": per_downside,
        "statistical_confidence": statistical_confidence(
            returns, minimum_days=minimum_days, rules=rules
        ),
        "pnl": pnl_score(pnl, weighted=weighted, rules=rules),
    }


def _weights(returns: Floats, weighted: bool, rules: ScoringRules) -> Floats:
    if not weighted:
        return np.ones(len(returns))
    return day_weights(len(returns), rules.return_days)


def _mean(values: Floats, weights: Floats) -> float:
    return float(weights @ values) / float(weights.sum()) if len(values) else 0.0


def _variance(values: Floats, weights: Floats) -> float:
    return _mean((values - _mean(values, weights)) ** 2, weights)


def _annual_deviation(values: Floats, weights: Floats, days_in_year: int) -> float:
    if len(values) < _LEAST_FOR_A_DEVIATION:
        return math.inf
    return math.sqrt(_variance(values, weights) * days_in_year)
