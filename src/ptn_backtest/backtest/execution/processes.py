"""MULTIPROCESSING: one process per processor, candles in memory that all of them share."""

import os
import weakref
from collections.abc import Iterator, Sequence

from ptn_backtest.backtest.execution.pool import WorkerPool
from ptn_backtest.errors import BacktestError
from ptn_backtest.ledger.estimate import estimated_ticks
from ptn_backtest.ledger.manager import TraderOutcome, TraderUnit, TraderUpdate


class Processes:
    """MULTIPROCESSING; `contract.Execution` says what it promises."""

    def __init__(self, n_traders: int) -> None:
        """Start the workers: one for every processor that this process may use."""
        pool = WorkerPool(max(1, min(usable_processors(), n_traders)))
        self._pool = pool
        self._closing = weakref.finalize(self, pool.close)

    def map(
        self, update: TraderUpdate, units: Sequence[TraderUnit]
    ) -> Iterator[tuple[int, TraderOutcome | BacktestError]]:
        """The most work first, so that no worker is left alone with a large unit at the end."""
        ticks = [estimated_ticks(unit) for unit in units]
        order = sorted(range(len(units)), key=lambda i: -ticks[i])
        return self._pool.map(
            update,
            lambda i: units[i].without_orders(),
            order,
            lambda i: f"trader {units[i].timeline.miner_hotkey}",
        )

    def process_ids(self) -> Sequence[int]:
        """The workers'."""
        return self._pool.process_ids()

    def close(self) -> None:
        """End the workers; happens by itself when this is no longer used, or the program ends."""
        self._closing()


def usable_processors() -> int:
    """Processors that this process may run on (`taskset` limits them)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
