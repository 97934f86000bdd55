"""How much work a trader is, before it is done."""

import numpy as np

from ptn_backtest.clock import MINUTE_MS, NEVER_MS, SECOND_MS
from ptn_backtest.ledger.manager import TraderUnit
from ptn_backtest.positions.columns import Ints

_SECONDS_AROUND = 2 * MINUTE_MS // SECOND_MS
"""Ticks by second that each end of a step costs: about a minute before it, and one after."""


def estimated_ticks(unit: TraderUnit) -> int:
    """About how many ticks x open positions an update takes; for splitting work, not for results.

    Every position counts its open minutes in the update, and 120 seconds for each of the trader's
    orders and updates while it is open.
    """
    times_ms, timeline = np.array(unit.update_times_ms, dtype=np.int64), unit.timeline
    if not len(times_ms) or unit.state.liquidated_ms is not None:
        return 0
    begin_ms, end_ms = unit.state.last_update_ms or timeline.first_order_ms, int(times_ms[-1])
    orders, bounds = timeline.arrays.columns.orders, timeline.arrays.accounts.bounds
    opened = orders["time_ms"][timeline.arrays.columns.positions["first"]]
    closed = np.where(bounds["close"] >= 0, orders["time_ms"][bounds["close"]], NEVER_MS)
    opened, closed = np.maximum(opened, begin_ms), np.minimum(closed, end_ms)
    minutes = np.maximum(0, closed - opened) // MINUTE_MS
    ends = np.unique(np.concatenate((timeline.arrays.events["time_ms"], times_ms)))
    ends = ends[(ends > begin_ms) & (ends <= end_ms)]
    return int(minutes.sum()) + _SECONDS_AROUND * _open_at(ends, opened, closed)


def _open_at(moments: Ints, opened: Ints, closed: Ints) -> int:
    """How many (moment, position) there are with the position open up to that moment, or after it."""
    before = np.searchsorted(np.sort(opened), moments, side="right")
    over = np.searchsorted(np.sort(closed), moments, side="left")
    return int(np.maximum(0, before - over).sum())
