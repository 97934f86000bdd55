"""A run's page: the leaderboard, and what happened to the network."""

from collections import Counter
from typing import Any

from ptn_backtest.report import rule_wording, wording
from ptn_backtest.rules.events import EventKind
from ptn_backtest.web.charts import count_chart
from ptn_backtest.web.opened import OpenRun

__all__ = ["MOST_EVENTS", "run_parts"]

MOST_EVENTS = 400


def run_parts(run: OpenRun) -> dict[str, Any]:
    """What `run.html.j2` shows."""
    moves = rule_wording.moves(run.events)
    kinds = Counter(event.kind for event in moves)
    why = Counter(
        rule_wording.reason(event.reason) for event in moves if event.kind is EventKind.ELIMINATED
    )
    standings = Counter(row.standing for row in run.leaders)
    known = [*rule_wording.BUCKETS.values(), rule_wording.OUT, rule_wording.NOT_ENTERED]
    names = [
        *(row.miner_hotkey for row in run.leaders),
        *(event.miner_hotkey for event in moves),
        *run.info["failed_traders"],
    ]
    return {
        "run": run,
        "leaders": run.leaders,
        "short": wording.short_names(dict.fromkeys(names)),
        "standings": [(name, standings[name]) for name in known if standings[name]],
        "scored": any(row.score is not None for row in run.leaders),
        "counts": count_chart(run.stays, run.info["end_ms"]) if run.rules_ran else None,
        "events": moves[::-1][:MOST_EVENTS],
        "n_events": len(moves),
        "kinds": [(k.value, name, kinds[k]) for k, name in rule_wording.KINDS.items() if kinds[k]],
        "reasons": why.most_common(),
    }
