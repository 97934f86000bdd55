"""A run in one document, for `ptn-backtest run --json`, and what going on with one did."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ptn_backtest.backtest.result import Advance, RunResult
from ptn_backtest.results.run_folder import RUN_FILE
from ptn_backtest.results.statistics import rank_traders

DOCUMENT = "ptn-backtest run"
ADVANCE_DOCUMENT = "ptn-backtest continue --states-only"
DOCUMENT_VERSION = 1

_OF_RUN_JSON = (
    "source",
    "synthetic",
    "start_ms",
    "end_ms",
    "counts",
    "eliminations",
    "standings",
    "failed_traders",
    "warnings",
    "timings",
)


def run_summary(result: RunResult, folder: Path, report: Path) -> dict[str, Any]:
    """Where the run is, what its run.json says, and a row of figures per trader, best first.

    Args:
        result: the run.
        folder: its folder, written.
        report: its page.

    Returns:
        JSON-ready but for numbers that are not finite; figures as `LedgerSummary` defines them.
    """
    info = json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))
    return {
        "document": DOCUMENT,
        "document_version": DOCUMENT_VERSION,
        "run_folder": str(folder),
        "report": str(report),
        **{name: info[name] for name in _OF_RUN_JSON},
        "traders": [
            {
                "rank": each.rank,
                "miner_hotkey": each.miner_hotkey,
                "n_positions": len(each.positions),
                **asdict(each.portfolio),
            }
            for each in rank_traders(result)
        ],
    }


def advance_summary(advance: Advance, folder: Path) -> dict[str, Any]:
    """Where the run is, how far it is stored now, and what the rules changed since, in their order.

    Args:
        advance: what was done.
        folder: the run's, whose tables are as they were.
    """
    return {
        "document": ADVANCE_DOCUMENT,
        "document_version": DOCUMENT_VERSION,
        "run_folder": str(folder),
        "from_ms": advance.from_ms,
        "end_ms": advance.end_ms,
        "n_updates": advance.n_updates,
        "events": [asdict(event) for event in advance.events],
        "failed_traders": dict(advance.failed_traders),
        "warnings": list(advance.warnings),
        "timings": {"seconds": dict(advance.timings)},
    }
