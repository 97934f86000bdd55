"""The formulas of the metrics, for many traders at once; `metrics` offers them for one series.

A `Series` holds one row per trader. Rows end with the newest day; shorter ones are filled up in
front with days that do not count. Every function gives one number per row.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ptn_backtest.rulebook.scoring_rules import DayWeights, ScoringRules

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_PERCENT = 100.0
_LEAST_FOR_A_DEVIATION = 2


@dataclass(frozen=True)
class Series:
    """Daily values of several traders.

    Attributes:
        values: traders x days, 0 where a day does not count.
        counts: traders x days, 1.0 where a day counts, else 0.0.
    """

    values: Floats
    counts: Floats
    _weights: dict[DayWeights, Floats] = field(default_factory=dict, init=False, repr=False)
    _totals: dict[DayWeights, Floats] = field(default_factory=dict, init=False, repr=False)
    _means: dict[DayWeights | None, Floats] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def n_days(self) -> Floats:
        """Days of each row that count."""
        n_days: Floats = self.counts.sum(axis=1)
        return n_days

    def weights(self, rule: DayWeights | None) -> Floats:
        """Weight of every day, the newest 1; None weighs all days the same."""
        if rule is None:
            return self.counts
        if rule not in self._weights:
            self._weights[rule] = self.counts * day_weights(self.values.shape[1], rule)
        return self._weights[rule]

    def total(self, rule: DayWeights | None) -> Floats:
        """Weights of each row, added up."""
        if rule is None:
            return self.n_days
        if rule not in self._totals:
            self._totals[rule] = self.weights(rule).sum(axis=1)
        return self._totals[rule]

    def mean(self, rule: DayWeights | None) -> Floats:
        """Weighted mean of each row; 0 without days."""
        if rule not in self._means:
            self._means[rule] = self._mean(self.values, rule)
        return self._means[rule]

    def variance(self, rule: DayWeights | None) -> Floats:
        """Mean squared deviation from the mean, the population's."""
        return self._mean((self.values - self.mean(rule)[:, None]) ** 2, rule)

    def below(self, limit: float) -> "Series":
        """Only the days below a value count; a day keeps its weight."""
        return Series(self.values, self.counts * (self.values < limit))

    def _mean(self, values: Floats, rule: DayWeights | None) -> Floats:
        """Weighted mean of each row of some values of these days."""
        return _divided((self.weights(rule) * values).sum(axis=1), self.total(rule))


def series(values: Sequence[Floats], first: Ints, last: Ints) -> list[Series]:
    """The same stretches of days of some arrays: a row from `first` to before `last` each."""
    n_days = last - first
    width = int(n_days.max(initial=0))
    counts = np.arange(width) >= width - n_days[:, None]
    day = (last - width)[:, None] + np.arange(width)  # of other traders where it does not count
    ones = counts.astype(np.float64)
    return [Series(np.where(counts, one.take(day, mode="clip"), 0.0), ones) for one in values]


def day_weights(n_days: int, rule: DayWeights) -> Floats:
    """Weight of each of n days, oldest first, the newest 1."""
    age = np.arange(n_days - 1, -1, -1, dtype=np.float64)
    return rule.floor + (1 - rule.floor) * np.exp(-rule.decay * age)


def excess(returns: Series, rule: DayWeights | None, days_in_year: int, risk_free: float) -> Floats:
    """Log return a year above the risk-free rate; 0 without days."""
    yearly = returns.mean(rule) * days_in_year - risk_free
    return np.where(returns.n_days > 0, yearly, 0.0)


def volatility(returns: Series, rule: DayWeights | None, days_in_year: int) -> Floats:
    """Standard deviation a year; infinite for fewer than 2 days."""
    enough = returns.n_days >= _LEAST_FOR_A_DEVIATION
    return np.where(enough, np.sqrt(returns.variance(rule) * days_in_year), np.inf)


def omega(returns: Series, rule: DayWeights | None, floor: float) -> Floats:
    """Gains / losses.

    Weighted, each sum is scaled by the weights of the other side, so that the ratio is one of
    weighted means; days without a change count as losses, and the floor is on the scaled sum.
    """
    weights = returns.weights(rule)
    gains = weights * (returns.values > 0)
    losses = weights - gains
    gained = (gains * returns.values).sum(axis=1)
    lost = (losses * returns.values).sum(axis=1)
    if rule is None:
        plain: Floats = gained / np.maximum(np.abs(lost), floor)
        return plain
    gained = gained * np.maximum(losses.sum(axis=1), floor)
    lost = lost * np.maximum(gains.sum(axis=1), floor)
    ratio: Floats = gained / np.maximum(np.abs(lost), floor)
    return ratio


def t_statistic(returns: Series, min_variance: float, insufficient: float) -> Floats:
    """T statistic of the mean against 0, each day counting the same."""
    spread = returns.variance(None)
    # the sample's variance / n = the population's / (n - 1)
    error = np.sqrt(np.maximum(_divided(spread, returns.n_days - 1), 0.0))
    judged = _divided(returns.mean(None), error)
    return np.where(spread > min_variance, judged, insufficient)


def drawdown_percent(mdd: Floats) -> Floats:
    """Drawdown in percent of `mdd`, the lowest value / running peak; unrounded, as it is compared."""
    return (1 - mdd) * _PERCENT


def risk_normalization(mdd: Floats, drawdown_limit: float) -> Floats:
    """1 / drawdown in percent; 0 for a drawdown beyond the limit, and for none."""
    drawdown = drawdown_percent(mdd)
    return np.where(drawdown >= drawdown_limit, 0.0, _divided(np.ones_like(drawdown), drawdown))


def class_metrics(
    returns: Series,
    pnl: Series,
    mdd: Floats,
    rules: ScoringRules,
    *,
    days_in_year: int,
    weighted: bool = True,
) -> dict[str, Floats]:
    """{metric: one value per trader} of the metrics that a class score is made of.

    Args:
        returns: daily log returns.
        pnl: USD per day.
        mdd: lowest value / running peak of each trader.
        rules: constants.
        days_in_year: of the asset class.
        weighted: whether newer days count more.
    """
    rule = rules.return_days if weighted else None
    above = excess(returns, rule, days_in_year, rules.risk_free_rate)
    spread = volatility(returns, rule, days_in_year)
    losing = returns.below(risk_free_day(rules, days_in_year))
    downside = volatility(losing, rule, days_in_year)
    yearly_percent = returns.mean(rule) * days_in_year * _PERCENT
    return {
        "calmar": yearly_percent * risk_normalization(mdd, rules.drawdown_limit),
        "sharpe": above / np.maximum(spread, rules.ratio_floor),
        "omega": omega(returns, rule, rules.ratio_floor),
        "sortino": above / np.maximum(downside, rules.ratio_floor),
        "statistical_confidence": t_statistic(returns, rules.min_variance, rules.insufficient),
        "pnl": pnl.mean(rules.pnl_days if weighted else None),
    }


def with_days_enough(
    metrics: Mapping[str, Floats], n_days: Ints, minimum_days: int, rules: ScoringRules
) -> dict[str, Floats]:
    """The metrics, those of the worst where there are fewer days; PnL is always judged."""
    enough = n_days >= minimum_days
    worst = dict.fromkeys(metrics, rules.insufficient) | {"omega": 0.0}
    return {
        name: values if name == "pnl" else np.where(enough, values, worst[name])
        for name, values in metrics.items()
    }


def risk_free_day(rules: ScoringRules, days_in_year: int) -> float:
    """Log return of a day at the risk-free rate."""
    return float(np.log(1 + rules.risk_free_rate)) / days_in_year


def _divided(numerator: Floats, denominator: Floats) -> Floats:
    """Element by element, 0 where the denominator is 0."""
    return np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator != 0)
