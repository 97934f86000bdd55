"""What the network's scoring is made of: every constant of it, as one immutable value."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated

from ptn_backtest.clock import DAY_MS, SECOND_MS
from ptn_backtest.rulebook.kinds import (
    Count,
    Fraction,
    OneOf,
    Percent,
    Positive,
    Shipped,
    Signed,
    Whole,
)
from ptn_backtest.trade_pairs import TradePairCategory

METRICS = ("calmar", "sharpe", "omega", "sortino", "statistical_confidence", "pnl")
"""What a class score is made of."""
Metric = Annotated[str, OneOf("metric", lambda: METRICS)]

_SCORING = Shipped("scoring")
_RETURN_DAYS = Shipped("scoring.return_days")
_MINIMUM_DAYS = Shipped("scoring.minimum_days")
_RISK_PROFILE = Shipped("scoring.risk_profile")
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class DayWeights:
    """How much a day counts: `floor + (1 - floor) x exp(-decay x age)`.

    The newest day has age 0, the one before it in the list 1; missing days leave no gap.

    Attributes:
        floor: weight that a day keeps for ever.
        decay: per day.
    """

    floor: Fraction = _RETURN_DAYS.floor
    decay: float = _RETURN_DAYS.decay


@dataclass(frozen=True, slots=True)
class MinimumDays:
    """How many full days a class asks for before its metrics count.

    Attributes:
        least: never fewer than this.
        most: never more; also where nobody's ledger tells.
        rank: the participation of this rank, longest first, bounds it; with fewer traders: `least`.
    """

    least: Count = _MINIMUM_DAYS.least
    most: Count = _MINIMUM_DAYS.most
    rank: Count = _MINIMUM_DAYS.rank

    def faults(self) -> Iterator[tuple[str, str]]:
        """(key, message) of bounds that contradict each other."""
        if self.least > self.most:
            yield "least", f"{self.least} is more than `most`, {self.most}"


@dataclass(frozen=True, slots=True)
class AssetClass:
    """One class of pairs that is scored by itself.

    Attributes:
        emission: its share of the network's weights (fraction).
        days_in_year: trading days a year.
    """

    emission: Fraction
    days_in_year: Count


@dataclass(frozen=True, slots=True)
class RiskProfileRules:
    """When a closed position counts as reckless, and what that costs.

    Attributes:
        window_days: positions opened within this time count.
        min_duration_seconds: of a position that counts.
        losing_adds: orders that enlarge a losing position, from which on it is flagged.
        losing_raises: orders of a losing position beyond its largest leverage so far, likewise.
        margin_use: share of the pair's range of leverage, likewise.
        leverage_ratio: largest / smallest leverage, likewise.
        unevenness: mean deviation of the times between orders, likewise.
        min_timed_orders: fewer orders have no unevenness.
        floor: smallest leverage that is divided by, and smallest weight of a first order.
        sum_floor: stands for a sum of leverages of 0.
        return_power: a position weighs its return to this power.
        steepness: of the penalty `1 / (1 + exp(steepness x (score - midpoint)))`.
        midpoint: risk score at which the penalty halves a trader's score.
        max_exponent: the exponent stays within +- this.
    """

    window_days: Count = _RISK_PROFILE.window_days
    min_duration_seconds: int = _RISK_PROFILE.min_duration_seconds
    losing_adds: int = _RISK_PROFILE.losing_adds
    losing_raises: int = _RISK_PROFILE.losing_raises
    margin_use: float = _RISK_PROFILE.margin_use
    leverage_ratio: float = _RISK_PROFILE.leverage_ratio
    unevenness: float = _RISK_PROFILE.unevenness
    min_timed_orders: int = _RISK_PROFILE.min_timed_orders
    floor: Positive = _RISK_PROFILE.floor
    sum_floor: Positive = _RISK_PROFILE.sum_floor
    return_power: float = _RISK_PROFILE.return_power
    steepness: float = _RISK_PROFILE.steepness
    midpoint: float = _RISK_PROFILE.midpoint
    max_exponent: float = _RISK_PROFILE.max_exponent

    @property
    def window_ms(self) -> int:
        """Time within which a position that counts was opened, ms."""
        return self.window_days * DAY_MS

    @property
    def min_duration_ms(self) -> int:
        """Shortest position that counts, ms."""
        return self.min_duration_seconds * SECOND_MS


@dataclass(frozen=True, slots=True)
class ScoringRules:
    """Every constant of scoring; the defaults are those of the default rulebook.

    Attributes:
        return_days: weights of days in metrics of log returns.
        pnl_days: weights of days in the PnL metric.
        minimum_days: how many days a class asks for.
        asset_classes: the classes that are scored.
        metric_weights: {metric: share of the class score}; the metrics are `METRICS`.
        risk_free_rate: a year (fraction).
        ratio_floor: smallest divisor of sharpe, sortino and omega.
        insufficient: value of a metric with fewer days than the minimum (omega: 0).
        min_variance: population variance up to which the t statistic is `insufficient`.
        drawdown_limit: a drawdown of this many percent or more is penalised with 0; in a rulebook always
            `EliminationRules.drawdown_limit`.
        min_account_size: USD; smaller accounts are penalised.
        small_account_penalty: their factor.
        softmax_temperature: of the weights within a class.
        softmax_epsilon: keeps the sum that the softmax divides by above 0.
        risk_profile: reckless positions.
    """

    return_days: DayWeights = _SCORING.return_days
    pnl_days: DayWeights = _SCORING.pnl_days
    minimum_days: MinimumDays = _SCORING.minimum_days
    asset_classes: Mapping[TradePairCategory, AssetClass] = _SCORING.asset_classes
    metric_weights: Whole[Mapping[Metric, Fraction]] = _SCORING.metric_weights
    risk_free_rate: Fraction = _SCORING.risk_free_rate
    ratio_floor: Positive = _SCORING.ratio_floor
    insufficient: Signed = _SCORING.insufficient
    min_variance: float = _SCORING.min_variance
    drawdown_limit: Percent = _SCORING.drawdown_limit
    min_account_size: float = _SCORING.min_account_size
    small_account_penalty: Fraction = _SCORING.small_account_penalty
    softmax_temperature: Positive = _SCORING.softmax_temperature
    softmax_epsilon: Positive = _SCORING.softmax_epsilon
    risk_profile: RiskProfileRules = _SCORING.risk_profile

    def faults(self) -> Iterator[tuple[str, str]]:
        """(key, message) of rules that contradict each other."""
        total = sum(asset_class.emission for asset_class in self.asset_classes.values())
        if total > 1 + _ROUNDING:
            yield "asset_classes", f"the emissions add up to {total:g}, and may to 1"


def __getattr__(name: str) -> ScoringRules:
    # not a plain constant: the default rulebook's file can only be read once the classes are there
    if name == "DEFAULT_SCORING":
        return ScoringRules()
    raise AttributeError(name)
