"""A ledger as series that other tools take: values over time, and simple returns by day."""

import numpy as np
from numpy.typing import NDArray

from ptn_backtest.clock import DAY_MS
from ptn_backtest.ledger.checkpoint import PerfLedger
from ptn_backtest.ledger.daily import Dates, Floats
from ptn_backtest.results.statistics import equity_curve, is_truncated

__all__ = ["daily_simple_returns", "values_over_time"]


def values_over_time(ledger: PerfLedger) -> tuple[NDArray[np.int64], Floats]:
    """Times (ms) and values: 1.0 at the first order, then the last record of each checkpoint.

    Where the checkpoint of the first order has left the window, the values begin with the oldest
    checkpoint that is kept.
    """
    if not len(ledger.cps):
        return np.zeros(0, np.int64), np.zeros(0)
    curve = equity_curve(ledger)
    return curve.time_ms, curve.value


def daily_simple_returns(ledger: PerfLedger) -> tuple[Dates, Floats]:
    """Simple return of every full UTC day: value at its end / value at its start - 1.

    A day is full when both of its checkpoints are in the ledger and cover their 12 hours; that of
    the first order counts as such, because a ledger begins at the start of a checkpoint. The value at
    a midnight is that of the last record up to it, so the full days follow each other without a gap,
    and the product of 1 + return is the last value / the first.

    Returns:
        Dates, ascending, and the return of each.
    """
    cps = ledger.cps
    if not len(cps):
        return np.zeros(0, "datetime64[D]"), np.zeros(0)
    ends, values = cps["last_update_ms"], cps["prev_portfolio_ret"]
    full = cps["accum_ms"] == ledger.target_cp_duration_ms
    last_of_day = 1 + np.flatnonzero((full & (ends % DAY_MS == 0))[1:] & full[:-1])
    at_start = np.append(_value_at_start(ledger), values)[last_of_day - 1]
    dates = (ends[last_of_day] // DAY_MS - 1).astype("datetime64[D]")
    return dates, values[last_of_day] / at_start - 1


def _value_at_start(ledger: PerfLedger) -> float:
    """The value at which the oldest checkpoint that is kept began."""
    if not is_truncated(ledger):
        return 1.0
    first = ledger.cps[0]
    return float(first["prev_portfolio_ret"] / np.exp(first["gain"] + first["loss"]))
