"""Every trader's scores for the page's script: over time, and of the last evaluation in full."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptn_backtest.report.packing import plain, scaled, table
from ptn_backtest.report.score_view import ScoreHistory
from ptn_backtest.report.sharing import share
from ptn_backtest.rulebook.scoring_rules import METRICS
from ptn_backtest.rules.scoring import Scores

__all__ = ["history_part", "last_part"]

MOST_SCORE_POINTS = 120
"""Evaluations of a trader's score history; scores.parquet has them all."""
PAGE_SCORE_POINTS = 45_000
"""Of all traders together."""


def history_part(history: ScoreHistory, traders: Sequence[str]) -> dict[str, Any]:
    """Times (s) of evaluations, and a table with a row per trader and evaluation.

    Columns: rank (by final weight, 0 where it was not scored), then the score in each asset class.
    """
    n_rounds = len(history.time_ms)
    places = np.array([history.places.get(hotkey, -1) for hotkey in traders], np.int64)
    scored = places >= 0
    most = share([n_rounds] * int(scored.sum()), MOST_SCORE_POINTS, PAGE_SCORE_POINTS)
    kept = np.unique(np.linspace(n_rounds - 1, 0, min(most, n_rounds)).astype(np.int64))
    counts = np.where(scored, len(kept), 0).tolist()

    def column(values: NDArray[np.float64]) -> NDArray[np.float64]:
        own: NDArray[np.float64] = values[places[scored]][:, kept].ravel()
        return own

    return {
        "times": (history.time_ms[kept] / 1_000).tolist(),
        "classes": list(history.scores),
        "table": table(
            counts,
            {
                "rank": plain(np.nan_to_num(column(history.ranks)), "u2"),
                **{
                    f"score {name}": scaled(column(values), counts)
                    for name, values in history.scores.items()
                },
            },
        ),
    }


def last_part(last: Scores, traders: Sequence[str]) -> dict[str, Any]:
    """The last evaluation: a row per trader that was scored, and asset class.

    Columns: score, rank, weight, days, each metric, and "percentile ..." (NaN where the trader is kept
    out of the ranks, and for a metric without weight); and of the trader as a whole, repeated in its
    rows, final (weight), final_rank and the penalties.
    """
    numbers = {hotkey: place for place, hotkey in enumerate(last.hotkeys)}
    places = np.array([numbers.get(hotkey, -1) for hotkey in traders], np.int64)
    own = places[places >= 0]
    classes = list(last.classes.values())

    def by_class(values: Sequence[NDArray[Any]], kind: str) -> dict[str, Any]:
        return plain(np.stack([each[own] for each in values], axis=1).ravel(), kind)

    def of_trader(values: NDArray[Any], kind: str) -> dict[str, Any]:
        return plain(np.repeat(values[own], len(classes)), kind)

    nothing = np.full(len(last.hotkeys), np.nan)
    factors = last.penalties
    return {
        "time": last.time_ms / 1_000,
        "classes": [category.value for category in last.classes],
        "min_days": [last.min_days[category] for category in last.classes],
        "metrics": list(METRICS),
        "table": table(
            np.where(places >= 0, len(classes), 0).tolist(),
            {
                "score": by_class([each.score for each in classes], "f4"),
                "rank": by_class([each.rank for each in classes], "u4"),
                "weight": by_class([each.weight for each in classes], "f4"),
                "days": by_class([each.n_days for each in classes], "u4"),
                **{
                    metric: by_class([each.metrics[metric] for each in classes], "f4")
                    for metric in METRICS
                },
                **{
                    f"percentile {metric}": by_class(
                        [each.percentiles.get(metric, nothing) for each in classes], "f4"
                    )
                    for metric in METRICS
                },
                "final": of_trader(last.weight, "f4"),
                "final_rank": of_trader(last.rank, "u4"),
                **{
                    f"penalty {name}": of_trader(getattr(factors, name), "f4")
                    for name in ("drawdown", "account_size", "risk_profile", "total")
                },
            },
        ),
    }
