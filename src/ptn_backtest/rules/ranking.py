"""From the figures of several traders to shares: percentile ranks and softmax weights."""

from collections.abc import Mapping

import numpy as np

from ptn_backtest.rulebook.scoring_rules import DEFAULT_SCORING, ScoringRules


def percentile_ranks(figures: Mapping[str, float]) -> dict[str, float]:
    """{hotkey: number of figures strictly below its own / number of traders}; a lone trader 1.0."""
    if len(figures) == 1:
        return dict.fromkeys(figures, 1.0)
    values = np.array(list(figures.values()))
    below = np.searchsorted(np.sort(values), values, side="left")
    return {hotkey: int(n) / len(values) for hotkey, n in zip(figures, below, strict=True)}


def softmax(scores: Mapping[str, float], rules: ScoringRules = DEFAULT_SCORING) -> dict[str, float]:
    """{hotkey: weight} of class scores; a score of 0 weighs 0, and a lone trader 1.0."""
    if len(scores) == 1:
        return dict.fromkeys(scores, 1.0)
    values = np.array(list(scores.values()))
    scored = values != 0
    weights = np.zeros(len(values))
    if scored.any():
        distance = values[scored] - values[scored].max()
        weights[scored] = np.exp(distance / rules.softmax_temperature)
        weights /= weights.sum() + rules.softmax_epsilon
    return dict(zip(scores, weights.tolist(), strict=True))


def best_first(scores: Mapping[str, float]) -> list[tuple[str, float]]:
    """(hotkey, score), highest first; equal scores stay in the order given."""
    return sorted(scores.items(), key=lambda item: -item[1])
