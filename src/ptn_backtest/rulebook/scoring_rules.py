"""What the network's scoring is made of: every constant of it, as one immutable value."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ptn_backtest.clock import DAY_MS, MINUTE_MS
from ptn_backtest.trade_pairs import TradePairCategory

METRICS = ("calmar", "sharpe", "omega", "sortino", "statistical_confidence", "pnl")
"""What a class score is made of."""


@dataclass(frozen=True, slots=True)
class DayWeights:
    """How much a day counts: `floor + (1 - floor) x exp(-decay x age)`.

    The newest day has age 0, the one before it in the list 1; missing days leave no gap.

    Attributes:
        floor: weight that a day keeps for ever.
        decay: per day.
    """

    floor: float = 0.15
    decay: float = 0.075


@dataclass(frozen=True, slots=True)
class MinimumDays:
    """How many full days a class asks for before its metrics count.

    Attributes:
        least: never fewer than this.
        most: never more; also where nobody's ledger tells.
        rank: the participation of this rank, longest first, bounds it; with fewer traders: `least`.
    """

    least: int = 7
    most: int = 60
    rank: int = 20


@dataclass(frozen=True, slots=True)
class AssetClass:
    """One class of pairs that is scored by itself.

    Attributes:
        emission: its share of the network's weights (fraction).
        days_in_year: trading days a year.
    """

    emission: float
    days_in_year: int


@dataclass(frozen=True, slots=True)
class RiskProfileRules:
    """When a closed position counts as reckless, and what that costs.

    Attributes:
        window_ms: positions opened within this time count.
        min_duration_ms: of a position that counts.
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

    window_ms: int = 120 * DAY_MS
    min_duration_ms: int = MINUTE_MS
    losing_adds: int = 3
    losing_raises: int = 2
    margin_use: float = 0.5
    leverage_ratio: float = 1.5
    unevenness: float = 0.185
    min_timed_orders: int = 3
    floor: float = 0.01
    sum_floor: float = 1e-6
    return_power: float = 100.0
    steepness: float = 4.0
    midpoint: float = 1.2
    max_exponent: float = 100.0


def _metric_weights() -> Mapping[str, float]:
    return {name: 0.90 if name == "pnl" else 0.02 for name in METRICS}


def _asset_classes() -> Mapping[TradePairCategory, AssetClass]:
    return {
        TradePairCategory.CRYPTO: AssetClass(emission=0.5, days_in_year=365),
        TradePairCategory.FOREX: AssetClass(emission=0.5, days_in_year=252),
    }


@dataclass(frozen=True, slots=True)
class ScoringRules:
    """Every constant of scoring; the defaults are the rules of November 2025.

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
        drawdown_limit: a drawdown of this many percent or more is penalised with 0.
        min_account_size: USD; smaller accounts are penalised.
        small_account_penalty: their factor.
        softmax_temperature: of the weights within a class.
        softmax_epsilon: keeps the sum that the softmax divides by above 0.
        risk_profile: reckless positions.
    """

    return_days: DayWeights = DayWeights()
    pnl_days: DayWeights = DayWeights(floor=0.045)
    minimum_days: MinimumDays = MinimumDays()
    asset_classes: Mapping[TradePairCategory, AssetClass] = field(default_factory=_asset_classes)
    metric_weights: Mapping[str, float] = field(default_factory=_metric_weights)
    risk_free_rate: float = 0.0389
    ratio_floor: float = 0.01
    insufficient: float = -100.0
    min_variance: float = 1e-8
    drawdown_limit: float = 10.0
    min_account_size: float = 150_000.0
    small_account_penalty: float = 0.01
    softmax_temperature: float = 0.15
    softmax_epsilon: float = 1e-6
    risk_profile: RiskProfileRules = RiskProfileRules()


DEFAULT_SCORING = ScoringRules()
