"""Daily values of a ledger: log return and PnL of every full day."""

import numpy as np
from numpy.typing import NDArray

from ptn_backtest.clock import DAY_MS
from ptn_backtest.ledger.checkpoint import Checkpoints, PerfLedger

Dates = NDArray[np.datetime64]
Floats = NDArray[np.float64]


def daily_values(ledger: PerfLedger) -> tuple[Dates, Floats, Floats]:
    """Log return and PnL of every full day.

    A day (UTC) is full when it has two full checkpoints; a checkpoint belongs to the day it starts.
    A ledger does not know its market: days on which a pair's market is closed count, with 0.

    Returns:
        Dates, ascending, the sum of gain and loss of each, and its PnL in USD.
    """
    full = ledger.cps[ledger.cps["accum_ms"] == ledger.target_cp_duration_ms]
    days, day_of, halves = np.unique(
        start_ms(full) // DAY_MS, return_inverse=True, return_counts=True
    )
    # two full checkpoints of half a day make a full day
    whole = halves * ledger.target_cp_duration_ms == DAY_MS
    returns, pnl = (
        np.bincount(day_of, weights=full[plus] + full[minus], minlength=len(days))[whole]
        for plus, minus in (("gain", "loss"), ("pnl_gain", "pnl_loss"))
    )
    return days[whole].astype("datetime64[D]"), returns, pnl


def daily_returns(ledger: PerfLedger) -> tuple[Dates, Floats]:
    """Dates of full days, and the log return of each; see `daily_values`."""
    dates, returns, _ = daily_values(ledger)
    return dates, returns


def daily_pnl(ledger: PerfLedger) -> tuple[Dates, Floats]:
    """Dates of full days, and the PnL of each in USD; see `daily_values`."""
    dates, _, pnl = daily_values(ledger)
    return dates, pnl


def start_ms(cps: Checkpoints) -> NDArray[np.int64]:
    """When the time that each checkpoint covers begins, ms."""
    starts: NDArray[np.int64] = cps["last_update_ms"] - cps["accum_ms"]
    return starts
