"""When a replay may ask for second candles: near the ends of steps, and throughout short ones."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from ptn_backtest.clock import MINUTE_MS, SECOND_MS
from ptn_backtest.ledger.ticks import ONLY_SECONDS_MS
from ptn_backtest.ledger.timeline import TraderTimeline
from ptn_backtest.positions.columns import Ints
from ptn_backtest.prices.candles import Windows

_EDGE_MS = MINUTE_MS + 2 * SECOND_MS
"""A step begins and ends with seconds for at most a minute; a tick is asked for its whole second."""


def second_windows(
    timelines: Iterable[TraderTimeline],
    update_times_ms: Sequence[int],
    from_ms: int | None = None,
) -> dict[str, Windows]:
    """{trade_pair_id: stretches of time in which a tick may ask for a second candle}.

    A trader's steps end at the orders of all pairs and at the update times, so each order of a
    trader asks for seconds of every pair that is open then.

    Args:
        timelines: the traders.
        update_times_ms: when ledgers are updated.
        from_ms: where given, ledgers are continued whose last update this was: the first step
            begins here, and earlier ones are over.
    """
    found: dict[str, list[Windows]] = {}
    for timeline in timelines:
        ends = np.unique(
            np.concatenate((timeline.arrays.events["time_ms"], np.array(update_times_ms)))
        )
        if from_ms is not None:
            ends = np.insert(ends[ends > from_ms], 0, from_ms)
        windows = _of_steps(ends)
        for pair, ranges in timeline.open_ranges(int(ends[-1]), from_ms):
            found.setdefault(pair, []).append(_touching(windows, ranges))
    return {pair: _merged(np.concatenate(parts)) for pair, parts in found.items()}


def _of_steps(ends: Ints) -> Windows:
    begin, end = ends[:-1], ends[1:]
    short = end - begin <= ONLY_SECONDS_MS + SECOND_MS
    heads = np.stack((begin - SECOND_MS, np.where(short, end, begin + _EDGE_MS)), axis=1)
    tails = np.stack((end - _EDGE_MS, end), axis=1)
    return np.concatenate((heads, tails[~short]))


def _touching(windows: Windows, ranges: NDArray[np.int64]) -> Windows:
    """The windows in which a position is open at some moment; `ranges` (open, close) by open."""
    if not len(ranges):
        return windows[:0]
    closed = np.maximum.accumulate(ranges[:, 1])
    at = np.searchsorted(ranges[:, 0], windows[:, 1], side="right") - 1
    return windows[(at >= 0) & (closed[at] >= windows[:, 0])]


def _merged(windows: Windows) -> Windows:
    if not len(windows):
        return windows
    windows = windows[np.argsort(windows[:, 0], kind="stable")]
    reach = np.maximum.accumulate(windows[:, 1])
    first = np.concatenate(([True], windows[1:, 0] > reach[:-1]))
    last = np.concatenate((first[1:], [True]))
    return np.stack((windows[first, 0], reach[last]), axis=1)
