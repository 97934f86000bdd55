"""Charts as data: what the script in `static/charts.js` of reports draws with uPlot.

Times are seconds, as uPlot counts; a gap is null.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ptn_backtest.ledger.checkpoint import PerfLedger
from ptn_backtest.report.network_view import bucket_counts
from ptn_backtest.results.bucket_history import Stays
from ptn_backtest.results.statistics import EquityCurve
from ptn_backtest.rules.events import Elimination

__all__ = [
    "Chart",
    "attribution_chart",
    "count_chart",
    "drawdown_chart",
    "equity_chart",
    "line_chart",
    "seconds",
]

Chart: TypeAlias = dict[str, Any]
"""JSON-ready: `x` (seconds), `series` of {label, tone, values}, and what else is drawn:

`unit` ("percent", "value", "price", "rank", "score", "count"), `marks` of {x, y, tone, label},
`bands` of {from, to, tone, label}, `stacked`, `stepped`.
"""
_MOST_STEPS = 400


def seconds(times_ms: NDArray[np.int64]) -> list[float]:
    """Times as uPlot takes them."""
    return [ms / 1_000 for ms in times_ms.tolist()]


def values(numbers: NDArray[np.float64]) -> list[float | None]:
    """Numbers as JSON has them, 7 digits that count."""
    return [float(f"{v:.7g}") if math.isfinite(v) else None for v in numbers.tolist()]


def line_chart(
    times_ms: NDArray[np.int64],
    lines: Mapping[str, NDArray[np.float64]],
    unit: str,
    *,
    tones: Sequence[str] = (),
) -> Chart:
    """Lines by name; a tone is a class of colour, by default the name."""
    names = tones or tuple(lines)
    return {
        "unit": unit,
        "x": seconds(times_ms),
        "series": [
            {"label": label, "tone": tone, "values": values(line)}
            for (label, line), tone in zip(lines.items(), names, strict=True)
        ],
    }


def equity_chart(
    curve: EquityCurve, limit: float | None, end: Elimination | None, own_bands: Sequence[Chart]
) -> Chart:
    """Value over time, the value at which the limit is reached, and where it was."""
    lines = {"value": curve.value}
    if limit is not None:
        lines["limit"] = curve.peak * (1 - limit)
    chart = line_chart(curve.time_ms, lines, "value", tones=("line", "limit")[: len(lines)])
    return chart | {"marks": _breach(end), "bands": list(own_bands)}


def drawdown_chart(curve: EquityCurve, limit: float | None, end: Elimination | None) -> Chart:
    """The deepest drawdown of each checkpoint, and its limit."""
    lines = {"drawdown": curve.drawdown}
    if limit is not None:
        lines["limit"] = np.full(len(curve.time_ms), -limit)
    tones = ("drawdown", "limit")[: len(lines)]
    chart = line_chart(curve.time_ms, lines, "percent", tones=tones)
    marks = _breach(end)
    for mark in marks:
        mark["y"] = -end.breach.drawdown if end and end.breach else None
    return chart | {"marks": marks}


def attribution_chart(ledger: PerfLedger, parts: Mapping[str, NDArray[np.float64]]) -> Chart:
    """What each part made of the value up to a time: running sums of log changes."""
    lines = {name: np.cumsum(part) for name, part in parts.items()}
    return line_chart(ledger.cps["last_update_ms"], lines, "percent")


def count_chart(stays: Stays, end_ms: int) -> Chart | None:
    """How many traders stood in each bucket over time, and how many had left."""
    if not stays:
        return None
    times, counts = bucket_counts(stays, end_ms, _MOST_STEPS)
    if times[-1] < end_ms:
        times = np.append(times, end_ms)
        counts = {name: np.append(each, each[-1]) for name, each in counts.items()}
    lines = {name: each.astype(np.float64) for name, each in counts.items()}
    return line_chart(times, lines, "count") | {"stacked": True, "stepped": True}


def _breach(end: Elimination | None) -> list[Chart]:
    if end is None or end.breach is None:
        return []
    breach = end.breach
    label = "reached 0" if breach.value <= 0 else "reached the limit"
    return [{"x": breach.time_ms / 1_000, "y": breach.value, "tone": "breach", "label": label}]
