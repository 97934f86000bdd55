"""What the page shows of scores: the leaderboard of the last evaluation, and each trader's history."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ptn_backtest.backtest.result import RunResult
from ptn_backtest.report.rule_wording import BUCKETS, OUT
from ptn_backtest.results.bucket_history import bucket_at, bucket_stays
from ptn_backtest.rules.scoring import ClassScore, Scores, TraderScore

MOST_LEADERS = 200
"""Traders in the leaderboard; scores.parquet has them all."""
_NOT_SCORED = np.nan


@dataclass(frozen=True, slots=True)
class LeaderRow:
    """One trader at the last evaluation.

    Attributes:
        miner_hotkey: the trader.
        standing: its bucket after the evaluation, or "out".
        score: final weight, rank and penalties.
        classes: its scores, in the order of `Leaderboard.classes`.
    """

    miner_hotkey: str
    standing: str
    score: TraderScore
    classes: Sequence[ClassScore]


@dataclass(frozen=True, slots=True)
class Leaderboard:
    """The last evaluation, best first.

    Attributes:
        time_ms: when.
        competition: whether those who compete for ranks were scored, rather than everybody.
        classes: (asset class, full days that it asked for).
        rows: the best.
        n_traders: how many were scored.
    """

    time_ms: int
    competition: bool
    classes: Sequence[tuple[str, int]]
    rows: Sequence[LeaderRow]
    n_traders: int


@dataclass(frozen=True, slots=True)
class ScoreHistory:
    """All traders' scores over all evaluations.

    Attributes:
        time_ms: of the evaluations.
        places: {hotkey: its row in the arrays}.
        scores: {asset class: class scores (traders x evaluations), NaN where not scored}.
        ranks: by final weight, likewise.
    """

    time_ms: NDArray[np.int64]
    places: Mapping[str, int]
    scores: Mapping[str, NDArray[np.float64]]
    ranks: NDArray[np.float64]


def evaluations(result: RunResult) -> Sequence[Scores]:
    """The evaluations that the page tells of: those of everybody, else the competitions."""
    return result.scores or result.competitions


def last_scores(result: RunResult) -> Scores | None:
    """The last evaluation that scored anybody; None where none did."""
    return next((one for one in reversed(evaluations(result)) if one.hotkeys), None)


def leaderboard(result: RunResult) -> Leaderboard | None:
    """The last evaluation that scored anybody; None where none did."""
    last = last_scores(result)
    if last is None:
        return None
    stays = bucket_stays(result.events)
    best = np.argsort(last.rank)[:MOST_LEADERS].tolist()
    rows = []
    for hotkey in (last.hotkeys[place] for place in best):
        bucket, score = bucket_at(stays, hotkey, last.time_ms), last.traders[hotkey]
        rows.append(
            LeaderRow(
                miner_hotkey=hotkey,
                standing=BUCKETS[bucket] if bucket else OUT,
                score=score,
                classes=[score.classes[category] for category in last.classes],
            )
        )
    return Leaderboard(
        time_ms=last.time_ms,
        competition=not result.scores,
        classes=[(category.value, last.min_days[category]) for category in last.classes],
        rows=rows,
        n_traders=len(last.hotkeys),
    )


def score_history(result: RunResult) -> ScoreHistory:
    """Every evaluation of the run, as arrays."""
    rounds = [one for one in evaluations(result) if one.hotkeys]
    hotkeys = dict.fromkeys(hotkey for one in rounds for hotkey in one.hotkeys)
    places = {hotkey: place for place, hotkey in enumerate(hotkeys)}
    shape = (len(places), len(rounds))
    classes = dict.fromkeys(category for one in rounds for category in one.classes)
    scores = {category: np.full(shape, _NOT_SCORED) for category in classes}
    ranks = np.full(shape, _NOT_SCORED)
    for n, one in enumerate(rounds):
        rows = [places[hotkey] for hotkey in one.hotkeys]
        ranks[rows, n] = one.rank
        for category, table in one.classes.items():
            scores[category][rows, n] = table.score
    return ScoreHistory(
        time_ms=np.array([one.time_ms for one in rounds], dtype=np.int64),
        places=places,
        scores={category.value: values for category, values in scores.items()},
        ranks=ranks,
    )
