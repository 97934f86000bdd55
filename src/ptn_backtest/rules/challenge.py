"""Challenge period and probation: who fails, who may rise, and who stands high enough."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ptn_backtest.rulebook import Rulebook
from ptn_backtest.rules.bucket import Bucket
from ptn_backtest.rules.events import EliminationReason, Figures
from ptn_backtest.rules.member import NetworkMember
from ptn_backtest.rules.metrics import is_beyond_max_drawdown
from ptn_backtest.rules.records import Portfolio
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


@dataclass(frozen=True, slots=True)
class Inspection:
    """Outcome of inspecting one trader: failed, a candidate for promotion, or neither yet."""

    failure: Failure | None = None
    candidate: bool = False


NOTHING_YET = Inspection()
CANDIDATE = Inspection(candidate=True)


def inspect(
    standing: Standing,
    member: NetworkMember,
    portfolio: Portfolio | None,
    t_ms: int,
    rulebook: Rulebook,
) -> Inspection:
    """Inspect a trader in CHALLENGE or PROBATION.

    In this order: time; then, with a closed position that counts and a ledger, drawdown; then
    enough full days.
    """
    rules = rulebook.challenge
    ends_ms = period_end_ms(standing, rulebook)
    if t_ms > ends_ms:
        figures = {"since_ms": standing.since_ms, "ended_ms": ends_ms}
        reason = EliminationReason.FAILED_CHALLENGE_PERIOD_TIME
        return Inspection(Failure(reason, NO_DRAWDOWN, figures))
    # without such a position a drawdown eliminates nobody yet (quirk 33)
    if portfolio is None or not member.has_closed_position(rules.position_ms):
        return NOTHING_YET
    reason = EliminationReason.FAILED_CHALLENGE_PERIOD_DRAWDOWN
    failure = drawdown_failure(portfolio, reason, rulebook)
    if failure:
        return Inspection(failure)
    return CANDIDATE if portfolio.full_days >= rules.full_days else NOTHING_YET


def period_end_ms(standing: Standing, rulebook: Rulebook) -> int:
    """Until when a trader in CHALLENGE or PROBATION may be promoted (included)."""
    rules = rulebook.challenge
    length_ms = rules.challenge_ms if standing.bucket is Bucket.CHALLENGE else rules.probation_ms
    return max(standing.since_ms + length_ms, rules.grace_until_ms)


def drawdown_failure(
    portfolio: Portfolio, reason: EliminationReason, rulebook: Rulebook
) -> Failure | None:
    """A failure for this reason if the portfolio's drawdown has reached the limit."""
    beyond, percent = is_beyond_max_drawdown(portfolio.mdd, rules=rulebook.scoring)
    if not beyond:
        return None
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


def best_ranks(scores: Scores, ranks: int) -> dict[str, Rank]:
    """{hotkey: its best standing in any class}: one that is in, if there is one.

    In each class those whose score is not below the one of the last rank are in: equal scores share
    a rank. With fewer traders than ranks everybody with a score above 0 is.

    Args:
        scores: everybody who competes.
        ranks: how many a class has.
    """
    best: dict[str, Rank] = {}
    for category, table in scores.classes.items():
        ascending = np.sort(table.score)
        threshold = float(ascending[-ranks]) if len(ascending) >= ranks else 0.0
        above = len(ascending) - np.searchsorted(ascending, table.score, side="right")
        for hotkey, score, n_above in zip(
            scores.hotkeys, table.score.tolist(), above.tolist(), strict=True
        ):
            mine = Rank(
                category=category,
                rank=n_above + 1,
                score=score,
                threshold=threshold,
                best_score=float(ascending[-1]),
                n_scored=len(ascending),
            )
            known = best.get(hotkey)
            if known is None or _standing_key(mine) > _standing_key(known):
                best[hotkey] = mine
    return best


def _standing_key(rank: Rank) -> tuple[bool, bool, bool, int]:
    """The larger, the better: where nobody has a score, all share rank 1, which says nothing."""
    return rank.is_in, rank.score > 0, rank.best_score > 0, -rank.rank
