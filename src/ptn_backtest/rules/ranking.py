"""From the figures of several traders to shares: percentile ranks and softmax weights."""

import numpy as np
from numpy.typing import NDArray

from ptn_backtest.rulebook.scoring_rules import DEFAULT_SCORING, ScoringRules

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def percentile_ranks(figures: Floats) -> Floats:
    """Number of figures strictly below each one / number of traders; a lone trader 1.0."""
    if len(figures) == 1:
        return np.ones(1)
    return np.searchsorted(np.sort(figures), figures, side="left") / max(len(figures), 1)


def softmax(scores: Floats, rules: ScoringRules = DEFAULT_SCORING) -> Floats:
    """Weights of class scores; a score of 0 weighs 0, and a lone trader 1.0."""
    if len(scores) == 1:
        return np.ones(1)
    scored = scores != 0
    weights = np.zeros(len(scores))
    if scored.any():
        distance = scores[scored] - scores[scored].max()
        weights[scored] = np.exp(distance / rules.softmax_temperature)
        weights /= weights.sum() + rules.softmax_epsilon
    return weights


def ranks(scores: Floats) -> Ints:
    """1 for the highest score; of equal ones the first given comes first."""
    places = np.empty(len(scores), dtype=np.int64)
    places[np.argsort(-scores, kind="stable")] = np.arange(1, len(scores) + 1)
    return places
