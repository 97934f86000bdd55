"""Challenge period and probation: who fails, who may rise, and who stands high enough."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ptn_backtest.rulebook import Rulebook
from ptn_backtest.rules.bucket import Bucket
from ptn_backtest.rules.events import EliminationReason, Figures
from ptn_backtest.rules.formulas import Floats, drawdown_percent
from ptn_backtest.rules.member import NetworkMember
from ptn_backtest.rules.records import Records
from ptn_backtest.rules.risk_profile import Bools
from ptn_backtest.rules.scoring import Scores
from ptn_backtest.rules.standing import Standing
from ptn_backtest.trade_pairs import TradePairCategory

UNDER_INSPECTION = (Bucket.CHALLENGE, Bucket.PROBATION)

NO_DRAWDOWN = -1.0
"""What an elimination for another reason records as its drawdown."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a trader has failed.

    Attributes:
        reason: see there.
        drawdown_percent: 2 decimals, or `NO_DRAWDOWN`.
        figures: what decided it.
    """

    reason: EliminationReason
    drawdown_percent: float
    figures: Figures


class Inspection(NamedTuple):
    """Outcome of an inspection: {hotkey: failure}, and who is a candidate for promotion."""

    failures: Mapping[str, Failure]
    candidates: Sequence[str]


def inspect(
    inspected: Mapping[str, Standing],
    members: Mapping[str, NetworkMember],
    records: Records,
    t_ms: int,
    rulebook: Rulebook,
) -> Inspection:
    """Inspect traders in CHALLENGE or PROBATION.

    In this order: time; then, with a closed position that counts and a ledger, drawdown; then
    enough full days.
    """
    rules, reason = rulebook.challenge, EliminationReason.FAILED_CHALLENGE_PERIOD_DRAWDOWN
    fallen = fallen_to_limit(records, rulebook)
    days_enough = {*records.whose(records.full_days >= rules.full_days)}
    failures, candidates = {}, []
    for hotkey, standing in inspected.items():
        ends_ms = period_end_ms(standing, rulebook)
        if t_ms > ends_ms:
            failures[hotkey] = _out_of_time(standing, ends_ms)
        # without such a position a drawdown eliminates nobody yet (quirk 33)
        elif hotkey in fallen and members[hotkey].has_closed_position(rules.position_ms):
            failures[hotkey] = drawdown_failure(fallen[hotkey], reason, rulebook)
        elif hotkey in days_enough and members[hotkey].has_closed_position(rules.position_ms):
            candidates.append(hotkey)
    return Inspection(failures, candidates)


def period_end_ms(standing: Standing, rulebook: Rulebook) -> int:
    """Until when a trader in CHALLENGE or PROBATION may be promoted (included)."""
    rules = rulebook.challenge
    length_ms = rules.challenge_ms if standing.bucket is Bucket.CHALLENGE else rules.probation_ms
    return max(standing.since_ms + length_ms, rules.grace_until_ms)


def _out_of_time(standing: Standing, ended_ms: int) -> Failure:
    figures = {"since_ms": standing.since_ms, "ended_ms": ended_ms}
    return Failure(EliminationReason.FAILED_CHALLENGE_PERIOD_TIME, NO_DRAWDOWN, figures)


def fallen_to_limit(records: Records, rulebook: Rulebook) -> dict[str, float]:
    """{hotkey: percent, 2 decimals} of those whose portfolio's drawdown has reached the limit."""
    percent = drawdown_percent(records.mdd)
    reached = percent >= rulebook.scoring.drawdown_limit
    rounded = [round(one, 2) for one in percent[reached].tolist()]
    return dict(zip(records.whose(reached), rounded, strict=True))


def drawdown_failure(percent: float, reason: EliminationReason, rulebook: Rulebook) -> Failure:
    """A failure for this reason, by a drawdown that has reached the limit."""
    limit = rulebook.eliminations.drawdown_limit
    return Failure(reason, percent, {"drawdown_percent": percent, "limit_percent": limit})


class Rank(NamedTuple):
    """Where a trader stands in a class, and what the class asks for.

    Attributes:
        category: the asset class.
        rank: 1 for the best.
        score: class score.
        threshold: smallest score in the main competition; a score of 0 never is.
        best_score: the largest score of the class.
        n_scored: how many were scored together.
    """

    category: TradePairCategory
    rank: int
    score: float
    threshold: float
    best_score: float
    n_scored: int

    @property
    def is_in(self) -> bool:
        """Whether the class counts the trader among its best."""
        return self.score > 0 and self.score >= self.threshold

    @property
    def figures(self) -> Figures:
        """For an event."""
        return {
            "asset_class": self.category.value,
            "rank": self.rank,
            "score": self.score,
            "threshold_score": self.threshold,
            "scored_traders": self.n_scored,
        }


@dataclass(frozen=True, slots=True)
class ClassRanks:
    """Who stands where in one asset class.

    Attributes:
        category: the class.
        score: class scores, in the order of `Ranks.places`.
        ascending: the same, sorted.
        threshold: the score of the last rank; 0 where there are fewer traders than ranks.
    """

    category: TradePairCategory
    score: Floats
    ascending: Floats
    threshold: float

    @property
    def is_in(self) -> Bools:
        """Whom the class counts among its best; see `Rank.is_in`."""
        return (self.score > 0) & (self.score >= self.threshold)

    def rank(self, place: int) -> Rank:
        """Where the trader at a place stands; equal scores share a rank."""
        score, n_scored = self.score[place], len(self.ascending)
        n_above = n_scored - np.searchsorted(self.ascending, score, side="right")
        return Rank(
            category=self.category,
            rank=int(n_above) + 1,
            score=float(score),
            threshold=self.threshold,
            best_score=float(self.ascending[-1]),
            n_scored=n_scored,
        )


class Ranks(NamedTuple):
    """Who stands high enough, among those who were scored together.

    Attributes:
        places: {hotkey: place in the arrays}.
        classes: every asset class.
    """

    places: Mapping[str, int]
    classes: Sequence[ClassRanks]

    def among_the_best(self) -> set[str]:
        """Who is in, in any class."""
        hotkeys = list(self.places)
        return {hotkeys[i] for one in self.classes for i in np.flatnonzero(one.is_in).tolist()}

    def best(self, hotkey: str) -> Rank | None:
        """A trader's best standing in any class: one that is in, if there is one."""
        place = self.places.get(hotkey)
        if place is None:
            return None
        return max((one.rank(place) for one in self.classes), key=_standing_key, default=None)


def ranks_of(scores: Scores, ranks: int) -> Ranks:
    """The ranks of everybody who competes.

    In each class those whose score is not below the one of the last rank are in. With fewer traders
    than ranks everybody with a score above 0 is.

    Args:
        scores: everybody who competes.
        ranks: how many a class has.
    """
    classes = []
    for category, table in scores.classes.items():
        ascending = np.sort(table.score)
        threshold = float(ascending[-ranks]) if len(ascending) >= ranks else 0.0
        classes.append(ClassRanks(category, table.score, ascending, threshold))
    return Ranks({hotkey: place for place, hotkey in enumerate(scores.hotkeys)}, classes)


def _standing_key(rank: Rank) -> tuple[bool, bool, bool, int]:
    """The larger, the better: where nobody has a score, all share rank 1, which says nothing."""
    return rank.is_in, rank.score > 0, rank.best_score > 0, -rank.rank
