"""How many ticks a ledger has, and the least that any program must do for them.

The rule of ticks is that of `docs/arithmetic.md`, written down a second time: a step leads from one
order or update to the next; where something is open, it has a tick every minute, and every second
near its ends or if it is short.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ptn_backtest.clock import MINUTE_MS, SECOND_MS
from ptn_backtest.compiled import compiled
from ptn_backtest.ledger.timeline import TraderTimeline, open_ranges
from ptn_backtest.positions.columns import Floats, Ints

_SHORT_MS = 30 * MINUTE_MS
_PRICES = 1_024  # so that prices stay in the fastest cache


@dataclass(frozen=True, slots=True)
class Work:
    """The steps of ledgers in which a position is open.

    Attributes:
        ticks: of each step.
        n_open: open positions in each step.
    """

    ticks: Ints
    n_open: Ints

    @property
    def n_ticks(self) -> int:
        """Ticks in all."""
        return int(self.ticks.sum())

    @property
    def n_valuations(self) -> int:
        """Ticks x open positions in all."""
        return int((self.ticks * self.n_open).sum())


def work_of(
    timelines: Iterable[TraderTimeline],
    update_times_ms: Sequence[int],
    ended_ms: Mapping[str, int],
    after_ms: int = 0,
    *,
    by_pair: bool = False,
) -> Work:
    """The steps of all traders' portfolio ledgers.

    Args:
        timelines: their orders.
        update_times_ms: ascending.
        ended_ms: {hotkey: time}; a ledger ends there (the step it breaks off is left out).
        after_ms: only steps that end after this.
        by_pair: the steps of their ledgers by pair instead.
    """
    ticks, n_open = [], []
    for timeline in timelines:
        end_ms = min(ended_ms.get(timeline.miner_hotkey, update_times_ms[-1]), update_times_ms[-1])
        moments = np.concatenate((timeline.arrays.events["time_ms"], np.array(update_times_ms)))
        ends = np.unique(moments[(moments >= timeline.first_order_ms) & (moments <= end_ms)])
        begins, ends = ends[:-1], ends[1:]
        by_ledger = list(open_ranges([timeline], end_ms + 1).values())
        for mine in by_ledger if by_pair else [[r for ranges in by_ledger for r in ranges]]:
            opens, closes = np.sort(np.array(mine), axis=0).T
            held = np.searchsorted(opens, begins, "right") - np.searchsorted(
                closes, begins, "right"
            )
            wanted = (held > 0) & (ends > after_ms)
            steps = map(ticks_of_step, begins[wanted], ends[wanted])
            n_open.append(held[wanted])
            ticks.append(np.array([*steps], dtype=np.int64))
    return Work(np.concatenate(ticks), np.concatenate(n_open))


@compiled
def ticks_of_step(begin_ms: int, end_ms: int) -> int:
    """Ticks between two orders or updates."""
    at_ms, count = begin_ms + 1, 0
    short = end_ms - at_ms <= _SHORT_MS
    while at_ms < end_ms:
        second_ms = at_ms - at_ms % SECOND_MS
        by_second = short or end_ms - second_ms <= MINUTE_MS or second_ms % MINUTE_MS > 0
        at_ms += SECOND_MS if by_second else MINUTE_MS
        count += 1
    return count


def least_seconds(work: Work, repeats: int) -> float:
    """Seconds (of the processor) of the least work possible for these ticks, on one core.

    The quickest of some repetitions counts.

    That is one multiply-add per position and tick and one division per tick: a ledger cannot be
    kept with less. No price is looked up, nothing is recorded, no fee is asked, and ticks do not
    depend on each other, so that the processor may overlap them; the result is used.
    """
    random = np.random.default_rng(1)
    prices = random.uniform(0.9, 1.1, _PRICES)
    leverages = random.uniform(0.1, 1.0, max(int(work.n_open.max(initial=1)), 1))
    expected = work.n_ticks
    best = float("inf")
    for _ in range(repeats + 1):  # the first one compiles
        begun = time.process_time()
        total = _least_work(work.ticks, work.n_open, leverages, prices)
        best = min(best, time.process_time() - begun)
        if not 0 < total < expected:
            raise AssertionError(f"{total} is no sum of {expected} quotients below 1")
    return best


@compiled
def _least_work(ticks: Ints, n_open: Ints, leverages: Floats, prices: Floats) -> float:
    total = 0.0
    for step in range(len(ticks)):
        for tick in range(ticks[step]):
            price = prices[tick & (_PRICES - 1)]
            value = 1.0
            for i in range(n_open[step]):
                value += leverages[i] * price
            total += 1.0 / value
    return total
