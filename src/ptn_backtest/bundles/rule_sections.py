"""What the network's rules did in a bundle's replay, in the format of its expected.json."""

from collections.abc import Mapping, Sequence
from typing import Any

from ptn_backtest.backtest.network import Network
from ptn_backtest.ledger.checkpoint import PORTFOLIO, PerfLedger
from ptn_backtest.rulebook import Rulebook
from ptn_backtest.rules.scoring import Scores

Results = dict[str, Any]


def rule_sections(
    network: Network,
    ledgers: Mapping[str, Mapping[str, PerfLedger]],
    account_sizes: Mapping[str, float],
) -> Results:
    """The sections buckets, eliminations, ledgers_last_seen and scoring.

    Args:
        network: after the last evaluation.
        ledgers: of everybody, also of those who have left.
        account_sizes: {hotkey: USD in force at the end}.
    """
    gone = network.state.eliminations
    sections: Results = {
        "buckets": {h: [s.bucket.value, s.since_ms] for h, s in network.state.standings.items()}
    }
    if gone:
        sections["ledgers_last_seen"] = {
            hotkey: {
                "t_ms": ledgers[hotkey][PORTFOLIO].last_update_ms,
                "bundle": {name: ledger.to_dict() for name, ledger in ledgers[hotkey].items()},
            }
            for hotkey in gone
        }
        sections["eliminations"] = [
            {
                "hotkey": one.miner_hotkey,
                "elimination_initiated_time_ms": one.time_ms,
                "dd": one.drawdown_percent,
                "reason": one.reason.value,
            }
            for one in gone.values()
        ]
    if network.scores:
        rulebook = network.settings.rulebook
        sections["scoring"] = scoring_section(network.scores[-1], rulebook, account_sizes)
    return sections


def scoring_section(
    scores: Scores, rulebook: Rulebook, account_sizes: Mapping[str, float]
) -> Results:
    """Scores at one time: metrics, penalties, class scores, softmax weights, final weights."""
    weights = rulebook.scoring.metric_weights
    raw: Results = {}
    for category in scores.min_days:
        own = {hotkey: one.classes[category] for hotkey, one in scores.traders.items()}
        raw[category.value] = {
            "metrics": {
                metric: {
                    "scores": [[hotkey, one.metrics[metric]] for hotkey, one in own.items()],
                    "weight": weight,
                }
                for metric, weight in weights.items()
            },
            "penalties": {h: one.penalties.total for h, one in scores.traders.items()},
        }
    return {
        "min_days": {category.value: days for category, days in scores.min_days.items()},
        "account_sizes": dict(account_sizes),
        "raw": raw,
        "combined": _by_class(scores, "score"),
        "softmax": _by_class(scores, "weight"),
        "final": _final(scores),
    }


def _by_class(scores: Scores, figure: str) -> Results:
    return {
        category.value: {
            hotkey: getattr(one.classes[category], figure) for hotkey, one in scores.traders.items()
        }
        for category in scores.min_days
    }


def _final(scores: Scores) -> Sequence[tuple[str, float]]:
    """(hotkey, final weight), best first."""
    ranked = sorted(scores.traders.items(), key=lambda item: item[1].rank)
    return [(hotkey, one.weight) for hotkey, one in ranked]
