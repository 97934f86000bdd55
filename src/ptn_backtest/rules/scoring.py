"""Scores of all traders at one time: from ledgers and positions to final weights.

metrics -> percentile ranks -> class score x penalties -> softmax -> emissions -> final weight
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from ptn_backtest.ledger.checkpoint import PORTFOLIO, PerfLedger
from ptn_backtest.ledger.daily import daily_pnl, daily_returns
from ptn_backtest.rulebook.scoring_rules import DEFAULT_SCORING, MinimumDays, ScoringRules
from ptn_backtest.rules.bucket import Bucket
from ptn_backtest.rules.class_ledgers import class_ledger
from ptn_backtest.rules.metrics import class_metrics, lowest_mdd
from ptn_backtest.rules.penalties import Penalties, penalties
from ptn_backtest.rules.ranking import best_first, percentile_ranks, softmax
from ptn_backtest.rules.risk_profile import HeldPosition
from ptn_backtest.trade_pairs import TradePairCategory

_IN_NETWORK = (Bucket.MAINCOMP, Bucket.PROBATION)


@dataclass(frozen=True, slots=True)
class Trader:
    """What scoring knows of a trader at some time.

    Attributes:
        ledgers: {"portfolio" or trade pair id: ledger}, pairs in order of first trade. A trader
            without a portfolio ledger is not scored; without pair ledgers no class has a day.
        positions: those known at the time, open ones too, with their states then.
        account_size: USD, in force at the time.
        bucket: where it stands.
    """

    ledgers: Mapping[str, PerfLedger]
    positions: Collection[HeldPosition]
    account_size: float
    bucket: Bucket


@dataclass(frozen=True, slots=True)
class ClassScore:
    """One trader in one asset class.

    Attributes:
        n_days: full days of its class ledger.
        metrics: {metric: value}, see `scoring_rules.METRICS`.
        percentiles: {metric: percentile rank}; {} where a penalty of 0 keeps the trader out.
        score: weighted percentile ranks x penalties.
        rank: 1 for the highest score; of equal scores the trader given first comes first.
        weight: softmax weight within the class, before the emission.
    """

    n_days: int
    metrics: Mapping[str, float]
    percentiles: Mapping[str, float]
    score: float
    rank: int
    weight: float


@dataclass(frozen=True, slots=True)
class TraderScore:
    """One trader.

    Attributes:
        penalties: factors on its class scores.
        classes: its scores by asset class.
        weight: final weight; those of all traders add up to 1 (or are all 0).
        rank: 1 for the highest final weight.
    """

    penalties: Penalties
    classes: Mapping[TradePairCategory, ClassScore]
    weight: float
    rank: int


@dataclass(frozen=True, slots=True)
class Scores:
    """All traders that were scored together.

    Attributes:
        time_ms: when.
        min_days: full days that each class asked for.
        traders: {hotkey: score}, in the order given.
    """

    time_ms: int
    min_days: Mapping[TradePairCategory, int]
    traders: Mapping[str, TraderScore]


def score(
    traders: Mapping[str, Trader],
    t_ms: int,
    rules: ScoringRules = DEFAULT_SCORING,
    *,
    min_days: Mapping[TradePairCategory, int] | None = None,
) -> Scores:
    """Score traders against each other.

    Args:
        traders: {hotkey: trader}; who has no portfolio ledger is left out.
        t_ms: time of the scoring, ms; the risk profile looks back from here.
        rules: every constant.
        min_days: full days that each class asks for, where more traders than those scored decide
            it (a challenge evaluation); by default that of `traders`.

    Returns:
        Scores, whose final weights add up to 1 where anybody takes part.
    """
    scored = {hotkey: trader for hotkey, trader in traders.items() if PORTFOLIO in trader.ledgers}
    if min_days is None:
        min_days = class_minimum_days(scored, rules)
    factors = {
        hotkey: penalties(
            lowest_mdd(trader.ledgers[PORTFOLIO]),
            trader.account_size,
            trader.positions,
            t_ms,
            rules,
        )
        for hotkey, trader in scored.items()
    }
    classes = {
        category: _class_scores(scored, factors, category, min_days[category], rules)
        for category in rules.asset_classes
    }
    weights = _final_weights(classes, rules)
    ranks = _ranks(weights)
    return Scores(
        time_ms=t_ms,
        min_days=min_days,
        traders={
            hotkey: TraderScore(
                penalties=factors[hotkey],
                classes={category: own[hotkey] for category, own in classes.items()},
                weight=weights[hotkey],
                rank=ranks[hotkey],
            )
            for hotkey in scored
        },
    )


def class_ranks(scores: Scores) -> dict[TradePairCategory, list[tuple[str, float]]]:
    """{asset class: [(hotkey, class score), ...]}, best first; of equal scores the first given.

    The challenge rules keep those of the first 25 whose score is above 0. Everybody scored is
    listed; the last in every metric, and who has a penalty of 0, with exactly 0.
    """
    return {
        category: best_first({h: t.classes[category].score for h, t in scores.traders.items()})
        for category in scores.min_days
    }


def class_minimum_days(
    traders: Mapping[str, Trader], rules: ScoringRules = DEFAULT_SCORING
) -> dict[TradePairCategory, int]:
    """Full days that each class asks for, by the traders in MAINCOMP and PROBATION.

    Where none of them has a ledger, every class asks for the most.
    """
    deciding = [t for t in traders.values() if t.bucket in _IN_NETWORK and PORTFOLIO in t.ledgers]
    if not deciding:
        return dict.fromkeys(rules.asset_classes, rules.minimum_days.most)
    return {
        category: minimum_days(
            [len(daily_returns(class_ledger(t.ledgers, category))[0]) for t in deciding],
            rules.minimum_days,
        )
        for category in rules.asset_classes
    }


def minimum_days(participation: Collection[int], rule: MinimumDays) -> int:
    """Full days that a class asks for: the 20th longest participation or the median, if smaller.

    Args:
        participation: full days of each trader's class ledger; who has none does not count.
        rule: rank and bounds; with fewer traders than the rank, `rule.least`.
    """
    days = sorted((n for n in participation if n > 0), reverse=True)
    if len(days) < rule.rank:
        return rule.least
    bound = min(days[rule.rank - 1], int(np.median(days)))
    return max(rule.least, min(rule.most, bound))


def _class_scores(
    traders: Mapping[str, Trader],
    factors: Mapping[str, Penalties],
    category: TradePairCategory,
    min_days: int,
    rules: ScoringRules,
) -> dict[str, ClassScore]:
    """{hotkey: score} of one class."""
    n_days, figures = {}, {}
    for hotkey, trader in traders.items():
        ledger = class_ledger(trader.ledgers, category)
        returns = daily_returns(ledger)[1]
        n_days[hotkey] = len(returns)
        figures[hotkey] = class_metrics(
            returns,
            daily_pnl(ledger)[1],
            lowest_mdd(ledger),
            days_in_year=rules.asset_classes[category].days_in_year,
            minimum_days=min_days,
            rules=rules,
        )
    # a penalty of 0 keeps a trader out of the ranks of the others
    competing = [hotkey for hotkey in traders if factors[hotkey].total > 0]
    percentiles = {
        metric: percentile_ranks({hotkey: figures[hotkey][metric] for hotkey in competing})
        for metric in rules.metric_weights
    }
    scores = {
        hotkey: factors[hotkey].total
        * sum(w * percentiles[metric][hotkey] for metric, w in rules.metric_weights.items())
        for hotkey in competing
    }
    weights = softmax(scores, rules)
    everybody = {hotkey: scores.get(hotkey, 0.0) for hotkey in traders}
    ranks = _ranks(everybody)
    return {
        hotkey: ClassScore(
            n_days=n_days[hotkey],
            metrics=figures[hotkey],
            percentiles={m: own[hotkey] for m, own in percentiles.items() if hotkey in own},
            score=everybody[hotkey],
            rank=ranks[hotkey],
            weight=weights.get(hotkey, 0.0),
        )
        for hotkey in traders
    }


def _final_weights(
    classes: Mapping[TradePairCategory, Mapping[str, ClassScore]], rules: ScoringRules
) -> dict[str, float]:
    """{hotkey: share of all classes' weights times their emissions}."""
    sums: dict[str, float] = {}
    for category, own in classes.items():
        emission = rules.asset_classes[category].emission
        for hotkey, scored in own.items():
            sums[hotkey] = sums.get(hotkey, 0.0) + scored.weight * emission
    total = sum(sums.values())
    return {hotkey: weight / total if total else 0.0 for hotkey, weight in sums.items()}


def _ranks(scores: Mapping[str, float]) -> dict[str, int]:
    return {hotkey: rank for rank, (hotkey, _) in enumerate(best_first(scores), start=1)}
