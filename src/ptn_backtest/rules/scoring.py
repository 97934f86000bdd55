"""Scores of all traders at one time: from records to final weights.

metrics -> percentile ranks -> class score x penalties -> softmax -> emissions -> final weight

What a trader's figures are does not depend on who it is scored with: `judge` computes them once, and
`rank_together` ranks any part of the traders.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ptn_backtest.ledger.checkpoint import PORTFOLIO, PerfLedger
from ptn_backtest.rulebook.scoring_rules import DEFAULT_SCORING, MinimumDays, ScoringRules
from ptn_backtest.rules.bucket import Bucket
from ptn_backtest.rules.formulas import class_metrics, with_days_enough
from ptn_backtest.rules.penalties import Penalties, PenaltyTable, penalties
from ptn_backtest.rules.ranking import percentile_ranks, ranks, softmax
from ptn_backtest.rules.record import record_of
from ptn_backtest.rules.records import Records, side_by_side
from ptn_backtest.rules.risk_profile import HeldPosition
from ptn_backtest.trade_pairs import TradePairCategory

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

IN_NETWORK = (Bucket.MAINCOMP, Bucket.PROBATION)
"""Whose days decide how many a class asks for."""


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
class ClassTable:
    """Several traders in one asset class, as `ClassScore`, in arrays of one length.

    Attributes:
        n_days: full days of each class ledger.
        metrics: {metric: values}.
        percentiles: {metric: percentile ranks}, NaN where a penalty of 0 keeps a trader out.
        score: weighted percentile ranks x penalties.
        rank: 1 for the highest score.
        weight: softmax weights, before the emission.
    """

    n_days: Ints
    metrics: Mapping[str, Floats]
    percentiles: Mapping[str, Floats]
    score: Floats
    rank: Ints
    weight: Floats

    def row(self, i: int) -> ClassScore:
        """The score of trader i."""
        percentiles = {m: float(v[i]) for m, v in self.percentiles.items() if not np.isnan(v[i])}
        return ClassScore(
            n_days=int(self.n_days[i]),
            metrics={metric: float(values[i]) for metric, values in self.metrics.items()},
            percentiles=percentiles,
            score=float(self.score[i]),
            rank=int(self.rank[i]),
            weight=float(self.weight[i]),
        )


@dataclass(frozen=True)
class Scores:
    """All traders that were scored together; tables by trader, in the order of `hotkeys`.

    Attributes:
        time_ms: when.
        min_days: full days that each class asked for.
        hotkeys: who was scored.
        penalties: factors on the class scores.
        classes: by asset class.
        weight: final weights; they add up to 1 (or are all 0).
        rank: 1 for the highest final weight.
    """

    time_ms: int
    min_days: Mapping[TradePairCategory, int]
    hotkeys: tuple[str, ...]
    penalties: PenaltyTable
    classes: Mapping[TradePairCategory, ClassTable]
    weight: Floats
    rank: Ints

    @cached_property
    def traders(self) -> Mapping[str, TraderScore]:
        """{hotkey: score}, in the order given."""
        return {
            hotkey: TraderScore(
                penalties=self.penalties.row(i),
                classes={category: table.row(i) for category, table in self.classes.items()},
                weight=float(self.weight[i]),
                rank=int(self.rank[i]),
            )
            for i, hotkey in enumerate(self.hotkeys)
        }


@dataclass(frozen=True, slots=True)
class Judgement:
    """Every trader's own figures, before anybody is compared.

    Attributes:
        records: who was judged; the arrays are in this order.
        penalties: factors on the class scores.
        metrics: {asset class: {metric: values}}, however few days there are.
    """

    records: Records
    penalties: PenaltyTable
    metrics: Mapping[TradePairCategory, Mapping[str, Floats]]


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
    records = _records(traders, t_ms, rules)
    if min_days is None:
        min_days = class_minimum_days(traders, rules)
    return rank_together(judge(records, rules), records.hotkeys, min_days, t_ms, rules)


def judge(records: Records, rules: ScoringRules) -> Judgement:
    """Every trader's own figures."""
    metrics = {}
    for category, asset_class in rules.asset_classes.items():
        own = records.classes[category]
        returns, pnl = own.series()
        days_in_year = asset_class.days_in_year
        metrics[category] = class_metrics(returns, pnl, own.mdd, rules, days_in_year=days_in_year)
    factors = penalties(records.mdd, records.account_size, records.risk, rules)
    return Judgement(records, factors, metrics)


def rank_together(
    judgement: Judgement,
    hotkeys: Sequence[str],
    min_days: Mapping[TradePairCategory, int],
    t_ms: int,
    rules: ScoringRules,
) -> Scores:
    """Scores of some of the judged traders against each other.

    Args:
        judgement: all traders' own figures.
        hotkeys: who is ranked.
        min_days: full days that each class asks for.
        t_ms: when.
        rules: every constant.
    """
    places = judgement.records.places
    chosen = np.array([places[hotkey] for hotkey in hotkeys], dtype=np.int64)
    factors = judgement.penalties.take(chosen)
    classes = {}
    for category in rules.asset_classes:
        n_days = judgement.records.classes[category].n_days[chosen]
        metrics = {name: values[chosen] for name, values in judgement.metrics[category].items()}
        judged = with_days_enough(metrics, n_days, min_days[category], rules)
        classes[category] = _class_table(n_days, judged, factors.total, rules)
    weight = np.zeros(len(chosen))
    for category, table in classes.items():
        weight += table.weight * rules.asset_classes[category].emission
    total = weight.sum()
    final = weight / total if total else weight
    return Scores(
        time_ms=t_ms,
        min_days=min_days,
        hotkeys=tuple(hotkeys),
        penalties=factors,
        classes=classes,
        weight=final,
        rank=ranks(final),
    )


def _class_table(
    n_days: Ints, metrics: Mapping[str, Floats], factors: Floats, rules: ScoringRules
) -> ClassTable:
    """Scores of one class; a penalty of 0 keeps a trader out of the ranks of the others."""
    competing = factors > 0
    percentiles = {}
    combined = np.zeros(int(competing.sum()))
    for metric, share in rules.metric_weights.items():
        of_competing = percentile_ranks(metrics[metric][competing])
        percentiles[metric] = np.full(len(factors), np.nan)
        percentiles[metric][competing] = of_competing
        combined += share * of_competing
    scores, weights = np.zeros(len(factors)), np.zeros(len(factors))
    scores[competing] = factors[competing] * combined
    weights[competing] = softmax(scores[competing], rules)
    return ClassTable(n_days, metrics, percentiles, scores, ranks(scores), weights)


def class_ranks(scores: Scores) -> dict[TradePairCategory, list[tuple[str, float]]]:
    """{asset class: [(hotkey, class score), ...]}, best first; of equal scores the first given.

    Everybody scored is listed; the last in every metric, and who has a penalty of 0, with exactly 0.
    """
    return {
        category: [
            (scores.hotkeys[i], float(table.score[i])) for i in np.argsort(table.rank).tolist()
        ]
        for category, table in scores.classes.items()
    }


def class_minimum_days(
    traders: Mapping[str, Trader], rules: ScoringRules = DEFAULT_SCORING
) -> dict[TradePairCategory, int]:
    """Full days that each class asks for, by the traders in MAINCOMP and PROBATION."""
    deciding = {hotkey: trader for hotkey, trader in traders.items() if trader.bucket in IN_NETWORK}
    return minimum_days_of(_records(deciding, 0, rules), rules)


def minimum_days_of(deciding: Records, rules: ScoringRules) -> dict[TradePairCategory, int]:
    """The same from the records of those traders; without any, every class asks for the most."""
    if not deciding.hotkeys:
        return dict.fromkeys(rules.asset_classes, rules.minimum_days.most)
    return {
        category: minimum_days(deciding.classes[category].n_days.tolist(), rules.minimum_days)
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


def _records(traders: Mapping[str, Trader], t_ms: int, rules: ScoringRules) -> Records:
    found = {
        hotkey: record_of(one.ledgers, one.positions, one.account_size, t_ms, rules)
        for hotkey, one in traders.items()
        if PORTFOLIO in one.ledgers
    }
    return side_by_side(found, rules.asset_classes)
