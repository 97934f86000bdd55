"""Every trader's curves for the page's script: value, peak, drawdown, and what changed the value."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptn_backtest.ledger.checkpoint import PORTFOLIO, PerfLedger
from ptn_backtest.report.packing import plain, scaled, table, times
from ptn_backtest.report.sharing import share
from ptn_backtest.results.attribution import (
    NO_SLIPPAGE,
    PARTS,
    SlippageLog,
    parts_of_many,
    running_parts,
)
from ptn_backtest.results.statistics import EquityCurve, equity_curve, max_drawdown, sums_of_many

__all__ = ["MOST_POINTS", "curve_table", "ledger_table", "part_table", "thin"]

MOST_POINTS = 600
"""Points of a trader's curves."""
MOST_PART_POINTS = 120
"""Points of its attribution."""
PAGE_POINTS = 90_000
PAGE_PART_POINTS = 30_000
"""Of all traders together."""
_LEAST = 8


def curve_table(ledgers: Sequence[PerfLedger]) -> dict[str, Any]:
    """Columns time, value, peak and drawdown; highs, lows and the deepest drawdowns are kept.

    Args:
        ledgers: each trader's portfolio, with at least one checkpoint.
    """
    curves = [equity_curve(ledger) for ledger in ledgers]
    most = share([len(curve.time_ms) for curve in curves], MOST_POINTS, PAGE_POINTS)
    kept = [_kept(curve, most) for curve in curves]
    counts = [len(each) for each in kept]

    def column(name: str) -> NDArray[Any]:
        parts = (getattr(curve, name)[each] for curve, each in zip(curves, kept, strict=True))
        return np.concatenate(list(parts))

    return table(
        counts,
        {
            "time": times(column("time_ms"), counts),
            **{name: scaled(column(name), counts) for name in ("value", "peak", "drawdown")},
        },
    )


def part_table(ledgers: Sequence[PerfLedger], slippage: Sequence[SlippageLog]) -> dict[str, Any]:
    """Columns time, price, spread, carry and slippage: running sums of log changes."""
    lengths = np.array([len(ledger.cps) for ledger in ledgers], np.int64)
    most = share(lengths.tolist(), MOST_PART_POINTS, PAGE_PART_POINTS)
    # each one of so many, counted from the last
    every = np.repeat(-(-lengths // most), lengths)
    from_last = np.repeat(np.cumsum(lengths), lengths) - 1 - np.arange(lengths.sum())
    kept = from_last % every == 0
    counts = (-(-lengths // -(-lengths // most))).tolist()
    ends = np.concatenate([ledger.cps["last_update_ms"] for ledger in ledgers])
    return table(
        counts,
        {
            "time": times(ends[kept], counts),
            **{
                name: scaled(sums[kept], counts)
                for name, sums in running_parts(ledgers, slippage).items()
            },
        },
    )


def ledger_table(
    ledgers: Sequence[Mapping[str, PerfLedger]],
    slippage: Sequence[Mapping[str, SlippageLog]],
    pairs: Mapping[str, int],
) -> dict[str, Any]:
    """Where each ledger's change came from, the portfolio first, then pairs, most gained first.

    Args:
        ledgers: of each trader.
        slippage: of each trader's ledgers.
        pairs: {trade pair id: its number}; the portfolio is -1.

    Returns:
        Columns ledger, change, the parts (log changes), drawdown (at least 0) and pnl (USD).
    """
    own = [
        (trader, -1 if name == PORTFOLIO else pairs[name], ledger, slippage[trader].get(name))
        for trader, each in enumerate(ledgers)
        for name, ledger in each.items()
        if len(ledger.cps)
    ]
    each = [ledger for *_, ledger, _ in own]
    sums = sums_of_many(each)
    parts = parts_of_many(sums, each, [log or NO_SLIPPAGE for *_, log in own])
    trader = np.array([one for one, *_ in own], np.int64)
    number = np.array([one for _, one, *_ in own], np.int64)
    order = np.lexsort((number, -parts.change, number >= 0, trader))
    columns = {
        **{name: getattr(parts, name) for name in ("change", *PARTS)},
        "drawdown": np.array([max_drawdown(ledger.cps) for ledger in each]),
        "pnl": sums["pnl_gain"] + sums["pnl_loss"],
    }
    return table(
        np.bincount(trader, minlength=len(ledgers)).tolist(),
        {
            "ledger": plain(number[order] + 1, "u2"),
            **{name: plain(column[order], "f4") for name, column in columns.items()},
        },
    )


def thin(values: NDArray[np.float64], most: int) -> NDArray[np.int64]:
    """Indices of at most `most` points that keep the ends and the highs and lows between."""
    if len(values) <= most:
        return np.arange(len(values))
    size, n_larger = divmod(len(values) - 2, most // 2 - 1)
    middle, end = 1 + n_larger * (size + 1), len(values) - 1
    kept = np.zeros(len(values), dtype=bool)
    kept[[0, end]] = True
    for begin, stop, width in ((1, middle, size + 1), (middle, end, size)):
        parts, begins = values[begin:stop].reshape(-1, width), np.arange(begin, stop, width)
        kept[begins + parts.argmin(axis=1)] = True
        kept[begins + parts.argmax(axis=1)] = True
    return np.flatnonzero(kept)


def _kept(curve: EquityCurve, most: int) -> NDArray[np.int64]:
    if len(curve.time_ms) <= most:
        return np.arange(len(curve.time_ms))
    half = max(most // 2, _LEAST)
    return np.union1d(thin(curve.value, half), thin(curve.drawdown, half))
