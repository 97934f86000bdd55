"""Two runs held against each other: the page that `ptn-backtest compare --html` writes, and curves."""

from typing import Any

import numpy as np

from ptn_backtest.ledger.checkpoint import PORTFOLIO
from ptn_backtest.report.comparison_html import comparison_parts
from ptn_backtest.results.comparison import RunComparison, compare_runs
from ptn_backtest.results.run_folder import read_run
from ptn_backtest.results.series import values_over_time
from ptn_backtest.web.charts import Chart, line_chart
from ptn_backtest.web.opened import OpenRun
from ptn_backtest.web.recent import Recent
from ptn_backtest.web.runs import RunsFolder

__all__ = ["Comparisons"]

_MOST_KEPT = 3
_MOST_TRADERS = 100


class Comparisons:
    """Comparisons of the runs of a folder; the runs themselves are read whole, and let go."""

    def __init__(self, runs: RunsFolder) -> None:
        """Compare the runs of this folder."""
        self._runs = runs
        self._kept: Recent[RunComparison] = Recent(_MOST_KEPT)

    def of(self, a: str, b: str) -> RunComparison:
        """What differs between two runs.

        Raises:
            ConfigError: one is not there, or cannot be read.
        """
        versions = self._runs.version(a), self._runs.version(b)
        return self._kept.get(versions, lambda: self._compare(a, b))

    def _compare(self, a: str, b: str) -> RunComparison:
        folders = self._runs.folder(a), self._runs.folder(b)
        return compare_runs(*(read_run(folder) for folder in folders), names=(a, b))

    def parts(self, a: str, b: str, hotkey: str) -> dict[str, Any]:
        """What `compare.html.j2` shows."""
        found = self.of(a, b)
        open_a, open_b = self._runs.open(a), self._runs.open(b)
        differing = list(
            dict.fromkeys(
                [
                    *(one.miner_hotkey for one in found.fates.differences),
                    *(one.miner_hotkey for one in found.ledgers.differences),
                    *(one.miner_hotkey for one in found.scores.moves),
                ]
            )
        )
        chosen = hotkey or (differing[0] if differing else "")
        return comparison_parts(found) | {
            "a_name": a,
            "b_name": b,
            "names": self._runs.names(),
            "chosen": chosen,
            "curves": _curves(open_a, open_b, chosen) if chosen else None,
            "differing": differing[:_MOST_TRADERS],
            "n_differing": len(differing),
        }


def _curves(a: OpenRun, b: OpenRun, hotkey: str) -> Chart | None:
    """A trader's value in both runs, on the times of both."""
    points = {}
    for label, run in (("a", a), ("b", b)):
        ledger = run.ledgers(hotkey).get(PORTFOLIO)
        if ledger is not None and len(ledger.cps):
            points[f"{label}: {run.name}"] = values_over_time(ledger)
    if not points:
        return None
    every = np.unique(np.concatenate([times for times, _ in points.values()]))
    lines = {}
    for label, (times, values) in points.items():
        lines[label] = np.full(len(every), np.nan)
        lines[label][np.searchsorted(every, times)] = values
    return line_chart(every, lines, "value", tones=("line", "other")[: len(lines)])
