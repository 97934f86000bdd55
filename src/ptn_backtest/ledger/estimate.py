"""How much work traders are, before it is done."""

from typing import Any

import numpy as np

from ptn_backtest.clock import MINUTE_MS, NEVER_MS, SECOND_MS
from ptn_backtest.compiled import compiled, inlined
from ptn_backtest.ledger.batch import LedgerBatch
from ptn_backtest.ledger.book import LAST_UPDATE, LIQUIDATED, NONE_MS
from ptn_backtest.ledger.places import first_from
from ptn_backtest.ledger.timeline import Timeline
from ptn_backtest.ledger.timelines import Timelines, timeline_of
from ptn_backtest.positions.columns import Ints

_SECONDS_AROUND = 2 * MINUTE_MS // SECOND_MS
"""Ticks by second that each end of a step costs: about a minute before it, and one after."""


def estimated_ticks(timelines: Timelines, batch: LedgerBatch) -> Ints:
    """About how many ticks x open positions an update takes of each trader of a batch.

    For splitting work, not for results. Every position counts its open minutes in the update, and 120
    seconds for each of the trader's orders and updates while it is open, before it or after.
    """
    ticks = np.zeros(len(batch), dtype=np.int64)
    last_ms = np.full(len(batch), NONE_MS)
    for columns, sources, places in batch.before:
        ended = columns.clock[sources, LIQUIDATED] != NONE_MS
        last_ms[places] = np.where(ended, NEVER_MS, columns.clock[sources, LAST_UPDATE])
    _estimate(timelines, batch.traders, last_ms, np.array(batch.update_times_ms, np.int64), ticks)
    return ticks


@compiled
def _estimate(
    timelines: Timelines, traders: Ints, last_ms: Ints, times_ms: Ints, ticks: Ints
) -> None:
    for k in range(len(traders)):
        timeline = timeline_of(timelines, traders[k])
        begin_ms = timeline.events[0].time_ms if last_ms[k] == NONE_MS else last_ms[k]
        if len(times_ms) > 0 and begin_ms < times_ms[-1]:
            ticks[k] = _ticks_of(timeline, begin_ms, times_ms)


@inlined
def _ticks_of(timeline: Timeline, begin_ms: int, times_ms: Ints) -> int:
    """Open minutes of every position, and seconds at the ends of steps that find it open."""
    events: Any = timeline.events
    ticks, orders_ms = 0, events.time_ms
    for i in range(len(timeline.by_stored)):
        opened_ms = timeline.columns.orders[timeline.columns.positions[i].first].time_ms
        close, closed_ms = timeline.accounts.bounds[i].close, times_ms[-1]
        if close >= 0:
            closed_ms = min(closed_ms, timeline.columns.orders[close].time_ms)
        if closed_ms <= begin_ms or closed_ms < opened_ms:
            continue
        ticks += (closed_ms - max(opened_ms, begin_ms)) // MINUTE_MS
        first_ms = max(opened_ms, begin_ms + 1)
        n_ends = _n_between(orders_ms, first_ms, closed_ms)
        n_ends += _n_between(times_ms, first_ms, closed_ms)
        ticks += _SECONDS_AROUND * n_ends
    return ticks


@inlined
def _n_between(times_ms: Ints, first_ms: int, last_ms: int) -> int:
    """How many of the times, which ascend, are in a stretch with both its ends."""
    n_times = len(times_ms)
    before = first_from(times_ms, 0, n_times, first_ms)
    return first_from(times_ms, before, n_times, last_ms + 1) - before
